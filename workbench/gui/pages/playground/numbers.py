"""Below a column: how the text ended and what can be counted about it, each number with its name and a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from workbench.domain.choices import TokenChoice
from workbench.gui.widgets.basics import Elided, text
from workbench.services.views import ColumnNews

ENDS = {
    "end": "ended by itself",
    "stop": "ended at a stop text",
    "length": "reached the limit",
    "stopped": "stopped",
}
Words = Callable[[float], str]


def signed(words: str) -> str:
    """A number with a real minus."""
    return words.replace("-", "−")


NUMBERS: dict[str, tuple[str, str, Words]] = {
    "tokens_per_second": ("tokens/s", "Tokens in a second of this column's own steps.", lambda v: f"{v:.0f}"),
    "first_token_seconds": ("first after", "Until the first token was there.", lambda v: f"{1000 * v:.0f} ms"),
    "perplexity": (
        "perplexity",
        "How many tokens the model wavered between on average: exp of minus the mean log-probability.",
        lambda v: f"{v:.2f}",
    ),
    "logprob": ("log p", "Log-probability of the text under its own model, in nats.", lambda v: signed(f"{v:.1f}")),
    "distinct_2": ("distinct-2", "Share of pairs of tokens that differ from each other.", lambda v: f"{v:.2f}"),
    "repetition": (
        "repeats",
        "Share of runs of four tokens that have been there before.",
        lambda v: f"{100 * v:.0f} %",
    ),
    "reward": ("reward", "What the chosen reward model says of the text.", lambda v: signed(f"{v:.2f}")),
    "reference": (
        "log p ref.",
        "Log-probability of the text under the reference, in nats.",
        lambda v: signed(f"{v:.1f}"),
    ),
    "drift": (
        "log-ratio",
        "Log-probability under the model less that under the reference: how far the text has moved away, in nats.",
        lambda v: signed(f"{v:+.1f}"),
    ),
    "self_bleu": (
        "self-BLEU",
        "How alike several samples of this column are: 1 says they are one text, 0 that they share no words.",
        lambda v: f"{v:.2f}",
    ),
}
PAIRS = 2  # numbers in a line


def with_perplexity(numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers with the perplexity that follows from tokens and log-probability, where there are tokens."""
    found = dict(numbers)
    count = found.get("tokens", 0.0)
    if count and math.isfinite(found.get("logprob", math.nan)):
        found["perplexity"] = math.exp(min(-found["logprob"] / count, 700.0))
    return found


def counted(tokens: Sequence[TokenChoice]) -> dict[str, float]:
    """What can be counted in tokens: how many, their log-probability, distinct pairs, and repeated runs of four."""
    if not tokens:
        return {}
    ids = [choice.id for choice in tokens]
    pairs, fours = list(pairwise(ids)), list(zip(ids, ids[1:], ids[2:], ids[3:], strict=False))
    return {
        "tokens": float(len(ids)),
        "logprob": sum(choice.logprob for choice in tokens),
        "distinct_2": len(set(pairs)) / len(pairs) if pairs else 1.0,
        "repetition": 1 - len(set(fours)) / len(fours) if fours else 0.0,
    }


def in_words(numbers: Mapping[str, float]) -> list[tuple[str, str]]:
    """(name, value) of every number that is shown, in the order of the table."""
    return [(name, words(numbers[key])) for key, (name, _, words) in NUMBERS.items() if key in numbers]


class Foot(QWidget):
    """The verdict in a line, and the numbers as a small table that has only what is known."""

    def __init__(self) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 0, 12, 0)
        box.setSpacing(2)
        self.verdict = Elided("quiet")
        box.addWidget(self.verdict)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(0)
        for column in range(PAIRS):
            self._grid.setColumnStretch(2 * column + 1, 1)
        box.addLayout(self._grid)
        self._letter = ""
        self.numbers: dict[str, float] = {}

    def set_letter(self, letter: str) -> None:
        """Whose numbers these are."""
        self._letter = letter
        self.setAccessibleName(f"Numbers of column {letter}")

    def clear(self) -> None:
        """Say nothing."""
        self.verdict.setText("")
        self.numbers = {}
        self._show()

    def counting(self, tokens: int) -> None:
        """So many tokens are there already."""
        self.verdict.setText(f"{tokens} tokens")

    def failed(self, why: str = "") -> None:
        """There is no text, or no more of it."""
        self.verdict.setText(f"failed · {why}" if why else "failed")

    def ended(self, news: ColumnNews, tokens: Sequence[TokenChoice]) -> None:
        """Tell how the text ended, and its numbers; those of the text are of all its tokens, also of those from before a stop."""
        numbers = with_perplexity({**news.numbers, **counted(tokens)})
        self.verdict.setText(f"{ENDS.get(news.reason, 'ended')} · {numbers.get('tokens', 0):.0f} tokens")
        self.numbers = numbers
        self._show()

    def add(self, numbers: Mapping[str, float]) -> None:
        """Show further numbers."""
        self.numbers = {**self.numbers, **numbers}
        self._show()

    @property
    def words(self) -> str:
        """Everything that is shown, in a line."""
        return " · ".join([self.verdict.text(), *(f"{name} {value}" for name, value in in_words(self.numbers))])

    def _show(self) -> None:
        while (entry := self._grid.takeAt(0)) is not None:
            if (widget := entry.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        shown = [key for key in NUMBERS if key in self.numbers]
        for place, key in enumerate(shown):
            name, sentence, words = NUMBERS[key]
            row, column = divmod(place, PAIRS)
            value = words(self.numbers[key])
            left, right = text(name, "quiet", select=True), text(value, select=True)
            right.setAccessibleName(f"{name} of column {self._letter}: {value}")
            for label in (left, right):
                label.setToolTip(sentence)
            self._grid.addWidget(left, row, 2 * column, Qt.AlignmentFlag.AlignBaseline)
            self._grid.addWidget(right, row, 2 * column + 1, Qt.AlignmentFlag.AlignBaseline)
