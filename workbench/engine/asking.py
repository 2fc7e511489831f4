"""Asking a language model which of two responses is better: its verdict is read from the log-probabilities of two answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import torch

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.text import Prompt
from workbench.engine.batches import collate, micro_batches
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import hidden_states, project
from workbench.engine.models import Loaded
from workbench.engine.text import encode_prompt, uses_template

ANSWERS = ("A", "B")
_CUE = "\n\nAnswer:"


class Said(NamedTuple):
    """`lean`: log-odds of the first answer over the second, in nats; `mass`: how likely the model finds the two at all."""

    lean: float
    mass: float


def sigmoid(lean: float) -> float:
    """The probability of log-odds, without overflow."""
    return (1 + math.tanh(lean / 2)) / 2


class Letters(NamedTuple):
    """The ids that stand for each answer at the verdict position, and what must come before it there."""

    before: list[int]
    first: list[int]
    second: list[int]


def letters(tokenizer: Any, *, after_space: bool) -> Letters:
    """How the tokenizer writes the two answers at the beginning of a reply, or after a space.

    Each answer is one token where it can be, written either way if both ways are one token; else what both begin with (a space of
    its own) comes before the verdict. Raises BadInput when the tokenizer can't tell the answers apart.
    """
    ways = [[_ids(tokenizer, letter, space) for letter in ANSWERS] for space in (after_space, not after_space)]
    single = [way for way in ways if len(way[0]) == len(way[1]) == 1 and way[0] != way[1]]
    if single:
        first, second = ({way[place][0] for way in single} for place in (0, 1))
        if first - second and second - first:
            return Letters([], sorted(first - second), sorted(second - first))
    for one, other in ways:
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
        if shared < min(len(one), len(other)):
            return Letters(one[:shared], [one[shared]], [other[shared]])
    raise BadInput("The judge's tokenizer can't tell the answers A and B apart.", "Choose another model as judge.")


def _ids(tokenizer: Any, letter: str, after_space: bool) -> list[int]:
    """Ids of a letter as it stands in running text; the difference of two texts, since a tokenizer may add a space of its own."""
    lead = ":"
    before = list(tokenizer(lead, add_special_tokens=False)["input_ids"])
    whole = list(tokenizer(f"{lead}{' ' if after_space else ''}{letter}", add_special_tokens=False)["input_ids"])
    alone = list(tokenizer(letter, add_special_tokens=False)["input_ids"])
    return whole[len(before) :] if whole[: len(before)] == before and len(whole) > len(before) else alone


class Asker:
    """A language model that compares two responses. `ask` takes questions as ids, made by `encode`."""

    def __init__(self, loaded: Loaded, setup: Setup, chat_format: str, micro_batch_size: int) -> None:
        self._loaded = loaded
        self._setup = setup
        self._format = chat_format
        self._size = micro_batch_size
        self._chat = uses_template(loaded.tokenizer, chat_format)
        self._letters = letters(loaded.tokenizer, after_space=not self._chat)

    def encode(self, question: str) -> list[int]:
        """Ids of a question up to the place where the answer's letter comes."""
        prompt = Prompt.from_text(question if self._chat else question + _CUE, raw=not self._chat)
        return encode_prompt(self._loaded.tokenizer, prompt, self._format) + self._letters.before

    def ask(self, questions: Sequence[list[int]]) -> list[Said]:
        """What the model says to each question, those of similar length together."""
        found: list[Said] = [Said(0.0, 0.0)] * len(questions)
        lengths = [len(ids) for ids in questions]
        for part in micro_batches(range(len(questions)), lengths, self._size):
            for row, said in zip(part, self._forward([questions[row] for row in part]), strict=True):
                found[row] = said
        return found

    def _forward(self, questions: list[list[int]]) -> list[Said]:
        model, device = self._loaded.model, self._setup.device
        batch = collate(questions, [[] for _ in questions], self._loaded.pad).to(device)
        with evaluating(model), torch.inference_mode(), self._setup.autocast():
            hidden = hidden_states(model, batch.input_ids, batch.attention_mask, batch.position_ids)
            logits = project(model, hidden[torch.arange(len(hidden), device=device), batch.last]).float()
        scores = logits.log_softmax(-1)
        first = scores[:, self._letters.first].logsumexp(-1)
        second = scores[:, self._letters.second].logsumexp(-1)
        mass = torch.logaddexp(first, second).exp()
        if not bool(torch.isfinite(mass).all()):
            raise RunFailed(
                "The judge gives no usable probabilities (not a number).",
                "Set precision to float32, or choose another model.",
            )
        return [Said(float(a), float(m)) for a, m in zip(first - second, mass, strict=True)]
