"""Speculative decoding: a draft proposes several tokens, one pass of the model judges them all, and its distribution stays what it was.

Random numbers belong to positions: the one that draws a drafted or a bonus token is `sample`'s, so that a draft equal to the model gives the
very text of `sample`; two more streams say whether a token is taken and what comes in its place.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.choices import DraftedToken, DraftRound, DraftTrace, DraftVerdict
from workbench.domain.decoding import Speculative
from workbench.engine.decoding.chain import Processed, chain_for, require_choice
from workbench.engine.decoding.drafts import CHUNK, Chooser, Draft, Drafted, ModelDraft, NgramDraft, Numbers, Reader
from workbench.engine.decoding.measure import Look, Measured, measure
from workbench.engine.decoding.task import Hypothesis, Outcome, Steps, Task
from workbench.engine.decoding.verify import EXACT, Rule, acceptance

PROBES = 16  # a plain step is timed once in so many rounds, to compare with


class Numbered(NamedTuple):
    """The random numbers of every position: for drawing, for judging a drafted token, for what takes its place."""

    draw: Numbers
    judge: Numbers
    replace: Numbers

    @classmethod
    def of(cls, seed: int) -> Numbered:
        """All three streams from one seed."""
        return cls(Numbers(seed), Numbers(seed, "judge"), Numbers(seed, "replace"))


class _Verified(NamedTuple):
    """What the target's pass over the drafted tokens says; rows are positions."""

    logits: Tensor
    processed: Processed
    law: Tensor
    taken: int
    told: tuple[DraftedToken, ...]


def speculative(
    stepper: Reader,
    task: Task,
    settings: Speculative,
    other: Reader | None,
    *,
    room: int | None = None,
    rule: Rule = EXACT,
) -> Steps:
    """Yield each round as an aside, then the tokens that it settled.

    `other` reads for the draft, a model that takes texts of at most `room` tokens; None drafts from n-grams.
    """
    chooser = Chooser(chain_for(settings, task.eos), settings.temperature == 0)
    numbers = Numbered.of(settings.seed)
    known = stepper.prefill([task.prompt])
    vocabulary = known.shape[-1]
    draft: Draft = (
        NgramDraft(task.prompt, vocabulary, known.device)
        if other is None
        else ModelDraft(other, task.prompt, chooser, numbers.draw, vocabulary, room)
    )
    rounds = Rounds(stepper, task, settings, draft, chooser, numbers, rule, known)
    if task.start:
        rounds.recall()
    return (yield from rounds.steps())


class Rounds:
    """One text under way."""

    def __init__(
        self,
        stepper: Reader,
        task: Task,
        settings: Speculative,
        draft: Draft,
        chooser: Chooser,
        numbers: Numbered,
        rule: Rule,
        known: Tensor,
    ) -> None:
        self._stepper = stepper
        self._task = task
        self._gamma = settings.gamma
        self._draft = draft
        self._chooser = chooser
        self._numbers = numbers
        self._rule = rule
        self._output: list[int] = []
        self._unread: list[int] = []  # tokens of the output that the target hasn't read
        self._known: Tensor | None = known  # [1, V]: logits behind what it has read, where there is no unread token
        self._round = 0
        self._total = 0.0

    def steps(self) -> Steps:
        """Round after round until the end; tokens of `start` are not told again."""
        while True:
            self._round += 1
            plain = self._probe() if self._round % PROBES == 2 and self._unread else None
            began = time.perf_counter()
            drafted = self._propose()
            between = time.perf_counter()
            seen = self._verify(drafted)
            chosen = self._settle(drafted, seen)
            ended = time.perf_counter()
            first = len(self._output) - len(chosen)
            added = chosen[-1] if len(chosen) > seen.taken else None
            yield DraftRound.model_construct(
                kind="draft", round=self._round, drafted=seen.told, added=None if added is None else added.id, added_text="",
                verdict=None if added is None else "bonus" if seen.taken == len(drafted) else "residual",
                draft_seconds=between - began, target_seconds=ended - between, plain_seconds=plain,
            )  # fmt: skip
            for place, one in enumerate(chosen, start=first):
                self._total += one.logprob
                if place >= len(self._task.start):
                    yield one
            if self._output[-1] in self._task.eos:
                return Outcome("end", (Hypothesis(tuple(self._output), self._total),))
            if len(self._output) >= self._task.limit:
                return Outcome("length", (Hypothesis(tuple(self._output), self._total),))

    def _propose(self) -> list[Drafted]:
        """At most gamma tokens, one fewer than there is room for; nothing behind an end token."""
        drafted: list[Drafted] = []
        output, start = list(self._output), self._task.start
        for _ in range(min(self._gamma, self._task.limit - len(output) - 1)):
            one = self._draft.propose(output)
            if one is None:
                break
            if len(output) < len(start):  # near-ties may round another way than when the text was read again at once
                one = one._replace(id=start[len(output)])
            drafted.append(one)
            output.append(one.id)
            if one.id in self._task.eos:
                break
        return drafted

    @torch.inference_mode()
    def _verify(self, drafted: list[Drafted]) -> _Verified:
        """One pass of the target over what it hasn't read and the drafted tokens; each is judged at its own distribution."""
        ids = [one.id for one in drafted]
        fed = self._unread + ids
        parts = [] if self._known is None else [self._known]
        if fed:
            parts.append(self._stepper.extend([fed])[0, max(0, len(self._unread) - 1) :])
        logits = torch.cat(parts)
        processed = self._chooser.process(
            logits, self._task.prompt, [self._output + ids[:place] for place in range(len(ids) + 1)]
        )
        law = self._chooser.law(processed.scores)
        if not drafted:
            return _Verified(logits, processed, law, 0, ())
        q = torch.stack([one.q for one in drafted])
        claimed = torch.stack([one.raw for one in drafted]) if self._rule.sees_raw else q
        at = torch.arange(len(ids), device=law.device), torch.tensor(ids, device=law.device)
        table = torch.stack([law[at], claimed[at], acceptance(law[: len(ids)], q)], dim=1).tolist()
        taken, told = len(ids), []
        for place, (p, chance, expected) in enumerate(table):
            position = len(self._output) + place
            u = self._numbers.judge.at(position)
            given = position < len(self._task.start)
            if taken == len(ids) and not given and not self._rule.accepts(p, chance, u):
                taken = place
            verdict = "accepted" if place < taken else "rejected" if place == taken else "unused"
            about = {"p": p, "q": chance, "u": u, "verdict": verdict, "expected": expected}
            told.append(DraftedToken.model_construct(id=ids[place], text="", **about))
        return _Verified(logits, processed, law, taken, tuple(told))

    def _settle(self, drafted: list[Drafted], seen: _Verified) -> list[Measured]:
        """Take the accepted tokens and the one that the target adds; let the target forget the rest."""
        ids = [one.id for one in drafted[: seen.taken]]
        traces = [
            DraftTrace(round=self._round, position=place, p=one.p, q=one.q, u=one.u, verdict="accepted")
            for place, one in enumerate(seen.told[: seen.taken])
        ]
        if not ids or ids[-1] not in self._task.eos:
            token, trace = self._added(drafted, seen)
            ids.append(token)
            traces.append(trace)
        measured = measure(Look.of(seen.logits, seen.processed), list(range(len(ids))), ids)
        self._stepper.crop(len(drafted) - seen.taken)
        self._output += ids
        self._known, self._unread = None, ids[-1:]
        return [one._replace(draft=trace) for one, trace in zip(measured, traces, strict=True)]

    def _added(self, drafted: list[Drafted], seen: _Verified) -> tuple[int, DraftTrace]:
        """The token behind the accepted ones: from the residual after a rejection, else from the target as `sample` draws it."""
        place, position = seen.taken, len(self._output) + seen.taken
        verdict: DraftVerdict = "bonus"
        scores = seen.processed.scores[place : place + 1]
        require_choice(scores)
        law = seen.law[place]
        if place == len(drafted):
            token = self._chooser.take(scores, self._numbers.draw.at(position))
        else:
            one = drafted[place]
            left = self._rule.residual(law, one.raw if self._rule.sees_raw else one.q)
            token, verdict = self._chooser.take(left[None].log(), self._numbers.replace.at(position)), "residual"
        trace = DraftTrace.model_construct(
            round=self._round, position=place, p=float(law[token]), q=None, u=None, verdict=verdict
        )
        return token, trace

    def _probe(self) -> float:
        """Seconds of a plain step here: what `sample` does for one token."""
        began = time.perf_counter()
        logits = self._stepper.step(self._unread)
        processed = self._chooser.process(logits, self._task.prompt, [self._output])
        token = self._chooser.take(processed.scores, 0.5)
        measure(Look.of(logits, processed), [0], [token])
        ended = time.perf_counter()
        self._stepper.crop(1)
        return ended - began

    @torch.inference_mode()
    def recall(self) -> None:
        """Find where the round began in which `start` ends, as if it had been decoded here; its tokens are given.

        A text that these settings would not have said (somebody has branched) has its rounds end where it departs.
        """
        start = list(self._task.start)
        begun = inside = 0  # where the round began, and how many drafted tokens of it were taken
        rows = self._known if self._known is not None else torch.empty(0)
        for place, one in enumerate(self._draft.recall(start)):
            if place % CHUNK == 0:
                more = self._stepper.extend([start[place : place + CHUNK]])[0]
                rows = torch.cat([rows[-1:], more])
            drafts = inside < min(self._gamma, self._task.limit - begun - 1) and one is not None
            if (
                drafts
                and one is not None
                and self._would_take(one, start, place, rows[place % CHUNK : place % CHUNK + 1])
            ):
                inside += 1
            else:
                begun, inside, self._round = place + 1, 0, self._round + 1
        self._output, self._unread = start[:begun], start[:begun][-1:]
        self._known = None if begun else self._known
        self._stepper.crop(len(start) - max(0, begun - 1))

    def _would_take(self, one: Drafted, start: list[int], place: int, logits: Tensor) -> bool:
        if one.id != start[place]:
            return False
        law = self._chooser.law(self._chooser.process(logits, self._task.prompt, [start[:place]]).scores)[0]
        q = float((one.raw if self._rule.sees_raw else one.q)[one.id])
        return self._rule.accepts(float(law[one.id]), q, self._numbers.judge.at(place))
