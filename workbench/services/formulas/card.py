"""What a formula card is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Term(NamedTuple):
    """One term: its sign in the formula, the metric that shows it (empty when none does), and one sentence."""

    sign: str
    metric: str
    sentence: str


@dataclass(frozen=True)
class FormulaCard:
    """A loss for reading. `lines` are plain signs, one equation or condition each; `note` says where it comes from."""

    title: str
    lines: tuple[str, ...]
    parts: tuple[Term, ...]
    note: str

    @property
    def terms(self) -> tuple[tuple[str, str], ...]:
        """Pairs of (term, what it is); a term that is plotted is followed by the name of its metric."""
        return tuple((p.sign, f"{p.sentence} Plotted as {p.metric}." if p.metric else p.sentence) for p in self.parts)


def number(value: float) -> str:
    """A number as a person writes it."""
    return f"{value:.6g}".replace("-", "−")


IMITATION = (
    Term("−log π(yₜ)", "loss", "How surprised the model is by each token that it should have said, in nats."),
    Term("exp(loss)", "perplexity", "Among how many equally likely tokens the model is in doubt."),
    Term("argmax", "token_accuracy", "Share of tokens that the model would have put first."),
)
