"""Scoring as a run of a workspace: what keeps it from starting, and the real road from a trained reward model to stored scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.conftest import make_item
from workbench.domain.judgement import Ranking
from workbench.domain.runs import JobState
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.score import ScoreSpec
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.usefixtures("all_warm")

FIRST = Ranking(tiers=((0,), (1,)))


def test_that_scoring_needs_a_reward_model_and_items(ten: Workbench, stories: Path) -> None:
    ten.models.add_folder(stories, "stories")
    assert ten.training.fit(ScoreSpec(base="stories", data="pairs")).trouble == (
        "stories is no reward model; train one on preferences first.",
    )
    assert ten.training.fit(ScoreSpec(data="pairs")).trouble[0].startswith("Choose a base model")


@pytest.mark.slow
def test_that_a_trained_reward_model_scores_all_items_judged_or_not(tmp_path: Path, stories: Path) -> None:
    with Workbench.open(tmp_path / "space", create=True) as bench:
        bench.models.add_folder(stories, "stories")
        for n in range(12):
            bench.labelling.add_item("pairs", make_item(f"i{n}", 2))
        shown, _ = bench.labelling.start("pairs")
        for _ in range(6):
            assert shown is not None
            shown = bench.labelling.record("pairs", shown, outcome="ranked", ranking=FIRST, milliseconds=5).next
        spec = RewardSpec(name="rm", base="stories", data="pairs", device="cpu", max_steps=1, batch_size=4, holdout=0.0)
        assert bench.runs.wait(bench.training.start(spec).id, 120).state is JobState.DONE
        draft = bench.training.draft("score")
        assert (draft.base, draft.data) == ("rm", "pairs")
        fit = bench.training.fit(draft)
        assert (fit.trouble, fit.rows) == ((), 12)
        assert "16 heads are fitted to 6 judged items" in " ".join(fit.notes)
        view = bench.runs.wait(bench.training.start(draft).id, 120)
        assert (view.state, view.model, view.last["score/scored"]) == (JobState.DONE, None, 12)
        found = bench.workspace.store.scores.of("pairs", "rm")
        assert [score.item for score in found] == [f"i{n}" for n in range(12)]
        assert all(score.spread is not None and 0 < score.spread < 0.5 for score in found)
        assert bench.datasets.get("pairs").judged == 6
