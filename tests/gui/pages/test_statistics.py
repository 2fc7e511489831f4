"""The page of statistics in a real window over real labels."""

import csv
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

import workbench.store.statistics as reading
from tests.gui.pages.conftest import item
from tests.gui.pages.test_accessible import acted_on, spoken
from workbench.domain.errors import StorageFailed
from workbench.domain.judgement import Judgement, Ranking
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.pages.statistics import StatisticsPage
from workbench.gui.pages.statistics.again import NOTHING
from workbench.gui.pages.statistics.board import _columns
from workbench.gui.pages.statistics.figures import FigureCard
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Press = Callable[..., None]
START = datetime(2026, 5, 1, tzinfo=UTC)
A, B = ((0,), (1,)), ((1,), (0,))


@pytest.fixture
def judged(bench: Workbench) -> Workbench:
    """Twenty items judged by two people who differ on two; one repeat."""

    def say(name: str, who: str, tiers: tuple[tuple[int, ...], ...], second: float, **more: Any) -> None:
        facts: dict[str, Any] = {"shown": (0, 1), "shown_seed": 3, "milliseconds": 2000, "outcome": "ranked"}
        made = START + timedelta(seconds=second)
        said = Judgement(
            id=uuid.uuid4().hex,
            item=name,
            annotator=who,
            ranking=Ranking(tiers=tiers),
            created=made,
            **{**facts, **more},
        )
        bench.labelling.add_judgement("pairs", said)

    for n in range(20):
        bench.labelling.add_item("pairs", item(n))
        say(f"item-{n:03}", "ann", A if n % 3 else B, 10.0 * n)
        say(f"item-{n:03}", "bob", (A if n % 3 else B) if n not in {4, 10} else B, 10.0 * n + 5)
    say("item-001", "ann", A, 400, purpose="repeat", shown=(1, 0))
    return bench


def page_of(found: QWidget) -> StatisticsPage:
    assert isinstance(found, StatisticsPage)
    return found


def settle(qtbot: QtBot, window: Window) -> None:
    qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=30_000)


def in_front(page: StatisticsPage) -> QWidget | None:
    return page._stack.currentWidget()


def test_that_without_labels_the_page_says_what_it_is_for(
    visit: Visit, fill: Callable[..., None], window: Window
) -> None:
    page = page_of(visit("statistics"))
    assert in_front(page) is page.empty
    fill(2)
    visit("home")
    page_of(visit("statistics"))
    assert in_front(page) is page.empty  # items, but no labels
    page.empty.buttons[0].click()
    assert window.deck.currentWidget() is window.deck.page("annotate")


def test_that_figures_stand_on_cards_with_sentences(judged: Workbench, visit: Visit) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    assert in_front(page) is page.content
    assert page.basis.text() == "40 judgements of 20 items by ann, bob"
    cards = page.boards["agreement"].cards
    assert [card.figure.name for card in cards][:2] == ["agreement.fleiss_kappa", "agreement.alpha_nominal"]
    for card in cards:
        words = " ".join(label.text() for label in card.findChildren(QLabel))
        assert card.figure.told(card.figure.value) in words
        assert card.figure.sentence[1:] in words
        assert card.figure.sentence in card.accessibleName()
    assert {plot.plot.name for plot in page.boards["agreement"].plots} >= {
        "pairs",
        "confusion",
        "accuracy",
        "consistency",
    }


def test_that_every_tab_is_reached_by_keys_and_drawn_when_it_is_looked_at(
    judged: Workbench, visit: Visit, press: Press
) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    assert page.boards["habits"].plots == []
    press(("2", Qt.KeyboardModifier.AltModifier))
    assert page.tabs.currentIndex() == 1
    assert [plot.plot.name for plot in page.boards["habits"].plots] == ["left", "length", "sitting", "days"]
    press(("3", Qt.KeyboardModifier.AltModifier))
    assert [plot.plot.name for plot in page.boards["models"].plots] == ["ratings", "wins"]
    press(("4", Qt.KeyboardModifier.AltModifier))
    assert page.tabs.currentWidget() is page.again
    assert not page.tabs.isTabVisible(4)  # no model chose any item


def test_that_control_nine_the_palette_and_the_data_page_lead_here(
    judged: Workbench, visit: Visit, window: Window, press: Press, qtbot: QtBot
) -> None:
    visit("data", dataset="pairs")
    button = window.findChild(QPushButton, "data.statistics")
    assert button is not None and button.isVisible()
    button.click()
    settle(qtbot, window)
    page = page_of(window.deck.currentWidget())
    assert page.dataset == "pairs"
    visit("home")
    press(("9", Qt.KeyboardModifier.ControlModifier))
    assert window.deck.currentWidget() is page
    visit("home")
    press(("k", Qt.KeyboardModifier.ControlModifier))
    for letter in "statistics":
        QTest.keyClick(QApplication.focusWidget(), letter)
    press(Qt.Key.Key_Return)
    assert window.deck.currentWidget() is page
    assert window.rail._buttons["annotate"].isChecked()


def test_that_new_labels_show_when_the_page_is_shown_again(judged: Workbench, visit: Visit) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    first = page.report
    visit("home")
    page_of(visit("statistics"))
    assert page.report is first
    judged.labelling.add_item("pairs", item(50))
    said = Judgement(
        id="new", item="item-050", annotator="ann", outcome="ranked", ranking=Ranking(tiers=A), shown=(0, 1), shown_seed=1,
        milliseconds=900, created=START,
    )  # fmt: skip
    judged.labelling.add_judgement("pairs", said)
    visit("home")
    page_of(visit("statistics"))
    assert page.basis.text() == "41 judgements of 21 items by ann, bob"


def test_that_disputed_items_are_listed_and_told(judged: Workbench, visit: Visit, press: Press) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    assert page.tabs.tabText(3) == "Look again (2)"
    page.tabs.setCurrentIndex(3)
    rows = [page.again.list.item(n) for n in range(page.again.list.count())]
    assert [row.data(Qt.ItemDataRole.UserRole) for row in rows] == ["item-004", "item-010"]
    assert "ann: 1 ≻ 2; bob: 2 ≻ 1" in rows[0].text()
    assert "Tell story number" in rows[0].data(Qt.ItemDataRole.AccessibleTextRole)


def test_that_no_model_is_named_where_items_wait_to_be_judged_again(judged: Workbench, visit: Visit) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    page.tabs.setCurrentIndex(3)
    told = [page.again.list.item(n).text() for n in range(page.again.list.count())]
    assert told and "secret-model" not in " ".join(told)


def test_that_nothing_to_look_at_again_is_said(bench: Workbench, fill: Callable[..., None], visit: Visit) -> None:
    fill(1)
    said = Judgement(
        id="one", item="item-000", annotator="ann", outcome="ranked", ranking=Ranking(tiers=A), shown=(0, 1), shown_seed=1,
        milliseconds=900, created=START,
    )  # fmt: skip
    bench.labelling.add_judgement("pairs", said)
    page = page_of(visit("statistics", dataset="pairs"))
    assert page.boards["agreement"].nothing.isVisible()
    page.tabs.setCurrentIndex(3)
    assert page.again.head.text() == NOTHING and not page.again.list.isVisible()


def test_that_the_confusion_of_another_pair_is_chosen(judged: Workbench, visit: Visit) -> None:
    for n in range(5):
        said = Judgement(
            id=f"c{n}", item=f"item-{n:03}", annotator="cid", outcome="ranked", ranking=Ranking(tiers=A), shown=(0, 1),
            shown_seed=1, milliseconds=900, created=START,
        )  # fmt: skip
        judged.labelling.add_judgement("pairs", said)
    page = page_of(visit("statistics", dataset="pairs"))
    assert page.pairs.isVisible() and page.pairs.count() == 3
    page.pairs.setCurrentIndex(2)
    page.pairs.activated.emit(2)
    (shown,) = [plot for plot in page.boards["agreement"].plots if plot.plot.name == "confusion"]
    assert shown.plot.reading.startswith("Rows: bob. Columns: cid.")


def test_that_figures_are_saved_as_a_table(
    judged: Workbench, visit: Visit, window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    page.table.click()
    dialog = window.findChild(QFileDialog, "statistics.save_dialog")
    assert dialog is not None and not (tmp_path / "out.csv").exists()
    dialog.fileSelected.emit(str(tmp_path / "out.csv"))
    dialog.reject()
    settle(qtbot, window)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert "agreement.fleiss_kappa" in names
    assert "figures written to out.csv" in window.notices.history[-1].what


def test_that_a_plot_is_saved_as_a_picture_whole_or_not_at_all(
    judged: Workbench, visit: Visit, window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    card = page.boards["agreement"].plots[0]
    page.saving.write_picture(tmp_path / "plot.png", card.png())
    settle(qtbot, window)
    image = QImage(str(tmp_path / "plot.png"))
    assert image.width() == 2 * card.width()
    page.saving.write_picture(tmp_path / "nowhere" / "plot.png", card.png())
    settle(qtbot, window)
    assert "can't be written" in window.notices.history[-1].what


def test_that_a_failure_is_told_and_tried_again(
    judged: Workbench, visit: Visit, window: Window, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise StorageFailed("The disk can't be read.", "Look at its cables.")

    with monkeypatch.context() as patch:
        patch.setattr(judged.statistics, "report", fails)
        page = page_of(visit("statistics", dataset="pairs"))
        error = in_front(page)
        assert error is not None and error.accessibleName() == "Error: The disk can't be read."
    again = page.findChild(QPushButton, "statistics.error.retry")
    assert again is not None
    again.click()
    settle(qtbot, window)
    assert in_front(page) is page.content


def test_that_a_long_reckoning_tells_how_far_it_is_and_can_be_left(
    judged: Workbench, window: Window, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOOKED_AT", 1)
    window.go("statistics", dataset="pairs")
    page = page_of(window.deck.page("statistics"))  # type: ignore[arg-type]
    assert in_front(page) is page._busy
    page._busy.cancel_button.click()
    settle(qtbot, window)
    assert window.deck.currentWidget() is window.deck.page("annotate")
    assert page.report is None


def test_that_cards_and_plots_stand_in_fewer_columns_in_a_small_window(
    judged: Workbench, visit: Visit, window: Window, qtbot: QtBot
) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    board = page.boards["agreement"]
    window.resize(900, 640)
    qtbot.waitUntil(lambda: board.plots[0].x() == board.plots[1].x())
    assert board.widget().width() <= board.viewport().width()
    window.resize(1280, 800)
    qtbot.waitUntil(lambda: board.plots[0].y() == board.plots[1].y())


def test_that_another_theme_is_worn_at_once(judged: Workbench, visit: Visit, theme: Theme) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    card = page.boards["agreement"].plots[0]
    before = card.paper.grab().toImage().pixelColor(2, 2)
    theme.apply("dark")
    after = card.paper.grab().toImage().pixelColor(2, 2)
    theme.apply("light")
    assert before.lightness() > 200 > 60 > after.lightness()


def test_that_everything_here_has_names_and_is_reached_with_tab(judged: Workbench, visit: Visit) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    for place in range(4):
        page.tabs.setCurrentIndex(place)
    for widget in acted_on(page):
        assert widget.objectName() and spoken(widget).strip(), widget
        if widget.isVisible() and widget.isEnabled():
            assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus, widget.objectName()
    names = [w.objectName() for w in acted_on(page)]
    assert sorted(names) == sorted(set(names))
    assert all(card.accessibleName() for card in page.findChildren(FigureCard))


def test_that_choosing_a_disputed_item_opens_it_in_annotate(
    judged: Workbench, visit: Visit, window: Window, qtbot: QtBot, press: Press
) -> None:
    page = page_of(visit("statistics", dataset="pairs"))
    page.tabs.setCurrentIndex(3)
    page.again.list.setFocus()
    press(Qt.Key.Key_Down, Qt.Key.Key_Return)
    settle(qtbot, window)
    desk = window.deck.page("annotate")
    assert isinstance(desk, AnnotatePage) and window.deck.currentWidget() is desk
    qtbot.waitUntil(lambda: desk.presentation is not None and desk.presentation.item.id == "item-010", timeout=30_000)
    assert desk.dataset == "pairs"
    assert desk.presentation is not None and desk.presentation.previous is None  # nobody here has judged it
    qtbot.waitUntil(lambda: desk.ready, timeout=30_000)
    press("1")
    assert [j.item for j in judged.labelling.judgements("pairs") if j.annotator == judged.settings.get().annotator] == [
        "item-010"
    ]


def test_that_annotate_has_a_button_that_leads_here(
    judged: Workbench, visit: Visit, window: Window, qtbot: QtBot
) -> None:
    visit("annotate", dataset="pairs")
    button = window.findChild(QPushButton, "annotate.statistics")
    assert button is not None and button.isVisible() and button.accessibleName() == "Statistics of these labels"
    button.click()
    settle(qtbot, window)
    assert page_of(window.deck.currentWidget()).dataset == "pairs"


@pytest.mark.parametrize(
    ("most", "cards", "columns"), [(4, 5, 3), (3, 5, 3), (4, 4, 4), (3, 4, 3), (4, 1, 3), (2, 5, 2), (0, 3, 1), (6, 5, 5), (4, 0, 3)]
)  # fmt: skip
def test_that_cards_stand_in_rows_that_are_as_full_as_can_be(most: int, cards: int, columns: int) -> None:
    assert _columns(most, cards) == columns
