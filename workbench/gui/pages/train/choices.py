"""What can be chosen on the Train page: kinds of job with a sentence each, and which models and data suit them. No Qt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from workbench.domain.runs import ModelRef
from workbench.domain.specs.kinds import DATA_KIND, SPECS
from workbench.domain.specs.online import OnlineSpec
from workbench.gui.widgets.words import short
from workbench.services.views import DatasetView

_NAME = re.compile(r"[A-Za-z0-9._-]*")


class Kind(NamedTuple):
    """A kind of job as a person chooses it; kinds of one family stand in one line."""

    id: str
    title: str
    sentence: str
    family: str


KINDS: tuple[Kind, ...] = (
    Kind("sft", "Supervised fine-tuning", "Imitates demonstrations: prompts with an ideal completion.", "Imitate"),
    Kind("pretrain", "Pretraining", "Goes on predicting the tokens of plain documents.", "Imitate"),
    Kind("reward", "Reward model", "Learns to score responses from your rankings.", "Prefer"),
    Kind("dpo", "DPO", "Learns from rankings directly, without a reward model.", "Prefer"),
    Kind("ppo", "PPO", "Samples responses and learns from their scores with a critic, held near its start by KL.", "Reinforce"),
    Kind("grpo", "GRPO", "Samples several responses to each prompt and learns from how they compare; no critic.", "Reinforce"),
    Kind("weighted", "Reward-weighted", "Imitates several responses to each prompt, the better ones more.", "Reinforce"),
    Kind("judge", "Judging", "A model or a rule judges items in place of people, always marked with its name.", "AI feedback"),
    Kind("revise", "Constitutional revision", "A model criticises and revises responses by written principles.", "AI feedback"),
    Kind("score", "Scoring", "A reward model scores items and says where it is unsure, so that people judge those first.", "AI feedback"),
    Kind("study", "Decoding study", "Models and strategies answer the same prompts; a table says what each gains and costs.", "Compare"),
)  # fmt: skip


def fitting_models(kind: str, models: Sequence[ModelRef]) -> list[ModelRef]:
    """Models that a job of this kind can use, newest first: any that writes text; a reward model may judge, and it alone scores."""
    fitting = (
        m
        for m in models
        if (m.kind == "reward" and kind in {"judge", "score"}) or (m.kind != "reward" and kind != "score")
    )
    return sorted(fitting, key=lambda m: m.created, reverse=True)


def reward_models(models: Sequence[ModelRef]) -> list[ModelRef]:
    """Models that score completions, newest first."""
    return sorted((m for m in models if m.kind == "reward"), key=lambda m: m.created, reverse=True)


def about_data(kind: str, view: DatasetView) -> str:
    """One line on a dataset, from the point of view of this kind of job."""
    rows = (
        f"{view.judged:,} of {view.rows:,} items judged" if view.kind == "preferences" else f"{view.rows:,} {view.kind}"
    )
    whole = view.kind == DATA_KIND[kind] or (kind == "revise" and view.kind == "demonstrations")
    only = "" if whole else f"; only its {DATA_KIND[kind]} are used"
    return f"{rows}{only}{'; synthetic' if view.synthetic else ''}"


def about_model(model: ModelRef) -> str:
    """One line on a model."""
    size = f"{short(model.parameters)} parameters" if model.parameters else ""
    parents = f"from {' and '.join(model.parents)}" if model.parents else ""
    return ", ".join(part for part in (model.kind, size, parents, "adapter" if model.form == "adapter" else "") if part)


def takes_rewards(kind: str) -> bool:
    """Whether a reward model may be chosen for this kind of job."""
    return "reward_model" in SPECS[kind].model_fields


def missing(kind: str, base: str, data: str, scored: bool, *, by_rule: bool = False) -> str:
    """The next thing to choose, as a sentence; empty when nothing is missing.

    `scored` says that there is a source of rewards. A judge by rule needs no model.
    """
    if not base and not by_rule:
        work = {
            "judge": "judges",
            "revise": "revises",
            "score": "scores",
            "study": "answers where a column names none",
        }.get(kind, "training starts from")
        return f"Choose the model that {work}."
    if not data:
        return f"Choose a dataset with {DATA_KIND[kind]}."
    if issubclass(SPECS[kind], OnlineSpec) and not scored:
        return "Choose the reward model that scores completions, or another source of rewards under Reward."
    return ""


def wrong_name(name: str) -> tuple[str, str] | None:
    """Why a run can't be called this and what would do instead; None when it can (an empty name is made up later)."""
    if _NAME.fullmatch(name):
        return None
    instead = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
    return (
        f"A run can't be called “{name}”: it is the name of its model too.",
        f"Use letters, digits, dots, - and _{f', for example {instead}' if instead else ''}.",
    )
