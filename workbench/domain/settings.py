"""The declared settings of the application: type, default, bounds and one sentence each; page and manual are made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.domain.specs.common import group


class Settings(BaseModel):
    """Settings of one person on one workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    theme: Literal["system", "light", "dark"] = Field(
        "system", description="Colours of the window.", json_schema_extra=group("Appearance")
    )
    font_size: int = Field(
        13, ge=13, le=24, description="Size of the interface's text.", json_schema_extra=group("Appearance", unit="px")
    )
    reading_size: int = Field(
        15, ge=13, le=32, description="Size of prompts and responses.", json_schema_extra=group("Appearance", unit="px")
    )
    annotator: str = Field(
        "me", min_length=1, max_length=80, description="Name that your judgements are signed with.",
        json_schema_extra=group("Annotation"),
    )  # fmt: skip
    raw_text: bool = Field(
        False, description="Show responses as plain text instead of Markdown.", json_schema_extra=group("Annotation")
    )
    threads: int = Field(
        0, ge=0, le=512, description="Processor threads of a training job (0 = all cores).",
        json_schema_extra=group("Devices"),
    )  # fmt: skip
