"""Sampling whole batches of completions fast: one KV cache written in place, log-probabilities kept while decoding.

How: prompts are sorted by length and prefilled right-padded, so that no mask is needed there; new tokens are written behind the
longest prompt, the gap between is masked; rows that have ended are dropped from the batch. Each row has its own random numbers,
drawn before the first token, so that what a row says doesn't depend on which rows are sampled with it.

On a CPU, models of the common families are decoded by a plan of their weights (plans/), which is read
anew for each rollout and compared with the model before it is first used. Everything else goes through the model's own
layers (rollout_layers.py), on a GPU as a captured graph where that can be (rollout_cuda.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from workbench.engine.optim import NotFinite
from workbench.engine.plans.checked import checked_plan
from workbench.engine.plans.planned import Planned
from workbench.engine.plans.reader import Plan
from workbench.engine.rollout_cuda import GRAPHED_FROM, Graphed
from workbench.engine.rollout_layers import Layers, maskable

_KEEP = 0.75  # the cache is rewritten without ended rows when at most this share is still alive
_PLANNED_FROM = 8  # new tokens from which it pays to read the weights into a plan


class Rollout(NamedTuple):
    """What was sampled for each prompt, in the order of the prompts.

    completions: ids, with the end token if the row ended; logprobs: [B, T] float32, log-probability of each token under the
    whole softmax at the sampling temperature, 0 behind the end; ended: whether an end token was sampled.
    """

    completions: list[list[int]]
    logprobs: Tensor
    ended: list[bool]


def sample_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    eos: Sequence[int] = (),
    generator: torch.Generator | None = None,
    seed: int | None = None,
    top_k: int = 0,
    top_p: float = 1.0,
    rows_at_once: int = 256,
) -> Rollout:
    """Sample one completion for each prompt (ids, at least one each); temperature 0 takes the likeliest token.

    Random numbers come from `generator` (on the CPU; it advances by B · max_new_tokens numbers whatever happens), else from
    `seed`. top_k and top_p restrict what is sampled, not the log-probabilities. Dropout is off; no gradient is kept. Raises
    NotFinite when the model gives no numbers.
    """
    if not all(len(ids) for ids in prompts):
        raise ValueError("a prompt without a token can't be continued")
    device = next(model.parameters()).device
    draw = generator or torch.Generator().manual_seed(0 if seed is None else seed)
    chances = torch.rand(len(prompts), max_new_tokens, generator=draw)
    settings = _Settings(max_new_tokens, temperature, tuple(eos), top_k, top_p)
    tokens = torch.zeros(len(prompts), max_new_tokens, dtype=torch.long)
    logprobs = torch.zeros(len(prompts), max_new_tokens)
    lengths, ended = [0] * len(prompts), [False] * len(prompts)
    training = model.training
    model.eval()
    with torch.inference_mode():
        plan = checked_plan(model, prompts) if max_new_tokens >= _PLANNED_FROM else None
        ragged = plan is not None or maskable(model)
        graphed = ragged and device.type == "cuda" and max_new_tokens >= GRAPHED_FROM
        start = partial(Fused, plan) if plan is not None else partial(Graphed if graphed else Layers, model)
        for rows in _groups(prompts, rows_at_once, ragged=ragged):
            chosen = [prompts[row] for row in rows]
            part = _decode(start(chosen, max_new_tokens), chosen, chances[rows], settings)
            tokens[rows], logprobs[rows] = part.tokens, part.logprobs
            for row, length, end in zip(rows, part.lengths, part.ended, strict=True):
                lengths[row], ended[row] = length, end
    model.train(training)
    if not bool(logprobs.isfinite().all()):
        raise NotFinite(
            "The model's probabilities are no numbers.",
            "Its weights have diverged or are damaged: go on from the last checkpoint with a lower learning rate, or choose another model.",
        )
    completions = [ids[:length] for ids, length in zip(tokens.tolist(), lengths, strict=True)]
    width = max(lengths, default=0)
    return Rollout(completions, logprobs[:, :width].clone().to(device), ended)


class _Settings(NamedTuple):
    max_new_tokens: int
    temperature: float
    eos: tuple[int, ...]
    top_k: int
    top_p: float


class _Part(NamedTuple):
    tokens: Tensor
    logprobs: Tensor
    lengths: list[int]
    ended: list[bool]


class _Decoder(Protocol):
    """Rows in the middle of their texts: the next token's logits [B, V], and a step that appends a token to each."""

    logits: Tensor

    def step(self, ids: Tensor, positions: Tensor) -> None:
        """Append ids [B] at positions [B]."""

    def keep(self, rows: Tensor) -> bool:
        """Go on with these rows only; False where they all must stay."""


class Fused:
    """Rows that are decoded by a plan."""

    def __init__(self, plan: Plan, prompts: Sequence[Sequence[int]], room: int) -> None:
        self._rows = Planned(plan)
        self.logits = self._rows.prefill(prompts, room)

    def step(self, ids: Tensor, positions: Tensor) -> None:
        """Append ids [B]; the rows know their positions."""
        self.logits = self._rows.step(ids)

    def keep(self, rows: Tensor) -> bool:
        """Go on with these rows only."""
        self._rows.reorder(rows.tolist())
        return True


def _groups(prompts: Sequence[Sequence[int]], size: int, *, ragged: bool) -> list[list[int]]:
    """Rows to decode together: neighbours by length, or only rows of one length."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    groups: list[list[int]] = []
    for row in order:
        fits = groups and (ragged or len(prompts[groups[-1][0]]) == len(prompts[row]))
        if fits and len(groups[-1]) < size:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _decode(decoder: _Decoder, prompts: Sequence[Sequence[int]], chances: Tensor, settings: _Settings) -> _Part:
    """Decode a group to its end: chances [B, max_new_tokens] on the CPU -> everything on the CPU."""
    device, steps, rows_in_all = decoder.logits.device, settings.max_new_tokens, len(prompts)
    positions = torch.tensor([len(ids) for ids in prompts], device=device)
    chances = chances.to(device).T
    vocabulary = decoder.logits.shape[-1]
    goes_on = torch.ones(vocabulary, dtype=torch.bool, device=device)
    goes_on[[end for end in settings.eos if 0 <= end < vocabulary]] = (
        False  # a tokenizer may know more tokens than the model
    )
    tokens = torch.zeros(steps, rows_in_all, dtype=torch.long, device=device)
    logprobs = torch.zeros(steps, rows_in_all, device=device)
    counts = torch.zeros(rows_in_all, dtype=torch.long, device=device)
    rows = torch.arange(rows_in_all, device=device)  # which row of the group each row of the cache is
    alive = torch.ones(rows_in_all, dtype=torch.bool, device=device)
    for step in range(steps):
        chosen, scores = _choose(decoder.logits, chances[step], settings)
        tokens[step].index_copy_(0, rows, chosen)
        logprobs[step].index_copy_(0, rows, scores * alive)
        counts.index_add_(0, rows, alive.long())
        alive = alive & goes_on.index_select(0, chosen)
        left = int(alive.sum())
        if left == 0 or step + 1 == steps:
            break
        if left <= _KEEP * len(rows):
            keep = alive.nonzero().squeeze(-1)
            if decoder.keep(keep):
                rows, chosen, positions, alive = rows[keep], chosen[keep], positions[keep], alive[keep]
                chances = chances[:, keep]
        decoder.step(chosen, positions)
        positions = positions + 1
    ended = ~goes_on[tokens.gather(0, counts[None] - 1)[0]]
    return _Part(tokens.T.cpu(), logprobs.T.cpu(), counts.tolist(), ended.tolist())


def _choose(logits: Tensor, chance: Tensor, settings: _Settings) -> tuple[Tensor, Tensor]:
    """Choose from logits [B, V] by a number in [0, 1) for each row: ids [B] and their log-probabilities [B] in float32."""
    logits = logits.float()
    if settings.temperature == 0:
        scores = logits.log_softmax(-1)
        best = scores.argmax(-1)
        return best, scores.gather(-1, best[:, None]).squeeze(-1)
    if settings.temperature != 1:
        logits = logits / settings.temperature
    whole = logits.softmax(-1)
    mass = _restrict(whole, settings.top_k, settings.top_p).cumsum(-1)
    total = mass[:, -1:]
    # Strictly below the total, so that rounding can't push the search behind the last token that has any mass.
    target = torch.minimum(chance[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    # Where the logits are no numbers nothing is found; the caller looks at the log-probabilities.
    chosen = torch.searchsorted(mass, target, right=True).clamp_(max=mass.shape[-1] - 1)
    return chosen.squeeze(-1), whole.gather(-1, chosen).log_().squeeze(-1)


def _restrict(mass: Tensor, top_k: int, top_p: float) -> Tensor:
    """Probabilities [B, V] with what top-k and then top-p leave out at 0; the likeliest token always stays."""
    if 0 < top_k < mass.shape[-1]:
        mass = mass.masked_fill(mass < mass.topk(top_k).values[:, -1:], 0.0)
    if top_p < 1:
        ordered, index = (mass / mass.sum(-1, keepdim=True)).sort(descending=True, dim=-1)
        beyond = (ordered.cumsum(-1) - ordered) >= top_p
        beyond[:, 0] = False
        mass = mass.masked_fill(beyond.scatter(-1, index, beyond), 0.0)
    return mass
