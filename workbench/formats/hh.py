"""Anthropic's hh-rlhf: two transcripts of "Human:" and "Assistant:" turns that part at the last answer."""

from __future__ import annotations

import re
from typing import Any

from workbench.domain.text import Prompt, Role, Turn
from workbench.formats.messages import check_prompt
from workbench.formats.rows import PreferenceRow, Record, RowTrouble, pair, text_of
from workbench.formats.spec import Columns, Format
from workbench.formats.trl import ABOUT, SIDES, about

ANSWER = "\n\nAssistant:"
_BORDER = re.compile(r"\n\n(Human|Assistant):")
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def is_transcript(value: Any) -> bool:
    """Whether this is a text with a human turn and an answer."""
    return isinstance(value, str) and "\n\nHuman:" in f"\n\n{value.lstrip()}" and ANSWER in value


def split(transcript: str, name: str) -> tuple[str, str]:
    """(everything up to and including the last "Assistant:", the answer after it)."""
    border = transcript.rfind(ANSWER)
    if border < 0:
        raise RowTrouble(f"The {name} transcript has no 'Assistant:' turn.")
    return transcript[: border + len(ANSWER)], transcript[border + len(ANSWER) :].strip()


def turns_of_transcript(text: str) -> tuple[Turn, ...]:
    """The turns of a transcript; several turns of one speaker in a row are joined by a blank line."""
    parts = _BORDER.split(f"\n\n{text.lstrip()}")
    if parts[0].strip():
        raise RowTrouble("The transcript does not begin with 'Human:' or 'Assistant:'.")
    turns: list[Turn] = []
    for speaker, words in zip(parts[1::2], parts[2::2]):
        role, content = _ROLES[speaker], words.strip()
        if turns and turns[-1].role == role:
            turns[-1] = Turn(role=role, content=f"{turns[-1].content}\n\n{content}")
        else:
            turns.append(Turn(role=role, content=content))
    return tuple(turns)


def read(record: Record, columns: Columns) -> PreferenceRow:
    """A pair whose sides share everything up to the last answer."""
    chosen = text_of(record, columns["chosen"], "the chosen transcript")
    rejected = text_of(record, columns["rejected"], "the rejected transcript")
    (before, better), (beside, worse) = split(chosen, "chosen"), split(rejected, "rejected")
    if before != beside:
        raise RowTrouble(
            "The chosen and the rejected transcript do not share a prompt: they part before the last 'Assistant:'."
        )
    turns = turns_of_transcript(before.removesuffix(ANSWER))
    check_prompt(turns)
    return pair(Prompt(turns=turns), better, worse, **about(record, columns))


def _fits(record: Record, columns: Columns) -> bool:
    return "prompt" not in record and any(is_transcript(record[columns[side]]) for side in ("chosen", "rejected"))


HH = Format(
    "hh-rlhf",
    "Anthropic hh-rlhf",
    "preferences",
    "chosen and rejected transcripts with 'Human:' and 'Assistant:' turns",
    (*SIDES, *ABOUT),
    read,
    _fits,
)
