"""From the ids that a strategy yields to what is told of them: pieces, offsets, stop texts, statistics.

What is said about a token (its probabilities, its rank, what else was possible) costs several times as much for one token alone as for
one of many. So tokens that come within `TOGETHER` seconds are measured together, and told together; a model that takes longer
for a token has each of them told at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

from workbench.domain.choices import Aside
from workbench.engine.decoding.measure import Measured, Noted, measured
from workbench.engine.decoding.naming import Spoken, named
from workbench.engine.decoding.pieces import TextStream, completion_of, cut_at_stop, text_of, undecided_tail
from workbench.engine.decoding.task import Outcome, Reason, Steps, Task
from workbench.engine.decoding.voice import Voice

TOGETHER = 0.016  # what a picture lasts on a screen


@dataclass(frozen=True)
class Ending:
    """How a decoding ended: its text behind the prompt, and for beams the further hypotheses as (text, score), best first.

    `completion` is the text as training and scoring encode it again: some decoders drop the space at its beginning.
    """

    reason: Reason
    text: str
    completion: str
    others: tuple[tuple[str, float], ...] = ()


# None: a step after which nothing is told.
Told = Generator[list[Spoken] | Aside | None, None, Ending]
Keep = Callable[[Noted], None]


class _Said(NamedTuple):
    """A token with its place in the text, measured or not yet."""

    token: Measured | Noted
    piece: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.piece)


def telling(voice: Voice, task: Task, stops: tuple[str, ...], steps: Steps, keep: Keep | None = None) -> Told:
    """Tell what `steps` yields; what may be the beginning of a stop text is held back, and cut there. `keep` sees each token's logits."""
    stream = TextStream(voice.tokenizer, task.known)
    text = "".join(stream.push(token) for token in task.start)
    held: list[_Said] = []
    sure: list[_Said] = []
    due = 0.0
    while True:
        try:
            said = next(steps)
        except StopIteration as finished:
            yield _spoken(sure + held)
            return _ending(voice, task.known, stops, text, finished.value)
        if said is None:
            yield None
            continue
        if isinstance(said, Aside):
            if sure:
                yield _spoken(sure)
                sure = []
            yield named(voice.pieces, said)
            continue
        if keep is not None and isinstance(said, Noted):
            keep(said)
        held.append(_Said(said, stream.push(said.id), len(text)))
        text += held[-1].piece
        place = cut_at_stop(text, stops)
        if place is not None:
            steps.close()
            yield _cut(_spoken(sure + held), place)
            return Ending("stop", text[:place], text[:place])
        border = len(text) - undecided_tail(text, stops)
        while held and held[0].end <= border:
            sure.append(held.pop(0))
        if sure and time.perf_counter() >= due:
            yield _spoken(sure)
            sure = []
            due = time.perf_counter() + TOGETHER
        else:
            yield None


def _spoken(said: list[_Said]) -> list[Spoken]:
    """Everything measured, what was only noted at once."""
    late = iter(measured([one.token for one in said if isinstance(one.token, Noted)]))
    return [Spoken(one.token if isinstance(one.token, Measured) else next(late), one.piece, one.start) for one in said]


def _ending(voice: Voice, prompt: list[int], stops: tuple[str, ...], text: str, outcome: Outcome) -> Ending:
    others = []
    for hypothesis in outcome.hypotheses[1:]:
        other = text_of(voice.tokenizer, prompt, list(hypothesis.ids))
        others.append((other[: cut_at_stop(other, stops)], hypothesis.score))
    if outcome.reason == "stop" and (place := cut_at_stop(text, stops)) is not None:
        return Ending("stop", text[:place], text[:place], tuple(others))
    ids = list(outcome.hypotheses[0].ids) if outcome.hypotheses else []
    return Ending(outcome.reason, text, completion_of(voice.tokenizer, ids), tuple(others))


def _cut(held: list[Spoken], place: int) -> list[Spoken]:
    """The held tokens up to `place`; the one that straddles it loses the text behind it."""
    kept = [one for one in held if one.start < place or one.end <= place]
    return [one if one.end <= place else one._replace(text=one.text[: place - one.start]) for one in kept]
