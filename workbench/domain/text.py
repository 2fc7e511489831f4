"""Prompts, turns and completions: text in, text out."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import Field

from workbench.domain.decoding import DecodingSettings
from workbench.domain.frozen import Frozen

Role = Literal["system", "user", "assistant", "tool"]


class Turn(Frozen):
    """One turn of a conversation."""

    role: Role
    content: str


class Prompt(Frozen):
    """What a completion answers: turns for the model's chat template, or one raw text that gets no template.

    A raw prompt is a single user turn with `raw=True`; its text is given to the tokenizer as it stands.
    """

    turns: tuple[Turn, ...] = Field(min_length=1)
    raw: bool = False

    @classmethod
    def from_text(cls, text: str, *, raw: bool = False) -> Prompt:
        """One user turn."""
        return cls(turns=(Turn(role="user", content=text),), raw=raw)

    @property
    def text(self) -> str:
        """The last turn's text: what a list or a title shows."""
        return self.turns[-1].content

    @property
    def transcript(self) -> str:
        """The whole prompt for reading: one turn as it stands, several with who speaks."""
        if len(self.turns) == 1:
            return self.text
        return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in self.turns)

    def key(self) -> str:
        """SHA-256 of the content; equal prompts have equal keys."""
        payload = json.dumps([self.raw, [[t.role, t.content] for t in self.turns]], ensure_ascii=False)
        return hashlib.sha256(payload.encode()).hexdigest()


class Candidate(Frozen):
    """A completion offered for ranking, with where it came from."""

    text: str
    model: str | None = None
    settings: DecodingSettings | None = None
    seed: int | None = None
    score: float | None = None


class Demonstration(Frozen):
    """A prompt with an ideal completion: a row of SFT data."""

    prompt: Prompt
    completion: str
