"""Plain text files as documents or prompts, cut into rows in one of three ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.domain.text import Prompt
from workbench.formats.containers import lines
from workbench.formats.rows import Read
from workbench.formats.spec import Format

TEXT_BLOCKS = Format(
    "text-blocks",
    "Plain text, split at blank lines",
    "documents",
    "text; blank lines separate documents",
    (),
    split="blocks",
)
TEXT = Format("text", "Plain text, one document", "documents", "text; the whole file is one document", (), split="file")
PROMPT_LINES = Format(
    "prompt-lines", "Plain text, one prompt in each line", "prompts", "text; each line is a prompt", (), split="lines"
)


def read(path: Path, form: Format) -> Iterator[Read]:
    """The rows of a text file; `line` is where a row begins."""
    if form.split == "file":
        yield Read(1, "".join(part for _, part in lines(path)), file=path)
    elif form.split == "lines":
        for number, line in lines(path):
            if line.strip():
                yield Read(number, Prompt.from_text(line.strip()), file=path)
    else:
        yield from _blocks(path)


def _blocks(path: Path) -> Iterator[Read]:
    block: list[str] = []
    start = 1
    for number, line in lines(path):
        if line.strip():
            start = start if block else number
            block.append(line)
        elif block:
            yield Read(start, "".join(block).rstrip("\r\n"), file=path)
            block = []
    if block:
        yield Read(start, "".join(block).rstrip("\r\n"), file=path)
