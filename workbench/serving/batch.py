"""The running batch of one model: texts join and leave between two steps, each with its own rules, seed and stop texts.

A text's random numbers and rules are its own, so it doesn't depend on its neighbours, up to near-ties of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.errors import BadInput, WorkbenchError
from workbench.engine.decoding.chain import Chain, Context, chain_for
from workbench.engine.decoding.sample import draw
from workbench.engine.decoding.stepper import Stepper, stepper_for
from workbench.engine.decoding.task import Uniforms
from workbench.engine.decoding.voice import Voice
from workbench.serving.order import Broken, Event, Finish, Heard, Order, Said
from workbench.serving.speech import Speech

SLACK = 256  # columns of padding that a batch may carry beyond twice its longest text

Told = list[tuple[Order, Event]]


class Row:
    """One text of an order, on its way."""

    def __init__(self, voice: Voice, order: Order, choice: int) -> None:
        settings = order.settings
        assert isinstance(settings, Greedy | Sample)
        self.order, self.choice = order, choice
        self.prompt = order.prompts[choice // order.n]
        self.limit = order.limits[choice // order.n]
        self.output: list[int] = []
        self.over = False
        self.sampled = isinstance(settings, Sample) and settings.temperature > 0
        # Rows whose rules are the same go through them together.
        self.rules = settings.model_copy(update={"seed": 0, "stop": (), "max_new_tokens": 1})
        self.chain: Chain = chain_for(settings, voice.eos)
        self._eos = voice.eos
        self._uniforms = Uniforms((settings.seed + choice) % 2**63)
        self._speech = Speech(voice.tokenizer, self.prompt, settings.stop)

    @property
    def context(self) -> list[int]:
        """What the model has to have read before the next token."""
        return self.prompt + self.output

    def uniform(self) -> float:
        """The random number of the next position."""
        return self._uniforms.next()

    def take(self, said: Said) -> Heard:
        """The text goes on with a token."""
        self.output.append(said.id)
        known = self._speech.push(said)
        if said.id in self._eos or self._speech.stopped:
            return self._end(known, "stop")
        if len(self.output) >= self.limit:
            return self._end(known, "length")
        return Heard(self.choice, tuple(known))

    def end_unspoken(self) -> Heard:
        """The text was to have no token at all."""
        return self._end([], "length")._replace(fresh=0)

    def _end(self, known: list[Said], finish: Finish) -> Heard:
        self.over = True
        return Heard(self.choice, (*known, *self._speech.rest()), finish, len(self.output))


class Batch:
    """Rows of one model that are decoded together."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.rows: list[Row] = []
        self._stepper: Stepper | None = None
        self._logits = torch.empty(0)

    @property
    def columns(self) -> int:
        """How many columns the batch holds, padding included."""
        return 0 if self._stepper is None else self._stepper.length

    def admit(self, rows: Sequence[Row]) -> None:
        """Let rows join; equal prompts are read once."""
        contexts: list[list[int]] = []
        places: list[int] = []
        for row in rows:
            if row.context not in contexts:
                contexts.append(row.context)
            places.append(contexts.index(row.context))
        held = len(self.rows)
        if self._stepper is None or not held:
            self._stepper = stepper_for(self.voice)
            logits = self._stepper.prefill(contexts)
        else:
            logits = self._stepper.admit(contexts)
        self._stepper.reorder([*range(held), *(held + place for place in places)])
        logits = logits[places]
        self._logits = torch.cat([self._logits, logits]) if held else logits
        self.rows = [*self.rows, *rows]

    def step(self) -> Told:
        """One token for every row; those that have ended leave."""
        self._leave([place for place, row in enumerate(self.rows) if not row.order.cancelled])
        if not self.rows:
            return []
        told: Told = []
        tokens: list[int] = []
        going: list[int] = []
        for place, (row, chosen) in enumerate(zip(self.rows, choose(self.rows, self._logits), strict=True)):
            if isinstance(chosen, WorkbenchError):
                row.order.cancelled = True
                told.append((row.order, Broken(chosen)))
                continue
            told.append((row.order, row.take(chosen)))
            if not row.over:
                going.append(place)
                tokens.append(chosen.id)
        self._leave(going)
        if self.rows and self._stepper is not None:
            self._logits = self._next(self._stepper, tokens)
        return told

    def drop(self) -> None:
        """Let all rows go."""
        self._leave([])

    def _next(self, stepper: Stepper, tokens: list[int]) -> Tensor:
        longest = max(len(row.prompt) + len(row.output) for row in self.rows)
        if stepper.length > 2 * longest + SLACK:
            # Long texts have left and their columns are empty: reading what is there again costs less than carrying those on.
            return stepper.prefill([row.context for row in self.rows])
        return stepper.step(tokens)

    def _leave(self, staying: list[int]) -> None:
        if len(staying) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in staying]
        if not self.rows:
            self._stepper, self._logits = None, torch.empty(0)
        elif self._stepper is not None:
            self._stepper.reorder(staying)
            self._logits = self._logits[staying]


class _Scores(NamedTuple):
    """The scores [b, V] of some rows after their rules."""

    places: list[int]
    scores: Tensor


@torch.inference_mode()
def choose(rows: Sequence[Row], logits: Tensor) -> list[Said | WorkbenchError]:
    """The next token of each row for logits [B, V], float32; an error for a row whose rules forbid every token."""
    tokens = [0] * len(rows)
    dead: set[int] = set()
    groups = [_score(rows, logits, places) for places in _alike(rows)]
    for places, scores in groups:
        dead.update(p for p, none in zip(places, scores.max(-1).values.isneginf().tolist(), strict=True) if none)
        if rows[places[0]].sampled:
            found = draw(scores, [rows[place].uniform() for place in places])
        else:
            found = scores.argmax(dim=-1)
        for place, token in zip(places, found.tolist(), strict=True):
            tokens[place] = token
    said = {place: Said(tokens[place]) for place in range(len(rows))}
    for places, scores in groups:
        said.update(_measured(rows, places, scores, logits, tokens))
    return [_forbidden() if place in dead else said[place] for place in range(len(rows))]


def _alike(rows: Sequence[Row]) -> list[list[int]]:
    groups: dict[object, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(row.rules, []).append(place)
    return list(groups.values())


def _score(rows: Sequence[Row], logits: Tensor, places: list[int]) -> _Scores:
    mine = logits if len(places) == len(rows) else logits[places]
    context = Context([rows[place].prompt for place in places], [rows[place].output for place in places])
    return _Scores(places, rows[places[0]].chain(mine, context).scores)


def _measured(
    rows: Sequence[Row], places: list[int], scores: Tensor, logits: Tensor, tokens: list[int]
) -> dict[int, Said]:
    """Probabilities for those rows that asked for them."""
    found: dict[int, Said] = {}
    for processed in (False, True):
        wanting = [
            (here, place)
            for here, place in enumerate(places)
            if rows[place].order.logprobs is not None and rows[place].order.processed is processed
        ]
        if wanting:
            table = scores[[here for here, _ in wanting]] if processed else logits[[place for _, place in wanting]]
            ids = [tokens[place] for _, place in wanting]
            most = max(rows[place].order.logprobs or 0 for _, place in wanting)
            for (_, place), said in zip(wanting, with_logprobs(table, ids, most), strict=True):
                found[place] = said._replace(top=said.top[: rows[place].order.logprobs])
    return found


def with_logprobs(scores: Tensor, ids: list[int], most: int) -> list[Said]:
    """Tokens `ids` [N] with ln of their probabilities under the softmax of scores [N, V], and the `most` most probable tokens."""
    table = torch.log_softmax(scores.float(), dim=-1)
    chosen = table[torch.arange(len(ids), device=table.device), torch.tensor(ids, device=table.device)].tolist()
    top = table.topk(min(most, table.shape[-1]), dim=-1)
    return [
        Said(token, "", logprob, tuple(zip(others, values, strict=True)))
        for token, logprob, others, values in zip(ids, chosen, top.indices.tolist(), top.values.tolist(), strict=True)
    ]


def _forbidden() -> BadInput:
    return BadInput(
        "The rules forbid every token of the vocabulary.",
        "Loosen no_repeat_ngram or min_new_tokens, or ask for fewer tokens.",
    )
