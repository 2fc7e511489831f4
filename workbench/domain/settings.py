"""The declared settings of the application: type, default, bounds and one sentence each; page and manual are made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.domain.frozen import Frozen
from workbench.domain.specs.common import group

SMALLEST_READING, LARGEST_READING = 13, 32


class Settings(Frozen):
    """Settings of one person on one workspace."""

    theme: Literal["system", "light", "dark"] = Field(
        "system", description="Colours of the window.", json_schema_extra=group("Appearance")
    )
    font_size: int = Field(
        13, ge=13, le=24, description="Size of the interface's text.", json_schema_extra=group("Appearance", unit="px")
    )
    reading_size: int = Field(
        15,
        ge=SMALLEST_READING,
        le=LARGEST_READING,
        description="Size of prompts and responses.",
        json_schema_extra=group("Appearance", unit="px"),
    )
    reading_font: Literal["proportional", "serif", "monospace"] = Field(
        "proportional", description="Letters of prompts and responses.", json_schema_extra=group("Appearance")
    )
    reading_width: int = Field(
        0, ge=0, le=200, description="Longest line of prompts and responses (0 = as wide as there is room).",
        json_schema_extra=group("Appearance", unit="characters"),
    )  # fmt: skip
    reading_spacing: int = Field(
        150, ge=100, le=220, description="From one line of prompts and responses to the next, of the letters' size.",
        json_schema_extra=group("Appearance", unit="%"),
    )  # fmt: skip
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
    decoder_memory: int = Field(
        0, ge=0, le=100_000, description="Memory for the playground's models; the ones used last stay (0 = half of it all).",
        json_schema_extra=group("Devices", unit="GiB"),
    )  # fmt: skip

    def reading_resized(self, pixels: int) -> Settings:
        """Prompts and responses larger or smaller by so many pixels, within bounds; 0 sets their size back to the default."""
        field = type(self).model_fields["reading_size"]
        wanted = self.reading_size + pixels if pixels else int(field.default)
        return self.model_copy(update={"reading_size": max(SMALLEST_READING, min(LARGEST_READING, wanted))})
