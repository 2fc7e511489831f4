"""What an application and the server that it started say to each other over a pipe: one message, one JSON line.

The first line down is `Setup`. A closed pipe says `Stop`, so a server never outlives the application that started it.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from workbench.domain.errors import BadInput, TooNew
from workbench.domain.serving import Offered, ServeSettings, Serving

SERVE_VERSION = 1


class _Message(BaseModel):
    """Base: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Setup(_Message):
    """What to serve and how. `keys` are the keys that open the door, at least one."""

    kind: Literal["setup"] = "setup"
    models: tuple[Offered, ...] = Field(min_length=1)
    settings: ServeSettings
    keys: tuple[str, ...] = Field(min_length=1)


class Stop(_Message):
    """End: refuse what is new, finish what runs within the time of grace, or with `now` at once."""

    kind: Literal["stop"] = "stop"
    now: bool = False


class News(_Message):
    """How the server fares: after every change of state, and once a second while something changes."""

    kind: Literal["news"] = "news"
    serving: Serving


Down = Annotated[Setup | Stop, Field(discriminator="kind")]
_DOWN: TypeAdapter[Down] = TypeAdapter(Down)
_UP: TypeAdapter[News] = TypeAdapter(News)


def to_line(message: _Message) -> bytes:
    """One message as a line with its newline."""
    return f'{{"v":{SERVE_VERSION},"m":{message.model_dump_json()}}}\n'.encode()


def read_down(line: bytes) -> Down:
    """What the application says; BadInput for what is no message, TooNew for a later version."""
    found: Down = _checked(_DOWN, line)
    return found


def read_up(line: bytes) -> News:
    """What the server says; BadInput for what is no message, TooNew for a later version."""
    found: News = _checked(_UP, line)
    return found


def _checked(kind: TypeAdapter[Any], line: bytes) -> Any:
    try:
        envelope = json.loads(line)
        version, message = int(envelope["v"]), envelope["m"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("Not a message.", "The server's pipe is damaged.", str(error)) from error
    if version > SERVE_VERSION:
        raise TooNew("The server speaks a newer version of the protocol.", "Restart the workbench.")
    try:
        return kind.validate_python(message)
    except ValidationError as error:
        raise BadInput(
            "Not a message.", "The server's pipe is damaged.", str(error.errors(include_input=False))
        ) from error
