"""UltraFeedback: an instruction with completions, each rated by a model along several dimensions, with a critique.

Each dimension ranks the completions by its ratings, and over all they are ranked by the mean of their ratings; the file's own
`overall_score` is known to be wrong in thousands of rows. A dimension in which a rating is missing ranks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from workbench.domain.judgement import Aspect, Span, ranking_from_scores
from workbench.domain.text import Candidate, Prompt
from workbench.formats.rows import PreferenceRow, Record, RowTrouble, kind_of, sound, text_of
from workbench.formats.spec import Columns, Field, Format

RATER = "UltraFeedback ratings"
FEWEST, MOST = 2, 9
LONGEST_COMMENT = 4_000


def read(record: Record, columns: Columns) -> PreferenceRow:
    """An item with the ranking over all, one for each dimension, and critiques as comments."""
    question = text_of(record, columns["instruction"], "the instruction")
    if not question.strip():
        raise RowTrouble("The instruction is empty.")
    offered = record[columns["completions"]]
    if not isinstance(offered, list) or not all(isinstance(one, Mapping) for one in offered):
        raise RowTrouble(f"The field '{columns['completions']}' should be a list of objects but is {kind_of(offered)}.")
    if not FEWEST <= len(offered) <= MOST:
        raise RowTrouble(f"The row has {len(offered)} completions; {FEWEST} to {MOST} can be ranked.")
    texts = [text_of(one, "response", f"the response of completion {n}") for n, one in enumerate(offered, 1)]
    rated = _ratings(offered)
    means = [math.fsum(scores) / len(scores) for scores in zip(*rated.values(), strict=True)]
    return PreferenceRow(
        Prompt.from_text(question),
        tuple(Candidate(text=t, model=_name(one)) for t, one in zip(texts, offered, strict=True)),
        ranking_from_scores(means) if means else None,
        annotator=RATER,
        annotator_kind="model",
        aspects=tuple(Aspect(name=name, ranking=ranking_from_scores(scores)) for name, scores in rated.items()),
        spans=tuple(_critiques(offered)),
    )


def _ratings(offered: list[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The ratings of each dimension that rates every completion."""
    notes = [one["annotations"] if isinstance(one.get("annotations"), Mapping) else {} for one in offered]
    found: dict[str, list[float]] = {}
    for name in notes[0]:
        scores = [_rating(told.get(name)) for told in notes]
        if isinstance(name, str) and 0 < len(name) <= 60 and not any(score is None for score in scores):
            found[name] = [score for score in scores if score is not None]
    return found


def _rating(value: Any) -> float | None:
    """A rating, which is a text in the file; None for what is no number ("N/A")."""
    told = value.get("Rating") if isinstance(value, Mapping) else value
    if isinstance(told, bool) or not isinstance(told, str | int | float):
        return None
    try:
        number = float(told)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _name(one: Mapping[str, Any]) -> str | None:
    name = one.get("model")
    return sound(name, "The field 'model'") if isinstance(name, str) and name else None


def _critiques(offered: list[Mapping[str, Any]]) -> list[Span]:
    told = [(n, one.get("critique")) for n, one in enumerate(offered)]
    return [
        Span(candidate=n, start=0, end=0, comment=sound(text, "The field 'critique'")[:LONGEST_COMMENT])
        for n, text in told
        if isinstance(text, str) and text.strip()
    ]


def _fits(record: Record, columns: Columns) -> bool:
    offered = record[columns["completions"]]
    return (
        isinstance(offered, list) and bool(offered) and all(isinstance(o, Mapping) and "response" in o for o in offered)
    )


ULTRAFEEDBACK = Format(
    "ultrafeedback",
    "UltraFeedback",
    "preferences",
    "instruction with rated completions",
    (
        Field("instruction", "What is asked.", ("instruction", "prompt")),
        Field("completions", "List of objects with response, model, annotations and critique.", ("completions",)),
    ),
    read,
    _fits,
)
