"""A round of the playground as a file for other eyes: JSON with everything, Markdown to read."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from workbench.domain.choices import Aside, TokenChoice
from workbench.domain.rounds import Round, RoundColumn

LETTERS = "ABCDEF"


def as_json(round: Round, tokens: Sequence[Sequence[TokenChoice]], asides: Sequence[Sequence[Aside]] = ()) -> str:
    """The round with the tokens and asides of each column; numbers that aren't finite are null, as JSON has none."""
    document = round.model_dump(mode="json")
    for column, beside in zip(document["columns"], asides, strict=False):
        column["asides"] = [aside.model_dump(mode="json", exclude_none=True) for aside in beside]
    for column, told in zip(document["columns"], tokens, strict=True):
        column["tokens"] = [choice.model_dump(mode="json", exclude_none=True) for choice in told]
    return json.dumps(_finite(document), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_markdown(round: Round) -> str:
    """Prompt, and for every column who spoke with which settings, the text and its numbers."""
    parts = [f"# {_line(round.prompt.text)}", f"{round.created:%Y-%m-%d %H:%M} UTC · seed {round.seed}"]
    if round.order_seed is not None:
        parts.append(f"Blind, shuffled by the seed {round.order_seed}.")
    for turn in round.prompt.turns:
        parts += [f"**{'Text' if round.prompt.raw else turn.role.capitalize()}**", _fenced(turn.content)]
    if round.prefill:
        parts += ["**Every answer begins**", _fenced(round.prefill)]
    for letter, column in zip(LETTERS, round.columns, strict=False):
        parts += [f"## {letter}: {column.model}, {column.settings.strategy.replace('_', ' ')}", _settings(column)]
        parts.append(_fenced(round.prefill + column.text) if column.text or not column.error else f"*{column.error}*")
        if column.numbers:
            rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in column.numbers.items())
            parts.append(f"| number | value |\n|---|---|\n{rows}")
    return "\n\n".join(parts) + "\n"


def _settings(column: RoundColumn) -> str:
    chosen = column.settings.model_dump(exclude_defaults=True, exclude={"strategy"})
    return (
        ", ".join(f"`{name} = {json.dumps(value)}`" for name, value in chosen.items())
        or "All settings at their defaults."
    )


def _line(text: str) -> str:
    """The first words, as a title."""
    words = " ".join(text.split())
    return (words[:79] + "…" if len(words) > 80 else words).replace("#", "\\#") or "A round"


def _fenced(text: str) -> str:
    """A text as it stands, whatever it holds: the fence is longer than every run of backticks in it."""
    runs = [len(run) for run in "".join(c if c == "`" else " " for c in text).split()]
    fence = "`" * max(3, max(runs, default=0) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value
