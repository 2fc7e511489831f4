"""Does speculative decoding leave the model's distribution as it was? A chi-square test on texts that it has drawn.

Every two-token continuation of one prompt that should come at least five times is an outcome of its own, the others share one. What is
expected comes from the model alone. The same test on rules with a deliberate mistake shows what it can find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.choices import DraftRound, LosslessCell, LosslessReport, LosslessRule
from workbench.domain.decoding import Speculative
from workbench.domain.errors import BadInput
from workbench.engine.decoding.chain import chain_for
from workbench.engine.decoding.drafts import Chooser, Reader, draft_voice
from workbench.engine.decoding.measure import Measured
from workbench.engine.decoding.pieces import Pieces
from workbench.engine.decoding.remembered import Remembered
from workbench.engine.decoding.speculative import speculative
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.task import Task
from workbench.engine.decoding.verify import EXACT, WRONG, Rule
from workbench.engine.decoding.voice import Voice, context_length, room_after

TOKENS = 2  # of each text that are looked at
LEAST = 5.0  # texts that an outcome should at least have for the chi-square law to hold
SHOWN = 24  # outcomes in the report

Outcome = tuple[int, ...]


class Tried(NamedTuple):
    """What one rule said: how often each text came, and how many of the judged drafts were taken."""

    seen: Counter[Outcome]
    judged: int
    taken: int


def lossless(
    stepper: Reader,
    task: Task,
    settings: Speculative,
    other: Reader | None,
    samples: int,
    pieces: Pieces,
    *,
    room: int | None = None,
    wanted: Callable[[], bool] = lambda: True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LosslessReport | None:
    """Draw `samples` texts with each rule and test them; None when `wanted` said no before the end.

    Text i is drawn with the settings' seed + i. Raises BadInput at temperature 0, where there is nothing to draw.
    """
    if settings.temperature == 0:
        raise BadInput(
            "At temperature 0 nothing is drawn, so there is no distribution to test.",
            "Set a temperature above 0; greedy drafts can be compared with greedy decoding token by token.",
        )
    reader, draft = Remembered(stepper), None if other is None else Remembered(other)
    # One more token than is looked at, so that drafts are proposed at both places.
    task = Task(task.prompt, TOKENS + 1, task.eos)
    expected = expectation(reader, task, settings, samples)
    found = []
    rules = (EXACT, *WRONG)
    for number, rule in enumerate(rules):
        begun = number * samples
        told = _draw(reader, task, settings, draft, samples, room, rule, wanted,
                     partial(_further, progress, begun, len(rules) * samples))  # fmt: skip
        if told is None:
            return None
        found.append(_tested(rule, told, expected, pieces))
    return LosslessReport(samples=samples, tokens=TOKENS, exact=found[0], wrong=tuple(found[1:]))


def lossless_between(
    voice: Voice,
    others: Mapping[str, Voice],
    prompt: list[int],
    settings: Speculative,
    samples: int,
    wanted: Callable[[], bool],
    progress: Callable[[int, int], None],
) -> LosslessReport | None:
    """`lossless` for a model and the draft that the settings name, which is looked for among `others`."""
    other = draft_voice(voice, settings.draft, others)
    task = Task(prompt, room_after(voice.model, prompt, TOKENS + 1), voice.eos)
    if task.limit <= TOKENS:
        raise BadInput(
            "The prompt leaves no room for an answer.", "Shorten it, or choose a model with a longer context."
        )
    return lossless(
        stepper_for(voice), task, settings, None if other is None else stepper_for(other), samples, voice.pieces,
        room=None if other is None else context_length(other.model), wanted=wanted, progress=progress,
    )  # fmt: skip


def expectation(reader: Reader, task: Task, settings: Speculative, samples: int) -> dict[Outcome, float]:
    """How often each outcome should come; those that should come less than LEAST times share the outcome ()."""
    chooser = Chooser(chain_for(settings, task.eos), greedy=False)
    logits = reader.prefill([task.prompt])
    expected: dict[Outcome, float] = {}
    for first, count in _likely(_law(chooser, logits, task, []) * samples):
        if first in task.eos:
            expected[(first,)] = count
            continue
        second = _law(chooser, reader.step([first]), task, [first])
        expected |= {(first, token): value for token, value in _likely(second * count)}
        reader.crop(1)
    rest = samples - sum(expected.values())
    if 0 < rest < LEAST and expected:  # too few to stand alone: the least likely outcome joins them
        rest += expected.pop(min(expected, key=lambda outcome: expected[outcome]))
    return expected | {(): rest} if rest > 1e-9 * samples else expected


def chi_square(observed: list[int], expected: list[float]) -> tuple[float, int, float]:
    """(the statistic, its degrees of freedom, the chance of a greater one); nothing is left to chance with one outcome only."""
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))
    degrees = len(observed) - 1
    if degrees == 0:
        return statistic, 0, 1.0
    half = torch.tensor([degrees / 2, statistic / 2], dtype=torch.float64)
    return statistic, degrees, float(torch.special.gammaincc(half[0], half[1]))


def _likely(counts: Tensor) -> list[tuple[int, float]]:
    ids = (counts >= LEAST).nonzero().flatten().tolist()
    return [(token, float(counts[token])) for token in ids]


def _law(chooser: Chooser, logits: Tensor, task: Task, output: list[int]) -> Tensor:
    return chooser.law(chooser.process(logits, task.prompt, [output]).scores)[0].cpu()


def _further(progress: Callable[[int, int], None], begun: int, total: int, done: int) -> None:
    progress(begun + done, total)


def _draw(
    reader: Reader, task: Task, settings: Speculative, draft: Reader | None, samples: int, room: int | None, rule: Rule,
    wanted: Callable[[], bool], progress: Callable[[int], None],
) -> Tried | None:  # fmt: skip
    seen: Counter[Outcome] = Counter()
    judged = taken = 0
    for number in range(samples):
        if not wanted():
            return None
        seeded = settings.model_copy(update={"seed": (settings.seed + number) % 2**63})
        ids: list[int] = []
        steps = speculative(reader, task, seeded, draft, room=room, rule=rule)
        for told in steps:
            if isinstance(told, DraftRound):
                verdicts = [token.verdict for token in told.drafted if token.verdict != "unused"]
                judged, taken = judged + len(verdicts), taken + verdicts.count("accepted")
            elif isinstance(told, Measured):
                ids.append(told.id)
            if len(ids) == TOKENS:
                steps.close()
                break
        seen[tuple(ids)] += 1
        if number % 50 == 49 or number + 1 == samples:
            progress(number + 1)
    return Tried(seen, judged, taken)


def _tested(rule: Rule, told: Tried, expected: dict[Outcome, float], pieces: Pieces) -> LosslessRule:
    named = {outcome: told.seen[outcome] for outcome in expected if outcome}
    observed = [named[o] if o else told.seen.total() - sum(named.values()) for o in expected]
    impossible = told.seen.total() - sum(observed)
    statistic, degrees, p = chi_square(observed, list(expected.values()))
    table = sorted(zip(expected, observed, expected.values(), strict=True), key=lambda row: (not row[0], -row[2]))
    cells = [
        LosslessCell(text="".join(pieces[token] for token in outcome), observed=count, expected=value)
        for outcome, count, value in [*table[: SHOWN - 1], *table[SHOWN - 1 :][-1:]]
    ]
    acceptance = told.taken / told.judged if told.judged else None
    return LosslessRule(
        name=rule.name, chi_square=statistic, degrees=degrees, p=0.0 if impossible else p, acceptance=acceptance,
        impossible=impossible, cells=tuple(cells),
    )  # fmt: skip
