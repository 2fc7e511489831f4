"""A decoding study: how columns (a model with a strategy and its settings) fare over a set of prompts, measure by measure.

Whoever runs a study writes one `Study`; whoever shows it needs nothing else. A measure that isn't in MEASURES is shown by its
name, so a plugin's measure needs no entry.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from workbench.domain.decoding import DecodingSettings
from workbench.domain.frozen import Frozen
from workbench.domain.text import Prompt

Side = Literal["quality", "diversity", "speed", "size"]
Good = Literal["up", "down", "none"]


class Measure(NamedTuple):
    """One measure: its heading, unit, which way is good, which side of the trade it tells about, and a sentence."""

    name: str
    title: str
    unit: str
    good: Good
    side: Side
    sentence: str


def _table(*rows: tuple[str, str, str, Good, Side, str]) -> dict[str, Measure]:
    return {row[0]: Measure(*row) for row in rows}


MEASURES: dict[str, Measure] = _table(
    ("reward", "Reward", "", "up", "quality", "Mean score of the reward model."),
    ("rule", "Rule", "share", "up", "quality", "Mean score of the rule that checks the texts."),
    ("judge", "Judge", "share", "up", "quality", "Share of comparisons that the judge gives to this column; ties count half."),
    ("perplexity", "Perplexity", "", "none", "quality", "exp of the mean negative log-probability under the column's own model."),
    ("logprob", "Log p per token", "nats", "none", "quality", "Mean log-probability of a token under the column's own model."),
    ("distinct_1", "Distinct-1", "share", "up", "diversity", "Share of the tokens that are different from each other."),
    ("distinct_2", "Distinct-2", "share", "up", "diversity", "Share of the pairs of tokens that are different from each other."),
    ("distinct_3", "Distinct-3", "share", "up", "diversity", "Share of the triples of tokens that are different from each other."),
    ("repetition", "Repetition", "share", "down", "diversity", "Share of the 4-grams that repeat an earlier one."),
    ("self_bleu", "Self-BLEU", "share", "down", "diversity", "How alike the samples of one prompt are (BLEU against each other)."),
    ("tokens_per_second", "Speed", "tokens/s", "up", "speed", "Tokens that a second of decoding gives."),
    ("first_token_seconds", "First token", "s", "down", "speed", "Seconds until the first token."),
    ("factor", "Gain by drafts", "times", "up", "speed", "Time of plain decoding over that of the rounds, timed in the same text."),
    ("acceptance", "Drafts taken", "share", "up", "speed", "Share of the judged drafts that the model took."),
    ("tokens_per_pass", "Tokens a pass", "tokens", "up", "speed", "Tokens that one pass of the model gave, with drafts."),
    ("tokens", "Length", "tokens", "none", "size", "Mean number of tokens of a text."),
    ("ended", "Ended", "share", "none", "size", "Share of the texts that ended by themselves."),
)  # fmt: skip


def measure_of(name: str) -> Measure:
    """The entry of a measure; one without an entry is shown by its name and taken for quality, more being better."""
    return MEASURES.get(name) or Measure(
        name, name.replace("_", " "), "", "up", "quality", f"{name}, without a description."
    )


class Figure(Frozen):
    """A mean over prompts with its 95 % interval, where there is one, and the number of texts that it was made of."""

    value: float
    low: float | None = None
    high: float | None = None
    texts: int = 0


class StudyText(Frozen):
    """One text of a study: column and prompt by number, the seed that draws it again alone, and its own measures by name.

    `completion` is the text as training reads it. Measures of a whole prompt (`self_bleu`) stand in none of its texts.
    """

    column: int
    prompt: int
    sample: int
    seed: int
    completion: str
    measures: dict[str, float]


class StudyTexts(Frozen):
    """The texts of a study with the prompts that they answer, by number."""

    prompts: tuple[Prompt, ...]
    texts: tuple[StudyText, ...]


class StudyColumn(Frozen):
    """One column's figures by name of measure; a measure that couldn't be taken is absent. `label` is unique in a study."""

    label: str
    model: str
    settings: DecodingSettings
    figures: dict[str, Figure]


class Study(Frozen):
    """A study: `samples` texts for each of `prompts` prompts in every column."""

    prompts: int
    samples: int
    columns: tuple[StudyColumn, ...]

    @property
    def measures(self) -> list[str]:
        """Names of all measures taken, in MEASURES' order, others after them by name."""
        taken = {name for column in self.columns for name in column.figures}
        return [name for name in MEASURES if name in taken] + sorted(taken - set(MEASURES))
