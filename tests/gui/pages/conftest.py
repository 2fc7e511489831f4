"""A real window over a real workspace, for the tests of pages."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.judgement import Item
from workbench.domain.text import Candidate, Prompt
from workbench.gui.pages.annotate import AnnotatePage, bars
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.lane import Lane
from workbench.services.workbench import Workbench, new_workspace
from workbench.services.workspace import Workspace
from workbench.store.store import open_store


def item(number: int, candidates: int = 2) -> Item:
    texts = [
        f"Story {number}, told in the {'plainest brightest longest shortest'.split()[c % 4]} way."
        for c in range(candidates)
    ]
    return Item(
        id=f"item-{number:03}",
        prompt=Prompt.from_text(f"Tell story number {number}."),
        candidates=tuple(Candidate(text=text, model=f"secret-model-{c}") for c, text in enumerate(texts)),
    )


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench.open(new_workspace(tmp_path / "space"))


def unsupervised(path: Path) -> Workbench:
    """An open workbench that starts no run: what is queued stays queued."""
    lane = Lane()
    return Workbench(Workspace(path, lane.do(open_store, path), lane))


@pytest.fixture
def fill(bench: Workbench) -> Callable[..., None]:
    def fill_dataset(count: int, candidates: int = 2, name: str = "pairs") -> None:
        for number in range(count):
            bench.labelling.add_item(name, item(number, candidates))

    return fill_dataset


@pytest.fixture
def window(qtbot: QtBot, theme: Theme, memory: QSettings, bench: Workbench) -> Iterator[Window]:
    made = Window(theme, memory)
    made.resize(1280, 800)
    made.wear(bench, bench.settings.get())
    made.show()
    made.activateWindow()
    yield made
    made.close()
    made.deleteLater()


@pytest.fixture(autouse=True)
def messages_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the desk says for a moment is still there when a busy machine comes to look at it."""
    monkeypatch.setattr(bars, "EARLY_STAYS", 600_000)


@pytest.fixture
def press(qtbot: QtBot, window: Window) -> Callable[..., None]:
    """Real keys, sent to whatever has the focus, when a person could act on what they see; then wait for what they started."""

    def send(*keys: str | tuple[str, Qt.KeyboardModifier] | Qt.Key) -> None:
        for key in keys:
            settle(qtbot, window)
            name, modifier = key if isinstance(key, tuple) else (key, Qt.KeyboardModifier.NoModifier)
            target = window.focusWidget() or window
            QTest.keyClick(target, name, modifier)
            settle(qtbot, window)

    return send


def settle(qtbot: QtBot, window: Window) -> None:
    qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=30_000)  # a busy machine takes its time
    page = window.deck.currentWidget()
    if isinstance(page, AnnotatePage) and page.presentation is not None:
        qtbot.waitUntil(lambda: page.ready)


@pytest.fixture
def visit(qtbot: QtBot, window: Window) -> Callable[..., QWidget]:
    def go(page: str, **arguments: object) -> QWidget:
        window.go(page, **arguments)
        found = window.deck.page(page)
        assert found is not None
        settle(qtbot, window)
        return found

    return go
