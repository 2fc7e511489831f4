"""What the page remembers across restarts, as one line of JSON; what can't be read any more is forgotten."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from workbench.domain.decoding import DecodingSettings
from workbench.services.views import Column

_SETTINGS: TypeAdapter[DecodingSettings] = TypeAdapter(DecodingSettings)


@dataclass(frozen=True)
class Remembered:
    """Prompt, how it is given, seed, how tokens are shown, and the columns."""

    prompt: str = ""
    raw: bool = False
    seed: int = 0
    mode: int = 0
    columns: tuple[Column, ...] = ()


def write(state: Remembered) -> str:
    """The state as JSON."""
    columns = [[c.model, c.settings.model_dump(mode="json")] for c in state.columns]
    return json.dumps([state.prompt, state.raw, state.seed, state.mode, columns])


def read(words: object) -> Remembered:
    """What was written, or the defaults."""
    try:
        prompt, raw, seed, mode, columns = json.loads(str(words))
        kept = tuple(Column(str(m), _SETTINGS.validate_python(s)) for m, s in columns)
        return Remembered(str(prompt), bool(raw), int(seed), int(mode), kept)
    except (ValueError, TypeError, ValidationError):
        return Remembered()
