"""The base of what is said once and never changed: messages, events, settings, texts."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable, unknown fields are refused. In JSON not-a-number and infinity are strings, which are read back as what they were."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
