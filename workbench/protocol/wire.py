"""One message = one JSON line with a version; loud on what it does not know."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from workbench.domain.errors import BadInput, TooNew
from workbench.domain.events import EVENTS_VERSION, Event, parse_event


def encode(event: Event) -> bytes:
    """One line of events.jsonl, with its newline. Not-a-number and infinity travel as strings, so every line is strict JSON."""
    try:
        body = event.model_dump_json()
    except ValueError:  # halves of surrogate pairs, from file names or broken text: a report must not fail over them
        body = parse_event(_as_text(event.model_dump())).model_dump_json()
    return f'{{"v":{EVENTS_VERSION},{body[1:]}\n'.encode()


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_as_text(key): _as_text(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(inner) for inner in value]
    return value


def decode(line: bytes) -> Event:
    """The event of one line; raises BadInput for what is not one, TooNew for a later version."""
    try:
        payload: dict[str, Any] = json.loads(line)
        version = int(payload.pop("v"))
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
