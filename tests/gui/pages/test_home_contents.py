"""Home: numbers, cards, the ways out of it, its errors and both themes, over a real workspace."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QFrame, QLabel, QPushButton, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.errors import Conflict
from workbench.domain.judgement import ranking_from_scores
from workbench.gui.pages.home import MOST_DATASETS, REFRESH_MS, HomePage
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]


@pytest.fixture
def calm(window: Window, qtbot: QtBot) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)
        QTest.qWait(0)  # what was added to a layout is shown by the next turn of the event loop

    return wait


@pytest.fixture
def home(visit: Visit) -> HomePage:
    found = visit("home")
    assert isinstance(found, HomePage)
    QTest.qWait(0)
    return found


@pytest.fixture
def dark(theme: Theme) -> Iterator[Theme]:
    theme.apply("dark")
    yield theme
    theme.apply("light")


def words(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]


def numbers(page: HomePage) -> dict[str, str]:
    """The big numbers by the words below them."""
    cards = [card for card in page.findChildren(QFrame) if card.property("role") == "card" and not card.objectName()]
    pairs = [words(card) for card in cards if card.isVisibleTo(page)]
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2 and pair[0][0] in "0123456789–"}


def judge(bench: Workbench, annotator: str, best: int, count: int = 1, dataset: str = "pairs") -> None:
    bench.settings.change(annotator=annotator)
    for _ in range(count):
        presentation, _progress = bench.labelling.start(dataset)
        assert presentation is not None
        scores = [float(place == best) for place in range(len(presentation.item.candidates))]
        bench.labelling.record(
            dataset, presentation, outcome="ranked", ranking=ranking_from_scores(scores), milliseconds=800
        )
    bench.settings.change(annotator="me")


def add_models(bench: Workbench, shared: Path, *family: tuple[str, str, tuple[str, ...]]) -> None:
    for name, kind, parents in family:
        bench.models.add_folder(shared / "models" / "stories260K", name, kind=kind, parents=parents)  # type: ignore[arg-type]


def test_that_an_empty_workspace_shows_zeros_and_dashes(home: HomePage) -> None:
    assert numbers(home) == {
        "labels today, by people": "0",
        "labels by people": "0",
        "of items judged": "–",
        "agreement": "–",
        "runs under way": "0",
    }


def test_that_agreement_is_shown_when_items_were_judged_by_two(
    bench: Workbench, fill: Fill, home: HomePage, calm: Callable[[], None]
) -> None:
    fill(8)
    judge(bench, "ada", 0, 4)
    home.refresh()
    calm()
    assert numbers(home)["agreement"] == "–"
    judge(bench, "bob", 0, 3)
    judge(bench, "bob", 1, 1)
    home.refresh()
    calm()
    assert numbers(home)["agreement"] == "75 %"
    assert numbers(home)["labels by people"] == "8"


def test_that_every_number_is_read_aloud_with_its_words(home: HomePage) -> None:
    names = [card.accessibleName() for card in home.findChildren(QFrame) if card.isVisibleTo(home)]
    assert "– agreement" in names
    assert "0 runs under way" in names


def test_that_the_share_judged_is_rounded_down_so_that_100_means_all(
    bench: Workbench, fill: Fill, home: HomePage, calm: Callable[[], None]
) -> None:
    fill(3)
    judge(bench, "me", 0, 2)
    home.refresh()
    calm()
    assert numbers(home)["of items judged"] == "66 %"


def test_that_judged_items_of_all_datasets_count_but_rows_of_other_kinds_do_not(
    bench: Workbench, fill: Fill, home: HomePage, calm: Callable[[], None]
) -> None:
    fill(3, name="one")
    fill(1, name="two")
    bench.datasets.create("prompts", "prompts")
    judge(bench, "me", 0, 1, dataset="two")
    home.refresh()
    calm()
    assert numbers(home)["of items judged"] == "25 %"
    assert "1 of 1 judged" in words(home)
    assert "0 rows" in words(home)


def test_that_only_the_first_datasets_are_listed_and_each_leads_to_its_rows(
    bench: Workbench, home: HomePage, calm: Callable[[], None], qtbot: QtBot, window: Window
) -> None:
    for place in range(MOST_DATASETS + 2):
        bench.datasets.create(f"set {place}", "prompts")
    home.refresh()
    calm()
    names = [b.objectName() for b in home.findChildren(QPushButton) if b.objectName().startswith("home.dataset.")]
    assert len(names) == MOST_DATASETS
    wanted = home.findChild(QPushButton, "home.dataset.set 3")
    assert wanted is not None
    qtbot.mouseClick(wanted, Qt.MouseButton.LeftButton)
    calm()
    page: Any = window.deck.page("data")
    assert window.top.title.text() == "Data"
    assert page.list.key() == "set 3"


def test_that_synthetic_data_says_so(bench: Workbench, home: HomePage, calm: Callable[[], None]) -> None:
    bench.datasets.create("made", "prompts", synthetic=True)
    home.refresh()
    calm()
    assert "synthetic" in words(home)


def test_that_names_in_any_script_and_with_markup_are_shown_to_the_letter(
    bench: Workbench, home: HomePage, calm: Callable[[], None]
) -> None:
    names = ["قصص قصيرة", "物語🙂", "<b>bold</b>", "x" * 120]
    for name in names:
        bench.datasets.create(name, "prompts")
    home.refresh()
    calm()
    assert {n for n in names if home.findChild(QPushButton, f"home.dataset.{n}")} == set(names)
    inside = home.findChild(QScrollArea, "home.scroll")
    assert inside is not None
    body = inside.widget()
    assert body.width() <= inside.viewport().width()


def test_that_ampersands_in_names_are_no_shortcuts(bench: Workbench, home: HomePage, calm: Callable[[], None]) -> None:
    bench.datasets.create("Q&A", "prompts")
    home.refresh()
    calm()
    link = home.findChild(QPushButton, "home.dataset.Q&A")
    assert link is not None
    assert link.shortcut().isEmpty()
    assert link.accessibleName() == "Q&A"


def test_that_the_family_of_models_is_drawn_and_leads_to_the_models_page(
    bench: Workbench, shared: Path, home: HomePage, calm: Callable[[], None], qtbot: QtBot, window: Window
) -> None:
    assert "No model yet. Add a folder with a base model to begin." in words(home)
    add_models(bench, shared, ("base", "base", ()), ("tuned", "sft", ("base",)))
    home.refresh()
    calm()
    assert "No model yet. Add a folder with a base model to begin." not in words(home)
    tree = home._tree
    spot = tree.box("tuned").center().toPoint()
    qtbot.mouseDClick(tree, Qt.MouseButton.LeftButton, pos=spot)
    calm()
    page: Any = window.deck.page("models")
    assert window.top.title.text() == "Models"
    assert page.list.key() == "tuned"


@pytest.mark.parametrize(
    ("name", "title"), [("home.all_runs", "Runs"), ("home.all_models", "Models"), ("home.import", "Data")]
)
def test_that_each_cards_link_leads_to_its_page(
    home: HomePage, window: Window, qtbot: QtBot, calm: Callable[[], None], name: str, title: str
) -> None:
    link = home.findChild(QPushButton, name)
    assert link is not None
    qtbot.mouseClick(link, Qt.MouseButton.LeftButton)
    calm()
    assert window.top.title.text() == title
    if name == "home.import":
        page: Any = window.deck.page("data")
        assert page.wizard is not None
        page.wizard.reject()


def test_that_the_page_offers_its_actions_to_the_palette(home: HomePage, window: Window) -> None:
    actions = {action.id: action for action in home.actions()}
    assert list(actions) == ["home.import", "home.annotate", "home.train"]
    actions["home.train"].run()
    assert window.top.title.text() == "Train"


def test_that_a_failure_is_told_once_and_trying_again_starts_anew(
    bench: Workbench, home: HomePage, calm: Callable[[], None], window: Window
) -> None:
    before = len(window.notices.history)
    services, home._services = home._services, Unreadable(bench)
    home.refresh()
    calm()
    assert not home._timer.isActive()
    told = window.notices.history[before:]
    assert [(n.what, n.hint) for n in told] == [("The disk is gone.", "Put it back.")]
    home._services = services
    home.shown()
    calm()
    assert home._timer.isActive()
    assert numbers(home)["labels by people"] == "0"


class Unreadable:
    """The services over a workspace whose disk has gone."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def __getattr__(self, name: str) -> Any:
        raise Conflict("The disk is gone.", "Put it back.")


def test_that_one_question_is_asked_at_a_time(home: HomePage, window: Window) -> None:
    for _ in range(20):
        home.refresh()
    assert window.bridge.busy == 1
    assert REFRESH_MS >= 1000


def test_that_an_unchanged_workspace_is_not_drawn_again(home: HomePage, calm: Callable[[], None]) -> None:
    first = home.findChild(QPushButton, "home.next.1")
    home.refresh()
    calm()
    assert home.findChild(QPushButton, "home.next.1") is first


def test_that_a_new_theme_draws_everything_anew(
    bench: Workbench, fill: Fill, home: HomePage, calm: Callable[[], None], theme: Theme, dark: Theme
) -> None:
    fill(2)
    home.refresh()
    calm()
    picture = home.grab().toImage()
    assert dark.dark
    assert picture.pixelColor(4, 4).lightness() < 80
    theme.apply("light")
    calm()
    assert home.grab().toImage().pixelColor(4, 4).lightness() > 200


@pytest.mark.parametrize("size", [(1024, 640), (1280, 800)])
def test_that_no_word_is_cut_at_either_size(
    bench: Workbench, fill: Fill, shared: Path, home: HomePage, calm: Callable[[], None], window: Window,
    qtbot: QtBot, size: tuple[int, int],
) -> None:  # fmt: skip
    fill(4)
    add_models(bench, shared, ("base", "base", ()))
    window.resize(*size)
    home.refresh()
    calm()
    qtbot.waitUntil(lambda: window.width() == size[0])
    QTest.qWait(0)
    area = home.findChild(QScrollArea, "home.scroll")
    assert area is not None
    assert area.widget().width() <= area.viewport().width()
    for label in home.findChildren(QLabel):
        if label.isVisibleTo(home) and label.text() and not label.wordWrap():
            assert label.width() >= label.fontMetrics().horizontalAdvance(label.text()), label.text()
    for button in home.findChildren(QPushButton):
        if button.isVisibleTo(home) and button.isEnabled():
            assert button.width() >= button.fontMetrics().horizontalAdvance(button.text()), button.text()


def test_that_everything_to_press_can_be_reached_and_named(
    bench: Workbench, fill: Fill, home: HomePage, calm: Callable[[], None], qtbot: QtBot
) -> None:
    fill(1)
    home.refresh()
    calm()
    pressable = [b for b in home.findChildren(QAbstractButton) if b.isVisibleTo(home)]
    assert pressable
    for each in pressable:
        assert re.match(r"home\.", each.objectName()), each.text()
        assert each.accessibleName() or each.text()
        assert each.focusPolicy() & Qt.FocusPolicy.TabFocus
    first = home.findChild(QPushButton, "home.next.1")
    assert first is not None
    first.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is first)


def test_that_the_keyboard_alone_takes_the_first_suggestion(
    bench: Workbench, fill: Fill, home: HomePage, calm: Callable[[], None], qtbot: QtBot, window: Window
) -> None:
    fill(3)
    home.refresh()
    calm()
    titles = [b for b in home.findChildren(QPushButton) if b.accessibleName() == "Rank responses in pairs"]
    titles[0].setFocus()
    qtbot.keyClick(titles[0], Qt.Key.Key_Space)
    calm()
    page: Any = window.deck.page("annotate")
    assert window.top.title.text() == "Annotate"
    assert page.presentation is not None
