"""All that a strategy says, sorted."""

from __future__ import annotations

from typing import NamedTuple

from workbench.domain.choices import BeamLevel
from workbench.engine.decoding.measure import Measured, Noted, measured
from workbench.engine.decoding.task import Outcome, Steps


class Told(NamedTuple):
    """Tokens and levels of the beam tree in order, and how it ended."""

    tokens: list[Measured]
    levels: list[BeamLevel]
    outcome: Outcome

    @property
    def ids(self) -> list[int]:
        """Ids of the tokens."""
        return [token.id for token in self.tokens]


def finish(steps: Steps) -> Told:
    """Let a strategy run to its end."""
    told = Told([], [], Outcome("length"))
    while True:
        try:
            said = next(steps)
        except StopIteration as ended:
            return told._replace(outcome=ended.value)
        if isinstance(said, Noted):
            said = measured([said])[0]
        if isinstance(said, Measured):
            told.tokens.append(said)
        elif isinstance(said, BeamLevel):
            told.levels.append(said)
