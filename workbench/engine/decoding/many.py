"""Continue many prompts at once, as rows of one batch: no statistics, only texts.

Row i draws from the settings' seed + i, so each text can be made again alone, up to near-ties of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from workbench.domain.decoding import Greedy, Sample
from workbench.engine.decoding.chain import Context, chain_for, require_choice
from workbench.engine.decoding.decode import Settings, decode_together, task_for
from workbench.engine.decoding.mirostat import Bound
from workbench.engine.decoding.pieces import completion_of, cut_at_stop, text_of
from workbench.engine.decoding.sample import draw
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.task import Uniforms
from workbench.engine.decoding.telling import Ending
from workbench.engine.decoding.voice import Voice

ROWS = 64


class Written(NamedTuple):
    """A text: its ids (an end token included), itself as training reads it, and whether it ended by itself."""

    ids: list[int]
    completion: str
    ended: bool


def seed_of_row(settings: Settings, row: int) -> Settings:
    """The settings that make row `row` of a batch again alone."""
    return settings.model_copy(update={"seed": (settings.seed + row) % 2**63})


def decode_many(
    voice: Voice,
    prompts: list[list[int]],
    settings: Settings,
    *,
    others: Mapping[str, Voice] | None = None,
    wanted: Callable[[], bool] = lambda: True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str] | None:
    """One text for each prompt (ids), or None when `wanted` said no before the end; both are looked at before every step."""
    written = write_many(voice, prompts, settings, others=others, wanted=wanted, progress=progress)
    return None if written is None else [one.completion for one in written]


def write_many(
    voice: Voice,
    prompts: list[list[int]],
    settings: Settings,
    *,
    others: Mapping[str, Voice] | None = None,
    wanted: Callable[[], bool] = lambda: True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Written] | None:
    """`decode_many` with the ids."""
    texts: dict[int, Written] = {}
    # Rows of similar length share a batch: less padding. The order of the answers is that of the prompts.
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    size = ROWS if isinstance(settings, Greedy | Sample) else 1
    for first in range(0, len(order), size):
        numbers = order[first : first + size]
        made = (
            _alone(voice, prompts[numbers[0]], seed_of_row(settings, numbers[0]), others, wanted)
            if size == 1
            else _batch(voice, [prompts[i] for i in numbers], [seed_of_row(settings, i) for i in numbers], wanted)
        )
        if made is None:
            return None
        texts.update(zip(numbers, made, strict=True))
        progress(len(texts), len(prompts))
    return [texts[i] for i in range(len(prompts))]


def _alone(
    voice: Voice, prompt: list[int], settings: Settings, others: Mapping[str, Voice] | None, wanted: Callable[[], bool]
) -> list[Written] | None:
    steps, ids = decode_together(voice, prompt, settings, others=others), list[int]()
    while wanted():
        try:
            told = next(steps)
        except StopIteration as finished:
            ending: Ending = finished.value
            return [Written(ids, ending.completion, ending.reason == "end")]
        if isinstance(told, list):
            ids += [one.id for one in told]
    return None


def _batch(
    voice: Voice, prompts: list[list[int]], settings: list[Settings], wanted: Callable[[], bool]
) -> list[Written] | None:
    chain = chain_for(settings[0], voice.eos)
    stepper = stepper_for(voice)
    tasks = [task_for(voice, prompt, settings[0]) for prompt in prompts]
    before = [task.known for task in tasks]
    uniforms = [Uniforms(s.seed) for s in settings]
    bounds = [Bound(s) for s in settings if isinstance(s, Sample)]
    outputs: list[list[int]] = [[] for _ in prompts]
    live = list(range(len(prompts)))
    logits = stepper.prefill([task.prompt for task in tasks])
    while wanted():
        told = tuple(bounds[i].mu or 0.0 for i in live) if bounds and bounds[0].told else ()
        context = Context([before[i] for i in live], [outputs[i] for i in live], told)
        scores = chain(logits, context).scores
        tokens = _choose(scores, settings[0], [uniforms[i].next() for i in live])
        if told:
            used = scores.softmax(dim=-1)[range(len(live)), tokens].tolist()
            for row, p_used in zip(live, used, strict=True):
                bounds[row].follow(p_used)
        for row, token in zip(live, tokens, strict=True):
            outputs[row].append(token)
        going = [
            place
            for place, row in enumerate(live)
            if len(outputs[row]) < tasks[row].limit
            and not _has_ended(voice, before[row], outputs[row], settings[row].stop)
        ]
        if not going:
            return [_written(voice, *pair, settings[0].stop) for pair in zip(before, outputs, strict=True)]
        stepper.reorder(going)
        live = [live[place] for place in going]
        logits = stepper.step([tokens[place] for place in going])
    return None


def _choose(scores: Tensor, settings: Settings, uniforms: list[float]) -> list[int]:
    require_choice(scores)
    if isinstance(settings, Sample) and settings.temperature > 0:
        tokens: list[int] = draw(scores, uniforms).tolist()
    else:
        tokens = scores.argmax(dim=-1).tolist()
    return tokens


def _has_ended(voice: Voice, prompt: list[int], output: list[int], stops: tuple[str, ...]) -> bool:
    if output[-1] in voice.eos:
        return True
    return bool(stops) and cut_at_stop(text_of(voice.tokenizer, prompt, output), stops) is not None


def _written(voice: Voice, prompt: list[int], output: list[int], stops: tuple[str, ...]) -> Written:
    text = text_of(voice.tokenizer, prompt, output)
    place = cut_at_stop(text, stops)
    completion = completion_of(voice.tokenizer, output) if place is None else text[:place]
    return Written(output, completion, output[-1] in voice.eos)
