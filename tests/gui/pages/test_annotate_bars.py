"""The bars and small panels of Annotate, each by itself."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.judgement import Judgement, Ranking
from workbench.domain.queues import QueueSpec
from workbench.gui.pages.annotate import bars
from workbench.gui.pages.annotate.bars import BottomBar, TopBar
from workbench.gui.pages.annotate.desk import DEEDS
from workbench.gui.pages.annotate.keycap import KeyButton
from workbench.gui.pages.annotate.panels import REASONS, NotePanel, RepairPanel, SkipPanel, WritePanel
from workbench.services.views import DatasetView, LabelProgress, QueueView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CTRL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


def said(annotator: str = "me", kind: str = "person", strength: int = 1) -> Judgement:
    return Judgement.model_validate(
        {
            "id": "j", "item": "i", "annotator": annotator, "annotator_kind": kind, "outcome": "ranked",
            "ranking": Ranking(tiers=((1,), (0,))), "strength": strength, "shown": (0, 1), "shown_seed": 1,
            "milliseconds": 900, "created": NOW,
        }
    )  # fmt: skip


def how_far(judged: int = 3, total: int = 10, last: Judgement | None = None, **facts: object) -> LabelProgress:
    values = {"per_hour": 0.0, "can_undo": True, "can_redo": False} | facts
    return LabelProgress(judged, total, last=last, **values)  # type: ignore[arg-type]


def dataset(name: str, judged: int = 0, synthetic: bool = False) -> DatasetView:
    return DatasetView(name, "preferences", 20, judged, NOW, synthetic=synthetic)


@pytest.fixture
def deeds() -> list[str]:
    return []


@pytest.fixture
def bottom(qtbot: QtBot, deeds: list[str]) -> BottomBar:
    made = BottomBar({name: (lambda name=name: deeds.append(name)) for name in DEEDS})  # type: ignore[misc]
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def top(qtbot: QtBot) -> TopBar:
    made = TopBar(
        lambda place: made.setProperty("asked", list(place)), lambda on: made.setProperty("raw", on),
        {name: (lambda name=name: made.setProperty("did", name)) for name in (*DEEDS, "focus")},  # type: ignore[misc]
        QPushButton("me"),
    )  # fmt: skip
    qtbot.addWidget(made)
    made.show()
    return made


def test_that_each_button_does_its_own_deed(bottom: BottomBar, deeds: list[str]) -> None:
    bottom.show_keys(3, False, 0)
    for name in bottom.buttons:
        QTest.mouseClick(bottom.buttons[name], LEFT)
    assert deeds == list(bottom.buttons)
    assert set(deeds) == set(DEEDS) - {"guidelines", "new_queue", "mistakes", "retrain", "statistics"}


def test_that_two_have_a_tie_and_no_accept(bottom: BottomBar) -> None:
    bottom.show_keys(2, False, 2)
    assert bottom.buttons["level"].words == "tie"
    assert bottom.buttons["accept"].isHidden()
    assert bottom.hint.text() == "Shift + 1 or 2: much better"


@pytest.mark.parametrize(("left", "enabled"), [(4, False), (2, False), (1, True), (0, True)])
def test_that_accept_waits_for_the_ranks(bottom: BottomBar, left: int, enabled: bool) -> None:
    bottom.show_keys(4, False, left)
    assert bottom.buttons["accept"].isVisible()
    assert bottom.buttons["accept"].isEnabled() == enabled
    assert bottom.hint.text() == "1 … 4 from best to worst"
    assert bottom.buttons["level"].words == "level"


def test_that_levelling_shows_while_it_waits_for_the_next_key(bottom: BottomBar) -> None:
    bottom.show_keys(3, True, 2)
    assert bottom.buttons["level"].isChecked()
    bottom.show_keys(3, False, 1)
    assert not bottom.buttons["level"].isChecked()


def test_that_without_an_item_only_looking_back_is_offered(bottom: BottomBar) -> None:
    bottom.show_keys(3, False, 0)
    bottom.show_deeds(False)
    assert {name for name, one in bottom.buttons.items() if one.isVisible()} == {
        "undo", "redo", "reveal", "history",
        "effects"
    }  # fmt: skip
    assert bottom.hint.isHidden()
    bottom.show_deeds(True)
    assert bottom.buttons["skip"].isVisible()
    assert bottom.hint.isVisible()


@pytest.mark.parametrize(("back", "forth"), [(False, False), (True, False), (False, True)])
def test_that_undo_and_redo_are_offered_when_there_is_something(bottom: BottomBar, back: bool, forth: bool) -> None:
    bottom.show_progress(how_far(can_undo=back, can_redo=forth), None)
    assert bottom.buttons["undo"].isEnabled() == back
    assert bottom.buttons["redo"].isEnabled() == forth
    assert (bottom.buttons["undo"].graphicsEffect() is None) == back  # what can't be pressed fades


def test_that_the_last_judgement_of_an_earlier_day_is_told_quietly(bottom: BottomBar) -> None:
    bottom.show_progress(how_far(last=said()), None)
    assert bottom.last.text() == "last: B ≻ A"
    assert not bottom.last.property("role")


def test_that_a_fresh_judgement_stands_out_for_a_moment(bottom: BottomBar, qtbot: QtBot) -> None:
    bottom.show_progress(how_far(last=None), said(strength=2))
    assert bottom.last.text() == "last: B ≻≻ A"
    assert bottom.last.property("role") == "good"
    qtbot.waitUntil(lambda: not bottom.last.property("role"))


def test_that_a_judgement_by_a_rule_says_so(bottom: BottomBar) -> None:
    bottom.show_progress(how_far(last=said("story rule", "rule")), None)
    assert bottom.last.text() == "last: B ≻ A (synthetic, by story rule)"


def test_that_nothing_is_told_before_the_first(bottom: BottomBar) -> None:
    bottom.revealed.setText("written by: A x")
    bottom.show_progress(how_far(0, 10, can_undo=False), None)
    assert bottom.last.text() == ""
    assert bottom.revealed.text() == ""


def test_that_a_key_left_out_is_said_in_place_of_the_hint_and_goes_by_itself(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "EARLY_STAYS", 60)
    bottom = BottomBar(dict.fromkeys(DEEDS, print))
    qtbot.addWidget(bottom)
    bottom.show()
    bottom.show_keys(2, False, 2)
    bottom.say_early()
    assert bottom.early.isVisible()
    assert bottom.hint.isHidden()
    qtbot.waitUntil(lambda: bottom.early.isHidden())
    assert bottom.hint.isVisible()


def test_that_a_key_left_out_stays_said_while_the_next_item_comes(bottom: BottomBar) -> None:
    bottom.say_early()
    bottom.show_keys(2, False, 2)
    bottom.show_deeds(True)
    assert bottom.early.isVisible()
    assert bottom.hint.isHidden()
    bottom.show_deeds(False)
    bottom.forget_early()
    assert bottom.hint.isHidden()


@pytest.mark.parametrize(
    ("judged", "total", "value", "most"), [(0, 0, 0, 1), (0, 5, 0, 5), (3, 10, 3, 10), (1234, 1234, 1234, 1234)]
)
def test_that_the_bar_counts_what_is_judged(top: TopBar, judged: int, total: int, value: int, most: int) -> None:
    top.show_progress(how_far(judged, total))
    assert (top.bar.value(), top.bar.maximum()) == (value, most)
    assert top.count.text() == f"{judged} / {total}"


def test_that_the_speed_is_told_once_it_is_known(top: TopBar) -> None:
    top.show_progress(how_far(per_hour=0.0))
    assert top.speed.text() == ""
    top.show_progress(how_far(per_hour=1234.4))
    assert top.speed.text() == "1,234/h"
    assert "last 50" in top.speed.toolTip()


def entries(top: TopBar) -> list[str]:
    return [words for n in range(top.queue.count()) if (words := top.queue.itemText(n))]


def queue(name: str, of: str, state: str = "open") -> QueueView:
    spec = QueueSpec(name=name, dataset=of)
    return QueueView(name, of, spec, 20, 5, 9, state, NOW)  # type: ignore[arg-type]


def test_that_datasets_are_offered_with_how_far_each_is_and_their_queues_below(top: TopBar) -> None:
    queues = [queue("hard", "b"), queue("old", "a", "closed")]
    top.show_places([dataset("a", 4), dataset("b")], queues, ("b", ""))
    assert entries(top) == ["a", "a › old (closed)", "b", "b › hard", "New queue…"]
    assert top.queue.currentText() == "b"
    tips = [top.queue.itemData(n, Qt.ItemDataRole.ToolTipRole) for n in (0, 3)]
    assert tips == ["4 of 20 judged", "5 of 20 judged, 9 left for you"]


def test_that_showing_the_datasets_asks_for_none(top: TopBar) -> None:
    top.show_places([dataset("a"), dataset("b")], [queue("hard", "b")], ("b", "hard"))
    assert top.queue.currentText() == "b › hard"
    assert top.property("asked") is None
    top.queue.activated.emit(0)
    assert top.property("asked") == ["a", ""]
    top.queue.activated.emit(2)
    assert top.property("asked") == ["b", "hard"]


def test_that_the_last_entry_asks_for_a_new_queue_and_the_place_stays(top: TopBar) -> None:
    top.show_places([dataset("a")], [], ("a", ""))
    top.queue.setCurrentIndex(top.queue.count() - 1)
    top.queue.activated.emit(top.queue.count() - 1)
    assert top.property("did") == "new_queue"
    assert top.property("asked") is None
    assert top.queue.currentText() == "a"


def test_that_what_is_left_for_an_annotator_is_told(top: TopBar) -> None:
    top.show_progress(how_far(judged=3, total=10))
    assert top.count.toolTip() == "7 left for you"


def test_that_new_guidelines_are_marked_in_words_too(top: TopBar) -> None:
    top.show_unread(True)
    assert "●" in top.guidelines.words
    assert "changed" in top.guidelines.accessibleName()
    top.show_unread(False)
    assert top.guidelines.words == "guidelines"
    assert top.guidelines.accessibleName() == "Guidelines"


def test_that_a_synthetic_dataset_wears_its_mark(top: TopBar) -> None:
    both = [dataset("a", synthetic=True), dataset("b")]
    top.show_places(both, [], ("a", ""))
    assert top.synthetic.isVisible()
    top.show_places(both, [], ("b", ""))
    assert not top.synthetic.isVisible()


def test_that_raw_text_is_switched_by_the_keyboard_too(top: TopBar) -> None:
    QTest.keyClick(top.raw, Qt.Key.Key_Space)
    assert top.property("raw") is True


def test_that_a_key_button_shows_its_key_and_never_takes_the_focus(qtbot: QtBot) -> None:
    button = KeyButton("S", "skip", "annotate.skip", lambda: None)
    qtbot.addWidget(button)
    assert button.accessibleName() == "Skip"
    assert button.focusPolicy() == Qt.FocusPolicy.NoFocus
    before = button.minimumSizeHint().width()
    button.say("skip this one for now")
    assert button.words == "skip this one for now"
    assert button.accessibleName() == "Skip this one for now"
    assert button.minimumSizeHint().width() > before


def test_that_a_given_accessible_name_stays(qtbot: QtBot) -> None:
    button = KeyButton("1", "place next", "annotate.place_1", lambda: None, accessible="place next (A)")
    qtbot.addWidget(button)
    button.say("take back")
    assert button.accessibleName() == "place next (A)"


def test_that_every_reason_to_skip_has_a_digit_and_a_button(qtbot: QtBot) -> None:
    chosen: list[str] = []
    panel = SkipPanel(chosen.append)
    qtbot.addWidget(panel)
    panel.show()
    for place, button in enumerate(panel.buttons):
        QTest.mouseClick(button, LEFT)
        panel.digit(place)
    assert chosen == [reason for reason, _ in REASONS for _ in range(2)]


@pytest.mark.parametrize("place", [-1, len(REASONS), 8])
def test_that_other_digits_skip_nothing(qtbot: QtBot, place: int) -> None:
    chosen: list[str] = []
    panel = SkipPanel(chosen.append)
    qtbot.addWidget(panel)
    panel.digit(place)
    assert chosen == []


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape])
def test_that_a_note_is_done_with_enter_or_escape_and_kept(qtbot: QtBot, key: Qt.Key) -> None:
    closed: list[bool] = []
    changes: list[bool] = []
    panel = NotePanel(lambda: closed.append(True), lambda: changes.append(True))
    qtbot.addWidget(panel)
    panel.show()
    QTest.keyClicks(panel.field, "  odd one ")
    QTest.keyClick(panel.field, key)
    assert closed == [True]
    assert panel.note == "odd one"
    assert len(changes) == len("  odd one ")


@pytest.fixture
def write(qtbot: QtBot) -> tuple[WritePanel, list[str], list[bool]]:
    saved: list[str] = []
    closed: list[bool] = []
    panel = WritePanel(saved.append, lambda: closed.append(True), lambda: None)
    qtbot.addWidget(panel)
    panel.show()
    return panel, saved, closed


Write = tuple[WritePanel, list[str], list[bool]]


@pytest.mark.parametrize("words", ["", "   ", "\n\t\n"])
def test_that_an_empty_response_cannot_be_saved(write: Write, words: str) -> None:
    panel, saved, _ = write
    panel.field.setPlainText(words)
    assert not panel.save_button.isEnabled()
    QTest.keyClick(panel.field, Qt.Key.Key_Return, CTRL)
    assert saved == []


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_that_ctrl_enter_saves_what_was_written(write: Write, key: Qt.Key) -> None:
    panel, saved, closed = write
    panel.field.setPlainText(" Zwei\nZeilen – ünd 🦊 \n")
    QTest.keyClick(panel.field, key, CTRL)
    assert saved == ["Zwei\nZeilen – ünd 🦊"]
    assert closed == []


def test_that_enter_alone_writes_a_new_line(write: Write) -> None:
    panel, saved, _ = write
    QTest.keyClicks(panel.field, "a")
    QTest.keyClick(panel.field, Qt.Key.Key_Return)
    QTest.keyClicks(panel.field, "b")
    assert panel.field.toPlainText() == "a\nb"
    assert saved == []


def test_that_escape_and_cancel_close_and_save_nothing(write: Write) -> None:
    panel, saved, closed = write
    panel.field.setPlainText("half")
    QTest.keyClick(panel.field, Qt.Key.Key_Escape)
    cancel = panel.findChild(QPushButton, "annotate.write_cancel")
    assert cancel is not None
    QTest.mouseClick(cancel, LEFT)
    assert closed == [True, True]
    assert saved == []
    assert panel.field.toPlainText() == "half"


def test_that_tab_leaves_the_field_for_the_button(write: Write, qtbot: QtBot) -> None:
    panel, _, _ = write
    panel.field.setPlainText("words")
    panel.activateWindow()
    panel.field.setFocus()
    QTest.keyClick(panel.field, Qt.Key.Key_Tab)
    focus: Callable[[], QWidget | None] = panel.focusWidget
    qtbot.waitUntil(lambda: focus() is panel.save_button)
    assert panel.field.toPlainText() == "words"


def test_that_a_repair_begins_with_the_response_and_says_what_it_becomes(write: Write) -> None:
    panel, saved, _ = write
    panel.start(1, "As it was.", "B")
    assert panel.field.toPlainText() == "As it was."
    assert "better than B" in panel.heading.text()
    assert not panel.save_button.isEnabled()
    QTest.keyClick(panel.field, Qt.Key.Key_Return, CTRL)
    assert saved == []
    QTest.keyClicks(panel.field, " Mended.")
    assert panel.written == "As it was. Mended."
    QTest.keyClick(panel.field, Qt.Key.Key_Return, CTRL)
    assert saved == ["As it was. Mended."]
    panel.start()
    assert panel.repairs is None
    assert panel.field.toPlainText() == ""


def test_that_as_many_responses_can_be_repaired_as_there_are(qtbot: QtBot) -> None:
    chosen: list[int] = []
    panel = RepairPanel(chosen.append)
    qtbot.addWidget(panel)
    panel.offer(3)
    seen = [button for button in panel.buttons if button.isVisible()]
    for button in seen:
        QTest.mouseClick(button, LEFT)
    assert chosen == [0, 1, 2]
    assert [button.accessibleName() for button in seen] == ["Repair A", "Repair B", "Repair C"]
