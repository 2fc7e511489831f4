"""The Runs page over services that answer by hand: what is asked of them, when, and what is offered in each state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from tests.gui.at_once import AtOnce, Calls, NotedShell
from workbench.domain.errors import Conflict, NotFound, StorageFailed
from workbench.domain.runs import JobState, MetricPoint
from workbench.domain.specs.judge import JudgeSpec
from workbench.domain.specs.sft import SftSpec
from workbench.gui.pages.runs import RunsPage
from workbench.gui.pages.runs import page as runs_page
from workbench.gui.pages.runs.detail import Health
from workbench.gui.pages.runs.tabs import FilesTab, SamplesTab, SpecTab, sample_number, spec_lines
from workbench.gui.widgets.states import ErrorState
from workbench.services.views import RunDetail, RunNews, RunView, Sampled, SampleView

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
S = JobState
LEFT = Qt.MouseButton.LeftButton


def view(run: str = "a", state: JobState = S.RUNNING, **facts: Any) -> RunView:
    given: dict[str, Any] = {
        "id": run, "name": run, "kind": "sft", "state": state, "step": 12, "steps": 40, "created": NOON,
        "started": NOON, "ended": NOON + timedelta(minutes=4) if state.ended else None, "folder": Path("/runs") / run,
    }  # fmt: skip
    return RunView(**(given | facts))


def point(name: str, step: int, value: float) -> MetricPoint:
    return MetricPoint(name=name, step=step, value=value, time=NOON)


class Runs(Calls):
    """A service of runs over a table that a test writes."""

    def __init__(self, *views: RunView) -> None:
        super().__init__()
        self.table = {one.id: one for one in views}
        self.news: list[RunNews] = []
        self.curves: dict[str, dict[str, list[MetricPoint]]] = {}
        self.answers = {
            "watch": self,
            "list": lambda: list(self.table.values()),
            "metrics": lambda run: self.curves.get(run, {}),
            "get": self.detail,
            "samples": [],
            "log_tail": "step 1\n",
        }

    def poll(self) -> list[RunNews]:
        news, self.news = self.news, []
        return news

    def detail(self, run: str) -> RunDetail:
        if run not in self.table:
            raise NotFound(f"There is no run {run}.", "It was deleted.")
        spec = SftSpec(name=run, base="b", data="d", epochs=2.0)
        return RunDetail(self.table[run], spec, (), (), (("spec.json", 2_048),), "workbench train …")

    def become(self, run: RunView) -> None:
        self.table[run.id] = run
        self.news.append(RunNews(run.id, run))

    def asked(self, *names: str) -> list[tuple[Any, ...]]:
        return [call for call in self.made if call[0] in names]


@pytest.fixture
def runs() -> Runs:
    return Runs(view("a"), view("b", S.QUEUED, place=1), view("c", S.QUEUED, place=2), view("d", S.DONE))


@pytest.fixture
def page(
    qtbot: QtBot, runs: Runs, bridge: AtOnce, shell: NotedShell, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunsPage]:
    monkeypatch.setattr(runs_page, "SLOW", 1e9)
    services = SimpleNamespace(runs=runs, studies=Calls())
    made = RunsPage(services, bridge, shell)  # type: ignore[arg-type]
    qtbot.addWidget(made)
    made.resize(964, 548)  # what 1024×640 leaves
    made.show()
    made.activateWindow()
    made.shown()
    made._timer.stop()
    yield made
    made.hidden()


def offered(page: RunsPage) -> list[str]:
    return [action.id for action in page.actions()]


# -- what is offered ---------------------------------------------------------------------------------------------------

ALWAYS = ["runs.filter"]


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (S.STARTING, ["runs.pause", "runs.stop"]),
        (S.RUNNING, ["runs.pause", "runs.stop"]),
        (S.PAUSED, ["runs.resume", "runs.stop", "runs.delete"]),
        (S.STOPPED, ["runs.resume", "runs.delete"]),
        (S.FAILED, ["runs.resume", "runs.delete"]),
        (S.LOST, ["runs.resume", "runs.delete"]),
        (S.DONE, ["runs.delete"]),
    ],
)
def test_that_the_palette_offers_what_the_buttons_offer(
    page: RunsPage, runs: Runs, state: JobState, wanted: list[str]
) -> None:
    runs.become(view("a", state))
    page.tick()
    page.roster.choose("a")
    assert offered(page) == [*ALWAYS, *wanted, "runs.note"]


@pytest.mark.parametrize(("run", "moves"), [("b", ["runs.later"]), ("c", ["runs.sooner"])])
def test_that_the_ends_of_the_queue_offer_one_way_only(page: RunsPage, run: str, moves: list[str]) -> None:
    page.roster.choose(run)
    assert offered(page) == [*ALWAYS, "runs.stop", *moves, "runs.note"]


def test_that_several_runs_offer_nothing_to_do_with_one(page: RunsPage) -> None:
    page.roster.list.selectAll()
    assert page.detail.title.text() == "4 runs side by side"
    assert offered(page) == ALWAYS


def test_that_a_run_that_a_filter_hides_is_asked_nothing(page: RunsPage, runs: Runs, qtbot: QtBot) -> None:
    assert page.detail.run_id == "a"
    QTest.keyClicks(page.roster.field, "no such run")
    assert offered(page) == ALWAYS
    before = len(runs.made)
    page.steering.stop()
    page.steering.delete()
    page._look()
    assert len(runs.made) == before
    page.roster.field.clear()
    page.roster.choose("a")
    assert "runs.stop" in offered(page)


def test_that_what_was_typed_about_a_hidden_run_is_kept(page: RunsPage, runs: Runs) -> None:
    runs.answers["note"] = lambda run, words: view(run, note=words)
    page.detail.note.setFocus()
    QTest.keyClicks(page.detail.note, "good one")
    page.roster.field.setText("no such run")
    assert runs.asked("note") == [("note", "a", "good one")]


@pytest.mark.parametrize(("state", "word"), [(S.PAUSED, "Resume"), (S.STOPPED, "Continue"), (S.FAILED, "Try again")])
def test_that_a_screen_reader_hears_the_word_on_the_button(
    page: RunsPage, runs: Runs, state: JobState, word: str
) -> None:
    runs.become(view("a", state))
    page.tick()
    assert (page.detail.resume.text().strip(), page.detail.resume.accessibleName()) == (word, word)
    (action,) = [action for action in page.actions() if action.id == "runs.resume"]
    assert action.title.startswith(word)


def test_that_control_f_goes_to_the_filter_from_anywhere_on_the_page(page: RunsPage, qtbot: QtBot) -> None:
    page.roster.list.setFocus()
    qtbot.waitUntil(page.roster.list.hasFocus)
    QTest.keyClick(page.roster.list, "f", Qt.KeyboardModifier.ControlModifier)
    assert page.roster.field.hasFocus()


# -- what is asked -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "deed", "told"),
    [
        (S.RUNNING, "pause", "a pauses after its step and keeps a checkpoint."),
        (S.RUNNING, "stop", "a stops after its step and keeps a checkpoint."),
        (S.PAUSED, "resume", "a is queued again and goes on from its checkpoint."),
    ],
)
def test_that_each_button_asks_for_the_run_on_show_and_tells_what_comes_of_it(
    page: RunsPage, runs: Runs, shell: NotedShell, qtbot: QtBot, state: JobState, deed: str, told: str
) -> None:
    runs.become(view("a", state))
    page.tick()
    runs.answers[deed] = lambda run: view(run, S.QUEUED if deed == "resume" else S.RUNNING)
    qtbot.mouseClick(page.findChild(QPushButton, f"runs.{deed}"), LEFT)
    assert runs.asked(deed) == [(deed, "a")]
    assert [notice.what for notice in shell.told] == [told]


def test_that_a_queued_run_that_is_stopped_is_stopped_at_once(page: RunsPage, runs: Runs, shell: NotedShell) -> None:
    page.roster.choose("b")
    runs.answers["stop"] = lambda run: view(run, S.STOPPED)
    page.steering.stop()
    assert shell.told[-1].what == "b is stopped."
    assert page.detail.state.text().endswith("stopped")
    assert page.roster.model.waiting == ["c"]


def test_that_a_refusal_reaches_the_window_and_changes_nothing(page: RunsPage, runs: Runs, bridge: AtOnce) -> None:
    runs.answers["pause"] = Conflict("It has just ended.", "")
    page.steering.pause()
    assert [error.what for error in bridge.reported] == ["It has just ended."]
    assert page.detail.state.text().endswith("running")


@pytest.mark.parametrize(("run", "deed", "place"), [("b", "later", 1), ("c", "sooner", 0), ("b", "sooner", 0)])
def test_that_a_run_moves_by_one_place(page: RunsPage, runs: Runs, run: str, deed: str, place: int) -> None:
    page.roster.choose(run)
    getattr(page.steering, deed)()
    assert runs.asked("move_in_queue") == [("move_in_queue", run, place)]


def test_that_only_a_queued_run_is_moved(page: RunsPage, runs: Runs) -> None:
    page.roster.choose("d")
    page.steering.sooner()
    page.steering.later()
    assert runs.asked("move_in_queue") == []


def test_that_deleting_asks_first_and_then_shows_another_run(page: RunsPage, runs: Runs, shell: NotedShell) -> None:
    page.roster.choose("d")
    runs.answers["delete"] = lambda run: runs.table.pop(run)
    page.steering.delete()
    assert (shell.asked[0].title, shell.asked[0].verb) == ("Delete d?", "Delete")
    assert runs.asked("delete") == []
    shell.agree()
    assert runs.asked("delete") == [("delete", "d")]
    assert page.roster.model.view("d") is None
    assert page.detail.run_id == "a"


def test_that_training_again_takes_the_whole_spec_along(page: RunsPage, shell: NotedShell) -> None:
    page.steering.again()
    ((where, arguments),) = shell.gone
    assert where == "train"
    assert (arguments["spec"]["epochs"], arguments["spec"]["name"], arguments["spec"]["kind"]) == (2.0, "a", "sft")


# -- what is read, and when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tab", "call"), [("samples", "samples"), ("log", "log_tail")])
def test_that_only_the_tab_in_front_is_read(page: RunsPage, runs: Runs, tab: str, call: str) -> None:
    assert runs.asked("samples", "log_tail") == []
    page.detail.tabs.setCurrentIndex(("curves", "samples", "log").index(tab))
    assert {asked[0] for asked in runs.asked("samples", "log_tail")} == {call}


def test_that_an_answer_about_a_run_that_is_no_longer_shown_is_dropped(
    page: RunsPage, runs: Runs, bridge: AtOnce
) -> None:
    page.detail.tabs.setCurrentIndex(2)
    runs.answers["log_tail"] = lambda run, _bytes: f"log of {run}"
    bridge.holding = True
    page._look()
    page.roster.choose("d")
    bridge.go_on()
    assert page.detail.log.pane.toPlainText() == "log of d"
    assert page.detail.files.path.text() == "/runs/d"


def test_that_news_that_come_before_the_history_are_drawn_after_it(page: RunsPage, runs: Runs, bridge: AtOnce) -> None:
    runs.curves["d"] = {"loss": [point("loss", 1, 3.0), point("loss", 2, 2.0)]}
    bridge.holding = True
    page.roster.choose("d")
    runs.news.append(RunNews("d", view("d", S.DONE), {"loss": [point("loss", 3, 1.0)]}))
    page.tick()
    assert "loss" not in page.detail.curves.plots
    bridge.go_on()
    buffer = page.detail.curves.plots["loss"].lines[0].buffer
    assert (list(buffer.steps), list(buffer.values)) == ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])


def test_that_a_resumed_run_first_forgets_and_then_goes_on(page: RunsPage, runs: Runs) -> None:
    runs.curves["a"] = {"loss": [point("loss", n, float(n)) for n in range(1, 6)]}
    page.roster.choose("d")
    page.roster.choose("a")
    runs.news.append(RunNews("a", view("a"), {"loss": [point("loss", 3, 30.0)]}, superseded_after=2))
    page.tick()
    buffer = page.detail.curves.plots["loss"].lines[0].buffer
    assert list(buffer.values) == [1.0, 2.0, 30.0]


def test_that_points_of_a_run_that_is_not_chosen_are_not_kept(page: RunsPage, runs: Runs) -> None:
    runs.news.append(RunNews("d", view("d", S.DONE), {"loss": [point("loss", 1, 1.0)]}))
    page.tick()
    assert page.detail.curves.plots == {}


def test_that_a_change_of_state_is_looked_into_at_once_and_mere_progress_is_not(page: RunsPage, runs: Runs) -> None:
    before = len(runs.asked("get"))
    runs.become(view("a", step=13))
    page.tick()
    assert len(runs.asked("get")) == before
    runs.become(view("a", S.DONE, step=40))
    page.tick()
    assert len(runs.asked("get")) > before


def test_that_a_run_at_work_is_looked_at_again_and_one_that_ended_is_not(
    page: RunsPage, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_page, "SLOW", -1.0)
    before = len(runs.asked("get"))
    page.tick()
    assert len(runs.asked("get")) == before + 1
    page.roster.choose("d")
    before = len(runs.asked("get"))
    page.tick()
    assert len(runs.asked("get")) == before


def test_that_a_run_that_was_deleted_elsewhere_leaves_the_list_without_a_notice(
    page: RunsPage, runs: Runs, shell: NotedShell, bridge: AtOnce
) -> None:
    del runs.table["a"]
    page._look()
    assert page.roster.model.view("a") is None
    assert (shell.told, bridge.reported) == ([], [])


def test_that_any_other_trouble_with_a_run_is_told(page: RunsPage, runs: Runs, shell: NotedShell) -> None:
    runs.answers["get"] = StorageFailed("The disk is full.", "Make room.")
    page._look()
    assert (shell.told[0].what, shell.told[0].hint, shell.told[0].kind) == ("The disk is full.", "Make room.", "bad")


def test_that_at_most_six_runs_lie_over_one_another(page: RunsPage, runs: Runs) -> None:
    for n in range(9):
        runs.become(view(f"r{n}", S.DONE))
    page.tick()
    page.roster.list.selectAll()
    assert page.detail.title.text() == f"{runs_page.MOST_OVERLAID} runs side by side"


def test_that_a_wanted_run_is_shown_when_it_becomes_known(page: RunsPage, runs: Runs) -> None:
    page.arrive(run="new")
    assert page.detail.run_id == "a"
    runs.become(view("new"))
    page.tick()
    assert page.detail.run_id == "new"
    page.roster.choose("d")
    runs.become(view("new", step=20))
    page.tick()
    assert page.detail.run_id == "d", "it is wanted once"


# -- states of the page ------------------------------------------------------------------------------------------------


def test_that_a_list_that_cannot_be_read_is_an_error_state_that_can_be_tried_again(page: RunsPage, runs: Runs) -> None:
    good = runs.answers["list"]
    runs.answers["list"] = StorageFailed("The database is locked.", "Close the other window.")
    page.shown()
    page.shown()
    front = page._stack.currentWidget()
    assert isinstance(front, ErrorState)
    assert front.what.text() == "The database is locked."
    assert sum(isinstance(page._stack.widget(n), ErrorState) for n in range(page._stack.count())) == 1
    runs.answers["list"] = good
    front.findChild(QPushButton, "runs.error.retry").click()
    assert page._stack.currentWidget() is page._both


def test_that_the_first_run_ends_the_empty_state(qtbot: QtBot, bridge: AtOnce, shell: NotedShell, runs: Runs) -> None:
    runs.table.clear()
    page = RunsPage(SimpleNamespace(runs=runs, studies=Calls()), bridge, shell)  # type: ignore[arg-type]
    qtbot.addWidget(page)
    page.shown()
    page._timer.stop()
    assert page._stack.currentWidget() is page._empty
    page.findChild(QPushButton, "runs.empty.step1").click()
    assert shell.gone == [("train", {})]
    runs.become(view("first"))
    page.tick()
    assert page._stack.currentWidget() is page._both


def test_that_leaving_the_page_stops_the_clock_and_keeps_the_note(page: RunsPage, runs: Runs) -> None:
    runs.answers["note"] = lambda run, words: view(run, note=words)
    page._timer.start()
    page.detail.note.setText("half a th")
    page.hidden()
    assert not page._timer.isActive()
    assert runs.asked("note") == [("note", "a", "half a th")]


@pytest.mark.parametrize("state", [S.QUEUED, S.RUNNING, S.PAUSED])
def test_that_the_longest_name_pushes_no_button_out_of_a_small_window(
    page: RunsPage, runs: Runs, state: JobState
) -> None:
    name = "a-run-of-eighty-letters-" * 4
    runs.become(view("a", state, name=name, last={"loss": 1.0}, headline="loss", eta_seconds=90_000.0))
    page.tick()
    page.roster.choose("a")
    page.detail.layout().activate()
    assert page.width() == 964
    for button in page.detail.findChildren(QPushButton):
        if button.isVisible():
            right = button.mapTo(page, button.rect().bottomRight())
            assert page.rect().contains(right), button.objectName()
    assert page.detail.title.text() == name
    assert page.detail.title.toolTip() == name


def test_that_the_longest_folder_is_cut_with_the_whole_in_its_tip(qtbot: QtBot) -> None:
    tab = FilesTab()
    qtbot.addWidget(tab)
    folder = Path("/home/ann") / ("a-deep-folder/" * 20)
    tab.show_files(folder, [("spec.json", 2_048), ("model/model.safetensors", 3 * 2**30)])
    assert tab.minimumSizeHint().width() < 500
    assert tab.path.toolTip() == str(folder)
    rows = [tab.tree.topLevelItem(n) for n in range(2)]
    assert [(row.text(0), row.text(1)) for row in rows] == [
        ("spec.json", "2.0 KiB"),
        ("model/model.safetensors", "3.0 GiB"),
    ]


# -- words -------------------------------------------------------------------------------------------------------------


def test_that_what_people_write_is_no_html_in_a_tip(page: RunsPage, runs: Runs) -> None:
    runs.become(view("a", note="<b>best</b> & first"))
    page.tick()
    tip = page.roster.model.data(page.roster.model.index(0), Qt.ItemDataRole.ToolTipRole)
    assert "&lt;b&gt;best&lt;/b&gt; &amp; first" in tip


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (view("a", S.QUEUED, step=0), "a, sft, queued, step 0 of 40"),
        (view("a", S.RUNNING, name="", eta_seconds=60.0), "a, sft, running, step 12 of 40, 1 min left"),
        (view("a", S.DONE, steps=0, last={"loss": 0.5}, headline="loss"), "a, sft, done, done, Loss 0.5"),
    ],
)
def test_that_a_row_is_read_aloud_without_empty_parts(page: RunsPage, one: RunView, words: str) -> None:
    page.roster.model.replace([one])
    assert page.roster.model.data(page.roster.model.index(0), Qt.ItemDataRole.AccessibleTextRole) == words


@pytest.mark.parametrize(
    ("count", "told"), [(3, None), (4, "and 1 earlier one: see the log"), (9, "and 6 earlier ones: see the log")]
)
def test_that_earlier_notices_are_counted(qtbot: QtBot, count: int, told: str | None) -> None:
    health = Health()
    qtbot.addWidget(health)
    health.tell(("", ""), [(f"n{n}", "") for n in range(count)])
    words = [label.text() for label in health.findChildren(QLabel)]
    assert [w for w in words if w.startswith("and ")] == ([told] if told else [])
    assert [w for w in words if w.startswith("n")] == [f"n{n}" for n in range(count)][-3:]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("length", 0.0, "0 tokens"), ("length", 1.0, "1 token"), ("length", 1_234.0, "1,234 tokens"),
        ("ended", 1.0, "ended by itself"), ("ended", 0.0, "cut at the length limit"),
    ],
)  # fmt: skip
def test_that_a_samples_numbers_are_words(name: str, value: float, words: str) -> None:
    assert sample_number(name, value) == words


@pytest.mark.parametrize(
    ("made", "what", "hint"),
    [
        (Sampled("x", 1, 0), "1 item was appended to x.", ""),
        (Sampled("x", 1_200, 1), "1,200 items were appended to x.", "1 prompt had fewer than two different texts."),
        (Sampled("x", 0, 2), "0 items were appended to x.", "2 prompts had fewer than two different texts."),
    ],
)
def test_that_items_made_of_a_study_are_counted(
    page: RunsPage, shell: NotedShell, made: Sampled, what: str, hint: str
) -> None:
    page._services.studies.answers["to_ranking"] = made
    page.studying.rank("x", 4)
    assert (shell.told[0].what, shell.told[0].hint) == (what, hint)
    shell.told[0].action[1]()
    assert shell.gone == [("annotate", {"dataset": "x"})]


def test_that_a_study_without_a_table_is_no_trouble_and_any_other_is(page: RunsPage, shell: NotedShell) -> None:
    shown: list[Any] = []
    page._services.studies.answers["get"] = Conflict("No column yet.", "")
    page.studying.read("a", shown.append)
    assert (shown, shell.told) == ([None], [])
    page._services.studies.answers["get"] = StorageFailed("Can't be read.", "")
    page.studying.read("a", shown.append)
    assert [notice.what for notice in shell.told] == ["Can't be read."]


def test_that_files_of_a_study_are_named_after_the_run(page: RunsPage, shell: NotedShell) -> None:
    page._services.studies.answers["keep"] = lambda out, _content: out
    page.studying.save("table.csv", b"x")
    dialog = page.findChild(QFileDialog, "runs.save_dialog")
    assert Path(dialog.selectedFiles()[0]).name == "a-table.csv"
    dialog.fileSelected.emit("/tmp/out.csv")
    dialog.close()
    assert page._services.studies.made[-1] == ("keep", Path("/tmp/out.csv"), b"x")
    assert shell.told[-1].what == "out.csv is written"


# -- settings of the run -----------------------------------------------------------------------------------------------


def test_that_every_setting_has_its_line_and_nested_ones_their_path() -> None:
    lines = spec_lines(SftSpec(base="b", data="d"))
    paths = [path for path, *_ in lines]
    assert len(set(paths)) == len(paths)
    assert "lora.rank" in paths
    assert all(sentence for *_, sentence in lines)


def test_that_only_what_differs_can_be_asked_for_and_is_bold(qtbot: QtBot) -> None:
    tab = SpecTab(lambda: None, lambda: None)
    qtbot.addWidget(tab)
    tab.show_spec(SftSpec(name="x", base="b", data="d", epochs=2.5))
    whole = tab.tree.topLevelItemCount()
    tab.only_changed.setChecked(True)
    shown = {tab.tree.topLevelItem(n).text(0): tab.tree.topLevelItem(n) for n in range(tab.tree.topLevelItemCount())}
    assert len(shown) < whole
    assert shown["epochs"].text(1) == "2.5"
    assert all(item.font(0).weight() > 500 for item in shown.values())
    assert "Default: " in shown["epochs"].toolTip(2)


def test_that_a_text_of_several_lines_and_signs_is_shown_as_it_was_written(qtbot: QtBot) -> None:
    tab = SpecTab(lambda: None, lambda: None)
    qtbot.addWidget(tab)
    spec = JudgeSpec(base="b", data="x<y")
    tab.show_spec(spec)
    rows = {tab.tree.topLevelItem(n).text(0): tab.tree.topLevelItem(n) for n in range(tab.tree.topLevelItemCount())}
    assert rows["data"].text(1) == "x<y"
    assert "x&lt;y" in rows["data"].toolTip(1)
    switches = [row.text(1) for path, row in rows.items() if isinstance(getattr(spec, path, None), bool)]
    assert set(switches) <= {"yes", "no"}


def test_that_samples_stay_where_a_person_looks_while_new_ones_come(qtbot: QtBot, shell: NotedShell) -> None:
    tab = SamplesTab(shell.theme)
    qtbot.addWidget(tab)
    tab.show_samples([SampleView(step, 0, "p", f"at {step}", {}) for step in (10, 20)])
    assert tab.step.text() == "20"
    tab.slider.setValue(0)
    tab.show_samples([SampleView(step, 0, "p", f"at {step}", {}) for step in (10, 20, 1_000)])
    assert tab.step.text() == "10"
    tab.slider.setValue(2)
    assert tab.step.text() == "1,000"
    assert QApplication.focusWidget() is not tab.slider
