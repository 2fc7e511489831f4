"""`--set key=value`: text to settings."""

from __future__ import annotations

import argparse
import json
from typing import Any

from workbench.domain.errors import BadInput

MOST = 2**62  # what the database can count to, with room for sums


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
            if not isinstance(place, dict):
                raise BadInput(
                    f"--set {pair} gives a part of {parent}, which was given a value.", "Give one of the two."
                )
        place[last] = _value(text)
    return result


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def whole(text: str) -> int:
    """A whole number from 0: the type of `--offset` and `--limit`; anything else is wrong usage."""
    if not text.isascii() or not text.isdigit() or int(text[:20]) > MOST or len(text) > 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)
