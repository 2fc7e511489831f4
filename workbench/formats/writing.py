"""Rows to files: written beside, fsynced and renamed, so that an export is whole or absent.

Ties, items that nobody judged, skips and "all bad" give no pair: TRL's preference format can't say them, and a trainer would
take a made-up order for a real one. They are counted in the notes; the native format keeps everything.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from workbench.domain.errors import BadInput, StorageFailed
from workbench.domain.judgement import comparisons
from workbench.domain.queues import Guidelines
from workbench.domain.rows import DATASET_KINDS, DatasetKind
from workbench.domain.text import Demonstration, Prompt
from workbench.formats import native
from workbench.formats.rows import PreferenceRow, Row

Style = Literal["auto", "standard", "conversational"]


@dataclass(frozen=True)
class Export:
    """A format that is written, and the kinds of dataset that it can hold."""

    name: str
    title: str
    kinds: tuple[DatasetKind, ...]
    shape: Literal["native", "preference", "completion", "prompt", "text"]
    style: Style = "auto"


EXPORTS: dict[str, Export] = {
    export.name: export
    for export in (
        Export("workbench", "Workbench, lossless", DATASET_KINDS, "native"),
        Export("trl-preference", "TRL preference", ("preferences",), "preference"),
        Export("trl-preference-standard", "TRL preference, as texts", ("preferences",), "preference", "standard"),
        Export(
            "trl-preference-conversational",
            "TRL preference, as messages",
            ("preferences",),
            "preference",
            "conversational",
        ),
        Export("trl-prompt-completion", "TRL prompt and completion", ("demonstrations",), "completion"),
        Export("trl-prompts", "TRL prompts only", ("prompts", "demonstrations", "preferences"), "prompt"),
        Export("trl-text", "TRL text", ("documents",), "text"),
    )
}


def exports_for(kind: DatasetKind) -> tuple[str, ...]:
    """The formats that a dataset of this kind can be written in."""
    return tuple(name for name, export in EXPORTS.items() if kind in export.kinds)


def write(rows: Iterable[Row], format: str, out: Path) -> tuple[int, tuple[str, ...]]:
    """Write rows as .jsonl, .jsonl.gz or .json; returns how many rows were written, and notes on what was left out or changed."""
    if format not in EXPORTS:
        raise BadInput(f"There is no export format '{format}'.", f"Export formats are: {', '.join(EXPORTS)}.")
    name = out.name.lower()
    if not name.endswith((".jsonl", ".jsonl.gz", ".json")):
        raise BadInput(f"{out.name} has no known ending.", "Exports are written as .jsonl, .jsonl.gz or .json.")
    if out.is_dir() or not out.parent.is_dir():
        raise BadInput(f"{out} can't be written: it is a folder, or its folder is not there.", "Choose another place.")
    maker = _Maker(EXPORTS[format])
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            count = _write_records(maker.records(rows), file, name)
            file.flush()
            os.fsync(file.fileno())
        if EXPORTS[format].shape == "preference" and not maker.graded:
            _drop_margin(beside, name)
        beside.replace(out)
    except OSError as error:
        raise StorageFailed(
            f"{out} can't be written: {error.strerror}.", "Free some space or choose another place."
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return count - maker.heads, maker.notes()


def _write_records(records: Iterable[dict[str, Any]], file: IO[bytes], name: str) -> int:
    if name.endswith(".gz"):
        with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
            return _write_lines(records, packed.write, as_list=False)
    return _write_lines(records, file.write, as_list=name.endswith(".json"))


def _write_lines(records: Iterable[dict[str, Any]], put: Callable[[bytes], int], *, as_list: bool) -> int:
    count = 0
    for record in records:
        before = (b",\n" if count else b"[\n") if as_list else b""
        put(before + _as_json(record) + (b"" if as_list else b"\n"))
        count += 1
    if as_list:
        put(b"\n]\n" if count else b"[]\n")
    return count


def _as_json(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair in a column that came along: spelled out, it can be written
        return json.dumps(record).encode()


def _drop_margin(path: Path, name: str) -> None:
    """Every margin is 1, which says nothing, but a trainer that finds the column would use it: take it out again."""
    opened: Any = gzip.open if name.endswith(".gz") else open
    kept = path.with_name(f"{path.name}.kept")
    try:
        with opened(path, "rt", encoding="utf-8") as source, kept.open("wb") as file:
            lines = (line.rstrip("\n").rstrip(",") for line in source)
            _write_records(_without_margin(lines), file, name)
            file.flush()
            os.fsync(file.fileno())
        kept.replace(path)
    finally:
        kept.unlink(missing_ok=True)


def _without_margin(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("{"):
            record = json.loads(line)
            record.pop("margin", None)
            yield record


class _Maker:
    """Turns rows into records and remembers what it left out or changed."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._style = export.style
        self._counts: Counter[str] = Counter()
        self.graded = False
        self.heads = 0

    def notes(self) -> tuple[str, ...]:
        """One sentence for everything that is not as it was."""
        return tuple(f"{count} {what}" for what, count in self._counts.items())

    def records(self, rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
        """The records of all rows."""
        seen: set[str] = set()
        for row in rows:
            shape = self._export.shape
            if shape == "native":
                self.heads += isinstance(row, Guidelines)
                yield from native.write(row)
            elif shape == "preference" and isinstance(row, PreferenceRow):
                yield from self._preference(row)
            elif shape == "completion" and isinstance(row, Demonstration):
                yield self._sides(row.prompt, {"completion": row.completion})
            elif shape == "text" and isinstance(row, str):
                yield {"text": row}
            elif shape == "prompt" and not isinstance(row, str | Guidelines):
                prompt = row if isinstance(row, Prompt) else row.prompt
                if prompt.key() in seen:
                    self._counts["repeated prompts were written once."] += 1
                    continue
                seen.add(prompt.key())
                yield self._sides(prompt, {})
            else:
                raise BadInput(
                    f"The format {self._export.name} can't hold this dataset.",
                    f"It is for {' and '.join(self._export.kinds)}.",
                )

    def _preference(self, row: PreferenceRow) -> Iterator[dict[str, Any]]:
        _, said = row.to_domain(annotator="")
        if not said:
            self._counts["items without a judgement were left out."] += 1
        for judgement in said:
            if judgement.ranking is None:
                self._counts["judgements without a ranking (skipped or all bad) were left out."] += 1
                continue
            pairs = comparisons(judgement.ranking, judgement.strength)
            size = len(row.candidates)
            if ties := size * (size - 1) // 2 - len(pairs):
                self._counts["tied pairs were left out: this format can't say that two responses are equal."] += ties
            about: dict[str, Any] = {"annotator": judgement.annotator} if judgement.annotator else {}
            if judgement.annotator_kind != "person":
                about["annotator_kind"] = judgement.annotator_kind
            for found in pairs:
                self.graded = self.graded or found.margin != 1.0
                chosen, rejected = row.candidates[found.chosen].text, row.candidates[found.rejected].text
                sides = self._sides(row.prompt, {"chosen": chosen, "rejected": rejected})
                yield {**row.extra, **sides, "margin": found.margin, **about}

    def _sides(self, prompt: Prompt, answers: dict[str, str]) -> dict[str, Any]:
        if self._style == "auto":
            self._style = "standard" if prompt.raw else "conversational"
        if self._style == "standard":
            if not prompt.raw:
                self._counts["conversations were written as plain text."] += 1
            return {"prompt": _as_text(prompt), **answers}
        if prompt.raw:
            self._counts["raw prompts were written as a user's message."] += 1
        turns = [{"role": t.role, "content": t.content} for t in prompt.turns]
        return {"prompt": turns, **{k: [{"role": "assistant", "content": v}] for k, v in answers.items()}}


def _as_text(prompt: Prompt) -> str:
    """A raw prompt or a single question as it is; a longer conversation as a transcript that ends with "Assistant:"."""
    if len(prompt.turns) == 1:
        return prompt.turns[0].content
    speakers = {"user": "Human", "assistant": "Assistant", "system": "System", "tool": "Tool"}
    return "".join(f"\n\n{speakers[t.role]}: {t.content}" for t in prompt.turns) + "\n\nAssistant:"
