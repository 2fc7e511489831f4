"""What a reader hands out: a row or the reason why a line can't be one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.domain.judgement import AnnotatorKind, Aspect, Item, Judgement, Ranking, Span
from workbench.domain.queues import Guidelines
from workbench.domain.text import Candidate, Demonstration, Prompt

Record = Mapping[str, Any]


class RowTrouble(Exception):
    """A row can't be used; the message is the sentence that the doctor shows."""


@dataclass(frozen=True)
class PreferenceRow:
    """Candidates for one prompt with what was said about them.

    `ranking` is None for an item that nobody has judged. `extra` holds the columns that the format doesn't know, so that
    nothing is lost. `aspects` and `spans` go with `ranking`. `judgements` is filled by the native format only and then takes the place of `ranking`.
    """

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    ranking: Ranking | None = None
    strength: int = 1
    annotator: str = ""
    annotator_kind: AnnotatorKind = "person"
    extra: dict[str, Any] = field(default_factory=dict)
    item_id: str = ""
    judgements: tuple[Judgement, ...] = ()
    aspects: tuple[Aspect, ...] = ()
    spans: tuple[Span, ...] = ()

    def to_domain(self, annotator: str = "imported", created: datetime | None = None) -> tuple[Item, list[Judgement]]:
        """The item and its judgements; `annotator` signs those that the file gives no name for.

        Equal prompts with equal candidates get equal item ids, so that several people's verdicts meet on one item. An imported
        judgement has 0 milliseconds: nobody saw it here, so it says nothing about the order of presentation.
        """
        item = Item(id=self.item_id or self.content_id(), prompt=self.prompt, candidates=self.candidates)
        if self.judgements or self.ranking is None:
            return item, list(self.judgements)
        name = self.annotator or annotator
        verdict = Judgement(
            id=_digest([item.id, name, self.ranking.model_dump(mode="json"), self.strength, *self._besides()]),
            item=item.id,
            annotator=name,
            annotator_kind=self.annotator_kind,
            outcome="ranked",
            ranking=self.ranking,
            strength=self.strength,
            shown=tuple(range(len(self.candidates))),
            shown_seed=0,
            milliseconds=0,
            created=created or datetime.now(UTC),
            aspects=self.aspects,
            spans=self.spans,
        )
        return item, [verdict]

    def _besides(self) -> list[Any]:
        return [aspect.model_dump(mode="json") for aspect in self.aspects]

    def content_id(self) -> str:
        """SHA-256 of the prompt and the candidates' texts."""
        return _digest([self.prompt.key(), [candidate.text for candidate in self.candidates]])


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


Row = str | Prompt | Demonstration | PreferenceRow | Guidelines


@dataclass(frozen=True)
class Read:
    """One line of a file: its number (from 1), and a row or the trouble with it; `extra` are columns nobody asked for."""

    line: int
    row: Row | None
    trouble: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    file: Path | None = None


def text_of(record: Record, column: str, name: str) -> str:
    """A field that must be a text; raises RowTrouble that names it."""
    if column not in record or record[column] is None:
        raise RowTrouble(f"The field '{column}' ({name}) is missing.")
    value = record[column]
    if not isinstance(value, str):
        raise RowTrouble(f"The field '{column}' should be text but is {kind_of(value)}.")
    return sound(value, f"The field '{column}'")


def sound(value: str, where: str) -> str:
    """The text itself if it can be stored as UTF-8; half of a surrogate pair can't."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RowTrouble(
            f"{where} has a broken character at position {error.start} (half of a surrogate pair)."
        ) from error
    return value


def kind_of(value: Any) -> str:
    """A JSON value's type in words, for sentences."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)


def pair(prompt: Prompt, chosen: str, rejected: str, **more: Any) -> PreferenceRow:
    """A two-candidate row whose first candidate is better; raises RowTrouble for empty or identical sides."""
    if not chosen.strip():
        raise RowTrouble("The chosen response is empty.")
    if not rejected.strip():
        raise RowTrouble("The rejected response is empty.")
    if chosen == rejected:
        raise RowTrouble("The chosen and the rejected response are identical, so the pair prefers nothing.")
    sides = (Candidate(text=chosen), Candidate(text=rejected))
    return PreferenceRow(prompt, sides, Ranking(tiers=((0,), (1,))), **more)
