"""Numbers about a column's text that need a model: what a reward model says, how likely a reference finds it, how alike samples are."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.analysis.text import self_bleu
from workbench.domain.errors import WorkbenchError
from workbench.domain.text import Prompt
from workbench.services.playground import PlaygroundService
from workbench.services.views import Column, Scored
from workbench.services.workspace import Workspace

_KEY = "playground.measures"


class Measures(BaseModel):
    """What to take below every column; "" and 0 leave a number out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reward: str = ""
    reference: str = ""
    samples: int = Field(0, ge=0, le=16)

    @property
    def any(self) -> bool:
        """Whether there is anything to take."""
        return bool(self.reward or self.reference or self.samples > 1)


@dataclass(frozen=True)
class Said:
    """What a column has said; `ended` tells that it ended by itself, so that its end token counts too."""

    column: Column
    text: str
    ended: bool = True


@dataclass(frozen=True)
class Taken:
    """Numbers by column, and what couldn't be taken, in words."""

    numbers: tuple[dict[str, float], ...]
    trouble: tuple[str, ...] = ()


class ColumnNumbersService:
    """Chosen once for the workspace, taken for every round. `take` blocks."""

    def __init__(self, workspace: Workspace, playground: PlaygroundService) -> None:
        self._store, self._lane, self._playground = workspace.store, workspace.lane, playground

    def chosen(self) -> Measures:
        """What was chosen; nothing, where that can't be read."""
        stored: Any = self._lane.do(self._store.settings.get).get(_KEY)
        try:
            return Measures.model_validate(stored or {})
        except ValidationError:
            return Measures()

    def choose(self, measures: Measures) -> None:
        """Take these from now on."""
        self._lane.do(self._store.settings.set, **{_KEY: measures.model_dump()})

    def take(self, prompt: Prompt, said: Sequence[Said], measures: Measures) -> Taken:
        """The numbers of each column's completion; what fails is left out and told, the others are taken.

        `reward` is the reward model's score; `reference` the log-probability of the completion under the reference, in nats,
        with its end token where it ended by itself; `drift` that under the column's own model less it; `self_bleu` the likeness of `samples` texts.
        """
        found: builtins.list[dict[str, float]] = [{} for _ in said]
        trouble: builtins.list[str] = []
        for wanted, take in (
            (measures.reward, self._rewards), (measures.reference, self._references), (measures.samples > 1, self._likeness),
        ):  # fmt: skip
            if wanted and said:
                try:
                    take(prompt, said, measures, found)
                except WorkbenchError as error:
                    trouble.append(f"{error.what} {error.hint}".strip())
        return Taken(tuple(found), tuple(dict.fromkeys(trouble)))

    def _rewards(
        self,
        prompt: Prompt,
        said: Sequence[Said],
        measures: Measures,
        found: builtins.list[dict[str, float]],
    ) -> None:
        values = self._playground.reward(measures.reward, [(prompt, one.text) for one in said])
        for numbers, value in zip(found, values, strict=True):
            numbers["reward"] = value

    def _references(
        self,
        prompt: Prompt,
        said: Sequence[Said],
        measures: Measures,
        found: builtins.list[dict[str, float]],
    ) -> None:
        pairs = [(prompt, one.text) for one in said]
        reference = self._playground.score(measures.reference, pairs)
        for numbers, one, scored in zip(found, said, reference, strict=True):
            numbers["reference"] = _logprob(one, scored)
        for model in dict.fromkeys(one.column.model for one in said):
            mine = [place for place, one in enumerate(said) if one.column.model == model]
            own = self._playground.score(model, [pairs[place] for place in mine])
            for place, scored in zip(mine, own, strict=True):
                found[place]["drift"] = _logprob(said[place], scored) - found[place]["reference"]

    def _likeness(
        self,
        prompt: Prompt,
        said: Sequence[Said],
        measures: Measures,
        found: builtins.list[dict[str, float]],
    ) -> None:
        for numbers, one in zip(found, said, strict=True):
            texts = self._playground.generate(one.column.model, [prompt] * measures.samples, one.column.settings)
            likeness = self_bleu(texts)
            if likeness is not None:
                numbers["self_bleu"] = likeness


def _logprob(said: Said, scored: Scored) -> float:
    """The sum over the tokens that were said: a text that was cut off has said no end token."""
    return sum(scored.each if said.ended else scored.each[:-1])
