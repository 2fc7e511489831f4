"""What proposes tokens for speculative decoding: a model with the same tokenizer, or the n-grams of the text so far.

A draft is a distribution q over the next token given everything before it, drafted tokens included. It depends on nothing else, so
that rounds can be told again from a text and its seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from workbench.domain.decoding import NGRAM
from workbench.domain.errors import BadInput
from workbench.engine.decoding.chain import Chain, Context, Processed
from workbench.engine.decoding.sample import draw
from workbench.engine.decoding.task import Uniforms
from workbench.engine.decoding.voice import Voice

LONGEST_GRAM = 3
CHUNK = 32  # tokens of a text that is read again at once: their logits are held together


class Drafted(NamedTuple):
    """A proposed token with the distribution that it was drawn from, and that of the draft before its chain; float64 [V]."""

    id: int
    q: Tensor
    raw: Tensor


class Draft(Protocol):
    """Proposes tokens; what it proposes somewhere is a function of what stands before it and of the place's uniform number."""

    def propose(self, output: list[int]) -> Drafted | None:
        """One token behind prompt + output; None when there is nothing to propose."""

    def recall(self, output: list[int]) -> Iterator[Drafted | None]:
        """What was proposed at every place of `output`, given what stands before it."""


class Reader(Protocol):
    """The part of a `Stepper` that rounds need, for one row."""

    def prefill(self, rows: list[list[int]]) -> Tensor:
        """Read a prompt -> [1, V]."""

    def step(self, ids: list[int]) -> Tensor:
        """Append one token -> [1, V]."""

    def extend(self, ids: list[list[int]]) -> Tensor:
        """Append T tokens -> [1, T, V]."""

    def crop(self, count: int) -> None:
        """Forget the newest tokens."""


class Numbers:
    """Uniform numbers by position, for one purpose: a function of seed, purpose and position alone."""

    def __init__(self, seed: int, purpose: str = "") -> None:
        if purpose:
            seed = int.from_bytes(hashlib.sha256(f"{purpose}:{seed}".encode()).digest()[:8], "big")
        self._uniforms = Uniforms(seed)
        self._known: list[float] = []

    def at(self, position: int) -> float:
        """The number of a position; without a purpose it is the one that `sample` uses there."""
        while len(self._known) <= position:
            self._known.append(self._uniforms.next())
        return self._known[position]


@dataclass(frozen=True)
class Chooser:
    """A chain with the way in which a token is taken from its scores: drawn, or at temperature 0 the best."""

    chain: Chain
    greedy: bool

    def process(self, logits: Tensor, prompt: list[int], outputs: list[list[int]]) -> Processed:
        """Apply the chain to logits [n, V] whose rows stand behind `outputs`."""
        return self.chain(logits, Context([prompt] * len(outputs), outputs))

    def law(self, scores: Tensor) -> Tensor:
        """[n, V] float64: the distribution that a token is taken from; all zero where the chain has left nothing."""
        if self.greedy:
            best = torch.zeros_like(scores, dtype=torch.float64)
            best.scatter_(-1, scores.argmax(-1, keepdim=True), 1.0)
            return best * scores.max(-1, keepdim=True).values.isfinite()
        return torch.softmax(scores.double(), dim=-1).nan_to_num(0.0)

    def take(self, scores: Tensor, u: float) -> int:
        """The token of scores [1, V] at the uniform number u."""
        return int(scores.argmax(-1)) if self.greedy else int(draw(scores, [u]))


class ModelDraft:
    """A language model as draft, with the same settings' chain; `room` is how many tokens it can read."""

    def __init__(
        self, stepper: Reader, prompt: list[int], chooser: Chooser, uniforms: Numbers, vocabulary: int, room: int | None
    ) -> None:
        self._stepper = stepper
        self._prompt = prompt
        self._chooser = chooser
        self._uniforms = uniforms
        self._vocabulary = vocabulary
        self._room = room
        self._first: Tensor | None = None  # logits behind the prompt
        self._read: list[int] = []  # tokens behind the prompt that the stepper holds

    def propose(self, output: list[int]) -> Drafted | None:
        """One pass of the model over what it hasn't read yet; None where it can't read the text."""
        if not self._reads(output):
            return None
        return self._drawn(self._behind(output), output)

    def recall(self, output: list[int]) -> Iterator[Drafted | None]:
        """Read the text in few passes."""
        for start in range(0, len(output), CHUNK):
            places = range(start, min(start + CHUNK, len(output)))
            readable = [place for place in places if self._reads(output[:place])]
            rows = self._behind(output[:start]) if readable else torch.empty(0)
            if len(readable) > 1:
                rows = torch.cat([rows, self._extend(output[start : readable[-1]])])
            for row, place in enumerate(places):
                yield self._drawn(rows[row : row + 1], output[:place]) if row < len(readable) else None

    def _reads(self, output: list[int]) -> bool:
        """Whether prompt + output fit the model's context and are of its vocabulary."""
        if self._room is not None and len(self._prompt) + len(output) > self._room:
            return False
        if self._first is None:
            self._first = self._stepper.prefill([self._prompt])
        return max(output, default=0) < self._first.shape[-1]

    def _behind(self, output: list[int]) -> Tensor:
        """[1, V]: logits behind prompt + output; what was read and isn't wanted is forgotten first."""
        if not output and self._first is not None:
            self._forget(0)
            return self._first
        same = min(alike(self._read, output), len(output) - 1)  # the last token is read for the logits behind it
        self._forget(same)
        return self._extend(output[same:])[-1:]

    def _forget(self, kept: int) -> None:
        self._stepper.crop(len(self._read) - kept)
        del self._read[kept:]

    def _extend(self, ids: list[int]) -> Tensor:
        self._read += ids
        return self._stepper.extend([ids])[0]

    def _drawn(self, logits: Tensor, output: list[int]) -> Drafted | None:
        logits = same_width(logits, self._vocabulary)
        scores = self._chooser.process(logits, self._prompt, [output]).scores
        q = self._chooser.law(scores)
        if not bool(q.any()):
            return None
        return Drafted(
            self._chooser.take(scores, self._uniforms.at(len(output))), q[0], torch.softmax(logits.double(), dim=-1)[0]
        )


class NgramDraft:
    """What followed the last time when the text said the same words: the longest of its last 3, 2 or 1 tokens that came before.

    The distribution is one-hot ("prompt lookup"), so the target takes the token with its own probability.
    """

    def __init__(self, prompt: list[int], vocabulary: int, device: Any) -> None:
        self._prompt = prompt
        self._vocabulary = vocabulary
        self._device = device
        self._seen: dict[tuple[int, ...], list[int]] = {}
        self._text: list[int] = []

    def propose(self, output: list[int]) -> Drafted | None:
        """Look the last tokens up."""
        self._index(self._prompt + output)
        for size in range(min(LONGEST_GRAM, len(self._text)), 0, -1):
            places = self._seen.get(tuple(self._text[-size:]))
            if places:
                token = self._text[places[-1]]
                if token < self._vocabulary:
                    q = torch.zeros(self._vocabulary, dtype=torch.float64, device=self._device)
                    q[token] = 1.0
                    return Drafted(token, q, q)
        return None

    def recall(self, output: list[int]) -> Iterator[Drafted | None]:
        """Look every place up."""
        for place in range(len(output)):
            yield self.propose(output[:place])

    def _index(self, text: list[int]) -> None:
        """Know the followers of every n-gram of `text`; those of tokens that were taken back are forgotten."""
        same = alike(self._text, text)
        for place in range(len(self._text) - 1, same - 1, -1):
            for gram in self._before(place):
                self._seen[gram].pop()
        self._text = self._text[:same]
        for place in range(same, len(text)):
            for gram in self._before(place, text):
                self._seen.setdefault(gram, []).append(place)
        self._text = text

    def _before(self, place: int, text: list[int] | None = None) -> list[tuple[int, ...]]:
        """The n-grams that end before a place."""
        text = self._text if text is None else text
        return [tuple(text[place - size : place]) for size in range(1, min(LONGEST_GRAM, place) + 1)]


def alike(one: list[int], other: list[int]) -> int:
    """How many tokens two texts have in common at their beginning."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:  # nearly always, and much faster than to look at each
        return shorter
    return next(place for place in range(shorter) if one[place] != other[place])


def same_width(logits: Tensor, vocabulary: int) -> Tensor:
    """[n, vocabulary]: a draft's logits for the ids that the target has; ids that the draft lacks can't be drawn."""
    missing = vocabulary - logits.shape[-1]
    if missing <= 0:
        return logits[..., :vocabulary]
    return functional.pad(logits, (0, missing), value=-torch.inf)


def draft_voice(voice: Voice, name: str, others: Mapping[str, Voice]) -> Voice | None:
    """The voice of the draft that is named so, None for n-grams. Raises BadInput for another tokenizer than the model's."""
    if name == NGRAM:
        return None
    if name not in others:
        raise BadInput(f"There is no draft {name}.", "Choose a model of this workspace, or ngram.")
    require_same_tokens(voice, others[name], name)
    return others[name]


def amateur_voice(voice: Voice, name: str, others: Mapping[str, Voice]) -> Voice:
    """The voice of the amateur that is named so. Raises BadInput where there is none, or for another tokenizer than the expert's."""
    if not name:
        raise BadInput(
            "Contrastive decoding needs an amateur.", "Name a weaker model with the same tokenizer as `amateur`."
        )
    if name not in others:
        raise BadInput(f"There is no amateur {name}.", "Choose a model of this workspace.")
    require_same_tokens(voice, others[name], name, "be the amateur")
    return others[name]


def require_same_tokens(voice: Voice, other: Voice, name: str, do: str = "draft") -> None:
    """Raise BadInput unless both tokenizers mean the same by every id."""
    if voice.tokenizer is other.tokenizer:
        return
    mine, theirs = voice.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    if mine == theirs:
        return
    different = sum(theirs.get(token) != number for token, number in mine.items()) + len(theirs.keys() - mine.keys())
    raise BadInput(
        f"{Path(name).name} can't {do}: its tokenizer differs in {different:,} tokens from the model's.",
        "Choose a smaller model of the same family, or an earlier checkpoint.",
    )
