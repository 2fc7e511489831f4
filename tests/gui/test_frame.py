"""The frame around the pages: status line, pulse, rail, top bar, notices and small panels, fed with facts by hand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from tests.gui.at_once import AtOnce, Calls
from workbench.domain.errors import StorageFailed
from workbench.domain.runs import JobState
from workbench.gui.chrome import Rail, RailButton, TopBar
from workbench.gui.notify import MOST_CARDS, Notifier
from workbench.gui.page_table import PAGES
from workbench.gui.panels import GLOBAL_KEYS, ask, show_keys
from workbench.gui.pulse import Pulse, machine_words
from workbench.gui.status_bar import StatusBar
from workbench.gui.theme import Theme
from workbench.gui.widgets.asking import ask_file, ask_folder
from workbench.gui.widgets.basics import KeyHint
from workbench.services.views import RunNews, RunView

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
S = JobState
LEFT = Qt.MouseButton.LeftButton


def run(state: JobState = S.RUNNING, **facts: Any) -> RunView:
    given: dict[str, Any] = {"id": "r1", "name": "", "kind": "sft", "step": 30, "steps": 100, "folder": Path("/x")}
    given |= {"created": NOW - timedelta(hours=1), "started": NOW, "ended": None}
    return RunView(state=state, **(given | facts))


# -- status line -------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def bar(room: QWidget, theme: Theme, opened: list[str]) -> StatusBar:
    column = QVBoxLayout(room)
    made = StatusBar(theme, opened.append)
    column.addWidget(made)
    return made


def test_that_a_quiet_line_shows_neither_job_nor_queue_and_says_that_all_is_saved(bar: StatusBar) -> None:
    assert not any(part.isVisible() for part in (bar.job, bar.bar, bar.left, bar.queue))
    assert bar.saved.text() == "Saved"


@pytest.mark.parametrize(
    ("name", "shown", "tip"),
    [
        ("dpo-7", "dpo-7", "dpo-7"),
        ("", "r1", "r1"),
        ("R&D", "R&&D", '<p style="white-space: pre-wrap">R&amp;D</p>'),
        ("<b>x</b>", "<b>x</b>", '<p style="white-space: pre-wrap">&lt;b&gt;x&lt;/b&gt;</p>'),
    ],
)
def test_that_a_jobs_name_is_shown_to_the_letter(bar: StatusBar, name: str, shown: str, tip: str) -> None:
    bar.show_runs((run(name=name),))
    assert bar.job.text() == shown
    assert bar.job.toolTip() == tip
    assert bar.job.accessibleName() == f"Show the run {name or 'r1'}"


def test_that_the_longest_name_of_a_job_is_cut_in_its_middle_and_pushes_nothing_out(
    bar: StatusBar, room: QWidget
) -> None:
    name = "a-very-long-name-" * 12
    bar.show_machine("CPU 100 % · 127.9/128 GiB")
    bar.show_runs((run(name=name, eta_seconds=90_000), *(run(S.QUEUED, id=str(n)) for n in range(120))))
    assert room.width() == 1024
    assert "…" in bar.job.text()
    assert bar.job.toolTip() == name
    ends = [part.mapTo(room, part.rect().topRight()).x() for part in (bar.job, bar.bar, bar.left, bar.queue, bar.saved)]
    assert ends == sorted(ends)
    assert ends[-1] < 1024
    assert bar.queue.text() == "120 queued"


def test_that_another_job_takes_the_room_that_it_needs(bar: StatusBar) -> None:
    for name in ("a", "a-name-of-some-length", "b"):
        bar.show_runs((run(name=name),))
        assert bar.job.text() == name


def test_that_a_click_on_the_job_opens_the_run_that_is_shown(bar: StatusBar, opened: list[str], qtbot: QtBot) -> None:
    bar.show_runs((run(S.DONE, id="old"), run(id="at-work"), run(S.STARTING, id="next")))
    qtbot.mouseClick(bar.job, LEFT)
    bar.show_runs((run(id="other"),))
    qtbot.mouseClick(bar.job, LEFT)
    assert opened == ["at-work", "other"]


@pytest.mark.parametrize(
    ("facts", "words", "range_"),
    [
        ({"step": 61, "eta_seconds": 240.0}, "61 %, 4 min left", (0, 100)),
        ({"step": 0}, "0 %", (0, 100)),
        ({"steps": 0, "step": 0, "phase": "loading the model"}, "loading the model", (0, 0)),
        ({"steps": 0, "step": 0}, "starting", (0, 0)),
    ],
)
def test_that_progress_is_told_in_words_and_on_the_bar(
    bar: StatusBar, facts: dict[str, Any], words: str, range_: tuple[int, int]
) -> None:
    bar.show_runs((run(**facts),))
    assert bar.left.text() == words
    assert (bar.bar.minimum(), bar.bar.maximum()) == range_


@pytest.mark.parametrize("state", [S.QUEUED, S.PAUSED, S.STOPPED, S.DONE, S.FAILED, S.LOST])
def test_that_a_run_that_is_not_at_work_is_no_job(bar: StatusBar, state: JobState) -> None:
    bar.show_runs((run(state),))
    assert not bar.job.isVisible()
    assert bar.queue.isVisible() == (state is S.QUEUED)


def test_that_work_under_way_is_told_until_it_is_written(bar: StatusBar) -> None:
    bar.show_saved(False)
    assert bar.saved.text() == "Working…"
    bar.show_saved(True)
    assert bar.saved.text() == "Saved"


def test_that_every_part_of_the_line_has_its_names(bar: StatusBar) -> None:
    parts = (bar.machine, bar.job, bar.bar, bar.left, bar.queue, bar.saved)
    assert [part.objectName() for part in parts] == [
        "status.machine", "status.job", "status.progress", "status.left", "status.queue", "status.saved",
    ]  # fmt: skip
    assert all(part.accessibleName() for part in parts)


# -- pulse -------------------------------------------------------------------------------------------------------------


class Feed:
    """News that are handed over once."""

    def __init__(self) -> None:
        self.news: list[RunNews] = []

    def poll(self) -> list[RunNews]:
        news, self.news = self.news, []
        return news

    def tell(self, view: RunView) -> None:
        self.news.append(RunNews(view.id, view))


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def services(feed: Feed) -> SimpleNamespace:
    summary = SimpleNamespace(gpus=(), cpu=12.4, memory_used_gib=3.14, memory_total_gib=8.0)
    return SimpleNamespace(
        runs=Calls(watch=feed, list=[run(), run(S.QUEUED, id="r2")]), hardware=Calls(summary=summary)
    )


@pytest.fixture
def ended() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def pulse(bar: StatusBar, bridge: AtOnce, services: SimpleNamespace, ended: list[tuple[Any, ...]]) -> Pulse:
    made = Pulse(bridge, bar, bar)  # type: ignore[arg-type]
    made.watch(services, lambda *told: ended.append(told))
    made._fast.stop()
    made._slow.stop()
    return made


def test_that_watching_shows_runs_and_machine_at_once(pulse: Pulse, bar: StatusBar) -> None:
    assert (bar.job.text(), bar.queue.text(), bar.machine.text()) == ("r1", "1 queued", "CPU 12 % · 3.1/8 GiB")


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (run(S.DONE, name="dpo-1", model="dpo-1"), ("r1", "dpo-1 is done", "Its model is dpo-1.", "good")),
        (run(S.DONE), ("r1", "r1 is done", "", "good")),
        (run(S.FAILED, error_what="Out of memory.", error_hint="Halve it."), ("r1", "Out of memory.", "Halve it.", "bad")),
        (run(S.FAILED, name="a"), ("r1", "a has failed", "Its last checkpoint is kept; it can be resumed from the Runs page.", "bad")),
        (run(S.LOST, name="a"), ("r1", "a was lost", "Its last checkpoint is kept; it can be resumed from the Runs page.", "bad")),
    ],
)  # fmt: skip
def test_that_the_end_of_a_run_is_told_once(
    pulse: Pulse, feed: Feed, ended: list[tuple[Any, ...]], view: RunView, told: tuple[Any, ...]
) -> None:
    for _ in range(2):
        feed.tell(view)
        pulse._look()
    assert ended == [told]


@pytest.mark.parametrize("state", [S.PAUSED, S.STOPPED, S.QUEUED, S.STARTING])
def test_that_what_a_person_asked_for_is_no_news(
    pulse: Pulse, feed: Feed, ended: list[tuple[Any, ...]], state: JobState
) -> None:
    feed.tell(run(state))
    pulse._look()
    assert ended == []


def test_that_a_run_never_seen_before_is_not_told_as_ended(
    pulse: Pulse, feed: Feed, ended: list[tuple[Any, ...]]
) -> None:
    feed.tell(run(S.DONE, id="long-ago"))
    pulse._look()
    assert ended == []


def test_that_news_reach_the_line(pulse: Pulse, feed: Feed, bar: StatusBar) -> None:
    feed.tell(run(step=99))
    feed.tell(run(id="r2"))
    pulse._look()
    assert (bar.bar.value(), bar.queue.isVisible()) == (99, False)


def test_that_writes_under_way_are_seen_at_the_next_look(pulse: Pulse, bridge: AtOnce, bar: StatusBar) -> None:
    bridge.busy = 2
    pulse._look()
    assert bar.saved.text() == "Working…"
    bridge.busy = 0
    pulse._look()
    assert bar.saved.text() == "Saved"


def test_that_leaving_a_workspace_empties_the_line_and_stops_both_timers(pulse: Pulse, bar: StatusBar) -> None:
    pulse._fast.start()
    pulse._slow.start()
    pulse.stop()
    assert not (pulse._fast.isActive() or pulse._slow.isActive())
    assert not bar.job.isVisible()
    pulse._look()


def test_that_an_answer_about_a_workspace_that_was_left_shows_nothing(
    bar: StatusBar, bridge: AtOnce, services: SimpleNamespace
) -> None:
    bridge.holding = True
    pulse = Pulse(bridge, bar, bar)  # type: ignore[arg-type]
    pulse.watch(services, lambda *_: None)
    pulse.stop()
    bridge.go_on()
    assert not bar.job.isVisible()


def test_that_the_machine_is_asked_one_question_at_a_time(
    pulse: Pulse, bridge: AtOnce, services: SimpleNamespace
) -> None:
    bridge.holding = True
    before = len(services.hardware.made)
    for _ in range(5):
        pulse._ask_machine()
    bridge.go_on()
    assert len(services.hardware.made) == before + 1
    pulse._ask_machine()
    bridge.go_on()
    assert len(services.hardware.made) == before + 2


def test_that_a_machine_that_cannot_be_read_is_no_notice_and_is_asked_again(
    pulse: Pulse, bridge: AtOnce, services: SimpleNamespace, bar: StatusBar
) -> None:
    good = services.hardware.answers["summary"]
    services.hardware.answers["summary"] = StorageFailed("No counters.", "")
    pulse._ask_machine()
    assert bridge.reported == []
    assert bar.machine.text() == "CPU 12 % · 3.1/8 GiB"
    good.cpu = 99.6
    services.hardware.answers["summary"] = good
    pulse._ask_machine()
    assert bar.machine.text() == "CPU 100 % · 3.1/8 GiB"


@pytest.mark.parametrize(
    ("loads", "words"), [((3.0, 63.4), "GPU 63 % · 11.2/24 GiB"), ((80.0, 1.0), "GPU 80 % · 11.2/24 GiB")]
)
def test_that_the_busiest_card_stands_for_all(loads: tuple[float, ...], words: str) -> None:
    gpus = tuple(SimpleNamespace(load=load, used_gib=11.16, total_gib=24.0) for load in loads)
    assert machine_words(SimpleNamespace(gpus=gpus)) == words


# -- rail and top bar --------------------------------------------------------------------------------------------------


@pytest.fixture
def gone() -> list[str]:
    return []


@pytest.fixture
def rail(qtbot: QtBot, theme: Theme, gone: list[str]) -> Rail:
    made = Rail(PAGES, theme, gone.append)
    qtbot.addWidget(made)
    made.resize(made.width(), 640)
    made.show()
    return made


def marked(rail: Rail) -> list[str]:
    return [button.objectName() for button in rail.findChildren(RailButton) if button.isChecked()]


def test_that_a_page_beside_another_has_no_button_and_marks_its_neighbour(rail: Rail) -> None:
    names = {button.objectName() for button in rail.findChildren(RailButton)}
    assert names == {f"rail.{entry.id}" for entry in PAGES if entry.id != "statistics"}
    rail.mark("statistics")
    assert marked(rail) == ["rail.annotate"]


@pytest.mark.parametrize("page", [entry for entry in PAGES if not entry.beside], ids=lambda entry: entry.id)
def test_that_each_button_leads_to_its_page_and_says_its_key(
    rail: Rail, gone: list[str], qtbot: QtBot, page: Any
) -> None:
    button = rail.findChild(RailButton, f"rail.{page.id}")
    qtbot.mouseClick(button, LEFT)
    assert gone == [page.id]
    number = [entry.id for entry in PAGES].index(page.id) + 1
    assert button.accessibleName() == page.title
    assert button.toolTip() == f"{page.title}   Ctrl+{number}"
    assert button.accessibleDescription().endswith(f"Ctrl+{number}")


def test_that_only_one_page_is_marked_at_a_time(rail: Rail) -> None:
    for entry in PAGES:
        rail.mark(entry.id)
        assert len(marked(rail)) == 1


def test_that_the_rail_is_one_stop_of_the_tab_key_and_arrows_walk_through_the_pages(
    rail: Rail, gone: list[str], qtbot: QtBot
) -> None:
    buttons = sorted(rail.findChildren(RailButton), key=lambda button: button.y())
    rail.mark("home")
    buttons[0].setFocus()
    qtbot.waitUntil(buttons[0].hasFocus)
    for button in buttons[:-1]:
        QTest.keyClick(button, Qt.Key.Key_Down)
    assert gone == [entry.id for entry in PAGES if not entry.beside][1:]
    assert buttons[-1].hasFocus()
    assert marked(rail) == [buttons[-1].objectName()]
    QTest.keyClick(buttons[-1], Qt.Key.Key_Up)
    assert gone[-1] == buttons[-2].objectName().removeprefix("rail.")


def seen(widget: QWidget, colour: str) -> bool:
    picture: QImage = widget.grab().toImage()
    wanted = QColor(colour).rgb()
    return any(picture.pixel(x, y) == wanted for x in range(picture.width()) for y in range(picture.height()))


def test_that_the_marked_page_wears_a_bar_and_not_colour_alone(rail: Rail, either: Theme) -> None:
    rail.mark("data")
    on, off = rail.findChild(RailButton, "rail.data"), rail.findChild(RailButton, "rail.runs")
    picture = on.grab().toImage()
    assert picture.pixelColor(QPoint(1, on.height() // 2)) == QColor(either.colours.accent)
    assert seen(on, either.colours.accent_soft)
    assert not seen(off, either.colours.accent_soft)


@pytest.fixture
def top(qtbot: QtBot, theme: Theme, gone: list[str]) -> TopBar:
    made = TopBar(theme, lambda: gone.append("find"), lambda: gone.append("help"))
    qtbot.addWidget(made)
    made.resize(900, 60)
    made.show()
    return made


def test_that_the_top_bar_finds_and_helps(top: TopBar, gone: list[str], qtbot: QtBot) -> None:
    qtbot.mouseClick(top.search, LEFT)
    qtbot.mouseClick(top.help, LEFT)
    assert gone == ["find", "help"]


@pytest.mark.parametrize(
    ("name", "shown"), [("space", "space"), ("R&D", "R&&D"), ("x" * 300, None), ("<i>", "<i>")]
)  # fmt: skip
def test_that_the_workspace_is_named_to_the_letter_and_whole_in_its_tip(
    top: TopBar, name: str, shown: str | None
) -> None:
    top.show_workspace(Path("/home/ann") / name)
    if shown is None:
        assert "…" in top.workspace.text()
        assert top.sizeHint().width() <= 900
    else:
        assert top.workspace.text() == shown
    for sign in "&<>":
        assert sign not in name or f"{sign}{name}" not in top.workspace.toolTip()
    assert top.workspace.toolTip().replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").find(name) > 0


def test_that_without_a_workspace_the_bar_says_so(top: TopBar) -> None:
    top.show_workspace(Path("/a/b"))
    top.show_workspace(None)
    assert (top.workspace.text(), top.workspace.toolTip()) == ("No workspace", "")


# -- notices -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def notices(room: QWidget, theme: Theme) -> Any:
    made = Notifier(room, theme, lambda: None)
    yield made
    for card in made.cards():
        card.leave()


def test_that_the_same_news_is_one_card_and_stands_last(notices: Notifier) -> None:
    for words in ("a", "b", "a"):
        notices.tell(words, "hint")
    assert [card.text for card in notices.cards()] == [("b", "hint"), ("a", "hint")]
    assert [notice.what for notice in notices.history] == ["a", "b", "a"]


def test_that_the_same_words_with_another_hint_are_other_news(notices: Notifier) -> None:
    notices.tell("a", "one")
    notices.tell("a", "two")
    assert len(notices.cards()) == 2


def test_that_the_oldest_makes_room_for_the_newest(notices: Notifier) -> None:
    for n in range(MOST_CARDS + 3):
        notices.tell(str(n))
    assert [card.text[0] for card in notices.cards()] == [str(n) for n in range(3, MOST_CARDS + 3)]


@pytest.mark.parametrize(
    ("kind", "details", "offered"),
    [("info", "", []), ("good", "", []), ("warning", "", []), ("bad", "", ["Log"]), ("good", "trace", ["Log"])],
)
def test_that_the_log_is_offered_where_there_is_more_to_read(
    notices: Notifier, kind: Any, details: str, offered: list[str]
) -> None:
    notices.tell("What", "Hint", kind, details=details)
    assert [b.text() for b in notices.findChildren(QPushButton, "notices.action")] == offered


def test_that_an_action_of_its_own_comes_before_the_log(notices: Notifier, qtbot: QtBot) -> None:
    done: list[int] = []
    notices.tell("What", "", "bad", ("Try again", lambda: done.append(len(notices.cards()))), "trace")
    button = notices.findChild(QPushButton, "notices.action")
    assert button.text() == "Try again"
    qtbot.mouseClick(button, LEFT)
    assert done == [0], "the card is gone when its action begins"


def test_that_notices_hide_with_the_last_card_and_follow_the_window(notices: Notifier, room: QWidget) -> None:
    assert not notices.isVisible()
    notices.tell("a")
    assert notices.isVisible()
    room.resize(1400, 900)
    assert (notices.geometry().right(), notices.geometry().bottom()) == (1400 - 17, 900 - 49)
    notices.cards()[0].leave()
    assert not notices.isVisible()


def test_that_a_notice_takes_no_focus_from_a_person_who_types(notices: Notifier, room: QWidget, qtbot: QtBot) -> None:
    field = QLineEdit(room)
    field.show()
    field.setFocus()
    room.activateWindow()
    qtbot.waitUntil(field.hasFocus)
    notices.tell("a", "b", "bad", ("Do", lambda: None))
    QTest.keyClicks(field, "x")
    assert field.hasFocus()
    assert field.text() == "x"


@pytest.mark.parametrize(
    ("kind", "tone"), [("info", "accent"), ("good", "good"), ("warning", "warning"), ("bad", "bad")]
)
def test_that_each_kind_has_its_mark_in_its_tone(notices: Notifier, either: Theme, kind: Any, tone: str) -> None:
    notices.tell("a", kind=kind)
    mark = next(label for label in notices.cards()[-1].findChildren(QLabel) if not label.pixmap().isNull())
    assert seen(mark, getattr(either.colours, tone))


# -- panels and dialogs ------------------------------------------------------------------------------------------------


def keys_of(panel: QWidget) -> list[tuple[str, ...]]:
    return [tuple(label.text() for label in hint.findChildren(QLabel)) for hint in panel.findChildren(KeyHint)]


def test_that_a_pages_own_keys_come_first_and_every_key_once(room: QWidget) -> None:
    panel = show_keys(room, "Data", [("Ctrl+J", "Note"), ("d", "Differences"), ("n", "Next")])
    told = keys_of(panel)
    assert told[:3] == [("Ctrl+J", "Note"), ("d", "Differences"), ("n", "Next")]
    assert told[3:] == list(GLOBAL_KEYS)
    headings = [label.text() for label in panel.findChildren(QLabel) if label.property("role") == "heading"]
    assert headings == ["Data", "Everywhere"]
    panel.close()


def test_that_many_keys_scroll_inside_a_small_window(room: QWidget) -> None:
    room.resize(900, 560)
    panel = show_keys(room, "Data", [(f"Ctrl+{n}", f"Do number {n}") for n in range(90)])
    area = panel.findChild(QScrollArea, "keys.scroll")
    assert panel.height() <= 512
    assert area.verticalScrollBar().maximum() > 0
    close = panel.findChild(QPushButton, "keys.close")
    assert panel.rect().contains(close.geometry())
    panel.close()


@pytest.mark.parametrize(("press", "agreed"), [("confirm.yes", 1), ("confirm.no", 0), ("enter", 0), ("escape", 0)])
def test_that_only_the_word_itself_agrees_to_what_cannot_be_undone(
    room: QWidget, qtbot: QtBot, press: str, agreed: int
) -> None:
    done: list[int] = []
    box = ask(room, "Delete <b>x</b>?", "For & ever.", "Delete", lambda: done.append(1))
    assert box.textFormat() is Qt.TextFormat.PlainText
    assert (box.text(), box.informativeText()) == ("Delete <b>x</b>?", "For & ever.")
    if press in {"enter", "escape"}:
        qtbot.waitUntil(lambda: box.defaultButton().hasFocus())
        QTest.keyClick(box.defaultButton(), Qt.Key.Key_Return if press == "enter" else Qt.Key.Key_Escape)
    else:
        qtbot.mouseClick(box.findChild(QAbstractButton, press), LEFT)
    assert sum(done) == agreed
    assert not box.isVisible()
    assert isinstance(box, QMessageBox)


@pytest.mark.parametrize("new", [False, True])
def test_that_a_folder_is_asked_for_and_handed_on_as_a_path(room: QWidget, new: bool) -> None:
    chosen: list[Path] = []
    ask_folder(room, "a.folder", "Which one?", chosen.append, new=new)
    dialog = room.findChild(QFileDialog, "a.folder")
    assert dialog.windowTitle() == "Which one?"
    assert dialog.testOption(QFileDialog.Option.ShowDirsOnly)
    wanted = QFileDialog.FileMode.AnyFile if new else QFileDialog.FileMode.Directory
    assert dialog.fileMode() is wanted
    assert (dialog.acceptMode() is QFileDialog.AcceptMode.AcceptSave) == new
    dialog.fileSelected.emit("/home/ann/space")
    dialog.close()
    assert chosen == [Path("/home/ann/space")]


def test_that_a_file_to_write_is_proposed_by_name_and_nothing_is_written_before(room: QWidget, tmp_path: Path) -> None:
    chosen: list[Path] = []
    ask_file(room, "a.file", "Save", "figures.csv", chosen.append)
    dialog = room.findChild(QFileDialog, "a.file")
    assert dialog.acceptMode() is QFileDialog.AcceptMode.AcceptSave
    assert dialog.fileMode() is QFileDialog.FileMode.AnyFile
    assert Path(dialog.selectedFiles()[0]).name == "figures.csv"
    dialog.reject()
    assert chosen == []


def test_that_a_dialog_goes_when_it_is_closed(room: QWidget, qtbot: QtBot) -> None:
    ask_folder(room, "a.folder", "Which one?", lambda _: None)
    room.findChild(QFileDialog, "a.folder").close()
    qtbot.waitUntil(lambda: room.findChild(QFileDialog, "a.folder") is None)
