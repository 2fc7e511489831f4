"""What to do next, read off what the workspace holds. Knows nothing of Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.domain.runs import ModelRef
from workbench.services.views import DatasetView, HomeView

ENOUGH_LABELS = 50
MOST = 3


@dataclass(frozen=True)
class NextStep:
    """One suggestion: what, why, and the page that it opens with its arguments."""

    title: str
    why: str
    page: str
    arguments: dict[str, Any] = field(default_factory=dict)


def next_steps(home: HomeView) -> list[NextStep]:
    """At most three suggestions, the most useful first."""
    steps = [*_material(home), *_labelling(home.datasets), *_training(home), *_looking(home.models)]
    return steps[:MOST]


def _material(home: HomeView) -> list[NextStep]:
    steps = []
    if not home.datasets:
        steps.append(
            NextStep(
                "Import data",
                "Preferences, demonstrations or prompts from files on this machine.",
                "data",
                {"wizard": True},
            )
        )
    if not home.models:
        steps.append(
            NextStep("Add a base model", "A folder with config.json and safetensors weights.", "models", {"add": True})
        )
    return steps


def _labelling(datasets: Sequence[DatasetView]) -> list[NextStep]:
    waiting = [d for d in datasets if d.kind == "preferences" and d.judged < min(d.rows, ENOUGH_LABELS)]
    return [
        NextStep(
            f"Rank responses in {d.name}",
            f"{d.judged:,} of {d.rows:,} items are judged.",
            "annotate",
            {"dataset": d.name},
        )
        for d in waiting[:1]
    ]


def _training(home: HomeView) -> list[NextStep]:
    kinds = {m.kind for m in home.models}
    demonstrations = next((d for d in home.datasets if d.kind == "demonstrations"), None)
    judged = next((d for d in home.datasets if d.kind == "preferences" and d.judged), None)
    steps: list[NextStep] = []
    if not home.models:
        return steps
    if demonstrations is not None and "sft" not in kinds:
        why = f"Let the base model imitate {demonstrations.name}."
        steps.append(NextStep("Train an SFT model", why, "train", {"kind": "sft", "data": demonstrations.name}))
    if judged is not None and "reward" not in kinds:
        why = f"Learn from the {judged.judged:,} judged items of {judged.name} what people prefer."
        steps.append(NextStep("Train a reward model", why, "train", {"kind": "reward", "data": judged.name}))
    if "reward" in kinds and "ppo" not in kinds:
        steps.append(
            NextStep("Train a PPO policy", "Let a model earn the reward model's praise.", "train", {"kind": "ppo"})
        )
    if judged is not None and "dpo" not in kinds:
        why = f"Learn the preferences of {judged.name} without a reward model."
        steps.append(NextStep("Train a DPO policy", why, "train", {"kind": "dpo", "data": judged.name}))
    return steps


def _looking(models: Sequence[ModelRef]) -> list[NextStep]:
    writers = [m for m in models if m.kind != "reward"]
    if len(writers) < 2:
        return []
    return [NextStep("Compare side by side", f"{len(writers)} models can answer the same prompt.", "playground", {})]
