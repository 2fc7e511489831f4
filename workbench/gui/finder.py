"""What the palette can find: actions, pages, and names from the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from workbench.gui.page_table import PageEntry
from workbench.gui.palette import Entry
from workbench.gui.shell import Action

Go = Callable[..., Any]


def action_entries(actions: Iterable[Action]) -> list[Entry]:
    """Everything that can be done here."""
    return [Entry(action.title, "action", "sparkle", action.run, action.keys) for action in actions]


def page_entries(pages: Iterable[PageEntry], go: Go) -> list[Entry]:
    """The pages."""
    return [
        Entry(page.title, "page", page.glyph, lambda page=page.id: go(page), f"Ctrl+{number}")  # type: ignore[misc]
        for number, page in enumerate(pages, 1)
    ]


def name_entries(services: Any, go: Go) -> list[Entry]:
    """Every dataset, run and model by name; asks the services, so it runs on a lane."""
    entries = [
        Entry(d.name, "dataset", "data", lambda name=d.name: go("data", dataset=name))  # type: ignore[misc]
        for d in services.datasets.list()
    ]
    entries += [
        Entry(r.name or r.id, f"run, {r.state.value}", "runs", lambda run=r.id: go("runs", run=run))  # type: ignore[misc]
        for r in services.runs.list()
    ]
    entries += [
        Entry(m.name, f"model, {m.kind}", "models", lambda name=m.name: go("models", model=name))  # type: ignore[misc]
        for m in services.models.list()
    ]
    return entries
