"""The tour: import → rank → SFT → reward model → PPO and DPO → side by side → report, on the starter kit.

Each step looks at what the workspace holds, so that a tour which was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import platform
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import Literal, Protocol

from workbench.analysis.story_rule import score_story
from workbench.domain.decoding import Sample
from workbench.domain.errors import BadInput, NotFound, RunFailed
from workbench.domain.judgement import Judgement, ranking_from_scores
from workbench.domain.runs import JobState
from workbench.domain.specs.kinds import Spec
from workbench.domain.text import Prompt
from workbench.services.datasets import DatasetsService
from workbench.services.files import replace_text
from workbench.services.labelling import LabellingService
from workbench.services.models import ModelsService
from workbench.services.playground import PlaygroundService
from workbench.services.runs import RunsService
from workbench.services.starter import BASE, DEMONSTRATIONS, HELD_OUT, PROMPTS, RANKINGS, TO_RANK, fill_with_starter
from workbench.services.tour_plan import MAX_NEW_TOKENS, dpo_spec, ppo_spec, reward_spec, sft_spec
from workbench.services.tour_report import Curve, Report, Row, render
from workbench.services.training import TrainingService
from workbench.services.workspace import Workspace

TELL = Callable[[str], None]
State = Literal["done", "ready", "waiting"]
STORIES = 6
RESULT = "tour-result.json"
MODELS = (BASE, "tour-sft", "tour-ppo", "tour-dpo")
RANK_AT_LEAST = 5
CRITERIA = ("hero", "thing", "happy", "ends")
CURVES = (
    ("tour-sft", "loss", "SFT: the loss on completion tokens falls as the model learns the demonstrations."),
    ("tour-reward", "eval/accuracy", "Reward model: share of held-out pairs in which the better story scores higher."),
    ("tour-ppo", "reward/score", "PPO: the reward model's score of what the policy writes rises."),
    ("tour-ppo", "kl/k1", "PPO: how far the policy has moved from the SFT model, in nats for each completion."),
    ("tour-dpo", "rewards/accuracy", "DPO: share of pairs that the policy itself ranks rightly."),
    ("tour-dpo", "rewards/margin", "DPO: by how much the chosen story is preferred over the rejected one."),
)


_STEPS = (
    ("import", "Import the starter kit", "A small language model, demonstrations, prompts and ranked stories; all synthetic.", "data"),
    ("rank", "Rank a few pairs", "Say which story is better, by keyboard; without a window the kit's rule does it.", "annotate"),
    ("sft", "Teach it by examples", "Supervised fine-tuning on 400 demonstrations.", "runs"),
    ("reward", "Learn the preference", "A reward model learns to score what was ranked higher above what was ranked lower.", "runs"),
    ("ppo", "Improve by reward (PPO)", "The policy writes stories, the reward model scores them, and KL holds it to the SFT model.", "runs"),
    ("dpo", "Improve by preference (DPO)", "The same rankings, without a reward model.", "runs"),
    ("compare", "Compare side by side", "Base, SFT, PPO and DPO on prompts that none has seen, judged by the rule; with a report.", "playground"),
)  # fmt: skip


@dataclass(frozen=True)
class TourStep:
    """One step: what it is, why, on which page it happens, and whether it is done, ready, or waits for another."""

    id: str
    title: str
    text: str
    page: str
    state: State


class Services(Protocol):
    """What the tour uses of an open workspace."""

    workspace: Workspace
    models: ModelsService
    datasets: DatasetsService
    labelling: LabellingService
    training: TrainingService
    runs: RunsService
    playground: PlaygroundService


@dataclass(frozen=True)
class TourResult:
    """What the tour found; the `tour --json` document."""

    seconds: float
    reward_accuracy: float
    table: tuple[Row, ...]
    report: Path

    def as_json(self) -> dict[str, object]:
        """The JSON document."""
        return {
            "seconds": round(self.seconds, 1),
            "reward_accuracy": self.reward_accuracy,
            "table": [asdict(row) for row in self.table],
            "report": str(self.report),
        }


class Tour:
    """The verbs of the tour on one workspace."""

    def __init__(self, services: Services) -> None:
        self._wb = services
        self._notes = services.workspace.path / "tour-times.json"
        self.report = services.workspace.path / "tour-report.html"
        self.seed = 0

    def steps(self) -> list[TourStep]:
        """All steps with their present state."""
        models = {m.name for m in self._wb.models.list()}
        datasets = {d.name: d for d in self._wb.datasets.list()}
        imported = RANKINGS in datasets and BASE in models
        ranked = TO_RANK in datasets and datasets[TO_RANK].judged >= RANK_AT_LEAST
        done = {
            "import": imported,
            "rank": ranked,
            "sft": "tour-sft" in models,
            "reward": "tour-reward" in models,
            "ppo": "tour-ppo" in models,
            "dpo": "tour-dpo" in models,
            "compare": self.report.exists(),
        }
        needs = {"rank": ("import",), "sft": ("import",), "reward": ("sft",), "ppo": ("sft", "reward"), "dpo": ("sft",)}
        needs["compare"] = ("ppo", "dpo")
        return [
            TourStep(id_, title, text, page, _state(id_, done, needs.get(id_, ()))) for id_, title, text, page in _STEPS
        ]

    def run(self, step: str, tell: TELL) -> None:
        """Do one step, blocking; `tell` gets sentences about progress. Raises WorkbenchError."""
        if step not in {known for known, *_ in _STEPS}:
            raise BadInput(f"The tour has no step {step!r}.", f"Choose one of: {', '.join(s for s, *_ in _STEPS)}.")
        started = time.monotonic()
        if step == "import":
            self._import()
        elif step == "rank":
            self._rank()
        elif step == "compare":
            self._compare(tell)
        else:
            self._train(step, tell)
        times = self._times()
        times[step] = time.monotonic() - started
        replace_text(self._notes, json.dumps(times, indent=2) + "\n")

    def run_all(self, tell: TELL, seed: int = 0) -> TourResult:
        """Every step that is not done yet, then the report."""
        self.seed = seed
        for step in self.steps():
            if step.state != "done":
                tell(step.title)
                self.run(step.id, tell)
        return self.result()

    def result(self) -> TourResult:
        """What the finished tour found, as stored in the workspace."""
        try:
            payload = json.loads((self._wb.workspace.path / RESULT).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFound("The tour has no result yet.", "Go through its steps to the end.") from error
        rows = tuple(Row(**row) for row in payload["table"])
        return TourResult(sum(self._times().values()), payload["reward_accuracy"], rows, self.report)

    def _times(self) -> dict[str, float]:
        try:
            times: dict[str, float] = json.loads(self._notes.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return times

    def _import(self) -> None:
        fill_with_starter(self._wb.workspace, self._wb.models, self._wb.datasets)

    def _rank(self) -> None:
        """Let the rule judge a few pairs, marked as made by a rule."""
        for item in self._wb.datasets.values(TO_RANK, limit=RANK_AT_LEAST + 1):
            scores = [score_story(item.prompt.text, c.text).total for c in item.candidates]
            judgement = Judgement(
                id=uuid.uuid4().hex, item=item.id, annotator="story-rule", annotator_kind="rule", outcome="ranked",
                ranking=ranking_from_scores(scores), shown=tuple(range(len(scores))), shown_seed=0, milliseconds=0,
                created=datetime.now(UTC),
            )  # fmt: skip
            self._wb.labelling.add_judgement(TO_RANK, judgement)

    def _train(self, step: str, tell: TELL) -> None:
        view = self._wb.training.start(self.spec(step))
        while not view.state.ended:
            view = self._wb.runs.wait(view.id, timeout=1.0)
            value = view.last.get(view.headline)
            tell(
                f"{view.name}: {view.phase or view.state.value}"
                + (f" {view.step}/{view.steps}" if view.steps else "")
                + (f" · {view.headline} {value:.3f}" if value is not None else "")
            )
        if view.state is not JobState.DONE:
            raise RunFailed(view.error_what or f"The run {view.name} was {view.state.value}.", view.error_hint)

    def spec(self, step: str) -> Spec:
        """The spec of a training step."""
        if step == "sft":
            return sft_spec(BASE, DEMONSTRATIONS, self.seed)
        if step == "reward":
            return reward_spec("tour-sft", RANKINGS, self.seed)
        if step == "ppo":
            return ppo_spec("tour-sft", "tour-reward", PROMPTS, self.seed)
        return dpo_spec("tour-sft", RANKINGS, self.seed)

    def _compare(self, tell: TELL) -> None:
        prompts: list[Prompt] = self._wb.datasets.values(HELD_OUT)
        if not prompts:
            raise BadInput(f"{HELD_OUT} has no prompt to compare on.", "Delete it and import the starter kit again.")
        settings = Sample(temperature=1.0, max_new_tokens=MAX_NEW_TOKENS, seed=self.seed)
        rows: list[Row] = []
        stories: dict[str, list[str]] = {}
        for model in MODELS:
            tell(f"{model}: {len(prompts)} held-out prompts")
            texts = stories[model] = self._wb.playground.generate(model, prompts, settings)
            pairs = list(zip(prompts, texts, strict=True))
            own = self._wb.playground.score(model, pairs)
            reference = self._wb.playground.score("tour-sft", pairs)
            scores = [score_story(p.text, t) for p, t in pairs]
            rows.append(
                Row(
                    model=model,
                    rule_score=_mean([s.total for s in scores]),
                    criteria={name: _mean([float(getattr(s, name)) for s in scores]) for name in CRITERIA},
                    kl=_mean([a.logprob - b.logprob for a, b in zip(own, reference, strict=True)]),
                    length=_mean([float(len(t.split())) for t in texts]),
                )
            )
        self._write(prompts, rows, stories)

    def _write(self, prompts: list[Prompt], rows: list[Row], stories: dict[str, list[str]]) -> None:
        runs = {v.model: v for v in self._wb.runs.list() if v.model}
        curves = [
            Curve(f"{run} · {metric}", caption, self._wb.runs.metrics(runs[run].id, [metric]).get(metric, []))
            for run, metric, caption in CURVES
            if run in runs
        ]
        accuracy = runs["tour-reward"].last.get("eval/accuracy", float("nan"))
        times = self._times()
        shown = [
            (prompts[i].text, [(m, score_story(prompts[i].text, stories[m][i]).total, stories[m][i]) for m in MODELS])
            for i in range(min(STORIES, len(prompts)))
        ]
        report = Report(
            seconds=sum(times.values()),
            reward_accuracy=accuracy,
            rows=rows,
            curves=curves,
            times=list(times.items()),
            stories=shown,
            machine=f"{platform.system()} {platform.machine()}, {cpu_count()} processor cores, Python {platform.python_version()}",
        )
        replace_text(self.report, render(report))
        result = {"reward_accuracy": accuracy, "table": [asdict(r) for r in rows]}
        replace_text(self._wb.workspace.path / RESULT, json.dumps(result, indent=2) + "\n")


def _state(step: str, done: dict[str, bool], needs: tuple[str, ...]) -> State:
    if done[step]:
        return "done"
    return "ready" if all(done[n] for n in needs) else "waiting"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
