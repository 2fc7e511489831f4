"""One door to all strategies: ids in, TokenChoice after TokenChoice out, with text, offsets and stop texts."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

from workbench.domain.choices import Aside, TokenChoice
from workbench.domain.decoding import (
    Beam,
    Contrastive,
    ContrastiveSearch,
    DecodingSettings,
    Greedy,
    Sample,
    Speculative,
)
from workbench.domain.errors import BadInput
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.columns import Columns
from workbench.engine.decoding.contrastive import contrastive, seen_by_amateur
from workbench.engine.decoding.contrastive_search import contrastive_search
from workbench.engine.decoding.drafts import amateur_voice, draft_voice
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.naming import choice
from workbench.engine.decoding.pieces import cut_at_stop, text_of
from workbench.engine.decoding.sample import sample
from workbench.engine.decoding.speculative import speculative
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.task import Hypothesis, Outcome, Reason, Steps, Task
from workbench.engine.decoding.telling import Ending, Keep, Told, telling
from workbench.engine.decoding.voice import Voice, context_length, room_after
from workbench.engine.text import with_end

Settings = DecodingSettings


class ColumnTask(NamedTuple):
    """A column that can stand beside others: prompt, settings, and the tokens that it has already."""

    prompt: list[int]
    settings: Greedy | Sample
    start: tuple[int, ...] = ()


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
    return _one_by_one(voice, decode_together(voice, prompt, settings, start=start, others=others))


def decode_together(
    voice: Voice,
    prompt: list[int],
    settings: Settings,
    *,
    start: tuple[int, ...] = (),
    others: Mapping[str, Voice] | None = None,
    keep: Keep | None = None,
) -> Told:
    """As `decode`; tokens that come within a few milliseconds are told together. `keep` sees the logits of greedy and sampled tokens."""
    task = task_for(voice, prompt, settings, start)
    steps = over(voice, task) or _strategy(voice, task, settings, others or {})
    return telling(voice, task, settings.stop, steps, keep)


def decode_columns(
    voice: Voice, columns: Sequence[ColumnTask], keep: Sequence[Keep | None] | None = None
) -> tuple[list[Told], Columns]:
    """Greedy and sampling columns of one model as rows of one batch; each is told as `decode_together` tells it."""
    tasks = [task_for(voice, prompt, settings, start) for prompt, settings, start in columns]
    together = Columns(stepper_for(voice), [(t, c.settings) for t, c in zip(tasks, columns, strict=True)])
    told = []
    for number, (task, column) in enumerate(zip(tasks, columns, strict=True)):
        alone = over(voice, task)
        if (
            alone is None and voice.opening is not None and task.start
        ):  # the batch would take `start` for a part of the prompt
            alone = _strategy(voice, task, column.settings, {})
        steps = together.steps(number) if alone is None else together.without(number, alone)
        told.append(telling(voice, task, column.settings.stop, steps, keep[number] if keep else None))
    return told, together


def _one_by_one(voice: Voice, told: Told) -> Choices:
    while True:
        try:
            said = next(told)
        except StopIteration as finished:
            return cast("Ending", finished.value)
        if isinstance(said, list):
            yield from (choice(voice.pieces, one) for one in said)
            if not said:
                yield None
        else:
            yield said


def task_for(voice: Voice, prompt: list[int], settings: Settings, start: tuple[int, ...] = ()) -> Task:
    """What a strategy is given for these settings."""
    stops, opening = settings.stop, voice.opening
    before = prompt if opening is None else opening

    def hits_stop(ids: list[int]) -> bool:
        return cut_at_stop(text_of(voice.tokenizer, before, ids), stops) is not None

    if opening is None:
        limit = room_after(voice.model, prompt, settings.max_new_tokens)
        return Task(prompt, limit, voice.eos, hits_stop if stops else None, start)
    source = with_end(voice.tokenizer, prompt)
    room_after(voice.model, source[:-1], 1)
    limit = room_after(voice.model, opening, settings.max_new_tokens)
    return Task(source, limit, voice.eos, hits_stop if stops else None, start, opening)


def _strategy(voice: Voice, task: Task, settings: Settings, others: Mapping[str, Voice]) -> Steps:
    match settings:
        case Greedy():
            return greedy(stepper_for(voice), task, settings)
        case Sample():
            return sample(stepper_for(voice), task, settings)
        case Beam():
            return beam(stepper_for(voice), task, settings)
        case ContrastiveSearch():
            _need_one_text(voice, settings.strategy)
            return contrastive_search(stepper_for(voice, hidden=True), task, settings)
        case Contrastive():
            _need_one_text(voice, settings.strategy)
            amateur = amateur_voice(voice, settings.amateur, others)
            _need_one_text(amateur, settings.strategy)
            room = room_after(amateur.model, seen_by_amateur(task.prompt, settings), task.limit)
            return contrastive(stepper_for(voice), stepper_for(amateur), replace(task, limit=room), settings)
        case Speculative():
            _need_one_text(voice, settings.strategy)
            other = draft_voice(voice, settings.draft, others)
            if other is None:
                return speculative(stepper_for(voice), task, settings, None)
            return speculative(stepper_for(voice), task, settings, stepper_for(other), room=context_length(other.model))


def _need_one_text(voice: Voice, strategy: str) -> None:
    if voice.opening is not None:
        raise BadInput(
            f"An encoder-decoder can't decode by {strategy}: it reads the prompt apart from what it writes.",
            "Choose greedy, sample or beam, or a causal language model.",
        )


def over(voice: Voice, task: Task) -> Steps | None:
    """The steps of an answer to which nothing is to be added; None where there is."""
    if not task.start:
        return None
    if task.start[-1] in voice.eos:
        return _nothing("end", task.start)
    if task.hits_stop is not None and task.hits_stop(list(task.start)):
        return _nothing("stop", task.start)
    return _nothing("length", task.start) if len(task.start) >= task.limit else None


def _nothing(reason: Reason, start: tuple[int, ...]) -> Steps:
    yield None
    return Outcome(reason, (Hypothesis(start),))
