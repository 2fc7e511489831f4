"""Demonstrations as token ids, with counts of what was left out or cut and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.engine.batches import Example, epoch_order
from workbench.engine.conversation import assistant_example, completion_example
from workbench.engine.data import Row, prompt_of
from workbench.engine.report import Report


class Limit(NamedTuple):
    """How many usable rows, or how many tokens in them, are enough (0 = no limit)."""

    rows: int = 0
    tokens: int = 0


NO_LIMIT = Limit()


class Examples(NamedTuple):
    """Usable rows with their ids, in the order of the rows; reasons of those left out, how many were cut, and not looked at."""

    pairs: list[Example]
    rows: list[Row]
    left_out: Counter[str]
    cut: int
    unread: int = 0

    @property
    def missing(self) -> int:
        """How many rows were left out."""
        return self.left_out.total()

    @property
    def share(self) -> float:
        """Share of the rows, those left out not counted, that were looked at."""
        return len(self.pairs) / max(1, len(self.pairs) + self.unread)


def enough(rows: Sequence[Row], spec: SftSpec) -> tuple[Sequence[Row], Limit]:
    """The rows in an order to encode them in, and when to stop: a run of so many steps needn't read more than it uses.

    Which rows it then uses depends on the seed only.
    """
    count = spec.max_steps * spec.batch_size
    if not 0 < count < len(rows):
        return rows, NO_LIMIT
    drawn = [rows[index] for index in epoch_order(len(rows), 0, spec.seed)]
    return drawn, Limit(tokens=count * spec.max_length) if spec.packing else Limit(rows=count)


def encode_demonstrations(
    rows: Sequence[Row],
    tokenizer: Any,
    chat_format: str,
    max_length: int,
    loss_on: str = "completion",
    limit: Limit = NO_LIMIT,
) -> Examples:
    """Ids of each row up to the limit; what is too long is cut, and its EOS with it.

    `loss_on` says what is learned: the completion, or with assistant all of the assistant's turns.
    """
    encode = assistant_example if loss_on == "assistant" else completion_example
    pairs: list[Example] = []
    kept, left_out, shortened, tokens, seen = [], Counter[str](), 0, 0, 0
    for row in rows:
        if 0 < limit.rows <= len(pairs) or 0 < limit.tokens <= tokens:
            break
        seen += 1
        if not (row["completion"] or "").strip():
            left_out["the completion is empty"] += 1
            continue
        try:
            whole = encode(tokenizer, prompt_of(row), row["completion"], chat_format)
        except BadInput as error:
            left_out[error.what] += 1
            continue
        short = shorten(whole, max_length)
        if short is None:
            left_out[f"the prompt alone has {max_length} tokens or more"] += 1
            continue
        shortened += short.length < whole.length
        tokens += short.length
        pairs.append(short)
        kept.append(row)
    return Examples(pairs, kept, left_out, shortened, len(rows) - seen)


def shorten(example: Example, max_length: int) -> Example | None:
    """The example cut to fit (a cut EOS is not put back); None when nothing that is learned is left."""
    if example.length <= max_length:
        return example if example.targets else None
    learned = tuple(range(places.start, min(places.stop, max_length)) for places in example.learned)
    short = Example(example.ids[:max_length], tuple(places for places in learned if places))
    return short if short.targets else None


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
