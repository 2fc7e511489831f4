"""A reward model trained for real from the desk: L tells how held-out accuracy moved, M asks about its confident mistakes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.conftest import settle
from workbench.domain.judgement import Ranking
from workbench.domain.runs import JobState
from workbench.domain.specs.reward import RewardSpec
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.usefixtures("all_warm")

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
PATIENCE = 120_000
ITEMS = 24
SLIPS = {"item-003", "item-010"}  # labelled the wrong way round to the end


def judge(bench: Workbench, better: Callable[[int], int]) -> None:
    """Say of every item which candidate is better, in place of what was said before."""
    for number in range(ITEMS):
        shown = bench.labelling.bring("pairs", f"item-{number:03}")
        first = better(number)
        ranking = Ranking(tiers=((first,), (1 - first,)))
        bench.labelling.record("pairs", shown, outcome="ranked", ranking=ranking, milliseconds=900)


@pytest.mark.slow
def test_that_l_moves_held_out_accuracy_and_m_asks_about_confident_mistakes(
    fill: Fill, visit: Visit, press: Press, window: Window, bench: Workbench, qtbot: QtBot, shared: Path
) -> None:
    bench.models.add_folder(shared / "models" / "stories260K", "stories")
    fill(ITEMS)
    judge(bench, lambda number: number % 2)  # nothing that could be learned
    spec = RewardSpec(
        base="stories", data="pairs", device="cpu", max_steps=20, batch_size=8, learning_rate=3e-3, holdout=0.25,
        eval_every=20, max_length=64, seed=1,
    )  # fmt: skip
    first = bench.runs.wait(bench.training.start(spec).id, 120)
    assert first.state is JobState.DONE
    judge(bench, lambda number: 0 if f"item-{number:03}" in SLIPS else 1)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    press("l")
    assert "trains on your labels" in window.notices.history[-1].what

    def told() -> str:
        return next((n.what for n in window.notices.history if "is trained: held-out accuracy" in n.what), "")

    qtbot.waitUntil(lambda: bool(told()), timeout=PATIENCE)
    found = bench.aftercare.accuracy("pairs")
    assert found.now is not None
    assert found.before is not None
    assert found.now > found.before
    assert f"{found.before:.1%} → {found.now:.1%}" in told()
    press("m")
    qtbot.waitUntil(lambda: "mistakes of" in page.queue and page.presentation is not None, timeout=PATIENCE)
    settle(qtbot, window)
    asked = []
    while page.presentation is not None:
        asked.append(page.presentation.item.id)
        assert any(card.earlier.text().startswith("before: ") for card in page.desk.board.cards)
        press("1")
    assert set(asked) >= SLIPS
    assert len(asked) <= ITEMS // 3
