"""Items, rankings and judgements: what an annotator sees and says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from workbench.domain.frozen import Frozen
from workbench.domain.text import Candidate, Prompt

Outcome = Literal["ranked", "all_bad", "skipped"]
SkipReason = Literal["unclear", "unsafe", "wrong_language", "other"]
AnnotatorKind = Literal["person", "rule", "model"]
Purpose = Literal["label", "repeat", "extra", "adjudication"]
COUNTING: frozenset[Purpose] = frozenset({"label", "adjudication"})


class Ranking(Frozen):
    """Tiers of candidate indices, best first: `((2,), (0,), (1, 3))` means 2 > 0 > 1 = 3."""

    tiers: tuple[tuple[int, ...], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        flat = [i for tier in self.tiers for i in tier]
        if sorted(flat) != list(range(len(flat))) or not all(self.tiers):
            raise ValueError("a ranking names every candidate exactly once, in tiers that are not empty")
        return self

    @property
    def size(self) -> int:
        """How many candidates are ranked."""
        return sum(len(tier) for tier in self.tiers)

    def tier_of(self, candidate: int) -> int:
        """The tier (0 = best) that holds this candidate."""
        return next(t for t, tier in enumerate(self.tiers) if candidate in tier)


class Comparison(Frozen):
    """A pair derived from a ranking: chosen and rejected are candidate indices, margin is in tiers times strength."""

    chosen: int
    rejected: int
    margin: float = 1.0


class Item(Frozen):
    """What the annotator sees at once: a prompt and two or more candidates."""

    id: str
    prompt: Prompt
    candidates: tuple[Candidate, ...] = Field(min_length=2, max_length=9)


class Aspect(Frozen):
    """A ranking by one dimension of the guidelines (helpful, harmless …), beside the ranking over all."""

    name: str = Field(min_length=1, max_length=60)
    ranking: Ranking


class Span(Frozen):
    """A comment on a part of a candidate: characters `start` … `end` - 1 of its text, or of the whole text when both are 0."""

    candidate: int = Field(ge=0)
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    comment: str = Field(min_length=1, max_length=4000)

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.end <= self.start and (self.start, self.end) != (0, 0):
            raise ValueError("a span ends after its start")
        return self


class Judgement(Frozen):
    """What one annotator said about one item.

    `shown` is the order in which candidates were shown (`shown[0]` is the index of the candidate at the left), drawn from
    `shown_seed`; rankings always speak of candidate indices, never of screen places. `strength` 2 means "much better".
    `annotator_kind` other than "person" marks labels made by a rule or a model. `purpose` says why it was asked for: a "repeat" (the
    same item again, to see whether an annotator agrees with themselves) and an "extra" (one more than the queue's overlap) are
    kept and never count as labels; an "adjudication" settles what others disagree on, and alone counts for training.
    `guideline` is the version of the dataset's guidelines that were shown, 0 for none.
    """

    id: str
    item: str
    annotator: str
    annotator_kind: AnnotatorKind = "person"
    outcome: Outcome
    ranking: Ranking | None = None
    strength: int = Field(1, ge=1, le=2)
    skip_reason: SkipReason | None = None
    note: str = ""
    shown: tuple[int, ...]
    shown_seed: int
    milliseconds: int = Field(ge=0)
    created: datetime
    purpose: Purpose = "label"
    queue: str | None = None
    guideline: int = Field(0, ge=0)
    aspects: tuple[Aspect, ...] = ()
    spans: tuple[Span, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether this is a label: repeats and extras are not."""
        return self.purpose in COUNTING

    @model_validator(mode="after")
    def _outcome_has_its_parts(self) -> Self:
        if (self.outcome == "ranked") != (self.ranking is not None):
            raise ValueError("a ranking is given exactly when the outcome is 'ranked'")
        if (self.outcome == "skipped") != (self.skip_reason is not None):
            raise ValueError("a skip reason is given exactly when the outcome is 'skipped'")
        if sorted(self.shown) != list(range(len(self.shown))):
            raise ValueError("the order shown is a permutation of the candidates")
        if self.ranking is not None and self.ranking.size != len(self.shown):
            raise ValueError("a ranking names every candidate that was shown")
        if any(aspect.ranking.size != len(self.shown) for aspect in self.aspects):
            raise ValueError("the ranking of every dimension names every candidate that was shown")
        if len({aspect.name for aspect in self.aspects}) != len(self.aspects):
            raise ValueError("each dimension is ranked once")
        if any(span.candidate >= len(self.shown) for span in self.spans):
            raise ValueError("a comment belongs to a candidate that was shown")
        return self


def comparisons(ranking: Ranking, strength: int = 1) -> tuple[Comparison, ...]:
    """Every strict pair of a ranking, best tiers first; ties give no pair."""
    pairs: list[Comparison] = []
    for high, better in enumerate(ranking.tiers):
        for low in range(high + 1, len(ranking.tiers)):
            pairs.extend(
                Comparison(chosen=c, rejected=r, margin=float((low - high) * strength))
                for c in better
                for r in ranking.tiers[low]
            )
    return tuple(pairs)


def pair_share(opinions: int, pairs: int) -> float:
    """What each strict pair of an opinion weighs in a pairwise loss over items.

    An item weighs 1; its opinions share that evenly, and an opinion's pairs share its part (InstructGPT, arXiv 2203.02155, eq. 1).
    """
    return 1 / (opinions * max(1, pairs))


def settled(said: Sequence[Judgement]) -> list[Judgement]:
    """What training takes of the labels of one item: the newest adjudication alone where there is one, else all labels.

    An adjudication that was skipped settles nothing.
    """
    verdicts = [j for j in said if j.purpose == "adjudication" and j.outcome != "skipped"]
    return [max(verdicts, key=lambda j: j.created)] if verdicts else [j for j in said if j.counts]


def ranking_from_scores(scores: list[float]) -> Ranking:
    """The ranking that a list of scores implies, highest first; equal scores share a tier."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    tiers: list[list[int]] = [[order[0]]]
    for before, here in pairwise(order):
        if scores[here] == scores[before]:
            tiers[-1].append(here)
        else:
            tiers.append([here])
    return Ranking(tiers=tuple(tuple(t) for t in tiers))
