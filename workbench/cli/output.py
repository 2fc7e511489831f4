"""What a command prints: results on stdout (text, or one JSON document), progress and messages on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

BAR = 24


class Output:
    """Where a command speaks. With `as_json` stdout carries JSON only."""

    def __init__(self, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._bar = False

    def result(self, document: dict[str, Any] | list[Any], text: str = "") -> None:
        """The command's answer: the document with --json, the text otherwise."""
        self._end_bar()
        self._write(json.dumps(_finite(document), ensure_ascii=False, default=str) if self.as_json else text)

    def line(self, document: dict[str, Any], text: str) -> None:
        """One of several answers: a JSON line, or a line of text."""
        self.result(document, text)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
        """Rows as aligned text."""
        cells = [[str(c) for c in row] for row in rows]
        widths = [max(len(row[i]) for row in [list(heads), *cells]) for i in range(len(heads))]
        lines = [
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [list(heads), *cells]
        ]
        return "\n".join(lines)

    def say(self, sentence: str) -> None:
        """A message for the person, on stderr."""
        self._end_bar()
        self._err.write(sentence + "\n")
        self._err.flush()

    def progress(self, done: int, total: int, what: str = "") -> None:
        """A progress bar on a terminal; nothing elsewhere."""
        if not self._err.isatty() or total <= 0:
            return
        filled = min(BAR, BAR * done // total)
        self._err.write(f"\r\x1b[2K{'█' * filled}{'░' * (BAR - filled)} {done}/{total} {what}")
        self._err.flush()
        self._bar = True

    def fail(self, what: str, hint: str = "") -> None:
        """One line: what happened and what to do."""
        self._end_bar()
        self._err.write(f"workbench: {what}{' ' + hint if hint else ''}\n".replace("\n", " ").rstrip() + "\n")
        self._err.flush()

    def _end_bar(self) -> None:
        if self._bar:
            self._err.write("\r\x1b[2K")
            self._bar = False

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text.rstrip("\n") + "\n")
            self._out.flush()


def _finite(value: Any) -> Any:
    """JSON has no word for not-a-number and infinity: null stands for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
