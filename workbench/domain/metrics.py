"""The one table of metrics: what each name means, its unit, which direction is good, and what is looked at first."""

from __future__ import annotations

from typing import Literal, NamedTuple

Good = Literal["up", "down", "none"]
EVAL = "eval/"


class Metric(NamedTuple):
    """One metric: `title` stands over its plot, `unit` at its axis, `sentence` explains it, `good` is the hoped-for direction."""

    name: str
    title: str
    unit: str
    good: Good
    sentence: str


def _table(*rows: tuple[str, str, str, Good, str]) -> dict[str, Metric]:
    return {row[0]: Metric(*row) for row in rows}


METRICS: dict[str, Metric] = _table(
    (
        "loss",
        "Loss",
        "nats",
        "down",
        "What the optimizer makes small; its parts and options stand on the formula card.",
    ),
    ("learning_rate", "Learning rate", "", "none", "Size of the optimizer's step after warm-up and decay."),
    (
        "grad_norm",
        "Gradient norm",
        "",
        "none",
        "Length of the gradient before clipping; sudden peaks announce trouble.",
    ),
    ("tokens_per_second", "Speed", "tokens/s", "up", "Tokens that go through the model in each second."),
    ("memory_gib", "Memory", "GiB", "down", "Most memory in use at once since the last report."),
    (
        "loss_scale",
        "Loss scale",
        "",
        "none",
        "What float16 losses are multiplied by; it halves when a gradient overflows.",
    ),
    (
        "skipped_steps",
        "Skipped steps",
        "steps",
        "down",
        "Steps so far whose float16 gradient overflowed; they changed nothing.",
    ),
    ("epoch", "Epoch", "passes", "none", "How often the data has been gone through."),
    ("perplexity", "Perplexity", "", "down", "exp of the loss: among how many tokens the model is in doubt."),
    ("token_accuracy", "Token accuracy", "share", "up", "Share of tokens that the model would have put first."),
    (
        "bleu",
        "BLEU",
        "points",
        "up",
        "Overlap in runs of one to four words of answers with their demonstrations; 100 is the same.",
    ),
    (
        "rouge_l",
        "ROUGE-L",
        "share",
        "up",
        "Longest sequence of words that an answer has in common with its demonstration, as an F-measure.",
    ),
    (
        "exact_match",
        "Exact match",
        "share",
        "up",
        "Share of answers that are the demonstration, but for case, articles and punctuation.",
    ),
    (
        "f1",
        "Word F1",
        "share",
        "up",
        "Words that an answer has in common with its demonstration, as the mean of precision and recall.",
    ),
    (
        "accuracy",
        "Accuracy",
        "share",
        "up",
        "Share of pairs in which the chosen completion scores above the rejected one.",
    ),
    ("margin", "Margin", "logits", "up", "Score of the chosen completion minus that of the rejected one, on average."),
    (
        "chosen_reward",
        "Score of chosen",
        "logits",
        "none",
        "What the reward model gives to chosen completions, on average.",
    ),
    (
        "rejected_reward",
        "Score of rejected",
        "logits",
        "none",
        "What the reward model gives to rejected completions, on average.",
    ),
    (
        "calibration_error",
        "Calibration error",
        "share",
        "down",
        "Mean distance between how sure the reward model is and how often it is right.",
    ),
    (
        "length_bias",
        "Length bias",
        "correlation",
        "none",
        "Correlation of score and length; far from zero means that length is rewarded.",
    ),
    (
        "longer_wins",
        "Accuracy of length",
        "share",
        "none",
        "How often the longer completion is the preferred one: what a model that knows only length would reach.",
    ),
    (
        "accuracy/similar_length",
        "Accuracy, similar lengths",
        "share",
        "up",
        "Accuracy on pairs whose lengths differ by at most a quarter: length can't help there.",
    ),
    (
        "accuracy/longer_better",
        "Accuracy, longer preferred",
        "share",
        "up",
        "Accuracy on pairs whose preferred completion is longer by more than a quarter.",
    ),
    (
        "accuracy/shorter_better",
        "Accuracy, shorter preferred",
        "share",
        "up",
        "Accuracy on pairs whose preferred completion is shorter; far below the others, the model scores length.",
    ),
    (
        "tie_gap",
        "Difference within ties",
        "logits",
        "down",
        "How far apart completions score that were judged equal, on average; compare it with the margin.",
    ),
    (
        "rewards/chosen",
        "Implicit reward of chosen",
        "nats",
        "none",
        "β times how much likelier than its reference the policy makes a chosen completion (orpo, simpo: its mean token).",
    ),
    (
        "rewards/rejected",
        "Implicit reward of rejected",
        "nats",
        "none",
        "β times how much likelier than its reference the policy makes a rejected completion (orpo, simpo: its mean token).",
    ),
    (
        "rewards/margin",
        "Implicit reward margin",
        "nats",
        "up",
        "Implicit reward of the chosen completion minus that of the rejected one.",
    ),
    (
        "rewards/accuracy",
        "Implicit reward accuracy",
        "share",
        "up",
        "Share of pairs in which the chosen completion has the higher implicit reward.",
    ),
    (
        "logps/chosen",
        "Log-probability of chosen",
        "nats",
        "none",
        "Sum of log-probabilities of a chosen completion; a slow fall is usual, a steep one is displacement.",
    ),
    (
        "logps/rejected",
        "Log-probability of rejected",
        "nats",
        "none",
        "Sum of log-probabilities of a rejected completion under the policy.",
    ),
    (
        "logps/chosen_change",
        "Change of chosen",
        "nats/token",
        "none",
        "Log-probability of chosen completions less that at the start, by token; far below zero, likelihood is displaced.",
    ),
    (
        "logps/rejected_change",
        "Change of rejected",
        "nats/token",
        "none",
        "Log-probability of rejected completions less that at the start, by token; it usually falls faster than chosen.",
    ),
    (
        "length/difference",
        "Chosen longer by",
        "tokens",
        "none",
        "Length of the chosen completion minus that of the rejected one; far from zero, length may be what is learned.",
    ),
    (
        "reference/accuracy",
        "Accuracy of the reference",
        "share",
        "none",
        "Share of pairs in which the reference already finds the chosen completion likelier than the rejected one.",
    ),
    (
        "kl",
        "KL to the reference",
        "nats",
        "none",
        "How far the policy has moved from its reference, for each completion.",
    ),
    (
        "entropy",
        "Entropy",
        "nats",
        "none",
        "How undecided the policy is about the next token; near zero means collapse.",
    ),
    (
        "reward/score",
        "Score",
        "",
        "up",
        "What sampled completions get from all sources of rewards, before any penalty.",
    ),
    (
        "reward/total",
        "Score minus KL penalty",
        "",
        "up",
        "What PPO maximises: the score less the KL penalty of a completion.",
    ),
    (
        "reward/std",
        "Spread of scores",
        "",
        "none",
        "Standard deviation of scores in a rollout; near zero teaches nothing.",
    ),
    (
        "reward/model",
        "Score of the reward model",
        "",
        "up",
        "What the reward model gives, before weights and penalties.",
    ),
    ("reward/function", "Score of the function", "", "up", "What the Python function gives, before weights."),
    ("reward/answer", "Right answers", "share", "up", "Share of completions that end with the right answer."),
    (
        "reward/pattern",
        "Pattern found",
        "share",
        "up",
        "Share of completions in which the regular expression is found.",
    ),
    (
        "reward/length",
        "Score of the length",
        "",
        "up",
        "How near completions come to the wanted number of words; 1 is exact.",
    ),
    (
        "reward/story",
        "Score of the story rule",
        "share",
        "up",
        "Share of the story rule's criteria that completions meet.",
    ),
    (
        "reward/length_correlation",
        "Score and length",
        "correlation",
        "none",
        "Correlation of score and length in a rollout; if it grows as texts do, length is what is rewarded.",
    ),
    (
        "reward/zero_std_groups",
        "Groups without spread",
        "share",
        "down",
        "Share of prompts whose completions all score alike and teach nothing.",
    ),
    ("kl/k1", "KL, summed (k1)", "nats", "none", "Sum of log-ratios to the reference over a sampled completion."),
    (
        "kl/k3",
        "KL, low variance (k3)",
        "nats",
        "none",
        "A KL estimate that is never negative, summed over a completion.",
    ),
    ("kl/beta", "KL weight", "", "none", "Weight of the KL penalty now; it moves when a KL target is set."),
    ("policy/loss", "Policy loss", "", "none", "The clipped surrogate; its size says little, its jumps do."),
    (
        "policy/entropy",
        "Policy entropy",
        "nats",
        "none",
        "How undecided the policy is about each token that it samples.",
    ),
    ("policy/clip_fraction", "Clipped ratios", "share", "none", "Share of tokens whose probability ratio was clipped."),
    (
        "policy/approx_kl",
        "KL in one rollout",
        "nats",
        "none",
        "How far the policy moves from the one that sampled; small is calm.",
    ),
    ("policy/ratio_max", "Largest ratio", "", "none", "Largest probability ratio of new to old policy on one token."),
    (
        "policy/updates",
        "Optimizer steps",
        "steps",
        "none",
        "Optimizer steps taken on a rollout before its KL bound ended them.",
    ),
    ("value/loss", "Value loss", "", "down", "Squared error of the critic's forecast of returns, halved."),
    ("value/clip_fraction", "Clipped values", "share", "none", "Share of tokens where the value's move was clipped."),
    (
        "value/explained_variance",
        "Explained variance",
        "",
        "up",
        "How much of the returns the critic foresees: 1 is all, 0 is nothing.",
    ),
    (
        "advantage/mean",
        "Mean advantage",
        "",
        "none",
        "Average advantage before whitening; far from zero, the critic is biased.",
    ),
    ("advantage/std", "Spread of advantages", "", "none", "Standard deviation of advantages before whitening."),
    ("length/mean", "Length", "tokens", "none", "Mean length of sampled completions."),
    ("length/eos_rate", "Ended by itself", "share", "up", "Share of completions that end before the length limit."),
    ("items_per_second", "Speed", "items/s", "up", "Items that are done in each second."),
    (
        "judge/judged",
        "Items looked at",
        "items",
        "none",
        "Items that the judge is done with, with or without a judgement.",
    ),
    ("judge/kept", "Judgements", "items", "up", "Items that got a judgement; the others had no consistent verdict."),
    (
        "judge/agreement",
        "Agreement with people",
        "share",
        "up",
        "Share of pairs that the judge orders as a person did, where both prefer one.",
    ),
    (
        "judge/inconsistent",
        "Inconsistent",
        "share",
        "down",
        "Share of pairs that are dropped because the verdict changes when the two responses change places.",
    ),
    (
        "judge/unsure",
        "Unsure",
        "share",
        "down",
        "Share of pairs that are dropped because the judge is not confident enough.",
    ),
    (
        "judge/first",
        "Takes the first",
        "share",
        "none",
        "Share of answers for the response shown first; far from a half, its place counts more than its words.",
    ),
    (
        "judge/probability",
        "Probability of the verdict",
        "",
        "up",
        "Mean probability of the verdicts that count, over both orders.",
    ),
    (
        "judge/mass",
        "Mass of A and B",
        "",
        "up",
        "Probability that the model gives to the two answers together; near 0 it would have said something else.",
    ),
    ("revise/kept", "Revisions", "rows", "up", "Rows whose revision is kept as a demonstration and as a pair."),
    ("revise/left_out", "Left out", "rows", "down", "Rows without a usable revision: empty, cut or too long."),
    (
        "revise/unchanged",
        "Unchanged",
        "rows",
        "down",
        "Rows whose revision is the original word for word; they are left out too.",
    ),
    (
        "revise/changed_words",
        "Changed words",
        "share",
        "none",
        "Share of words that differ between original and revision, of those kept.",
    ),
    (
        "revise/length_ratio",
        "Length ratio",
        "",
        "none",
        "Words of the revisions for each word of the originals, of those kept.",
    ),
    (
        "length/repetition",
        "Repetition",
        "share",
        "down",
        "Share of neighbouring tokens that stood side by side before; a rise is a sign of a hacked reward.",
    ),
    (
        "effective_sample_size",
        "Effective samples",
        "rows",
        "up",
        "How many completions of a prompt the weights amount to; near 1, only the best counts.",
    ),
)

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
    "revise": ("revise/kept", "revise/left_out", "revise/unchanged", "revise/changed_words", "revise/length_ratio"),
    "grpo": ("reward/score", "reward/zero_std_groups", "kl/k3", "policy/entropy", "length/mean", "length/eos_rate"),
    "weighted": ("reward/score", "effective_sample_size", "loss", "reward/std"),
}


def metric(name: str) -> Metric:
    """The entry of a metric; `eval/x` is x on held-out rows, and an unknown name (a plug-in's) speaks for itself."""
    if name.startswith(EVAL):
        base = metric(name.removeprefix(EVAL))
        return base._replace(name=name, title=f"{base.title}, held out", sentence=f"On held-out rows: {base.sentence}")
    return METRICS.get(name) or Metric(name, name.replace("_", " "), "", "none", "Reported by the recipe.")


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
