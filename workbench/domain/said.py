"""Judgements and items as statistics see them: small tuples without texts, so that a hundred thousand are read in a moment."""

from __future__ import annotations

from typing import NamedTuple

from workbench.domain.judgement import AnnotatorKind, Item, Judgement, Outcome, Purpose, Ranking

Ranks = tuple[int, ...]  # the tier (0 = best) of each candidate


class Said(NamedTuple):
    """One judgement. `ranks` is empty unless the outcome is "ranked"; `created` is in seconds since the epoch.

    `seen` tells that the candidates were on a screen: imported labels were not, and their order says nothing.
    """

    item: str
    annotator: str
    outcome: Outcome
    ranks: Ranks
    shown: tuple[int, ...]
    milliseconds: int
    created: float
    kind: AnnotatorKind = "person"
    seen: bool = True
    purpose: Purpose = "label"
    queue: str | None = None
    aspects: tuple[tuple[str, Ranks], ...] = ()


class Shape(NamedTuple):
    """One item without its texts: its place in the dataset, its prompt's number, each candidate's model and length in characters."""

    item: str
    position: int
    prompt: int
    models: tuple[str | None, ...]
    lengths: tuple[int, ...]


def ranks_of(ranking: Ranking) -> Ranks:
    """The tier of each candidate, by candidate index."""
    return ranks_of_tiers(ranking.tiers)


def ranks_of_tiers(tiers: tuple[tuple[int, ...], ...] | list[list[int]]) -> Ranks:
    """The tier of each candidate, by candidate index."""
    if len(tiers) == 2 and len(tiers[0]) == len(tiers[1]) == 1:  # nearly all of them
        return (0, 1) if tiers[0][0] == 0 else (1, 0)
    found = [0] * sum(map(len, tiers))
    for place, tier in enumerate(tiers):
        for candidate in tier:
            found[candidate] = place
    return tuple(found)


def said_of(judgement: Judgement) -> Said:
    """A judgement without what statistics don't look at."""
    return Said(
        judgement.item,
        judgement.annotator,
        judgement.outcome,
        () if judgement.ranking is None else ranks_of(judgement.ranking),
        judgement.shown,
        judgement.milliseconds,
        judgement.created.timestamp(),
        judgement.annotator_kind,
        on_screen(judgement.annotator_kind, judgement.milliseconds, judgement.shown_seed),
        judgement.purpose,
        judgement.queue,
        tuple((aspect.name, ranks_of(aspect.ranking)) for aspect in judgement.aspects),
    )


def on_screen(kind: str, milliseconds: int, seed: int) -> bool:
    """Whether a person looked at the candidates in an order that was drawn: imported labels have neither time nor seed."""
    return kind == "person" and (milliseconds > 0 or seed != 0)


def shape_of(item: Item, position: int = 0, prompt: int = 0) -> Shape:
    """An item without its texts."""
    candidates = item.candidates
    return Shape(item.id, position, prompt, tuple(c.model for c in candidates), tuple(len(c.text) for c in candidates))
