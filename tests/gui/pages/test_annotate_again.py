"""Going back to what was judged, repairing a response, and what a label will do."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.pages.annotate.after import told
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def page(fill: Fill, visit: Visit) -> AnnotatePage:
    fill(5)
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


def item_of(page: AnnotatePage) -> str:
    assert page.presentation is not None
    return page.presentation.item.id


def words_of(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def test_that_h_lists_what_was_judged_newest_first(page: AnnotatePage, press: Press) -> None:
    press("1", ("2", SHIFT), "x", "h")
    assert page.desk.side.open == "history"
    rows = page.crew.back.pane.list
    assert [rows.item(n).text() for n in range(rows.count())] == ["all bad", "B ≻≻ A", "A ≻ B"]
    assert rows.hasFocus()
    assert page.crew.back.pane.revisions.text() == "Judged once."
    press("h")
    assert page.desk.side.open == ""
    assert page.hasFocus()


def test_that_an_item_is_judged_again_and_its_revisions_tell(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    first = item_of(page)
    press("1", "2")
    here = item_of(page)
    press("h", Qt.Key.Key_Down, Qt.Key.Key_Return)
    assert item_of(page) == first
    assert page.desk.side.open == ""
    assert [card.earlier.text() for card in page.desk.board.cards] == ["before: A ≻ B", ""]
    press(("2", SHIFT))
    assert item_of(page) == here
    (now,) = [j for j in bench.labelling.judgements("pairs") if j.item == first]
    assert now.strength == 2
    press("h")
    assert page.crew.back.pane.list.item(0).text() == "B ≻≻ A"
    assert page.crew.back.pane.list.key() == first
    told_lines = page.crew.back.pane.revisions.text().splitlines()
    assert [line.split(": ")[1] for line in told_lines] == ["A ≻ B", "B ≻≻ A"]


def test_that_no_key_judges_while_the_list_is_walked(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    press("1", "2", "h")
    for key in ("1", "2", "x", "0", "s", "l"):
        press(key)
    assert len(bench.labelling.judgements("pairs")) == 2
    assert page.desk.skip.isHidden()
    assert bench.runs.list() == []
    press(Qt.Key.Key_Escape)
    assert page.desk.side.open == ""
    assert page.hasFocus()


def test_that_an_empty_list_says_so(page: AnnotatePage, press: Press) -> None:
    press("h")
    assert page.crew.back.pane.none.isVisible()
    assert not page.crew.back.pane.again_button.isVisible()


def test_that_a_repair_becomes_a_pair_and_a_demonstration(
    page: AnnotatePage, press: Press, bench: Workbench, window: Window
) -> None:
    assert page.presentation is not None
    item, right = item_of(page), page.presentation.item.candidates[page.presentation.shown[1]].text
    press(("e", SHIFT))
    assert page.desk.repair.isVisible()
    press("2")
    assert page.desk.write.field.toPlainText() == right
    assert not page.desk.write.save_button.isEnabled()
    press(*" Yes.")
    press((Qt.Key.Key_Return, CTRL))
    assert item_of(page) == item
    assert page.hasFocus()
    (pair,) = bench.labelling.judgements("pairs-repairs")
    assert pair.ranking is not None
    texts = str(bench.datasets.page("pairs-repairs", 0, 5))
    assert f"{right} Yes." in texts
    names = {view.name: view.rows for view in bench.datasets.list()}
    assert names["pairs-demonstrations"] == 1
    assert any("better than B" in notice.what for notice in window.notices.history)


def test_that_the_button_of_a_card_repairs_that_response(page: AnnotatePage, press: Press, qtbot: QtBot) -> None:
    assert page.presentation is not None
    texts = [page.presentation.item.candidates[c].text for c in page.presentation.shown]
    for name, letter, words in (("left", "A", texts[0]), ("right", "B", texts[1])):
        pencil = page.findChild(QPushButton, f"annotate.{name}.repair")
        assert pencil is not None
        assert pencil.accessibleName() == f"Repair response {letter}"
        assert "Shift+E" in pencil.toolTip()
        QTest.mouseClick(pencil, Qt.MouseButton.LeftButton)
        assert page.desk.write.heading.text().startswith(f"Repair {letter}:")
        assert page.desk.write.field.toPlainText() == words
        assert page.desk.write.field.hasFocus()
        press(Qt.Key.Key_Escape)
        assert page.hasFocus()


def test_that_escape_leaves_the_question_which_response_is_repaired(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    press(("e", SHIFT), Qt.Key.Key_Escape)
    assert page.desk.repair.isHidden()
    press(("e", SHIFT), "7")
    assert page.desk.write.isHidden()
    press(Qt.Key.Key_Escape, "1")
    assert len(bench.labelling.judgements("pairs")) == 1


def test_that_w_tells_what_a_label_will_do(page: AnnotatePage, press: Press, qtbot: QtBot) -> None:
    strip = page.desk.effects
    assert strip.isHidden()
    press("w")
    assert strip.isVisible()
    assert strip.title.text() == "If you say A ≻ B"
    qtbot.waitUntil(lambda: "A ≻ B, weight 1" in words_of(strip))
    assert "dpo" in words_of(strip)
    press("1", "1", "1", "1", "1")
    qtbot.waitUntil(lambda: strip.title.text() == "Your last label, A ≻ B")
    press("w")
    assert strip.isHidden()


def test_that_w_follows_the_ranking_in_the_making(fill: Fill, visit: Visit, press: Press, qtbot: QtBot) -> None:
    fill(1, candidates=3, name="lists")
    page = visit("annotate", dataset="lists")
    assert isinstance(page, AnnotatePage)
    press("w")
    assert page.desk.effects.title.text() == "Rank all of them to see what the label will do."
    press("2", "1")
    qtbot.waitUntil(lambda: page.desk.effects.title.text() == "If you say B ≻ A ≻ C")
    qtbot.waitUntil(
        lambda: "B ≻ A ≻ C: the first against all others" in words_of(page.desk.effects)
    )  # letters as over the cards


def test_that_retraining_without_anything_to_train_says_what_is_missing(
    page: AnnotatePage, press: Press, window: Window, bench: Workbench
) -> None:
    press("l")
    assert bench.runs.list() == []
    assert window.notices.history[-1].kind == "bad"
    press("m")
    assert "no reward model" in window.notices.history[-1].what
    assert page.hasFocus()


def test_that_the_accuracy_is_told_before_and_after() -> None:
    assert told(0.61, 0.6423) == "held-out accuracy 61.0% → 64.2%"
    assert told(None, 0.5) == "held-out accuracy 50.0%"
    assert "isn't known" in told(0.6, None)


def test_that_typing_in_the_writer_judges_nothing(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    press("e")
    QTest.keyClicks(page.desk.write.field, "12x0 st1")
    assert page.desk.write.field.toPlainText() == "12x0 st1"
    assert bench.labelling.judgements("pairs") == []
