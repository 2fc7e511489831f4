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
from workbench.services.views import Column
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

    def take(self, prompt: Prompt, said: Sequence[tuple[Column, str]], measures: Measures) -> Taken:
        """The numbers of each column's completion; what fails is left out and told, the others are taken.

        `reward` is the reward model's score; `reference` the log-probability of the completion under the reference, in nats, its
        end token included; `drift` that under the column's own model less it; `self_bleu` the likeness of `samples` texts.
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
        said: Sequence[tuple[Column, str]],
        measures: Measures,
        found: builtins.list[dict[str, float]],
    ) -> None:
        values = self._playground.reward(measures.reward, [(prompt, text) for _, text in said])
        for numbers, value in zip(found, values, strict=True):
            numbers["reward"] = value

    def _references(
        self,
        prompt: Prompt,
        said: Sequence[tuple[Column, str]],
        measures: Measures,
        found: builtins.list[dict[str, float]],
    ) -> None:
        pairs = [(prompt, text) for _, text in said]
        reference = self._playground.score(measures.reference, pairs)
        for numbers, scored in zip(found, reference, strict=True):
            numbers["reference"] = scored.logprob
        for model in dict.fromkeys(column.model for column, _ in said):
            mine = [place for place, (column, _) in enumerate(said) if column.model == model]
            own = self._playground.score(model, [pairs[place] for place in mine])
            for place, scored in zip(mine, own, strict=True):
                found[place]["drift"] = scored.logprob - found[place]["reference"]

    def _likeness(
        self,
        prompt: Prompt,
        said: Sequence[tuple[Column, str]],
        measures: Measures,
        found: builtins.list[dict[str, float]],
    ) -> None:
        for numbers, (column, _) in zip(found, said, strict=True):
            texts = self._playground.generate(column.model, [prompt] * measures.samples, column.settings)
            likeness = self_bleu(texts)
            if likeness is not None:
                numbers["self_bleu"] = likeness
