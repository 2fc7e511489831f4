"""Aftercare: what a label will do, a new reward model from the newest labels, and whether it got better by them."""

from __future__ import annotations

from workbench.domain.errors import Conflict
from workbench.domain.judgement import Item, Outcome, Ranking
from workbench.domain.runs import JobState
from workbench.domain.specs.kinds import parse_spec
from workbench.domain.specs.reward import RewardSpec
from workbench.services.label_effects import effects_of
from workbench.services.training import TrainingService
from workbench.services.views import Accuracy, Effect, RunView
from workbench.services.workspace import Workspace
from workbench.store.runs import RunRecord

HELD_OUT = "eval/accuracy"
FIRST_HOLDOUT = 0.2  # the first run of a small dataset holds more back than usual, so that accuracy says something


class AftercareService:
    """What becomes of labels."""

    def __init__(self, workspace: Workspace, training: TrainingService) -> None:
        self._lane = workspace.lane
        self._runs = workspace.store.runs
        self._training = training

    def effects(self, item: Item, ranking: Ranking | None, outcome: Outcome, strength: int = 1) -> list[Effect]:
        """What a label will do, for each training method in a sentence."""
        return effects_of(item, ranking, outcome, strength)

    def retrain(self, dataset: str) -> RunView:
        """Train a reward model on the newest labels, as the last one of this dataset was trained; it is queued when this returns.

        With the same seed and share, nearly the same prompts are held out, so that accuracies can be compared. Without a run to
        follow it takes the defaults, on the base of the newest reward run. Conflict while one is at work; BadInput says what is wrong.
        """
        mine = [run for run in self._reward_runs() if run.spec.get("data") == dataset]
        working = next((run for run in mine if not run.state.ended), None)
        if working is not None:
            raise Conflict(
                f"{working.name} is at work on {dataset} already.", "Wait for it, or stop it on the Runs page."
            )
        follow = next((run for run in mine if run.state is JobState.DONE), None) or next(iter(mine), None)
        return self._training.start(self._first(dataset) if follow is None else self._again(follow))

    def accuracy(self, dataset: str) -> Accuracy:
        """Held-out accuracy of the newest reward model of a dataset and of the one before it, as far as there are any."""
        mine = [run for run in self._reward_runs() if run.spec.get("data") == dataset]
        working = next((run.id for run in mine if not run.state.ended), "")
        done = [run for run in mine if run.state is JobState.DONE]
        alike = [run for run in done if run.spec.get("dimension", "") == done[0].spec.get("dimension", "")]
        found = [(run.id, value) for run in alike if (value := self._lane.do(self._held_out, run.id)) is not None][:2]
        now, before = (found + [("", None)] * 2)[:2]
        return Accuracy(now[1], before[1], now[0], before[0], working)

    def _reward_runs(self) -> list[RunRecord]:
        """Reward runs, newest first."""
        runs = [run for run in self._lane.do(self._runs.list) if run.kind == "reward"]
        return sorted(runs, key=lambda run: (run.created, run.place), reverse=True)

    def _held_out(self, run: str) -> float | None:
        return self._runs.latest(run).get(HELD_OUT)

    def _again(self, run: RunRecord) -> RewardSpec:
        return RewardSpec.model_validate(run.spec | {"name": ""})

    def _first(self, dataset: str) -> RewardSpec:
        spec = self._training.draft("reward")
        last = next(iter(self._reward_runs()), None)
        base = spec.base if last is None else last.spec.get("base", spec.base)
        made = parse_spec(spec.model_dump() | {"data": dataset, "base": base, "holdout": FIRST_HOLDOUT})
        assert isinstance(made, RewardSpec)
        return made
