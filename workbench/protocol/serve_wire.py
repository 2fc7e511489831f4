"""What an application and the server that it started say to each other over a pipe: one message, one JSON line.

The first line down is `Setup`. A closed pipe says `Stop`, so a server never outlives the application that started it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from workbench.domain.serving import Offered, ServeSettings, Serving
from workbench.protocol.envelope import Envelope, Message

_ENVELOPE = Envelope("server", version=1)


class Setup(Message):
    """What to serve and how. `keys` are the keys that open the door, at least one."""

    kind: Literal["setup"] = "setup"
    models: tuple[Offered, ...] = Field(min_length=1)
    settings: ServeSettings
    keys: tuple[str, ...] = Field(min_length=1)


class Stop(Message):
    """End: refuse what is new, finish what runs within the time of grace, or with `now` at once."""

    kind: Literal["stop"] = "stop"
    now: bool = False


class News(Message):
    """How the server fares: after every change of state, and once a second while something changes."""

    kind: Literal["news"] = "news"
    serving: Serving


Down = Annotated[Setup | Stop, Field(discriminator="kind")]
_DOWN: TypeAdapter[Down] = TypeAdapter(Down)
_UP: TypeAdapter[News] = TypeAdapter(News)


def to_line(message: Message) -> bytes:
    """One message as a line with its newline."""
    return _ENVELOPE.to_line(message)


def read_down(line: bytes) -> Down:
    """What the application says; BadInput for what is no message, TooNew for a later version."""
    return _ENVELOPE.read(_DOWN, line)


def read_up(line: bytes) -> News:
    """What the server says; BadInput for what is no message, TooNew for a later version."""
    return _ENVELOPE.read(_UP, line)
