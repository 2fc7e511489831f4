"""The parts around the pages: notices, log, status line, top bar, bridge, and what is kept from last time."""

import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from workbench.domain.errors import BadInput, WorkbenchError
from workbench.domain.runs import JobState
from workbench.domain.settings import Settings
from workbench.gui.app import catch_unexpected, keep_log, last_mode, last_sizes, open_services
from workbench.gui.bridge import Bridge, unexpected
from workbench.gui.chrome import TopBar
from workbench.gui.notify import MOST_REMEMBERED, Notice, Notifier
from workbench.gui.page_table import PAGES
from workbench.gui.panels import GLOBAL_KEYS, ask, log_text, show_help, show_keys, show_log
from workbench.gui.status_bar import StatusBar
from workbench.gui.theme import LIGHT, Theme
from workbench.gui.widgets.run_row import progress_words
from workbench.gui.window import Window
from workbench.services.views import RunView

# -- notices and panels ------------------------------------------------------------------------------------------------


@pytest.fixture
def notices(room: QWidget, theme: Theme) -> Iterator[Notifier]:
    opened: list[bool] = []
    made = Notifier(room, theme, lambda: opened.append(True))
    made.opened = opened  # type: ignore[attr-defined]
    yield made
    for card in made.cards():
        card.leave()


@pytest.mark.parametrize("kind", ["info", "good", "warning", "bad"])
def test_that_a_notice_names_its_kind_and_shows_its_words_plainly(notices: Notifier, kind: Any) -> None:
    notices.tell("<b>What</b>", "A hint.", kind)
    card = notices.cards()[0]
    assert card.accessibleName() == f"{kind}: <b>What</b>"
    labels = [label for label in card.findChildren(QLabel) if label.text()]
    assert [label.text() for label in labels] == ["<b>What</b>", "A hint."]
    assert all(label.textFormat() is Qt.TextFormat.PlainText for label in labels)


def test_that_details_offer_the_log_and_it_opens(notices: Notifier, qtbot: QtBot) -> None:
    notices.tell("Odd", kind="info", details="trace")
    log = notices.findChild(QPushButton, "notices.action")
    assert log is not None
    qtbot.mouseClick(log, Qt.MouseButton.LeftButton)
    assert notices.opened == [True]  # type: ignore[attr-defined]
    assert notices.history[-1].details == "trace"


def test_that_good_news_goes_by_itself_and_bad_news_stays() -> None:
    from workbench.gui import notify

    assert notify._SECONDS["bad"] == 0
    assert 0 < notify._SECONDS["info"] <= notify._SECONDS["warning"]


def test_that_a_notice_wider_than_the_window_is_wrapped_into_it(notices: Notifier, room: QWidget) -> None:
    room.resize(360, 560)
    notices.tell("word " * 40, "hint " * 60, "bad")
    assert room.rect().contains(notices.geometry())
    assert notices.cards()[0].width() == 328


def test_that_the_history_is_bounded_and_keeps_the_newest(notices: Notifier) -> None:
    notices.history.extend(Notice(datetime.now(), "info", str(n), "", "") for n in range(MOST_REMEMBERED + 50))
    notices.tell("newest")
    assert len(notices.history) == MOST_REMEMBERED
    assert notices.history[-1].what == "newest"


def test_that_cards_do_not_overlap_and_the_newest_stands_lowest(notices: Notifier) -> None:
    for words in ("one", "two " * 30, "three"):
        notices.tell(words)
    boxes = [card.geometry() for card in notices.cards()]
    assert all(a.bottom() < b.top() for a, b in pairwise(boxes))


def test_that_a_notice_is_closed_with_the_keyboard(notices: Notifier, qtbot: QtBot) -> None:
    notices.tell("Something")
    close = notices.findChild(QToolButton, "notices.close")
    assert close is not None
    assert close.accessibleName() == "Close this notice"
    close.setFocus()
    qtbot.keyClick(close, Qt.Key.Key_Space)
    assert notices.cards() == []


def test_that_the_log_has_a_line_for_each_notice_and_its_details_below() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5)
    words = log_text([Notice(moment, "bad", "It broke", "Mend it.", "a\n\nb"), Notice(moment, "good", "Done", "", "")])
    pad = " " * 19
    assert words.splitlines() == [
        "03:04:05  bad      It broke", f"{pad}Mend it.", f"{pad}a", f"{pad}b", "03:04:05  good     Done",
    ]  # fmt: skip
    assert log_text([]) == "Nothing yet."


def test_that_the_log_can_be_copied(room: QWidget, qtbot: QtBot) -> None:
    panel = show_log(room, [Notice(datetime.now(), "info", "שלום & <b>", "", "")])
    copy = panel.findChild(QPushButton, "log.copy")
    paper = panel.findChild(QPlainTextEdit, "log.text")
    assert copy is not None
    assert paper is not None
    assert paper.isReadOnly()
    qtbot.mouseClick(copy, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == paper.toPlainText()
    assert "שלום & <b>" in paper.toPlainText()
    panel.close()


@pytest.mark.parametrize("which", ["help", "keys", "log"])
def test_that_panels_fit_a_small_window_and_escape_closes_them(
    room: QWidget, theme: Theme, qtbot: QtBot, which: str
) -> None:
    room.resize(900, 560)
    panel = {
        "help": lambda: show_help(room, theme, "Data", "**Words**"),
        "keys": lambda: show_keys(room, "Data", [("Ctrl+J", "Note")]),
        "log": lambda: show_log(room, []),
    }[which]()
    assert panel.objectName() == which
    assert panel.width() <= 852
    assert panel.height() <= 512
    qtbot.keyClick(panel, Qt.Key.Key_Escape)
    assert not panel.isVisible()


def test_that_the_keys_everywhere_are_shown_even_without_a_pages_own(room: QWidget) -> None:
    panel = show_keys(room, "Data", [])
    words = [label.text() for label in panel.findChildren(QLabel)]
    assert "Data" not in words
    assert all(key in words and told in words for key, told in GLOBAL_KEYS)
    panel.close()


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Escape])
def test_that_the_keyboard_answers_no_to_what_cannot_be_undone(room: QWidget, qtbot: QtBot, key: Qt.Key) -> None:
    done: list[bool] = []
    box = ask(room, "Delete <b>x</b>?", "It will be gone.", "Delete", lambda: done.append(True))
    assert box.textFormat() is Qt.TextFormat.PlainText
    assert box.text() == "Delete <b>x</b>?"
    assert isinstance(box.defaultButton(), QPushButton)
    qtbot.keyClick(box.defaultButton() if key == Qt.Key.Key_Return else box, key)
    assert done == []
    qtbot.waitUntil(lambda: not [b for b in room.findChildren(QMessageBox) if b.isVisible()])


# -- status line and top bar -------------------------------------------------------------------------------------------


def run(state: JobState = JobState.RUNNING, **facts: Any) -> RunView:
    now = datetime.now(UTC)
    given: dict[str, Any] = {"id": "r1", "name": "", "kind": "sft", "step": 30, "steps": 100, "folder": Path("/x")}
    given |= {"created": now - timedelta(hours=1), "started": now, "ended": None}
    return RunView(state=state, **(given | facts))


def test_that_time_left_is_told_only_when_it_is_known() -> None:
    assert progress_words(run()) == "30 %"
    assert progress_words(run(eta_seconds=0.0)) == "30 %, 0 s left"
    assert progress_words(run(steps=0)) == "starting"


def test_that_the_first_active_run_is_shown_and_only_queued_ones_are_counted(qtbot: QtBot, theme: Theme) -> None:
    bar = StatusBar(theme, lambda _: None)
    qtbot.addWidget(bar)
    bar.show()
    bar.show_runs((run(JobState.DONE), run(JobState.STARTING, id="r2"), run(id="r3"), run(JobState.PAUSED)))
    assert bar.job.text() == "r2"
    assert not bar.queue.isVisible()
    bar.show_runs(tuple(run(JobState.QUEUED, id=str(n)) for n in range(12)))
    assert (bar.queue.text(), bar.job.isVisible(), bar.bar.isVisible()) == ("12 queued", False, False)


def test_that_the_mark_of_saved_work_follows_state_and_theme(qtbot: QtBot, theme: Theme) -> None:
    bar = StatusBar(theme, lambda _: None)
    qtbot.addWidget(bar)
    seen = []
    for saved in (True, False):
        bar.show_saved(saved)
        seen.append(bar.mark.pixmap().toImage())
    theme.apply("dark")
    seen.append(bar.mark.pixmap().toImage())
    assert bar.saved.text() == "Working…"
    theme.apply("light")
    assert seen[0] != seen[1] != seen[2]
    assert bar.mark.pixmap().toImage() == seen[1]


@pytest.mark.parametrize("name", ["R&D", "plain", "日本 語", "x" * 120])
def test_that_the_workspace_is_named_as_its_folder_is(qtbot: QtBot, theme: Theme, name: str) -> None:
    top = TopBar(theme, list, list)
    qtbot.addWidget(top)
    top.show_workspace(Path("/home/ada") / name)
    shown = top.workspace.text().replace("&&", "&")
    assert shown == name or (len(name) > 100 and "…" in shown)
    assert top.workspace.text().count("&") % 2 == 0, "a lone ampersand would be taken for a mnemonic"
    top.show_workspace(None)
    assert (top.workspace.text(), top.workspace.toolTip()) == ("No workspace", "")


# -- bridge and start --------------------------------------------------------------------------------------------------


def test_that_any_thread_may_call_a_relay_and_it_arrives_in_this_one(qtbot: QtBot) -> None:
    bridge = Bridge(lambda _: None)
    heard: list[tuple[int, bool]] = []
    tell = bridge.relay(lambda n: heard.append((n, threading.current_thread() is threading.main_thread())))
    thread = threading.Thread(target=lambda: [tell(n) for n in range(3)])
    thread.start()
    thread.join()
    assert heard == []
    qtbot.waitUntil(lambda: len(heard) == 3)
    assert heard == [(0, True), (1, True), (2, True)]
    bridge.close()


def test_that_an_unexpected_error_says_what_and_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        error = unexpected(ValueError("first line\nsecond"))
        bare = unexpected(KeyError())
    assert "(ValueError: first line)" in error.what
    assert "second" not in error.what
    assert "(KeyError)" in bare.what
    assert error.hint
    assert "unexpected error" in caplog.text


@pytest.fixture
def window(theme: Theme, memory: QSettings, qtbot: QtBot) -> Iterator[Window]:
    made = Window(theme, memory, PAGES[:1])
    yield made
    made.close()
    made.deleteLater()


@pytest.mark.parametrize(
    ("kept", "mode", "sizes"),
    [
        ({}, "system", (13, 15)), ({"theme": "dark", "font_size": "16", "reading_size": "20"}, "dark", (16, 20)),
        ({"theme": "purple", "font_size": "huge"}, "system", (13, 15)), ({"font_size": 4}, "system", (13, 15)),
    ],
)  # fmt: skip
def test_that_the_window_starts_in_the_looks_of_last_time(
    window: Window, kept: dict[str, Any], mode: str, sizes: Any
) -> None:
    for key, value in kept.items():
        window.remember(key, value)
    assert last_mode(window) == mode
    assert last_sizes(window) == sizes


def test_that_looks_are_kept_for_the_next_start(theme: Theme, memory: QSettings, qtbot: QtBot) -> None:
    window = Window(theme, memory, PAGES[:1])
    window.settings_changed(Settings(theme="dark", font_size=15, reading_size=19))
    window.close()
    again = Window(theme, QSettings(memory.fileName(), QSettings.Format.IniFormat), PAGES[:1])
    assert (last_mode(again), last_sizes(again)) == ("dark", (15, 19))
    again.close()
    for one in (window, again):
        one.deleteLater()
    theme.apply("light")


def test_that_the_log_file_is_written_where_it_can_be(tmp_path: Path) -> None:
    logger = logging.getLogger("workbench")
    before = list(logger.handlers)
    keep_log(tmp_path / "deep" / "window.log")
    logging.getLogger("workbench.gui.tests").error("žluťoučký")
    (tmp_path / "file").write_text("")
    keep_log(tmp_path / "file" / "window.log")
    added = [h for h in logger.handlers if h not in before]
    for handler in added:
        handler.close()
        logger.removeHandler(handler)
    assert len(added) == 1, "a folder that can't be made gives no log and no failure"
    assert "ERROR workbench.gui.tests žluťoučký" in (tmp_path / "deep" / "window.log").read_text(encoding="utf-8")


def test_that_an_interrupt_is_left_to_python(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_: heard.append(kind.__name__))
    catch_unexpected(window)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    sys.excepthook(BadInput, BadInput("Not so."), None)
    assert heard == ["KeyboardInterrupt"]
    assert [notice.what for notice in window.notices.history] == ["Not so."]


def test_that_opening_makes_a_new_workspace_only_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(WorkbenchError):
        open_services(tmp_path / "new", False, None)
    first, settings = open_services(tmp_path / "new", True, None)
    assert settings == Settings()
    second, _ = open_services(tmp_path / "new", False, first)
    with pytest.raises((WorkbenchError, RuntimeError)):
        first.datasets.list()
    assert second.path == tmp_path / "new"
    second.close()


def test_that_colours_of_notices_are_those_of_the_theme(notices: Notifier) -> None:
    notices.tell("x", kind="bad")
    mark = next(label for label in notices.cards()[0].findChildren(QLabel) if not label.text())
    image = mark.pixmap().toImage()
    inked = {image.pixelColor(x, y).name().upper() for x in range(image.width()) for y in range(image.height())}
    assert LIGHT.bad.upper() in inked


def test_that_many_keys_scroll_on_a_small_screen_and_the_way_out_stays(room: QWidget) -> None:
    panel = show_keys(room, "Annotate", [(f"Ctrl+F{n}", f"Command {n}") for n in range(60)])
    assert panel.height() <= room.height()
    close = panel.findChild(QPushButton, "keys.close")
    assert close is not None
    assert close.mapTo(panel, close.rect().bottomRight()).y() < panel.height()
    panel.close()
