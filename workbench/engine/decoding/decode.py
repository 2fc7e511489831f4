"""One door to all strategies: ids in, TokenChoice after TokenChoice out, with text, offsets and stop texts."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.domain.choices import Aside, TokenChoice
from workbench.domain.decoding import Beam, ContrastiveSearch, DecodingSettings, Greedy, Sample, Speculative
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.contrastive_search import contrastive_search
from workbench.engine.decoding.drafts import draft_voice
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.naming import choice, named
from workbench.engine.decoding.pieces import TextStream, completion_of, cut_at_stop, text_of, undecided_tail
from workbench.engine.decoding.sample import sample
from workbench.engine.decoding.speculative import speculative
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.task import Hypothesis, Outcome, Reason, Steps, Task
from workbench.engine.decoding.voice import Voice, context_length, room_after

Settings = DecodingSettings


@dataclass(frozen=True)
class Ending:
    """How a decoding ended: its text behind the prompt, and for beams the further hypotheses as (text, score), best first.

    `completion` is the text as training and scoring encode it again: some decoders drop the space at its beginning.
    """

    reason: Reason
    text: str
    completion: str
    others: tuple[tuple[str, float], ...] = ()


# None: a step after which no further token is settled.
Choices = Generator[TokenChoice | Aside | None, None, Ending]


def decode(
    voice: Voice,
    prompt: list[int],
    settings: Settings,
    *,
    start: tuple[int, ...] = (),
    others: Mapping[str, Voice] | None = None,
) -> Choices:
    """Continue a prompt; returns the ending.

    `start` are tokens that the answer already has: they are not told again, but count as outputs (see `Task`), offsets go on
    behind them, and the ending's text begins with theirs. `others` are the voices of further models by the name that the
    settings give them. Raises BadInput for a prompt that doesn't fit the model.
    """
    task = task_for(voice, prompt, settings, start)
    over = _over(voice, task)
    steps = _nothing(over, start) if over else _strategy(voice, task, settings, others or {})
    return _with_text(voice, task, settings.stop, steps)


def task_for(voice: Voice, prompt: list[int], settings: Settings, start: tuple[int, ...] = ()) -> Task:
    """What a strategy is given for these settings."""
    stops = settings.stop

    def hits_stop(ids: list[int]) -> bool:
        return cut_at_stop(text_of(voice.tokenizer, prompt, ids), stops) is not None

    limit = room_after(voice.model, prompt, settings.max_new_tokens)
    return Task(prompt, limit, voice.eos, hits_stop if stops else None, start)


def _strategy(voice: Voice, task: Task, settings: Settings, others: Mapping[str, Voice]) -> Steps:
    match settings:
        case Greedy():
            return greedy(stepper_for(voice), task, settings)
        case Sample():
            return sample(stepper_for(voice), task, settings)
        case Beam():
            return beam(stepper_for(voice), task, settings)
        case ContrastiveSearch():
            return contrastive_search(stepper_for(voice, hidden=True), task, settings)
        case Speculative():
            other = draft_voice(voice, settings.draft, others)
            if other is None:
                return speculative(stepper_for(voice), task, settings, None)
            return speculative(stepper_for(voice), task, settings, stepper_for(other), room=context_length(other.model))


def _over(voice: Voice, task: Task) -> Reason | None:
    """Why there is nothing to be added to what the answer already has."""
    if not task.start:
        return None
    if task.start[-1] in voice.eos:
        return "end"
    if task.hits_stop is not None and task.hits_stop(list(task.start)):
        return "stop"
    return "length" if len(task.start) >= task.limit else None


def _nothing(reason: Reason, start: tuple[int, ...]) -> Steps:
    yield None
    return Outcome(reason, (Hypothesis(start, 0.0),))


def _with_text(voice: Voice, task: Task, stops: tuple[str, ...], steps: Steps) -> Choices:
    """Give every choice its piece and offsets; hold back what may be the beginning of a stop text, and cut there."""
    stream = TextStream(voice.tokenizer, task.prompt)
    text = "".join(stream.push(token) for token in task.start)
    held: list[TokenChoice] = []
    while True:
        try:
            measured = next(steps)
        except StopIteration as finished:
            yield from held
            return _ending(voice, task.prompt, stops, text, finished.value)
        if measured is None:
            yield None
            continue
        if isinstance(measured, Aside):
            yield named(voice.pieces, measured)
            continue
        piece = stream.push(measured.id)
        held.append(choice(voice.pieces, measured, piece, len(text)))
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
    if outcome.reason == "stop" and (place := cut_at_stop(text, stops)) is not None:
        return Ending("stop", text[:place], text[:place], tuple(others))
    ids = list(outcome.hypotheses[0].ids) if outcome.hypotheses else []
    return Ending(outcome.reason, text, completion_of(voice.tokenizer, ids), tuple(others))


def _cut(held: list[TokenChoice], place: int) -> list[TokenChoice]:
    """The held tokens up to `place`; the one that straddles it loses the text behind it."""
    kept = [choice for choice in held if choice.start < place or choice.end <= place]
    return [
        c if c.end <= place else c.model_copy(update={"text": c.text[: place - c.start], "end": place}) for c in kept
    ]
