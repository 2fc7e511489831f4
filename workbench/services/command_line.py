"""The command that would do the same without a window."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from workbench.domain.specs.kinds import Spec

_OPTIONS = {"base": "--base", "data": "--data"}


def changed_fields(spec: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Fields that differ from their defaults, by dotted name."""
    changed: dict[str, Any] = {}
    default = type(spec)()
    for name in type(spec).model_fields:
        value, usual = getattr(spec, name), getattr(default, name)
        if isinstance(value, BaseModel):
            changed |= changed_fields(value, f"{prefix}{name}.")
        elif value != usual:
            changed[prefix + name] = value
    return changed


def command_line(spec: Spec, workspace: Path) -> str:
    """The equivalent `workbench train` command, quoted for a shell; only what differs from the defaults is named."""
    words = ["workbench", "train", str(workspace), spec.kind]
    changed = changed_fields(spec)
    for name, option in _OPTIONS.items():
        if name in changed:
            words += _option(option, str(changed.pop(name)))
    for name, value in changed.items():
        words += ["--set", f"{name}={_text(value)}"]
    return shlex.join(words)


def _option(name: str, value: str) -> list[str]:
    """An option with its value; one that begins with a hyphen would be taken for an option itself."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value) if _reads_as_json(value) else value
    return repr(value)


def _reads_as_json(text: str) -> bool:
    """Whether the command line would take this text for a number, a list or the like."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
