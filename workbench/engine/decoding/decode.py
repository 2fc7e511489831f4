"""One door to all strategies: ids in, TokenChoice after TokenChoice out, with text, offsets and stop texts."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from workbench.domain.choices import Alternative, TokenChoice
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import BadInput
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.measure import Measured
from workbench.engine.decoding.pieces import Pieces, TextStream, completion_of, cut_at_stop, text_of, undecided_tail
from workbench.engine.decoding.sample import sample
from workbench.engine.decoding.stepper import Stepper, context_length
from workbench.engine.decoding.task import Reason, Steps, Task

Settings = Greedy | Sample | Beam


@dataclass(frozen=True)
class Ending:
    """How a decoding ended: its text behind the prompt, and for beams the further hypotheses as (text, score), best first.

    `completion` is the text as training and scoring encode it again: some decoders drop the space at its beginning.
    """

    reason: Reason
    text: str
    completion: str
    others: tuple[tuple[str, float], ...] = ()


Choices = Generator[TokenChoice | None, None, Ending]


@dataclass(frozen=True)
class Voice:
    """A model with its tokenizer, ready to speak; `eos` are the ids that end a text."""

    model: Any
    tokenizer: Any
    eos: frozenset[int]
    pieces: Pieces

    @classmethod
    def of(cls, model: Any, tokenizer: Any, eos: list[int]) -> Voice:
        """Prepare the table of pieces once for each loaded model."""
        return cls(model, tokenizer, frozenset(eos), Pieces(tokenizer))


def decode(voice: Voice, prompt: list[int], settings: Settings) -> Choices:
    """Continue a prompt; yields None for a step that settles no token, and returns the ending."""
    task = _task(voice, prompt, settings)
    steps = _strategy(Stepper(voice.model), task, settings)
    return _with_text(voice, prompt, settings.stop, steps)


def room_after(model: Any, prompt: list[int], wanted: int) -> int:
    """How many new tokens fit the model's context; raises BadInput when none does."""
    length = context_length(model)
    if length is None:
        return wanted
    if len(prompt) >= length:
        raise BadInput(
            f"The prompt has {len(prompt)} tokens; the model reads at most {length}.",
            "Shorten the prompt, or choose a model with a longer context.",
        )
    return min(wanted, length - len(prompt))


def _task(voice: Voice, prompt: list[int], settings: Settings) -> Task:
    task = Task(prompt, room_after(voice.model, prompt, settings.max_new_tokens), voice.eos)
    stops = settings.stop
    if not stops:
        return task
    return replace(task, hits_stop=lambda ids: cut_at_stop(text_of(voice.tokenizer, prompt, ids), stops) is not None)


def _strategy(stepper: Stepper, task: Task, settings: Settings) -> Steps:
    match settings:
        case Greedy():
            return greedy(stepper, task, settings)
        case Sample():
            return sample(stepper, task, settings)
        case Beam():
            return beam(stepper, task, settings)


def _with_text(voice: Voice, prompt: list[int], stops: tuple[str, ...], steps: Steps) -> Choices:
    """Give every choice its piece and offsets; hold back what may be the beginning of a stop text, and cut there."""
    stream = TextStream(voice.tokenizer, prompt)
    text = ""
    held: list[TokenChoice] = []
    while True:
        try:
            measured = next(steps)
        except StopIteration as finished:
            yield from held
            return _ending(voice, prompt, stops, text, finished.value)
        if measured is None:
            yield None
            continue
        piece = stream.push(measured.id)
        held.append(_choice(voice.pieces, measured, piece, len(text)))
        text += piece
        place = cut_at_stop(text, stops)
        if place is not None:
            steps.close()
            yield from _cut(held, place)
            return Ending("stop", text[:place], text[:place])
        sure = len(text) - undecided_tail(text, stops)
        while held and held[0].end <= sure:
            yield held.pop(0)
        if held:
            yield None


def _ending(voice: Voice, prompt: list[int], stops: tuple[str, ...], text: str, outcome: Any) -> Ending:
    others = []
    for hypothesis in outcome.hypotheses[1:]:
        other = text_of(voice.tokenizer, prompt, list(hypothesis.ids))
        others.append((other[: cut_at_stop(other, stops)], hypothesis.score))
    ids = list(outcome.hypotheses[0].ids) if outcome.hypotheses else []
    return Ending(outcome.reason, text, completion_of(voice.tokenizer, ids), tuple(others))


def _cut(held: list[TokenChoice], place: int) -> list[TokenChoice]:
    """The held tokens up to `place`; the one that straddles it loses the text behind it."""
    kept = [choice for choice in held if choice.start < place or choice.end <= place]
    return [
        c if c.end <= place else c.model_copy(update={"text": c.text[: place - c.start], "end": place}) for c in kept
    ]


def _choice(pieces: Pieces, measured: Measured, piece: str, start: int) -> TokenChoice:
    m = measured
    alternatives = tuple(
        Alternative.model_construct(id=o.id, text=pieces[o.id], p_model=o.p_model, p_used=o.p_used, cut_by=o.cut_by)
        for o in m.options
    )
    return TokenChoice.model_construct(
        id=m.id, text=piece, start=start, end=start + len(piece), p_model=m.p_model, p_used=m.p_used,
        logprob=m.logprob, rank=m.rank, entropy=m.entropy, kept=m.kept, kept_mass=m.kept_mass,
        alternatives=alternatives, beam=m.beam, mirostat=m.mirostat,
    )  # fmt: skip
