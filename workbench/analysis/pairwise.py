"""From a judge's answers about pairs to a ranking: both orders are asked, and only what they agree on counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from workbench.domain.judgement import Ranking, ranking_from_scores

Verdict = Literal["first", "second", "inconsistent", "unsure"]


class Answer(NamedTuple):
    """What a judge said about candidates i < j: the probability that the response shown first is better, in either order.

    `forward`: i was shown first; `backward`: j was.
    """

    i: int
    j: int
    forward: float
    backward: float

    @property
    def probability(self) -> float:
        """Probability that i is better, the mean of both orders."""
        return (self.forward + 1 - self.backward) / 2


class Outcome(NamedTuple):
    """What the answers about one item come to. `ranking` is None when they don't place every candidate.

    `probability` is the mean probability of the verdicts that count (0 without any); `first` counts answers that took the
    response shown first, of all 2 · `pairs` answers.
    """

    ranking: Ranking | None
    pairs: int
    inconsistent: int
    unsure: int
    first: int
    probability: float


def settle(answer: Answer, confidence: float = 0.5) -> Verdict:
    """Whether i ("first") or j ("second") is better; inconsistent when the two orders don't name the same one.

    A verdict whose probability over both orders isn't above `confidence` is unsure.
    """
    if answer.forward > 0.5 and answer.backward < 0.5:
        verdict: Verdict = "first"
    elif answer.forward < 0.5 and answer.backward > 0.5:
        verdict = "second"
    else:
        return "inconsistent"
    return verdict if max(answer.probability, 1 - answer.probability) > confidence else "unsure"


def judge_pairs(size: int, answers: Sequence[Answer], confidence: float = 0.5) -> Outcome:
    """The outcome for an item of `size` candidates."""
    verdicts = [(answer, settle(answer, confidence)) for answer in answers]
    kept = [(answer, verdict) for answer, verdict in verdicts if verdict in {"first", "second"}]
    wins = [(a.i, a.j) if verdict == "first" else (a.j, a.i) for a, verdict in kept]
    sure = [max(a.probability, 1 - a.probability) for a, _ in kept]
    return Outcome(
        ranking=copeland(size, wins),
        pairs=len(answers),
        inconsistent=sum(verdict == "inconsistent" for _, verdict in verdicts),
        unsure=sum(verdict == "unsure" for _, verdict in verdicts),
        first=sum((a.forward > 0.5) + (a.backward > 0.5) for a in answers),
        probability=sum(sure) / len(sure) if sure else 0.0,
    )


def copeland(size: int, wins: Iterable[tuple[int, int]]) -> Ranking | None:
    """The ranking by won minus lost pairs (Copeland 1951), equal scores in one tier; wins are (better, worse).

    None unless the pairs join all candidates: where two parts were never compared, no ranking of the whole is known.
    """
    scores = [0.0] * size
    parts = list(range(size))
    for better, worse in wins:
        scores[better] += 1
        scores[worse] -= 1
        old, new = parts[worse], parts[better]
        parts = [new if part == old else part for part in parts]
    return ranking_from_scores(scores) if len(set(parts)) == 1 else None


def rank_scores(scores: Sequence[float], margin: float = 0.0) -> Ranking:
    """The ranking of scores, highest first; a candidate shares the tier of the next higher one when at most `margin` lies between."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    tiers = [[order[0]]]
    for i in order[1:]:
        if scores[tiers[-1][-1]] - scores[i] <= margin:
            tiers[-1].append(i)
        else:
            tiers.append([i])
    return Ranking(tiers=tuple(tuple(sorted(tier)) for tier in tiers))


def agreement_with(ranking: Ranking, people: Iterable[Sequence[int]]) -> tuple[int, int]:
    """(agreeing, compared): pairs that the ranking and a person both order strictly, one count for each person and pair.

    A person's ranking is the tier (0 = best) of each candidate.
    """
    agreed = compared = 0
    for theirs in people:
        for i in range(ranking.size):
            for j in range(i + 1, ranking.size):
                ours = ranking.tier_of(i) - ranking.tier_of(j)
                other = theirs[i] - theirs[j]
                if ours and other:
                    compared += 1
                    agreed += (ours > 0) == (other > 0)
    return agreed, compared
