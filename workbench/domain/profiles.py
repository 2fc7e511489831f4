"""The people at one machine: a name, and a colour by which bars and lists tell them apart."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal, get_args

from pydantic import Field

from workbench.domain.frozen import Frozen

# Names, in the order of the theme's series, which colour-blind eyes can tell apart; what each looks like is the theme's.
Colour = Literal["blue", "orange", "green", "purple", "yellow", "sky", "grey"]
COLOURS: tuple[Colour, ...] = get_args(Colour)


class Profile(Frozen):
    """One person who judges here."""

    name: str = Field(min_length=1, max_length=80)
    colour: Colour
    created: datetime


def free_colour(taken: Collection[str]) -> Colour:
    """The first colour that fewest people have."""
    counts = [list(taken).count(colour) for colour in COLOURS]
    return COLOURS[counts.index(min(counts))]
