"""The Playground page over a real decoding worker with two columns of one small model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.decoding import Greedy, Sample
from workbench.services.views import Column
from workbench.services.workbench import Workbench


@pytest.fixture
def page(warm: None, bench: Workbench, shared: Path, visit: Callable[..., QWidget]) -> Any:
    bench.models.add_folder(shared / "models" / "stories260K", "stories")
    found: Any = visit("playground")
    found.bar.kind.setCurrentIndex(1)
    found.row.set_columns(
        [Column("stories", Greedy(max_new_tokens=14)), Column("stories", Sample(max_new_tokens=14, temperature=1.5))]
    )
    found.bar.prompt.setPlainText("Once upon a time")
    return found


def run(qtbot: QtBot, page: Any) -> None:
    """One round from start to end."""
    page.start()
    qtbot.waitUntil(lambda: not page.round.running, timeout=120_000)
