"""The views of the lab over columns of a real decoder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.conftest import run
from workbench.domain.decoding import Beam, ContrastiveSearch, Greedy, Sample, Speculative
from workbench.domain.runs import ModelRef
from workbench.gui.pages.playground.aligned import AlignedView
from workbench.gui.pages.playground.beam_view import BeamView
from workbench.gui.pages.playground.contrast import ContrastView
from workbench.gui.pages.playground.distribution import DistributionView
from workbench.gui.pages.playground.family import chosen_of
from workbench.gui.pages.playground.rounds import RoundsView
from workbench.services.column_numbers import Measures
from workbench.services.views import Column
from workbench.services.workbench import Workbench


def test_that_each_strategy_opens_its_view_and_escape_leads_back(page: Any, qtbot: QtBot) -> None:
    settings = (
        Beam(max_new_tokens=6, num_beams=3),
        Speculative(max_new_tokens=12),
        ContrastiveSearch(max_new_tokens=6),
        Greedy(max_new_tokens=4),
    )
    page.row.set_columns([Column("stories", s) for s in settings])
    looks = [card.head.look for card in page.row.cards]
    assert [look.isHidden() for look in looks] == [False, False, False, True]
    looks[0].click()
    assert page.lab.pane.content is None, "nothing was said yet"
    run(qtbot, page)
    looks[0].click()
    view = page.lab.pane.content
    assert isinstance(view, BeamView) and view.isVisible() and not page.row.isVisible()
    assert "A · Beam tree" in page.lab.pane.title.text() and view.ranking
    qtbot.keyClick(page, Qt.Key.Key_Escape)
    assert page.lab.pane.content is None and page.row.isVisible()
    looks[1].click()
    rounds = page.lab.pane.content
    assert isinstance(rounds, RoundsView) and rounds.rounds
    page.lab.close()
    looks[2].click()
    weighed = page.lab.pane.content
    assert isinstance(weighed, ContrastView)
    qtbot.waitUntil(lambda: len(weighed.tokens) == 6)


def test_that_a_view_goes_along_with_the_next_round(page: Any, qtbot: QtBot) -> None:
    page.row.set_columns(
        [Column("stories", Beam(max_new_tokens=5, num_beams=2)), Column("stories", Greedy(max_new_tokens=5))]
    )
    run(qtbot, page)
    page.row.cards[0].head.look.click()
    first = page.lab.pane.content
    run(qtbot, page)
    again = page.lab.pane.content
    assert isinstance(again, BeamView) and again is not first and again.isVisible()
    assert again.ranking, "news went on into the view"


def test_that_the_test_of_losslessness_is_run_from_the_rounds(page: Any, qtbot: QtBot) -> None:
    page.row.set_columns(
        [Column("stories", Speculative(max_new_tokens=6)), Column("stories", Greedy(max_new_tokens=4))]
    )
    run(qtbot, page)
    page.row.cards[0].head.look.click()
    view = page.lab.pane.content
    view.card.samples.setValue(200)
    view.card.test.click()
    qtbot.waitUntil(lambda: view.card.test.isVisible() and view.card.verdict.text() != "", timeout=180_000)
    assert "texts drawn" not in view.card.verdict.text()


def test_that_blind_rounds_and_other_columns_close_the_lab(page: Any, qtbot: QtBot) -> None:
    page.row.set_columns(
        [Column("stories", Beam(max_new_tokens=4, num_beams=2)), Column("stories", Greedy(max_new_tokens=4))]
    )
    run(qtbot, page)
    page.row.cards[0].head.look.click()
    page.add_column()
    assert page.lab.pane.content is None
    run(qtbot, page)
    page.row.cards[0].head.look.click()
    page.bar.blind.setChecked(True)
    run(qtbot, page)
    assert page.lab.pane.content is None and page.row.isVisible()
    page.lab.open(0)
    assert page.lab.pane.content is None, "a blind column tells nothing"


def test_that_sliders_apply_the_rules_again_without_the_model(
    page: Any, qtbot: QtBot, bench: Workbench, monkeypatch: Any
) -> None:
    run(qtbot, page)
    asked: list[object] = []
    generate = bench.playground._decoder.generate
    monkeypatch.setattr(bench.playground._decoder, "generate", lambda *a, **k: asked.append(a) or generate(*a, **k))
    page.panels.open_token(1, 4)
    page.drawer.content.findChild(QPushButton, "playground.token.distribution").click()
    view = page.lab.pane.content
    assert isinstance(view, DistributionView)
    qtbot.waitUntil(lambda: view.bars.distribution is not None)
    assert view.bars.distribution.position == 4 and view.bars.distribution.changed is None, "as it was said"
    assert view.bars.distribution.chosen == page.row.cards[1].tokens[4].id
    view.sliders.changed.emit(Sample(max_new_tokens=14, temperature=0.0))
    qtbot.waitUntil(lambda: view.bars.distribution.changed is not None)
    assert not asked, "the stored logits are enough"
    page.lab.close()
    assert page.row.isVisible()


def test_that_a_column_can_be_looked_into_after_another_one_went_on(page: Any, qtbot: QtBot) -> None:
    run(qtbot, page)
    page.round.branch(0, 2, page.row.cards[0].tokens[2].alternatives[1].id, new=True)
    qtbot.waitUntil(lambda: not page.round.running, timeout=120_000)
    page.lab.open_distribution(0, 1)
    view = page.lab.pane.content
    qtbot.waitUntil(lambda: view.bars.distribution is not None, timeout=60_000)
    assert view.bars.distribution.chosen == page.row.cards[0].tokens[1].id


def test_that_one_family_speaks_side_by_side_and_is_compared_over_one_text(
    page: Any, qtbot: QtBot, bench: Workbench, shared: Path, visit: Callable[..., QWidget]
) -> None:
    folder = shared / "models" / "stories260K"
    bench.models.add_folder(folder, "sft", kind="sft", parents=("stories",))
    bench.models.add_folder(folder, "dpo", kind="dpo", parents=("sft",))
    visit("playground")
    page.row.set_columns([Column("sft", Greedy(max_new_tokens=5)), Column("stories", Greedy(max_new_tokens=5))])
    page.family.play(page.start)
    qtbot.waitUntil(lambda: isinstance(page.lab.pane.content, AlignedView), timeout=120_000)
    view = page.lab.pane.content
    qtbot.waitUntil(lambda: len(view.models) == 3, timeout=120_000)
    assert [card.column.model for card in page.row.cards] == ["stories", "sft", "dpo"]
    assert [model.name for model in view.models] == ["stories", "sft", "dpo"]
    assert all(abs(token.kl) < 1e-4 for model in view.models for token in model.tokens), "all are one model here"


def test_that_a_familys_newest_of_each_kind_are_chosen() -> None:
    def model(name: str, kind: str) -> ModelRef:
        return ModelRef(name=name, path="/m", kind=kind, created=datetime.now(UTC))  # type: ignore[arg-type]

    found = [model("b", "base"), model("s1", "sft"), model("p", "ppo"), model("s2", "sft"), model("d", "dpo")]
    assert [m.name for m in chosen_of(found)] == ["b", "s2", "d", "p"]
    assert [m.name for m in chosen_of([model("a", "sft"), model("b", "sft")])] == ["b", "a"]


def test_that_the_heat_of_a_column_can_show_kl_to_the_reference(page: Any, qtbot: QtBot) -> None:
    page.measuring.measures = Measures(reference="stories")
    page.bar.prompt.setPlainText("Once upon a time, there was a little girl named Lily.")
    run(qtbot, page)
    qtbot.waitUntil(lambda: "reference" in page.row.cards[0].foot.numbers, timeout=120_000)
    view = page.row.cards[0].view
    qtbot.waitUntil(lambda: len(view._layout.kl) == 14, timeout=60_000)
    assert all(value is not None and abs(value) < 1e-4 for value in view._layout.kl)
