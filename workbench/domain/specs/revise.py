"""The spec of constitutional revision: a model improves its own responses by written principles."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from workbench.domain.specs.common import JobSpec, group
from workbench.domain.specs.texts import need_places

PRINCIPLES = """The response does what was asked, and does it fully.
The response says nothing that is false or made up, and says so where it isn't sure.
The response helps nobody to hurt others or themselves, and explains kindly why when it declines.
The response respects people whoever they are, and doesn't belittle, flatter or lecture them.
The response keeps what is private private.
The response is clear, well ordered and no longer than it needs to be."""
CRITIQUE = """Look at your last response again in the light of this principle:

{principle}

Say briefly where the response falls short of it, and what would have to change."""
REVISION = """Now write the response to the first request anew, so that it holds to the principle and keeps everything that was good.

{principle}

Give only the new response."""


class ReviseSpec(JobSpec):
    """Constitutional revision (Bai et al. 2022, arXiv 2212.08073): critique and revise responses, for demonstrations and pairs."""

    kind: Literal["revise"] = "revise"
    base: str = Field(
        "", description="Language model that writes, criticises and revises.", json_schema_extra=group("Run")
    )
    data: str = Field(
        "",
        description="Dataset whose prompts are answered, or whose completions are revised.",
        json_schema_extra=group("Run"),
    )
    original: Literal["auto", "given", "sampled"] = Field(
        "auto",
        description="What is revised: the dataset's completions, responses that the model samples, or whichever there is.",
        json_schema_extra=group("Revision"),
    )
    rounds: int = Field(
        1,
        ge=1,
        le=16,
        description="How often a response is criticised and revised, each time by one principle drawn by the seed.",
        json_schema_extra=group("Revision", unit="rounds"),
    )
    limit: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Use at most so many prompts, drawn by the seed (0 = all).",
        json_schema_extra=group("Revision", unit="prompts"),
    )
    principles: str = Field(
        PRINCIPLES,
        max_length=100_000,
        description="The principles, one in each line; lines that begin with # are passed over.",
        json_schema_extra=group("Principles", lines=8),
    )
    principles_file: str = Field(
        "",
        max_length=4096,
        description="A text file with one principle in each line, read instead when the run starts.",
        json_schema_extra=group("Principles", advanced=True),
    )
    critique_request: str = Field(
        CRITIQUE,
        max_length=20_000,
        description="How the model is asked for a critique; {principle} is filled in.",
        json_schema_extra=group("Principles", lines=6, advanced=True),
    )
    revision_request: str = Field(
        REVISION,
        max_length=20_000,
        description="How the model is asked for a revision after its critique; {principle} may be filled in.",
        json_schema_extra=group("Principles", lines=6, advanced=True),
    )
    chat_format: Literal["auto", "template", "plain"] = Field(
        "auto",
        description="How turns become text: the model's chat template, plain 'Human:/Assistant:' lines, or whichever there is.",
        json_schema_extra=group("Principles", advanced=True),
    )
    demonstrations: str = Field(
        "revisions",
        max_length=120,
        description="Dataset for prompts with their last revision (empty = none); it is made when it isn't there.",
        json_schema_extra=group("Results"),
    )
    pairs: str = Field(
        "revision-pairs",
        max_length=120,
        description="Dataset for pairs that prefer the revision over the original (empty = none); made when it isn't there.",
        json_schema_extra=group("Results"),
    )
    max_new_tokens: int = Field(
        256,
        ge=1,
        le=65536,
        description="Longest response and longest critique.",
        json_schema_extra=group("Sampling", unit="tokens"),
    )
    keep_cut: bool = Field(
        False,
        description="Keep responses that were cut at that length instead of counting and leaving them out.",
        json_schema_extra=group("Sampling", advanced=True),
    )
    temperature: float = Field(
        0.7,
        ge=0.0,
        le=10.0,
        description="Divides the logits before sampling; 0 takes the likeliest token.",
        json_schema_extra=group("Sampling"),
    )
    top_p: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Sample only from the likeliest tokens that together have this probability.",
        json_schema_extra=group("Sampling", advanced=True),
    )
    max_length: int = Field(
        0,
        ge=0,
        le=1_048_576,
        description="Longest dialogue with all answers (0 = what the model reads); a longer one is counted and left out.",
        json_schema_extra=group("Batch", unit="tokens"),
    )
    batch_size: int = Field(
        16,
        ge=1,
        le=65536,
        description="Prompts that are worked on together.",
        json_schema_extra=group("Batch", unit="rows"),
    )

    @field_validator("critique_request")
    @classmethod
    def _names_the_principle(cls, text: str) -> str:
        return need_places(text, needed=("principle",))

    @field_validator("revision_request")
    @classmethod
    def _asks_for_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("the request is empty")
        return need_places(text, needed=(), allowed=("principle",))
