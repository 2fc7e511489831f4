"""Work that has a turn of its own beside the batches: texts by beams and other strategies, and prompts that are read."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from workbench.domain.choices import TokenChoice
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.pieces import TextStream
from workbench.engine.decoding.stepper import Stepper, stepper_for
from workbench.engine.decoding.telling import Ending
from workbench.engine.decoding.voice import Voice
from workbench.serving.batch import Row, Told, choose, with_logprobs
from workbench.serving.order import Broken, Finish, Heard, Order, Read, Said

CHUNK_VALUES = 2**24  # logits held at once while a prompt is read (64 MiB)


class Alone:
    """One text by a strategy that can't share a batch; a step is one round of the strategy."""

    def __init__(self, voice: Voice, order: Order, choice: int, others: Mapping[str, Voice]) -> None:
        self.order, self.over = order, False
        self._choice = choice
        prompt = order.prompts[choice // order.n]
        settings = order.settings.model_copy(
            update={
                "seed": (order.settings.seed + choice) % 2**63,
                "max_new_tokens": order.limits[choice // order.n],
            }
        )
        self._steps = decode(voice, prompt, settings, others=others)
        self._stream = TextStream(voice.tokenizer, prompt)
        self._made = 0

    def step(self) -> Told:
        """One round."""
        if self.order.cancelled:
            self.over = True
            self._steps.close()
            return []
        try:
            choice = next(self._steps)
        except StopIteration as finished:
            self.over = True
            ending: Ending = finished.value
            finish: Finish = "length" if ending.reason == "length" else "stop"
            return [(self.order, Heard(self._choice, (), finish, self._made, fresh=0))]
        if not isinstance(choice, TokenChoice):
            return []
        self._made += 1
        return [(self.order, Heard(self._choice, (self._said(choice),)))]

    def _said(self, choice: TokenChoice) -> Said:
        cut = len(choice.text) < len(self._stream.push(choice.id))  # a stop text took its end
        if self.order.logprobs is None:
            return Said(choice.id, choice.text, cut=cut)
        top = tuple((o.id, math.log(o.p_model)) for o in choice.alternatives if o.p_model > 0)
        return Said(choice.id, choice.text, choice.logprob, top[: self.order.logprobs], cut)


class Reading:
    """Tells the probabilities of a prompt's own tokens, piece by piece, and the first token of each of its texts.

    `rows` are the prompt's texts; those that are to go on afterwards are `ready` when it is over.
    """

    def __init__(self, voice: Voice, order: Order, prompt: int, rows: list[Row]) -> None:
        self.order, self.over = order, False
        self.ready: list[Row] = []
        self._voice, self._prompt, self._rows = voice, prompt, rows
        self._ids = order.prompts[prompt]
        self._said: list[Said] = [Said(self._ids[0])]
        self._stepper: Stepper | None = None
        self._last = torch.empty(0)

    @torch.inference_mode()
    def step(self) -> Told:
        """Read one piece of the prompt."""
        if self.order.cancelled:
            self.over = True
            return []
        if self._stepper is None:
            self._stepper = stepper_for(self._voice)
            self._last = self._stepper.prefill([self._ids[:1]])
        done = len(self._said)
        piece = self._ids[done : done + max(1, CHUNK_VALUES // self._last.shape[-1])]
        if piece:
            after = self._stepper.extend([piece])[0]
            before = torch.cat([self._last, after[:-1]])
            self._said += with_logprobs(before, piece, self.order.logprobs or 0)
            self._last = after[-1:]
        return self._finish() if len(self._said) == len(self._ids) else []

    def _finish(self) -> Told:
        self.over = True
        stream = TextStream(self._voice.tokenizer, [])
        said = tuple(one._replace(text=stream.push(one.id)) for one in self._said)
        told: Told = [(self.order, Read(self._prompt, said))]
        speaking = [row for row in self._rows if row.limit > 0]
        told += [(self.order, row.end_unspoken()) for row in self._rows if row.limit == 0]
        if not speaking:
            return told
        # What the prompt leads to is known already: the first tokens need no second reading.
        for row, chosen in zip(speaking, choose(speaking, self._last.expand(len(speaking), -1)), strict=True):
            if isinstance(chosen, Said):
                told.append((self.order, row.take(chosen)))
            else:
                self.order.cancelled = True
                return [*told, (self.order, Broken(chosen))]
        self.ready = [row for row in speaking if not row.over]
        return told
