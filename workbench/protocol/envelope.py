"""The envelope of what goes through a pipe: one message, one JSON line, `{"v": VERSION, "m": MESSAGE}`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from workbench.domain.errors import BadInput, TooNew
from workbench.domain.frozen import Frozen

M = TypeVar("M")


class Message(Frozen):
    """Base of messages and their parts."""


@dataclass(frozen=True)
class Envelope:
    """How one kind of child process is spoken with: `process` is its name in sentences, `version` that of its messages.

    What was in a damaged line is never repeated: it may hold keys, or what a person wrote.
    """

    process: str
    version: int

    def to_line(self, message: Message) -> bytes:
        """One message as a line with its newline."""
        return f'{{"v":{self.version},"m":{message.model_dump_json()}}}\n'.encode()

    def read(self, kind: TypeAdapter[M], line: bytes) -> M:
        """The message of a line; BadInput for what is none of this kind, TooNew for one of a later version."""
        damaged = f"The {self.process}'s pipe is damaged."
        try:
            envelope = json.loads(line)
            version, message = int(envelope["v"]), envelope["m"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadInput("Not a message.", damaged, f"{type(error).__name__}: {error}") from error
        if version > self.version:
            raise TooNew(f"The {self.process} speaks a newer version of the protocol.", "Restart the workbench.")
        try:
            return kind.validate_python(message)
        except ValidationError as error:
            raise BadInput("Not a message.", damaged, str(error.errors(include_input=False))) from error
