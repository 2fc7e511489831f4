"""A round of the playground as it is kept: what was asked, what every column said, its numbers and its tokens."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from workbench.domain.choices import TokenChoice
from workbench.domain.decoding import DecodingSettings
from workbench.domain.text import Frozen, Prompt


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
    """The tokens of every column of a round."""

    columns: tuple[tuple[TokenChoice, ...], ...]
