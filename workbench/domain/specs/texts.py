"""Texts of specs with places that are filled in, such as `{prompt}`. Other braces are left as they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_PLACE = re.compile(r"\{([a-z_]+)\}")


def need_places(text: str, needed: Sequence[str], allowed: Sequence[str] = ()) -> str:
    """The text, if it has every place that is needed and none that nothing is known about; ValueError otherwise."""
    found = set(_PLACE.findall(text))
    missing = [f"{{{name}}}" for name in needed if name not in found]
    unknown = sorted(f"{{{name}}}" for name in found - {*needed, *allowed})
    if missing:
        raise ValueError(f"the text must hold {', '.join(missing)}")
    if unknown:
        raise ValueError(f"nothing is known that could stand for {', '.join(unknown)}")
    return text


def fill_places(text: str, values: Mapping[str, str]) -> str:
    """The text with its places filled, all at once: what is filled in may itself hold braces."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def lines_of(text: str) -> tuple[str, ...]:
    """The lines that say something: without empty ones and those that begin with #."""
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))
