"""A small run of each kind, for tests of what holds for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.domain.specs.kinds import Spec, parse_spec

Rows = list[dict[str, Any]]
RANKED = ("reward", "reward-hinge", "reward-softmax", "reward-plackett_luce")
TRAINED = ("pretrain", "sft", *RANKED, "dpo", "ppo", "grpo", "weighted")
SAMPLED = ("ppo", "grpo", "weighted")  # they let the policy write
TRAINING: dict[str, Any] = {
    "batch_size": 6, "micro_batch_size": 4, "max_length": 128, "max_steps": 5, "checkpoint_every": 2, "eval_every": 3,
    "sample_every": 4, "sample_count": 1, "learning_rate": 1e-3, "holdout": 0.1,
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "sft": {"method": "lora", "lora": {"dropout": 0.1}},  # draws random numbers in every step
    "dpo": {"method": "lora"},
    "ppo": {"max_new_tokens": 8, "minibatches": 2, "ppo_epochs": 2, "normalize_scores": True, "kl_target": 4.0, "kl_horizon": 200},
    "grpo": {"max_new_tokens": 8, "batch_size": 2, "group_size": 3, "iterations": 2, "beta": 0.05},
    "weighted": {"max_new_tokens": 8, "batch_size": 2, "group_size": 3},
    "judge": {"batch_size": 2},
    "study": {
        "columns": "greedy\nsample temperature=0.9", "samples": 2, "limit": 3, "batch_size": 2, "max_new_tokens": 4, "rule": "longer",
    },
    "revise": {
        "batch_size": 2, "principles": "Be happy.\nBe short.", "critique_request": "Wrong? {principle}",
        "revision_request": "Again. {principle}", "max_new_tokens": 8, "keep_cut": True,
    },
}  # fmt: skip


def small(name: str, request: pytest.FixtureRequest, **more: Any) -> tuple[Spec, Rows]:
    """The spec and the rows of a short run of a kind; `reward-LOSS` is a reward model by that loss."""
    kind, _, loss = name.partition("-")
    fields = {"kind": kind, "device": "cpu", "base": str(request.getfixturevalue("stories"))} | OWN.get(kind, {})
    if name in TRAINED:
        fields = TRAINING | fields
    if kind == "score":
        fields |= {"base": str(request.getfixturevalue("judge_folder")), "batch_size": 2}
    if loss:
        fields["loss"] = loss
    if kind == "study":
        fields["judge"] = fields["base"]
    if name in SAMPLED:
        fields["reward_model"] = str(request.getfixturevalue("judge_folder"))
    return parse_spec(fields | more), rows_of(kind, request)


def rows_of(kind: str, request: pytest.FixtureRequest) -> Rows:
    """Rows that a kind works on."""
    if kind == "pretrain":
        return [{"text": text} for text in request.getfixturevalue("texts")[:40]]
    if kind in SAMPLED or kind in {"revise", "study"}:
        return list(request.getfixturevalue("openings"))[: None if kind in SAMPLED else 5]
    if kind in {"judge", "score"}:
        return [
            {"prompt": row["prompt"], "raw": False, "item": row["item"], "candidates": row["completions"], "people": []}
            for row in request.getfixturevalue("rankings")
            if row["annotator"] == "Ada"
        ][:5]
    return list(request.getfixturevalue({"sft": "demonstrations", "reward": "rankings", "dpo": "comparisons"}[kind]))
