"""Home: what it shows of a workspace, and what it suggests."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.rows import DatasetKind
from workbench.domain.runs import ModelKind, ModelRef
from workbench.gui.pages.home import HomePage
from workbench.gui.pages.next_steps import MOST, next_steps
from workbench.gui.pages.tour_card import TourCard
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.tour import TourStep
from workbench.services.views import DatasetView, HomeView
from workbench.services.workbench import Workbench

NOW = datetime.now(UTC)


def data(name: str, kind: DatasetKind, rows: int = 100, judged: int = 0) -> DatasetView:
    return DatasetView(name, kind, rows, judged, NOW)


def model(name: str, kind: ModelKind) -> ModelRef:
    return ModelRef(name=name, path="/x", kind=kind, created=NOW)


def home(datasets: tuple[DatasetView, ...] = (), models: tuple[ModelRef, ...] = ()) -> HomeView:
    return HomeView(0, 0, datasets, (), models)


def pages(view: HomeView) -> list[tuple[str, object]]:
    return [(step.page, step.arguments.get("kind") or step.arguments.get("dataset")) for step in next_steps(view)]


def test_that_an_empty_workspace_is_told_to_import_and_to_add_a_model() -> None:
    assert [step.page for step in next_steps(home())] == ["data", "models"]


def test_that_unjudged_items_come_before_training() -> None:
    view = home((data("pairs", "preferences", 400, 3), data("demos", "demonstrations")), (model("base", "base"),))
    assert pages(view)[:2] == [("annotate", "pairs"), ("train", "sft")]


def test_that_training_is_suggested_in_the_order_of_the_loop() -> None:
    judged = data("pairs", "preferences", 400, 400)
    base, sft, reward = model("base", "base"), model("sft", "sft"), model("judge", "reward")
    assert ("train", "reward") in pages(home((judged,), (base, sft)))
    assert ("train", "ppo") in pages(home((judged,), (base, sft, reward)))
    assert ("train", "dpo") in pages(home((judged,), (base, sft, reward)))


def test_that_several_models_are_worth_comparing() -> None:
    done = tuple(model(k, k) for k in ("base", "sft", "reward", "ppo", "dpo"))  # type: ignore[arg-type]
    assert [step.page for step in next_steps(home((data("p", "preferences", 10, 10),), done))] == ["playground"]


def test_that_there_are_never_too_many_suggestions() -> None:
    datasets = (data("pairs", "preferences", 400, 3), data("demos", "demonstrations"))
    assert len(next_steps(home(datasets, (model("base", "base"), model("b", "base"))))) <= MOST


@pytest.fixture
def page(visit: Callable[..., QWidget]) -> HomePage:
    found = visit("home")
    assert isinstance(found, HomePage)
    return found


def words(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]


def test_that_home_counts_labels_and_lists_datasets(
    bench: Workbench, fill: Callable[..., None], visit: Callable[..., QWidget], qtbot: QtBot
) -> None:
    fill(4)
    presentation, _ = bench.labelling.start("pairs")
    assert presentation is not None
    bench.labelling.record("pairs", presentation, outcome="all_bad", milliseconds=900)
    page = visit("home")
    qtbot.waitUntil(lambda: "25 %" in words(page))
    seen = words(page)
    assert "1 of 4 judged" in seen
    assert seen[seen.index("labels today, by people") - 1] == "1"


def test_that_an_empty_home_says_what_to_do(page: HomePage, qtbot: QtBot, window: Window) -> None:
    assert "Import data" in words(page)
    start = page.findChild(QPushButton, "home.next.1")
    assert start is not None
    qtbot.mouseClick(start, Qt.MouseButton.LeftButton)
    assert window.top.title.text() == "Data"
    wizard = window.deck.page("data")
    assert wizard is not None
    wizard.wizard.reject()  # type: ignore[attr-defined]


def test_that_a_dataset_made_elsewhere_appears_by_itself(page: HomePage, bench: Workbench, qtbot: QtBot) -> None:
    bench.datasets.create("fresh", "prompts")
    qtbot.waitUntil(lambda: page.findChild(QPushButton, "home.dataset.fresh") is not None)


def test_that_home_stops_looking_when_it_is_left(page: HomePage, window: Window) -> None:
    assert page._timer.isActive()
    window.go("settings")
    assert not page._timer.isActive()


def test_that_the_tour_lists_its_steps_with_their_state(page: HomePage) -> None:
    card = page.findChild(TourCard)
    assert card is not None
    assert card.isVisibleTo(page)
    assert [step.id for step in card.steps][:2] == ["import", "rank"]


def test_that_only_steps_that_are_ready_have_a_button(qtbot: QtBot, theme: Theme) -> None:
    run: list[str] = []
    card = TourCard(theme, run.append, run.append)
    qtbot.addWidget(card)
    card.show_steps(
        [
            TourStep("import", "Import", "the kit", "data", "done"),
            TourStep("sft", "SFT", "imitate", "train", "ready"),
            TourStep("ppo", "PPO", "improve", "runs", "waiting"),
        ]
    )
    do = card.findChild(QPushButton, "home.tour.sft.run")
    assert do is not None
    assert card.findChild(QPushButton, "home.tour.ppo.run") is None
    qtbot.mouseClick(do, Qt.MouseButton.LeftButton)
    assert run == ["sft"]
    card.working("sft")
    card.say("step 3 of 60")
    assert "step 3 of 60" in words(card)
    card.working("")
    assert "step 3 of 60" not in words(card)
