"""The tour done from its card on Home, click by click, with real training made short by a shorter plan."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.runs import JobState
from workbench.domain.specs.kinds import Spec
from workbench.gui.pages.home import HomePage
from workbench.gui.window import Window
from workbench.services.starter import TO_RANK
from workbench.services.tour import RANK_AT_LEAST, Tour
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.usefixtures("all_warm")

SHORT = {
    "max_steps": 2, "batch_size": 4, "max_length": 64, "eval_every": 2, "sample_every": 2, "sample_count": 1,
    "holdout": 0.02, "device": "cpu",
}  # fmt: skip


class ShortTour(Tour):
    """The tour with its own specs, cut to two steps each; everything else is the real thing."""

    def spec(self, step: str) -> Spec:
        """The tour's spec of a step, with small numbers."""
        whole = super().spec(step)
        small: dict[str, Any] = {k: v for k, v in SHORT.items() if k in type(whole).model_fields}
        if whole.kind == "ppo":
            small |= {"max_new_tokens": 8, "minibatches": 1, "ppo_epochs": 1}
        return type(whole).model_validate(whole.model_dump() | small)


@pytest.fixture
def calm(window: Window, qtbot: QtBot) -> Callable[[], None]:
    def wait() -> None:
        qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=200_000)
        QTest.qWait(0)

    return wait


@pytest.fixture
def home(visit: Callable[..., QWidget], bench: Workbench, calm: Callable[[], None]) -> HomePage:
    found = visit("home")
    assert isinstance(found, HomePage)
    found._guide = ShortTour(bench)
    calm()
    return found


def states(home: HomePage) -> dict[str, str]:
    return {step.id: step.state for step in home._tour.steps}


def run_button(home: HomePage, step: str) -> QPushButton | None:
    """The step's button; those that were drawn before are hidden until they are deleted."""
    found = home.findChildren(QPushButton, f"home.tour.{step}.run")
    return next((button for button in found if button.isVisibleTo(home)), None)


def do(home: HomePage, step: str, qtbot: QtBot) -> None:
    button = run_button(home, step)
    assert button is not None, step
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def do_all_of(home: HomePage, step: str, qtbot: QtBot, calm: Callable[[], None]) -> None:
    do(home, step, qtbot)
    qtbot.waitUntil(lambda: not home._tour._running, timeout=200_000)
    home.refresh()
    calm()


def said(home: HomePage) -> list[str]:
    return [label.text() for label in home._tour.findChildren(QLabel) if label.isVisibleTo(home)]


def test_that_a_new_workspace_can_only_begin_with_the_kit(home: HomePage) -> None:
    assert states(home)["import"] == "ready"
    others = {state for step, state in states(home).items() if step != "import"}
    assert others == {"waiting"}
    assert run_button(home, "sft") is None


def test_that_importing_the_kit_opens_the_next_steps(
    home: HomePage, qtbot: QtBot, calm: Callable[[], None], bench: Workbench, window: Window
) -> None:
    do_all_of(home, "import", qtbot, calm)
    assert {step for step, state in states(home).items() if state == "ready"} == {"rank", "sft"}
    assert states(home)["import"] == "done"
    assert TO_RANK in {d.name for d in bench.datasets.list()}
    assert window.notices.history[-1].what.endswith(": done")
    show = home.findChild(QPushButton, "home.tour.import.show")
    assert show is not None
    qtbot.mouseClick(show, Qt.MouseButton.LeftButton)
    calm()
    assert window.top.title.text() == "Data"


def test_that_a_person_ranks_by_keyboard_and_the_step_is_done(
    home: HomePage, qtbot: QtBot, calm: Callable[[], None], bench: Workbench, window: Window
) -> None:
    do_all_of(home, "import", qtbot, calm)
    do(home, "rank", qtbot)
    calm()
    assert window.top.title.text() == "Annotate"
    page: Any = window.deck.page("annotate")
    for place in range(RANK_AT_LEAST):
        # A key acts only on an item that has been painted; on a busy machine that takes a moment.
        qtbot.waitUntil(lambda: page.presentation is not None and page.ready, timeout=60_000)
        item = page.presentation.item.id
        qtbot.keyClick(page, Qt.Key.Key_1 if place % 2 else Qt.Key.Key_2)
        qtbot.waitUntil(
            lambda item=item: page.presentation is not None and page.presentation.item.id != item, timeout=60_000
        )
    window.go("home")
    calm()
    assert states(home)["rank"] == "done"
    judgements = bench.labelling.judgements(TO_RANK)
    assert len(judgements) == RANK_AT_LEAST
    assert {j.annotator_kind for j in judgements} == {"person"}
    assert bench.labelling.counts() == (RANK_AT_LEAST, RANK_AT_LEAST)


@pytest.mark.slow
def test_that_the_whole_tour_is_done_by_clicks(
    home: HomePage, qtbot: QtBot, calm: Callable[[], None], bench: Workbench, window: Window
) -> None:
    do_all_of(home, "import", qtbot, calm)
    do(home, "sft", qtbot)
    assert home._tour._bar.isVisibleTo(home)
    QTest.qWait(0)
    rank = run_button(home, "rank")
    assert rank is not None
    assert not rank.isEnabled()
    qtbot.waitUntil(lambda: any("tour-sft" in words for words in said(home)), timeout=100_000)
    qtbot.waitUntil(lambda: not home._tour._running, timeout=200_000)
    assert not home._tour._bar.isVisibleTo(home)
    home.refresh()
    calm()
    assert {s for s, state in states(home).items() if state == "ready"} == {"rank", "reward", "dpo"}
    for step in ("reward", "ppo", "dpo"):
        do_all_of(home, step, qtbot, calm)
        assert states(home)[step] == "done"
    runs = {view.model: view for view in bench.runs.list()}
    assert set(runs) == {"tour-sft", "tour-reward", "tour-ppo", "tour-dpo"}
    assert {view.state for view in runs.values()} == {JobState.DONE}
    assert bench.models.get("tour-ppo").parents == ("tour-sft", "tour-reward")
    assert states(home)["compare"] == "ready"


def test_that_a_step_that_fails_says_why_and_can_be_tried_again(
    home: HomePage, qtbot: QtBot, calm: Callable[[], None], bench: Workbench, window: Window
) -> None:
    do_all_of(home, "import", qtbot, calm)
    weights = Path(bench.models.get("starter-base").path) / "model.safetensors"
    whole = weights.read_bytes()
    weights.unlink()
    do_all_of(home, "sft", qtbot, calm)
    told = window.notices.history[-1]
    assert told.kind == "bad"
    assert told.what
    assert states(home)["sft"] == "ready"
    again = run_button(home, "sft")
    assert again is not None
    assert again.isEnabled()
    weights.write_bytes(whole)


def test_that_the_tour_goes_on_where_it_stopped(
    home: HomePage, qtbot: QtBot, calm: Callable[[], None], window: Window
) -> None:
    do_all_of(home, "import", qtbot, calm)
    window.deck.drop_all()
    window.go("home")
    calm()
    again = window.deck.page("home")
    assert isinstance(again, HomePage)
    assert again is not home
    assert states(again)["import"] == "done"
    assert run_button(again, "rank") is not None
