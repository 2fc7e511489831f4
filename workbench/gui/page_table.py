"""The table of pages: shown means imported."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from PySide6.QtWidgets import QWidget


@dataclass(frozen=True)
class PageEntry:
    """One page: its id, its title, its icon, and where its class is. One that stands `beside` another has no button of its own on the rail."""

    id: str
    title: str
    glyph: str
    place: str
    beside: str = ""


PAGES: tuple[PageEntry, ...] = (
    PageEntry("home", "Home", "home", "workbench.gui.pages.home:HomePage"),
    PageEntry("data", "Data", "data", "workbench.gui.pages.data:DataPage"),
    PageEntry("annotate", "Annotate", "annotate", "workbench.gui.pages.annotate:AnnotatePage"),
    PageEntry("train", "Train", "train", "workbench.gui.pages.train:TrainPage"),
    PageEntry("runs", "Runs", "runs", "workbench.gui.pages.runs:RunsPage"),
    PageEntry("playground", "Playground", "playground", "workbench.gui.pages.playground:PlaygroundPage"),
    PageEntry("models", "Models", "models", "workbench.gui.pages.models:ModelsPage"),
    PageEntry("settings", "Settings", "settings", "workbench.gui.pages.settings:SettingsPage"),
    PageEntry("statistics", "Statistics", "statistics", "workbench.gui.pages.statistics:StatisticsPage", "annotate"),
)


def page_class(entry: PageEntry) -> type[QWidget]:
    """Import the page's class; one of the three doors for lazy imports."""
    module, name = entry.place.split(":")
    found: Any = getattr(importlib.import_module(module), name)
    result: type[QWidget] = found
    return result
