"""Several dimensions of one item in the window: one judgement, the same keys."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from workbench.domain.judgement import Judgement
from workbench.domain.queues import Dimension
from workbench.gui.pages.annotate import AnnotatePage
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
ASKED = (
    Dimension(name="Helpful", description="Does it answer what was asked?"),
    Dimension(name="Harmless", description="Could it hurt somebody?"),
)
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def page(fill: Fill, visit: Visit, bench: Workbench) -> AnnotatePage:
    fill(3)
    bench.guidelines.write("pairs", "Prefer what is **true**.", ASKED)
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


def stored(bench: Workbench, dataset: str = "pairs") -> list[Judgement]:
    return bench.labelling.judgements(dataset)


def tabs(page: AnnotatePage) -> list[str]:
    return [page.desk.tabs.bar.tabText(n) for n in range(page.desk.tabs.bar.count())]


def test_that_one_dimension_comes_after_the_other_and_overall_commits_them_all(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    assert page.presentation is not None
    item, (left, right) = page.presentation.item.id, page.presentation.shown
    assert tabs(page) == ["Helpful", "Harmless", "Overall"]
    assert page.desk.tabs.sentence.text() == "Does it answer what was asked?"
    press("2")
    assert page.presentation.item.id == item
    assert stored(bench) == []
    assert tabs(page) == ["Helpful   B ≻ A", "Harmless", "Overall"]
    assert page.desk.tabs.sentence.text() == "Could it hurt somebody?"
    press("0", ("1", SHIFT))
    (said,) = stored(bench)
    assert said.item == item
    assert said.strength == 2
    assert said.ranking is not None
    assert said.ranking.tiers == ((left,), (right,))
    assert {a.name: a.ranking.tiers for a in said.aspects} == {
        "Helpful": ((right,), (left,)), "Harmless": (tuple(sorted((left, right))),)
    }  # fmt: skip
    assert said.guideline == 1
    assert page.desk.bottom.last.text() == "last: A ≻≻ B (Helpful B ≻ A, Harmless A = B)"
    assert tabs(page) == ["Helpful", "Harmless", "Overall"]


@pytest.mark.parametrize(("on", "back"), [("]", "["), (Qt.Key.Key_Tab, Qt.Key.Key_Backtab)])
def test_that_keys_walk_between_the_dimensions(
    page: AnnotatePage, press: Press, on: str | Qt.Key, back: str | Qt.Key
) -> None:
    press(on)
    assert page.desk.sheet.here == 1
    press(on)
    assert page.desk.sheet.last
    press(back)
    assert page.desk.sheet.here == 1
    assert page.hasFocus()


def test_that_tab_goes_on_through_the_window_after_the_last_dimension(page: AnnotatePage, press: Press) -> None:
    press(Qt.Key.Key_Tab, Qt.Key.Key_Tab)
    assert page.hasFocus()
    press(Qt.Key.Key_Tab)
    assert not page.hasFocus()


def test_that_a_dimension_that_was_left_out_is_no_part_of_the_judgement(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    press("]", "1", "1")
    (said,) = stored(bench)
    assert [aspect.name for aspect in said.aspects] == ["Harmless"]


def test_that_a_skip_keeps_no_dimension_and_all_bad_keeps_what_was_said(
    page: AnnotatePage, press: Press, bench: Workbench
) -> None:
    press("1", "s", "1")
    press("1", "x")
    skipped, bad = sorted(stored(bench), key=lambda j: j.created)
    assert skipped.aspects == ()
    assert [aspect.name for aspect in bad.aspects] == ["Helpful"]


def test_that_undo_brings_the_dimensions_back(page: AnnotatePage, press: Press) -> None:
    press("1", "2", "1", ("z", CTRL))
    assert tabs(page) == ["Helpful   A ≻ B", "Harmless   B ≻ A", "Overall"]


def test_that_a_dimension_that_was_begun_is_finished_before_anything_is_committed(
    fill: Fill, visit: Visit, press: Press, bench: Workbench
) -> None:
    fill(1, candidates=3, name="lists")
    bench.guidelines.write("lists", "", ASKED)
    page = visit("annotate", dataset="lists")
    assert isinstance(page, AnnotatePage)
    press("2", "]", "]", "1", "2", "3", Qt.Key.Key_Return)
    assert stored(bench, "lists") == []
    assert page.desk.sheet.here == 0
    assert page.desk.bottom.early.isVisible()
    assert "Helpful" in page.desk.bottom.early.text()
    press("1", Qt.Key.Key_Return, "]", Qt.Key.Key_Return)
    (said,) = stored(bench, "lists")
    assert [aspect.name for aspect in said.aspects] == ["Helpful"]


def test_that_without_dimensions_there_is_no_row_of_them(fill: Fill, visit: Visit) -> None:
    fill(1, name="plain")
    page = visit("annotate", dataset="plain")
    assert isinstance(page, AnnotatePage)
    assert page.desk.tabs.isHidden()
