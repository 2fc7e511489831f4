"""A merge that can't be completed: told when the workspace opens, given up from there, or left for another time."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from workbench.gui.app import Opener
from workbench.gui.page_table import PAGES
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import new_workspace

BROUGHT = {"judgements": 12, "items": 1}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace in which a merge waits that can't be completed."""
    made = new_workspace(tmp_path / "space")
    journal = made / "merging"
    journal.mkdir()
    (journal / "workbench.db").write_bytes(b"this was a database")
    (journal / "merge.json").write_text(json.dumps({"other": "/there", "rename": {}, "process": 0, "started": 0.0}))
    (journal / "brought.json").write_text(json.dumps(BROUGHT))
    return made


@pytest.fixture
def window(qtbot: QtBot, theme: Theme, memory: QSettings, workspace: Path) -> Iterator[Window]:
    made = Window(theme, memory, tuple(entry for entry in PAGES if entry.id == "settings"))
    made.show()
    Opener(made).open(workspace)
    qtbot.waitUntil(lambda: made.services is not None and made.bridge.busy == 0)
    yield made
    made.close()
    made.deleteLater()


def told(window: Window) -> list[tuple[str, str, str]]:
    return [(notice.what, notice.hint, notice.kind) for notice in window.notices.history]


def answer(window: Window, name: str) -> None:
    (card,) = window.notices.cards()
    offer = card.findChild(QPushButton, "notices.action")
    assert offer.text() == "Give it up…"
    offer.click()
    box = window.findChild(QMessageBox, "confirm")
    assert "stays" in box.informativeText()
    box.findChild(QPushButton, name).click()


def test_that_a_merge_that_can_not_be_completed_is_told_and_given_up(
    window: Window, qtbot: QtBot, workspace: Path
) -> None:
    ((what, hint, kind),) = told(window)
    assert what.startswith("The merge of /there can't be completed:")
    assert "frozen or exported" in hint
    assert kind == "bad"  # it stays until it is closed
    answer(window, "confirm.yes")
    qtbot.waitUntil(lambda: len(told(window)) > 1)
    done = ("The merge of /there is given up.", "It had brought 12 judgements, 1 item and 0 other rows.", "good")
    assert told(window)[1:] == [done]
    assert not (workspace / "merging").exists()


def test_that_a_merge_is_kept_until_somebody_agrees_to_give_it_up(
    window: Window, qtbot: QtBot, workspace: Path
) -> None:
    answer(window, "confirm.no")
    assert (workspace / "merging").exists()
    Opener(window).open(workspace)
    qtbot.waitUntil(lambda: len(told(window)) == 2 and window.bridge.busy == 0)
    assert told(window)[0] == told(window)[1]
    window.services.merging.abandon()  # another window was faster
    answer(window, "confirm.yes")
    qtbot.waitUntil(lambda: len(told(window)) == 3)
    assert told(window)[2] == ("No merge is unfinished any more.", "", "good")


def test_that_nothing_is_said_where_no_merge_waits(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window.services.merging.abandon()
    before = told(window)
    other = new_workspace(tmp_path / "other")
    Opener(window).open(other)
    qtbot.waitUntil(lambda: window.services is not None and window.services.path == other and window.bridge.busy == 0)
    assert told(window) == before
