"""Guidelines beside the candidates: read, folded, written, and marked when they are new."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from workbench.domain.queues import Dimension
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.pages.annotate.guide import read_dimensions, write_dimensions
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def page(fill: Fill, visit: Visit, bench: Workbench) -> AnnotatePage:
    fill(4)
    bench.guidelines.write("pairs", "Prefer what is **true**.")
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


def test_that_g_folds_the_guidelines_out_and_in_and_that_is_remembered(
    page: AnnotatePage, press: Press, window: Window, visit: Visit
) -> None:
    assert page.desk.side.open == ""
    press("g")
    assert page.desk.side.open == "guidelines"
    assert page.crew.guiding.pane.version.text() == "version 1"
    assert page.crew.guiding.pane.view.toPlainText() == "Prefer what is true."
    assert page.hasFocus()
    window.deck.drop_all()
    again = visit("annotate")
    assert isinstance(again, AnnotatePage)
    assert again.desk.side.open == "guidelines"
    press("g")
    assert again.desk.side.open == ""


def test_that_writing_makes_a_new_version_which_labels_remember(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    press("1", "g")
    pane = page.crew.guiding.pane
    pane.edit()
    assert pane.words.hasFocus()
    pane.words.setPlainText("Prefer what is short.")
    press(Qt.Key.Key_Tab)
    assert pane.dimensions.hasFocus()
    QTest.keyClicks(pane.dimensions, "Short: fewer words")
    press((Qt.Key.Key_Return, CTRL))
    assert pane.version.text() == "version 2"
    assert not pane.editing
    assert page.hasFocus()
    assert [page.desk.tabs.bar.tabText(n) for n in range(2)] == ["Short", "Overall"]
    press("1", "2")
    assert sorted(j.guideline for j in bench.labelling.judgements("pairs")) == [1, 2]


def test_that_no_key_acts_while_guidelines_are_written(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    press("g")
    page.crew.guiding.pane.edit()
    for key in "12x0gh":
        press(key)
    assert page.crew.guiding.pane.words.toPlainText().endswith("12x0gh") or "12x0gh" in (
        page.crew.guiding.pane.words.toPlainText()
    )
    assert bench.labelling.judgements("pairs") == []
    press(Qt.Key.Key_Escape)
    assert not page.crew.guiding.pane.editing
    assert page.crew.guiding.pane.version.text() == "version 1"


def test_that_a_version_that_came_since_the_last_label_is_marked_until_it_is_read(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    button = page.desk.top.guidelines
    assert button.words == "guidelines"
    press("1")
    bench.guidelines.write("pairs", "Prefer what is kind.")
    press("1")
    if page.presentation is not None and page.presentation.guidelines is not None:
        assert page.presentation.guidelines.version == 2
    assert button.words == "guidelines ●"
    assert "changed" in button.accessibleName()
    press("g")
    assert button.words == "guidelines"
    assert page.crew.guiding.pane.unread.isVisible()
    press("2", "2")
    assert button.words == "guidelines"
    assert not page.crew.guiding.pane.unread.isVisible()


def test_that_guidelines_that_are_refused_stay_in_the_field(
    page: AnnotatePage, press: Press, bench: Workbench, window: Window
) -> None:
    press("g")
    pane = page.crew.guiding.pane
    pane.edit()
    pane.dimensions.setPlainText("Helpful\nhelpful")
    press((Qt.Key.Key_Return, CTRL))
    assert pane.editing
    assert pane.dimensions.toPlainText() == "Helpful\nhelpful"
    assert [g.version for g in bench.guidelines.history("pairs")] == [1]


def test_that_a_dataset_without_guidelines_offers_to_write_them(fill: Fill, visit: Visit, press: Press) -> None:
    fill(1, name="bare")
    page = visit("annotate", dataset="bare")
    assert isinstance(page, AnnotatePage)
    press("g")
    assert "no guidelines yet" in page.crew.guiding.pane.view.toPlainText()
    assert page.crew.guiding.pane.edit_button.text() == "Write"


def test_that_dimensions_are_read_as_they_are_typed() -> None:
    typed = "Helpful: does it answer?\n\n  Harmless  \nTruthful: is it so: really?"
    found = read_dimensions(typed)
    assert found == (
        Dimension(name="Helpful", description="does it answer?"),
        Dimension(name="Harmless"),
        Dimension(name="Truthful", description="is it so: really?"),
    )
    assert read_dimensions(write_dimensions(found)) == found


def test_that_guidelines_are_read_where_nothing_is_left_to_judge(
    fill: Fill, visit: Visit, press: Press, bench: Workbench
) -> None:
    fill(1, name="one")
    fill(1, name="bare")
    bench.guidelines.write("one", "Be kind.")
    page = visit("annotate", dataset="one")
    assert isinstance(page, AnnotatePage)
    press("1", "g")
    assert page.presentation is None
    assert page.crew.guiding.pane.view.toPlainText() == "Be kind."
    visit("annotate", dataset="bare")
    press("1")
    assert "no guidelines yet" in page.crew.guiding.pane.view.toPlainText()
    visit("annotate", dataset="one")
    assert page.crew.guiding.pane.view.toPlainText() == "Be kind."
