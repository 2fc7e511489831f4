"""Below a column: how the text ended and what can be counted about it, each number with its name and a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

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


class Number(NamedTuple):
    """How a number is called, how where there is little room, what it says, and how it is written."""

    name: str
    brief: str
    sentence: str
    words: Words


NUMBERS: dict[str, Number] = {
    "tokens_per_second": Number("tokens/s", "tok/s", "Tokens in a second of this column's own steps.", lambda v: f"{v:.0f}"),
    "first_token_seconds": Number(
        "first after", "first", "Until the first token was there.", lambda v: f"{1000 * v:.0f} ms"
    ),
    "perplexity": Number(
        "perplexity", "ppl", "How many tokens the model wavered between on average: exp of minus the mean log-probability.",
        lambda v: f"{v:.2f}",
    ),
    "logprob": Number(
        "log p", "log p", "Log-probability of the text under its own model, in nats.", lambda v: signed(f"{v:.1f}")
    ),
    "distinct_2": Number(
        "distinct-2", "dist-2", "Share of pairs of tokens that differ from each other.", lambda v: f"{v:.2f}"
    ),
    "repetition": Number(
        "repeats", "rep.", "Share of runs of four tokens that have been there before.", lambda v: f"{100 * v:.0f} %"
    ),
    "reward": Number(
        "reward", "rew.", "What the chosen reward model says of the text.", lambda v: signed(f"{v:.2f}")
    ),
    "reference": Number(
        "log p ref.", "ref.", "Log-probability of the text under the reference, in nats.", lambda v: signed(f"{v:.1f}")
    ),
    "drift": Number(
        "log-ratio", "ratio",
        "Log-probability under the model less that under the reference: how far the text has moved away, in nats.",
        lambda v: signed(f"{v:+.1f}"),
    ),
    "self_bleu": Number(
        "self-BLEU", "s-BLEU",
        "How alike several samples of this column are: 1 says they are one text, 0 that they share no words.",
        lambda v: f"{v:.2f}",
    ),
}  # fmt: skip
PAIRS = 2  # numbers in a line
GAP = 6
STALE = "grey text is out of date"


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
    return [(one.name, one.words(numbers[key])) for key, one in NUMBERS.items() if key in numbers]


class Foot(QWidget):
    """The verdict in a line, and the numbers as a small table that has only what is known."""

    def __init__(self) -> None:
        super().__init__()
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 0, 12, 0)
        box.setSpacing(2)
        box.setSizeConstraint(QVBoxLayout.SizeConstraint.SetNoConstraint)
        self.verdict = Elided("quiet")
        box.addWidget(self.verdict)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(GAP)
        self._grid.setVerticalSpacing(0)
        for column in range(PAIRS):
            self._grid.setColumnStretch(2 * column + 1, 1)
        box.addLayout(self._grid)
        self._letter = ""
        self._ended = ""
        self._stale = False
        self._rows: list[tuple[Number, QLabel, QLabel]] = []
        self.numbers: dict[str, float] = {}

    def set_letter(self, letter: str) -> None:
        """Whose numbers these are."""
        self._letter = letter
        self.setAccessibleName(f"Numbers of column {letter}")

    def clear(self) -> None:
        """Say nothing."""
        self._stale = False
        self._say("")
        self.numbers = {}
        self._show()

    def counting(self, tokens: int) -> None:
        """So many tokens are there already."""
        self._say(f"{tokens} tokens")

    def failed(self, why: str = "") -> None:
        """There is no text, or no more of it."""
        self._say(f"failed · {why}" if why else "failed")

    def set_stale(self, stale: bool) -> None:
        """Whether a part of the text isn't what the column's settings would say."""
        self._stale = stale
        self._say(self._ended)

    def ended(self, news: ColumnNews, tokens: Sequence[TokenChoice]) -> None:
        """Tell how the text ended, and its numbers; those of the text are of all its tokens, also of those from before a stop."""
        numbers = with_perplexity({**news.numbers, **counted(tokens)})
        self._say(f"{ENDS.get(news.reason, 'ended')} · {numbers.get('tokens', 0):.0f} tokens")
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

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Names in full where there is room for them."""
        super().resizeEvent(event)
        self._fit()

    def _say(self, ended: str) -> None:
        self._ended = ended
        self.verdict.setText(f"{STALE} · {ended}" if self._stale else ended)

    def _show(self) -> None:
        while (entry := self._grid.takeAt(0)) is not None:
            if (widget := entry.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._rows = []
        for place, (key, number) in enumerate((key, one) for key, one in NUMBERS.items() if key in self.numbers):
            row, column = divmod(place, PAIRS)
            value = number.words(self.numbers[key])
            left, right = text(number.name, "quiet", select=True), text(value, select=True)
            right.setAccessibleName(f"{number.name} of column {self._letter}: {value}")
            for label in (left, right):
                label.setToolTip(f"{number.name}: {number.sentence}")
                label.ensurePolished()  # how wide it is depends on the style
            self._grid.addWidget(left, row, 2 * column, Qt.AlignmentFlag.AlignBaseline)
            self._grid.addWidget(right, row, 2 * column + 1, Qt.AlignmentFlag.AlignBaseline)
            self._rows.append((number, left, right))
        self._fit()

    def _fit(self) -> None:
        full = self.needed <= self.width()
        for number, left, _ in self._rows:
            left.setText(number.name if full else number.brief)

    @property
    def needed(self) -> int:
        """How wide the table is with its names in full."""
        across, box = 0, self.layout()
        for column in range(PAIRS):
            rows = self._rows[column::PAIRS]
            across += max(
                (left.fontMetrics().horizontalAdvance(number.name) + 1 for number, left, _ in rows), default=0
            )
            across += max((right.sizeHint().width() for _, _, right in rows), default=0)
        margins = self.contentsMargins() if box is None else box.contentsMargins()
        return across + GAP * (2 * PAIRS - 1) + margins.left() + margins.right()
