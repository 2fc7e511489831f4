"""Which metrics stand first for each kind of run."""

from __future__ import annotations

from workbench.domain.metrics import METRICS

HEADLINES: dict[str, tuple[str, ...]] = {
    "pretrain": ("loss", "perplexity", "token_accuracy"),
    "sft": ("loss", "perplexity", "token_accuracy"),
    "reward": ("loss", "accuracy", "margin", "chosen_reward", "rejected_reward"),
    "dpo": (
        "loss",
        "rewards/accuracy",
        "rewards/margin",
        "kl",
        "rewards/chosen",
        "rewards/rejected",
        "logps/chosen_change",
        "logps/rejected_change",
    ),
    "ppo": ("reward/score", "kl/k1", "reward/total", "policy/entropy", "value/explained_variance", "length/eos_rate"),
    "judge": ("judge/kept", "judge/agreement", "judge/inconsistent", "judge/first", "judge/probability", "judge/mass"),
    "score": ("score/agreement", "score/spread", "score/margin", "score/scored"),
    "revise": ("revise/kept", "revise/left_out", "revise/unchanged", "revise/changed_words", "revise/length_ratio"),
    "study": ("study/texts", "tokens_per_second"),
    "grpo": ("reward/score", "reward/zero_std_groups", "kl/k3", "policy/entropy", "length/mean", "length/eos_rate"),
    "weighted": ("reward/score", "effective_sample_size", "loss", "reward/std"),
}

_STANDS_FOR = {"reward": "accuracy", "dpo": "rewards/accuracy"}


def headline(kind: str) -> str:
    """The metric that stands for a run of this kind in a list: where the loss says little, what it is meant to bring about."""
    return _STANDS_FOR.get(kind) or HEADLINES.get(kind, ("loss",))[0]


def in_reading_order(kind: str, names: list[str]) -> list[str]:
    """Names with the kind's headlines first, then in the table's order, then what isn't in the table, by name."""
    first = HEADLINES.get(kind, ("loss",))
    known = list(METRICS)

    def place(name: str) -> tuple[int, int, str]:
        if name in first:
            return 0, first.index(name), name
        return (1, known.index(name), name) if name in METRICS else (2, 0, name)

    return sorted(names, key=place)
