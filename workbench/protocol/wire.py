"""One message = one JSON line with a version; loud on what it does not know."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from workbench.domain.errors import BadInput, TooNew
from workbench.domain.events import EVENTS_VERSION, Event, parse_event


def encode(event: Event) -> bytes:
    """One line of events.jsonl, with its newline."""
    payload = event.model_dump(mode="json")
    return json.dumps({"v": EVENTS_VERSION, **payload}, ensure_ascii=False).encode() + b"\n"


def decode(line: bytes) -> Event:
    """The event of one line; raises BadInput for what is not one, TooNew for a later version."""
    try:
        payload: dict[str, Any] = json.loads(line)
        version = payload.pop("v")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(f"Not an event: {line[:120]!r}", "The run's events.jsonl is damaged here.") from error
    if version > EVENTS_VERSION:
        raise TooNew("This run was written by a newer version of the workbench.", "Update the workbench to read it.")
    try:
        return parse_event(payload)
    except ValidationError as error:
        raise BadInput(
            f"Not an event: {line[:120]!r}", "The run's events.jsonl is damaged here.", str(error)
        ) from error
