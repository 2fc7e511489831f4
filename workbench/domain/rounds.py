"""A round of the playground as it is kept: what was asked, what every column said, its numbers and its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from workbench.domain.choices import Aside, BeamLevel, TokenChoice
from workbench.domain.decoding import DecodingSettings
from workbench.domain.frozen import Frozen
from workbench.domain.text import Prompt

MOST_KEPT = 20_000  # hypotheses or drafted tokens of one column: about 300 KB on the disk


class RoundColumn(Frozen):
    """What one column was asked and what became of it. `completion` is the text as training reads it."""

    model: str
    settings: DecodingSettings
    text: str = ""
    completion: str = ""
    reason: str = ""
    error: str = ""
    numbers: dict[str, float] = Field(default_factory=dict)


class Round(Frozen):
    """One round. The columns stand as they were on the screen; `order` says where a person had put them, `order_seed` what a
    blind round's order was drawn from.
    """

    id: str
    created: datetime
    prompt: Prompt
    prefill: str = ""
    seed: int = 0
    columns: tuple[RoundColumn, ...]
    order: tuple[int, ...] = ()
    order_seed: int | None = None

    @property
    def words(self) -> str:
        """Everything that a search looks at, in small letters."""
        parts = [self.prompt.transcript, self.prefill]
        for column in self.columns:
            parts += [column.model, column.settings.strategy, column.text]
        return "\n".join(parts).casefold()


class RoundTokens(Frozen):
    """The tokens of every column of a round, and what its strategy said beside them; early rounds have none of the latter."""

    columns: tuple[tuple[TokenChoice, ...], ...]
    asides: tuple[tuple[Aside, ...], ...] = ()


def bounded(asides: Sequence[Aside], most: int = MOST_KEPT) -> tuple[Aside, ...]:
    """What is kept of a column's asides: all of them; else all but the hypotheses that were dropped; else nothing.

    Never a part of the steps: a tree that breaks off would show hypotheses as unfinished that have ended.
    """
    if _size(asides) <= most:
        return tuple(asides)
    lean = tuple(_without_pruned(aside) for aside in asides)
    return lean if _size(lean) <= most else ()


def _size(asides: Sequence[Aside]) -> int:
    return sum(len(aside.nodes) if isinstance(aside, BeamLevel) else 1 + len(aside.drafted) for aside in asides)


def _without_pruned(aside: Aside) -> Aside:
    if not isinstance(aside, BeamLevel):
        return aside
    return aside.model_copy(update={"nodes": tuple(node for node in aside.nodes if node.state != "pruned")})
