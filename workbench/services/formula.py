"""The formula card: the loss as it will be computed with the options chosen, its terms named as in the plots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.domain.specs.kinds import Spec
from workbench.services.formulas import dpo, grpo, judge, ppo, pretrain, revise, reward, score, sft, study, weighted
from workbench.services.formulas.card import FormulaCard

CARDS: dict[str, Callable[[Any], FormulaCard]] = {
    "pretrain": pretrain.card,
    "sft": sft.card,
    "reward": reward.card,
    "dpo": dpo.card,
    "ppo": ppo.card,
    "grpo": grpo.card,
    "weighted": weighted.card,
    "judge": judge.card,
    "revise": revise.card,
    "score": score.card,
    "study": study.card,
}


def formula(spec: Spec) -> FormulaCard:
    """The card of a spec."""
    return CARDS[spec.kind](spec)
