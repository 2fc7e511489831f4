"""One run on show: its head, what can be asked of it, its note, its health and its tabs, without a window."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from workbench.domain.runs import JobState
from workbench.domain.specs.dpo import DpoSpec
from workbench.gui.pages.runs.detail import LONGEST_NOTE, TABS, Asked, Detail, Health
from workbench.gui.pages.runs.tabs import FilesTab, SamplesTab, SpecTab, sample_number
from workbench.gui.theme import Theme
from workbench.gui.widgets.markdown import MarkdownView
from workbench.services.views import RunDetail, RunView, SampleView

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
S = JobState
LEFT = Qt.MouseButton.LeftButton
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager
Calls = list[tuple[Any, ...]]


def view(run: str = "dpo-1", state: JobState = S.RUNNING, **facts: object) -> RunView:
    values: dict[str, object] = {
        "id": run, "name": run, "kind": "dpo", "state": state, "step": 120, "steps": 400, "created": NOON,
        "started": NOON, "ended": NOON + timedelta(minutes=4), "folder": Path("/runs") / run,
    }  # fmt: skip
    return RunView(**(values | facts))  # type: ignore[arg-type]


@pytest.fixture
def calls() -> Calls:
    return []


@pytest.fixture
def detail(qtbot: QtBot, theme: Theme, calls: Calls) -> Detail:
    def note_down(name: str) -> Any:
        return lambda *a: calls.append((name, *a))

    made = Detail(theme, Asked(**{name: note_down(name) for name in Asked.__dataclass_fields__}))
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    made.activateWindow()
    return made


def offered(detail: Detail) -> set[str]:
    names = ("pause", "resume", "stop", "sooner", "later", "delete")
    return {name for name in names if not getattr(detail, name).isHidden()}


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (S.QUEUED, {"stop", "sooner", "later"}),
        (S.STARTING, {"pause", "stop"}),
        (S.RUNNING, {"pause", "stop"}),
        (S.PAUSED, {"resume", "stop", "delete"}),
        (S.STOPPED, {"resume", "delete"}),
        (S.DONE, {"delete"}),
        (S.FAILED, {"resume", "delete"}),
    ],
)
def test_that_each_state_offers_its_deeds(detail: Detail, state: JobState, wanted: set[str]) -> None:
    detail.show_view(view(state=state))
    assert offered(detail) == wanted


@pytest.mark.parametrize(
    ("state", "words"),
    [(S.PAUSED, "Resume"), (S.STOPPED, "Continue"), (S.FAILED, "Try again"), (S.LOST, "Continue")],
)
def test_that_going_on_is_called_what_it_is(detail: Detail, state: JobState, words: str) -> None:
    detail.show_view(view(state=state))
    assert detail.resume.text().strip() == words


def test_that_each_button_asks_for_its_own_deed(detail: Detail, calls: Calls) -> None:
    for state, name in (
        (S.RUNNING, "pause"), (S.RUNNING, "stop"), (S.PAUSED, "resume"), (S.QUEUED, "sooner"), (S.QUEUED, "later"),
        (S.DONE, "delete"),
    ):  # fmt: skip
        detail.show_view(view(state=state))
        detail.show_place(1, 3)
        QTest.mouseClick(getattr(detail, name), LEFT)
        assert calls.pop() == (name,)


@pytest.mark.parametrize(
    ("place", "waiting", "sooner", "later"),
    [(0, 1, False, False), (0, 3, False, True), (1, 3, True, True), (2, 3, True, False)],
)
def test_that_the_ends_of_the_queue_are_ends(
    detail: Detail, place: int, waiting: int, sooner: bool, later: bool
) -> None:
    detail.show_view(view(state=S.QUEUED))
    detail.show_place(place, waiting)
    assert (detail.sooner.isEnabled(), detail.later.isEnabled()) == (sooner, later)


def test_that_the_head_tells_name_state_progress_and_number(detail: Detail) -> None:
    detail.show_view(view(headline="loss", last={"loss": 0.5}, eta_seconds=8.0, phase="training"))
    assert detail.title.text() == "dpo-1"
    assert detail.state.text() == "▶ running"
    assert detail.facts.text() == "dpo  ·  step 120 of 400, 8 s left  ·  training  ·  4 min  ·  Loss 0.5"
    assert (detail.bar.value(), detail.bar.maximum()) == (120, 400)


def test_that_a_nameless_run_is_called_by_its_id(detail: Detail) -> None:
    detail.show_view(view("ppo-3", S.DONE, name=""))
    assert detail.title.text() == "ppo-3"


@pytest.mark.parametrize("state", list(S))
def test_that_the_bar_shows_only_while_at_work(detail: Detail, state: JobState) -> None:
    detail.show_view(view(state=state))
    assert detail.bar.isVisible() == (state in {S.RUNNING, S.STARTING})


def test_that_a_run_whose_length_is_unknown_has_a_moving_bar(detail: Detail) -> None:
    detail.show_view(view(state=S.STARTING, step=0, steps=0, phase="loading"))
    assert (detail.bar.minimum(), detail.bar.maximum()) == (0, 0)
    assert "loading" in detail.facts.text()


def test_that_a_note_is_handed_over_with_enter(detail: Detail, calls: Calls) -> None:
    detail.show_view(view(state=S.DONE))
    detail.note.setFocus()
    QTest.keyClicks(detail.note, " best so far ")
    assert calls == []
    QTest.keyClick(detail.note, Qt.Key.Key_Return)
    assert calls == [("note", "dpo-1", "best so far")]
    detail.keep_note()
    assert len(calls) == 1


def test_that_a_note_is_handed_over_when_the_person_goes_elsewhere(detail: Detail, calls: Calls) -> None:
    detail.show_view(view(state=S.DONE))
    detail.note.setFocus()
    QTest.keyClicks(detail.note, "seen")
    detail.tabs.setFocus()
    assert calls == [("note", "dpo-1", "seen")]


def test_that_a_note_belongs_to_the_run_it_was_written_for(detail: Detail, calls: Calls) -> None:
    detail.show_view(view("a"))
    detail.note.setFocus()
    QTest.keyClicks(detail.note, "about a")
    detail.show_view(view("b", note="about b"))
    assert calls == [("note", "a", "about a")]
    assert detail.note.text() == "about b"


def test_that_news_never_type_over_a_person(detail: Detail, calls: Calls) -> None:
    detail.show_view(view())
    detail.note.setFocus()
    QTest.keyClicks(detail.note, "half a")
    for step in (121, 122):
        detail.show_view(view(step=step))
    detail.show_view(view(note="from elsewhere"))
    assert detail.note.text() == "half a"
    assert calls == []


def test_that_news_from_before_the_note_do_not_take_it_back(detail: Detail, calls: Calls) -> None:
    detail.show_view(view(note="old"))
    detail.note.setFocus()
    detail.note.setText("new")
    QTest.keyClick(detail.note, Qt.Key.Key_Return)
    detail.show_view(view(note="old", step=121))
    assert detail.note.text() == "new"
    detail.show_view(view(note="new", step=122))
    assert detail.note.text() == "new"
    assert calls == [("note", "dpo-1", "new")]


def test_that_a_note_can_be_emptied(detail: Detail, calls: Calls) -> None:
    detail.show_view(view(note="old"))
    assert detail.note.text() == "old"
    detail.note.clear()
    detail.keep_note()
    assert calls == [("note", "dpo-1", "")]


def test_that_a_note_has_an_end(detail: Detail) -> None:
    assert detail.note.maxLength() == LONGEST_NOTE


def test_that_several_runs_have_their_curves_only(detail: Detail, calls: Calls) -> None:
    detail.show_view(view("a"))
    detail.note.setText("about a")
    detail.tabs.setCurrentIndex(3)
    detail.show_several([view("a"), view("b")])
    assert ("note", "a", "about a") in calls
    assert detail.title.text() == "2 runs side by side"
    assert detail.facts.text() == "a  ·  b"
    assert offered(detail) == set()
    assert detail.note.isHidden()
    assert detail.tab == "curves"
    assert [detail.tabs.isTabEnabled(n) for n in range(len(TABS))] == [True, *[False] * (len(TABS) - 1)]
    detail.show_view(view("a"))
    assert all(detail.tabs.isTabEnabled(n) for n in range(len(TABS)))
    assert detail.note.isVisible()


def test_that_the_tab_in_front_is_told(detail: Detail, calls: Calls) -> None:
    detail.show_view(view(kind="study"))
    last = len(TABS) - 1
    for place, name in [*enumerate(TABS)][::-1]:
        detail.tabs.setCurrentIndex(place)
        if place != last or calls:
            assert calls[-1] == ("tab", name)
        assert detail.tab == name


def test_that_the_command_is_copied_as_it_stands(detail: Detail, calls: Calls) -> None:
    spec = DpoSpec(base="b", data="d")
    detail.show_detail(RunDetail(view(), spec, (), (), (), "workbench train dpo --set beta=0.2"))
    copy = detail.findChild(QPushButton, "runs.copy_command")
    QTest.mouseClick(copy, LEFT)
    assert QGuiApplication.clipboard().text() == "workbench train dpo --set beta=0.2"
    assert calls[-1] == ("copied",)


def lines(part: Any) -> list[str]:
    return [label.text() for label in part.findChildren(QLabel) if not label.isHidden()]


@pytest.fixture
def health(qtbot: QtBot) -> Health:
    made = Health()
    qtbot.addWidget(made)
    return made


def test_that_an_error_comes_before_notices_each_with_its_hint(health: Health) -> None:
    health.tell(("It broke.", "Mend it."), [("Rows were cut.", "Raise the length."), ("Slow.", "")])
    assert lines(health) == ["✕", "It broke.", "Mend it.", "!", "Rows were cut.", "Raise the length.", "!", "Slow."]


def test_that_of_many_notices_the_newest_three_are_told(health: Health) -> None:
    health.tell(("", ""), [(f"notice {n}", "") for n in range(7)])
    assert [line for line in lines(health) if line != "!"] == [
        "notice 4", "notice 5", "notice 6", "and 4 earlier ones: see the log",
    ]  # fmt: skip


def test_that_health_falls_silent_again(health: Health) -> None:
    health.tell(("It broke.", ""), ())
    assert not health.isHidden()
    health.tell(("", ""), ())
    assert health.isHidden()


@pytest.fixture
def samples(qtbot: QtBot, theme: Theme) -> SamplesTab:
    made = SamplesTab(theme)
    qtbot.addWidget(made)
    made.resize(500, 400)
    made.show()
    return made


def sample(step: int, index: int = 0, words: str = "", **numbers: float) -> SampleView:
    return SampleView(step, index, f"prompt {index}", words or f"answer {index} at {step}", numbers)


def cards(tab: SamplesTab) -> list[str]:
    named = [tab._cards.itemAt(n).widget() for n in range(tab._cards.count())]
    return [card.accessibleName() for card in named if card is not None]


def test_that_without_samples_it_is_said_when_they_come(samples: SamplesTab) -> None:
    samples.show_samples([])
    assert samples.nothing.isVisible()
    assert "sample every" in samples.nothing.text()
    assert not samples.slider.isVisible()


def test_that_samples_of_a_step_stand_in_the_order_of_their_prompts(samples: SamplesTab) -> None:
    samples.show_samples([sample(5, 2), sample(5, 0), sample(5, 1)])
    assert cards(samples) == [f"Sample {n} at step 5" for n in (1, 2, 3)]
    assert (samples.slider.minimum(), samples.slider.maximum()) == (0, 0)


def test_that_the_arrows_walk_through_the_steps(samples: SamplesTab) -> None:
    samples.show_samples([sample(step) for step in (1000, 2000, 3000)])
    assert samples.step.text() == "3,000"
    samples.slider.setFocus()
    QTest.keyClick(samples.slider, Qt.Key.Key_Left)
    assert samples.step.text() == "2,000"
    QTest.keyClick(samples.slider, Qt.Key.Key_Home)
    assert samples.step.text() == "1,000"
    assert cards(samples) == ["Sample 1 at step 1000"]


def test_that_samples_of_another_run_replace_those_before(samples: SamplesTab) -> None:
    samples.show_samples([sample(10), sample(20)])
    samples.show_samples([])
    assert samples.nothing.isVisible()
    samples.show_samples([sample(7, words="other")])
    assert samples.step.text() == "7"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("length", 1.0, "1 token"), ("ended", 1.0, "ended by itself"), ("ended", 0.0, "cut at the length limit")],
)
def test_that_numbers_beside_a_sample_are_words(name: str, value: float, words: str) -> None:
    assert sample_number(name, value) == words


@pytest.mark.parametrize("words", ["", "<b>not bold</b>", "שלום", "🦊" * 300, "a\n\n\n\nb"])
def test_that_a_completion_is_shown_to_the_letter(samples: SamplesTab, words: str) -> None:
    samples.show_samples([SampleView(1, 0, "p", words, {})])
    (shown,) = samples.findChildren(MarkdownView)
    assert shown.toPlainText() == words


def test_that_files_are_listed_with_their_sizes(qtbot: QtBot) -> None:
    tab = FilesTab()
    qtbot.addWidget(tab)
    tab.show_files(Path("/runs/a"), [("spec.json", 812), ("model/model.safetensors", 3 * 2**20)])
    tab.show_files(Path("/runs/b"), [("spec.json", 0), ("log.txt", 2048)])
    rows = [(tab.tree.topLevelItem(n).text(0), tab.tree.topLevelItem(n).text(1)) for n in range(2)]
    assert rows == [("spec.json", "0 B"), ("log.txt", "2.0 KiB")]
    assert tab.tree.topLevelItemCount() == 2
    assert tab.path.text() == tab.path.toolTip() == "/runs/b"


def test_that_changed_settings_are_bold_and_others_are_not(qtbot: QtBot) -> None:
    tab = SpecTab(lambda: None, lambda: None)
    qtbot.addWidget(tab)
    tab.show_spec(DpoSpec(base="b", data="d", beta=0.25, gradient_checkpointing=True))
    found = {}
    for n in range(tab.tree.topLevelItemCount()):
        line = tab.tree.topLevelItem(n)
        found[line.text(0)] = (line.text(1), line.font(0).bold() or line.font(0).weight() >= 600, line.toolTip(2))
    assert found["beta"][:2] == ("0.25", True)
    assert found["beta"][2].endswith("Default: 0.1")
    assert found["gradient_checkpointing"][:2] == ("yes", True)
    assert found["label_smoothing"][:2] == ("0", False)
