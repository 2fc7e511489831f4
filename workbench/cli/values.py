"""`--set key=value`: text to settings."""

from __future__ import annotations

import json
from typing import Any

from workbench.domain.errors import BadInput


def parse_sets(pairs: list[str]) -> dict[str, Any]:
    """`["beta=0.2", "lora.rank=8"]` becomes `{"beta": 0.2, "lora": {"rank": 8}}`; values are JSON where they can be, else text."""
    result: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise BadInput(
                f"--set {pair} has no value.", "Write it as KEY=VALUE, for example --set learning_rate=1e-4."
            )
        place = result
        *parents, last = key.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _value(text)
    return result


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
