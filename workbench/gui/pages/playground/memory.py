"""What the page remembers across restarts, as one line of JSON; what can't be read any more is forgotten."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from workbench.domain.decoding import DecodingSettings
from workbench.services.views import Column


class _Column(BaseModel):
    model: str
    settings: DecodingSettings


class Remembered(BaseModel):
    """Prompt, how it is given, seed, how tokens are shown, whether a round is blind, and the columns."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: str = ""
    system: str = ""
    prefill: str = ""
    raw: bool = False
    seed: int = 0
    mode: int = 0
    blind: bool = False
    same: bool = False
    kept: tuple[_Column, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns."""
        return tuple(Column(one.model, one.settings) for one in self.kept)

    def with_columns(self, columns: list[Column]) -> Remembered:
        """The same with these columns."""
        return self.model_copy(update={"kept": tuple(_Column(model=c.model, settings=c.settings) for c in columns)})


def write(state: Remembered) -> str:
    """The state as JSON."""
    return state.model_dump_json()


def read(words: object) -> Remembered:
    """What was written, or the defaults."""
    try:
        return Remembered.model_validate_json(str(words))
    except ValidationError:
        return Remembered()
