"""Demonstrations and documents as token ids, with counts of what was left out or cut and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from workbench.domain.errors import BadInput, RunFailed
from workbench.engine.batches import Pair, cut
from workbench.engine.data import Row, prompt_of
from workbench.engine.report import Report
from workbench.engine.text import encode_completion, encode_prompt


class Examples(NamedTuple):
    """Usable rows with their ids, in the order of the rows; reasons of those left out, and how many were cut."""

    pairs: list[Pair]
    rows: list[Row]
    left_out: Counter[str]
    cut: int

    @property
    def missing(self) -> int:
        """How many rows were left out."""
        return sum(self.left_out.values())


def encode_demonstrations(rows: Sequence[Row], tokenizer: Any, chat_format: str, max_length: int) -> Examples:
    """Prompt and completion ids of each row; a completion that is too long is cut, and its EOS with it."""
    pairs, kept, left_out, shortened = [], [], Counter[str](), 0
    for row in rows:
        if not (row["completion"] or "").strip():
            left_out["the completion is empty"] += 1
            continue
        try:
            pair = Pair(
                encode_prompt(tokenizer, prompt_of(row), chat_format), encode_completion(tokenizer, row["completion"])
            )
        except BadInput as error:
            left_out[error.what] += 1
            continue
        short = cut(pair, max_length)
        if short is None:
            left_out[f"the prompt alone has {max_length} tokens or more"] += 1
            continue
        shortened += short.length < pair.length
        pairs.append(short)
        kept.append(row)
    return Examples(pairs, kept, left_out, shortened)


def tell(report: Report, left_out: Counter[str], shortened: int, usable: int, max_length: int) -> None:
    """Say what was left out and cut; raises RunFailed when no row is usable."""
    reasons = "; ".join(f"{count} because {reason}" for reason, count in left_out.most_common(5))
    if not usable:
        raise RunFailed(f"No row of the dataset is usable: {reasons}.", "Raise max_length, or choose other data.")
    if left_out:
        report.notice(
            f"{sum(left_out.values())} rows were left out: {reasons}.", "Raise max_length, or repair the rows."
        )
    if shortened:
        report.notice(
            f"{shortened} completions were cut to a total of {max_length} tokens, their end token with them.",
            "Raise max_length if the model should learn how they end.",
        )
