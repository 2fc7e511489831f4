"""What annotators are asked: guidelines with their dimensions, and queues of items."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from workbench.domain.frozen import Frozen
from workbench.domain.parts import group

Strategy = Literal["in_order", "random", "active", "disagreement", "newest_policy", "mistakes"]
Origin = Literal["plain", "random", "gold"]
OVERALL = "overall"
NEEDS_SCORES = ("active", "mistakes")


class Dimension(Frozen):
    """A criterion that an item's candidates are ranked by, besides the ranking over all."""

    name: str = Field(min_length=1, max_length=60)
    description: str = Field("", max_length=400)


class Guidelines(Frozen):
    """One version of what annotators of a dataset are asked to do; versions count from 1 and are never rewritten."""

    version: int = Field(ge=1)
    text: str
    dimensions: tuple[Dimension, ...] = Field((), max_length=8)
    author: str
    created: datetime

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [d.name.casefold() for d in self.dimensions]
        if len(set(names)) != len(names) or OVERALL in names:
            raise ValueError(f"dimensions have different names, and none is called {OVERALL!r}")
        return self


class QueueSpec(Frozen):
    """A queue over the items of a dataset: in which order, by how many people, with which share of checks."""

    name: str = Field(min_length=1, max_length=80, description="Name of the queue.", json_schema_extra=group("Queue"))
    dataset: str = Field(description="Dataset of preferences whose items are asked.", json_schema_extra=group("Queue"))
    strategy: Strategy = Field(
        "in_order",
        description="Which items come first: as they stand, at random, those that a reward model is least sure of, those that "
        "annotators disagree on, those of the newest model, or those that a reward model gets wrong with most confidence.",
        json_schema_extra=group("Queue"),
    )
    overlap: int = Field(
        1,
        ge=1,
        le=99,
        description="How many annotators judge each item.",
        json_schema_extra=group("Queue", unit="people"),
    )
    repeats: float = Field(
        0.0, ge=0.0, le=0.5,
        description="Share of presentations that show an item again that you have judged, its places swapped, without saying so.",
        json_schema_extra=group("Checks"),
    )  # fmt: skip
    golds: float = Field(
        0.0, ge=0.0, le=0.5, description="Share of presentations that show an item whose answer is known.",
        json_schema_extra=group("Checks"),
    )  # fmt: skip
    random_share: float = Field(
        0.2, ge=0.0, le=1.0,
        description="Share of an active queue's items drawn at random, so that statistics over them stay unbiased.",
        json_schema_extra=group("Order"),
    )  # fmt: skip
    reward_model: str | None = Field(
        None,
        description="Reward model whose scores order an active queue or one of mistakes.",
        json_schema_extra=group("Order"),
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of random orders.", json_schema_extra=group("Order"))
    lease_minutes: float = Field(
        10.0, gt=0.0, le=1440.0, description="How long an item that you look at is kept from others.",
        json_schema_extra=group("Order", unit="min"),
    )  # fmt: skip

    @model_validator(mode="after")
    def _has_what_its_order_needs(self) -> Self:
        if self.strategy in NEEDS_SCORES and not self.reward_model:
            raise ValueError(f"a queue of strategy {self.strategy!r} names the reward model whose scores order it")
        return self
