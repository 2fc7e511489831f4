"""The server's log and record: JSON lines. The log holds no texts unless it was asked to; the record holds prompts only."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from workbench.domain.errors import BadInput
from workbench.domain.text import Prompt
from workbench.formats.native import write


class Log:
    """One line for each thing that happens."""

    def __init__(self, out: TextIO | None = None, texts: bool = False) -> None:
        self._out = out or sys.stderr
        self.texts = texts
        self._lock = threading.Lock()

    def say(self, event: str, **facts: Any) -> None:
        """Write one line; facts that are None are left out."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        line |= {name: value for name, value in facts.items() if value is not None}
        with self._lock:
            self._out.write(json.dumps(line, ensure_ascii=True, default=str) + "\n")
            self._out.flush()


class Notes(logging.Handler):
    """Brings what libraries have to say into the log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write it as a line."""
        self._log.say("note", logger=record.name, level=record.levelname.lower(), what=record.getMessage())


class Record:
    """Adds prompts to a file that `workbench data import` reads as a dataset of prompts."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise BadInput(
                f"{path} can't be written to: {error.strerror}.", "Choose another file to record in."
            ) from error
        self._lock = threading.Lock()

    def add(self, prompt: Prompt, model: str) -> None:
        """Write one prompt with the model that was asked and the time."""
        about = {"model": model, "time": datetime.now(UTC).isoformat(timespec="seconds")}
        with self._lock:
            for line in write(prompt):
                self._file.write(json.dumps(line | about, ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
