"""Drafts of unfinished rankings: on disk within a third of a second, back after a restart."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.pages.annotate.keeping import DRAFT_MS
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def page(fill: Fill, visit: Visit) -> AnnotatePage:
    fill(2, candidates=4, name="lists")
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


def item_of(page: AnnotatePage) -> str:
    assert page.presentation is not None
    return page.presentation.item.id


def reopened(window: Window, visit: Visit) -> AnnotatePage:
    window.deck.drop_all()
    again = visit("annotate")
    assert isinstance(again, AnnotatePage)
    return again


def test_that_a_change_is_saved_within_a_third_of_a_second_and_that_changes_go_together(
    page: AnnotatePage, press: Press, bench: Workbench, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = []
    save = bench.drafts.save
    monkeypatch.setattr(bench.drafts, "save", lambda *a: (saves.append(a), save(*a)))
    assert DRAFT_MS <= 300
    press("3", "1")
    qtbot.waitUntil(lambda: bench.drafts.get("lists", item_of(page)) is not None, timeout=DRAFT_MS + 700)
    assert page.presentation is not None
    shown = page.presentation.shown
    assert bench.drafts.get("lists", item_of(page)) == {"tiers": [[shown[2]], [shown[0]]]}
    assert len(saves) == 1


def test_that_a_draft_comes_back_after_a_crash_in_whatever_order_the_cards_are_shown(
    page: AnnotatePage, press: Press, window: Window, visit: Visit, qtbot: QtBot, bench: Workbench
) -> None:
    press("3", "1", "n", *"odd", Qt.Key.Key_Return, "e", *"Once")
    press(Qt.Key.Key_Escape)
    page.crew.drafts.flush()
    assert page.presentation is not None
    best = page.presentation.shown[2]
    again = reopened(window, visit)
    assert again.presentation is not None
    assert again.presentation.shown[again.desk.draft.tiers[0][0]] == best
    assert len(again.desk.draft.tiers) == 2
    assert again.desk.note.note == "odd"
    assert again.desk.write.written == "Once"
    assert again.desk.bottom.early.text() == "Your draft is back"
    assert again.hasFocus()


def test_that_leaving_the_page_saves_at_once(
    page: AnnotatePage, press: Press, window: Window, bench: Workbench, qtbot: QtBot
) -> None:
    press("2")
    item = item_of(page)
    window.go("home")
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    assert bench.drafts.get("lists", item) is not None


def test_that_a_judgement_ends_its_draft(page: AnnotatePage, press: Press, bench: Workbench, qtbot: QtBot) -> None:
    item = item_of(page)
    press("1", "2")
    page.crew.drafts.flush()
    press("3", Qt.Key.Key_Return)
    assert len(bench.labelling.judgements("lists")) == 1
    assert bench.drafts.get("lists", item) is None
    assert page.desk.draft.tiers == []
    assert page.desk.bottom.early.isHidden()


def test_that_taking_everything_back_throws_the_draft_away(
    page: AnnotatePage, press: Press, bench: Workbench, qtbot: QtBot
) -> None:
    press("1")
    page.crew.drafts.flush()
    press("1")
    page.crew.drafts.flush()
    qtbot.waitUntil(lambda: bench.drafts.get("lists", item_of(page)) is None)


def test_that_a_repair_in_the_making_comes_back_with_what_it_repairs(
    page: AnnotatePage, press: Press, window: Window, visit: Visit
) -> None:
    press(("e", SHIFT), "2")
    assert page.presentation is not None
    candidate = page.presentation.shown[1]
    assert page.desk.write.field.toPlainText() == page.presentation.item.candidates[candidate].text
    press(*" More.", Qt.Key.Key_Escape)
    page.crew.drafts.flush()
    again = reopened(window, visit)
    assert again.desk.write.repairs == candidate
    assert again.desk.write.written.endswith(" More.")
