"""What was considered in a round is kept with it: an earlier beam search shows its tree again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.gui.pages.playground.made_up import beam_levels, draft_round
from tests.gui.pages.playground.scripted.conftest import ended
from workbench.domain.decoding import Beam, Greedy, Speculative
from workbench.gui.pages.playground.beam_view import GROWS, BeamView
from workbench.gui.pages.playground.lab import NOT_KEPT
from workbench.gui.pages.playground.rounds import NONE_YET, RoundsView


def reopened(stage: Any, *, forget: bool = False) -> None:
    """A round of a beam and a speculative column, played, another one played, and the first opened again."""
    stage.columns(Beam(num_beams=4), Speculative())
    stage.ask()
    drafts = (draft_round(0, "aar"), draft_round(1, "aaa"))
    stage.tell(ended(0, " a", " b", asides=beam_levels()), ended(1, " c", asides=drafts))
    round_id = stage.page.round.asked.id
    if forget:  # as the program before this one kept it
        kept, tokens, _ = stage.rounds.open(round_id)
        stage.rounds.keep(kept, tokens)
    stage.columns(Greedy(), Greedy())
    stage.play([" x"], [" y"])
    stage.page.keeping.open(round_id)


def looked(stage: Any, place: int) -> Any:
    stage.page.row.cards[place].head.look.click()
    return stage.page.lab.pane.content


def test_that_an_earlier_round_opens_with_its_tree_and_its_drafts(stage: Any) -> None:
    reopened(stage)
    view = looked(stage, 0)
    assert isinstance(view, BeamView) and view.ranking
    assert sum(map(len, view._tree.levels)) == sum(len(level.nodes) for level in beam_levels())
    rounds = looked(stage, 1)
    assert isinstance(rounds, RoundsView) and [len(one.drafted) for one in rounds.rounds] == [3, 3]


def test_that_a_round_without_them_says_so_instead_of_waiting(stage: Any) -> None:
    reopened(stage, forget=True)
    view = looked(stage, 0)
    assert view.told.text() == NOT_KEPT and not view.ranking
    view.penalty.setValue(view.penalty.value() + 1)
    assert view.told.text() == NOT_KEPT, "moving a slider brings no tree"
    assert looked(stage, 1).accepted.text() == NOT_KEPT


def test_that_a_round_under_way_waits_for_its_tree(stage: Any) -> None:
    stage.columns(Beam(), Speculative())
    stage.ask()
    assert looked(stage, 0).told.text() == GROWS
    assert looked(stage, 1).accepted.text() == NONE_YET


def test_that_the_written_json_has_what_was_considered(stage: Any, tmp_path: Path) -> None:
    reopened(stage)
    stage.page.keeping.export("json", tmp_path / "round.json")
    columns = json.loads((tmp_path / "round.json").read_text())["columns"]
    assert [len(column["asides"]) for column in columns] == [len(beam_levels()), 2]
    assert columns[0]["asides"][0]["nodes"][0]["text"] == beam_levels()[0].nodes[0].text
