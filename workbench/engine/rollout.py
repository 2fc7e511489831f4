"""Sampling whole batches of completions fast: one KV cache written in place, log-probabilities kept while decoding.

How: prompts are sorted by length and prefilled right-padded, so that no mask is needed there; new tokens are written behind the
longest prompt, the gap between is masked; rows that have ended are dropped from the batch. Each row has its own random numbers,
drawn before the first token, so that what a row says doesn't depend on which rows are sampled with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from workbench.engine.forward import core, project

_PREFILL_TOKENS = 4096  # padded tokens in one prefill pass
_KEEP = 0.75  # the cache is rewritten without ended rows when at most this share is still alive


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
    `seed`. top_k and top_p restrict what is sampled, not the log-probabilities. Dropout is off; no gradient is kept.
    """
    if not all(len(ids) for ids in prompts):
        raise ValueError("a prompt without a token can't be continued")
    draw = generator or torch.Generator().manual_seed(0 if seed is None else seed)
    chances = torch.rand(len(prompts), max_new_tokens, generator=draw)
    settings = _Settings(max_new_tokens, temperature, tuple(eos), top_k, top_p)
    tokens = torch.zeros(len(prompts), max_new_tokens, dtype=torch.long)
    logprobs = torch.zeros(len(prompts), max_new_tokens)
    lengths, ended = [0] * len(prompts), [False] * len(prompts)
    training = model.training
    model.eval()
    with torch.inference_mode():
        for rows in _groups(model, prompts, rows_at_once):
            part = _decode(model, [prompts[row] for row in rows], chances[rows], settings)
            tokens[rows], logprobs[rows] = part.tokens, part.logprobs
            for row, length, end in zip(rows, part.lengths, part.ended, strict=True):
                lengths[row], ended[row] = length, end
    model.train(training)
    completions = [ids[:length] for ids, length in zip(tokens.tolist(), lengths, strict=True)]
    width = max(lengths, default=0)
    device = next(model.parameters()).device
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


class _Slab(DynamicLayer):
    """Keys and values of one layer, [B, heads, length, width], in a buffer with room to grow: a step copies one column."""

    def __init__(self, like: DynamicLayer, rows: int, length: int, room: int) -> None:
        super().__init__()
        self.lazy_initialization(like.keys, like.values)
        self._length = length
        self._keys = like.keys.new_zeros((rows, like.keys.shape[1], length + room, like.keys.shape[3]))
        self._values = like.values.new_zeros((*self._keys.shape[:3], like.values.shape[3]))
        self._show()

    def _show(self) -> None:
        self.keys, self.values = self._keys[:, :, : self._length], self._values[:, :, : self._length]

    def fill(self, rows: Tensor, keys: Tensor, values: Tensor) -> None:
        """Put prefilled rows at the front."""
        self._keys[rows, :, : keys.shape[2]] = keys
        self._values[rows, :, : values.shape[2]] = values

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new columns behind the others; returns everything up to them."""
        end = self._length + key_states.shape[2]
        self._keys[:, :, self._length : end] = key_states
        self._values[:, :, self._length : end] = value_states
        self._length = end
        self._show()
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows only."""
        self._keys, self._values = self._keys.index_select(0, indices), self._values.index_select(0, indices)
        self._show()


def _groups(model: Any, prompts: Sequence[Sequence[int]], size: int) -> list[list[int]]:
    """Rows to decode together: neighbours by length; of equal length only where the cache can't be masked freely."""
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    simple = _maskable(model)
    groups: list[list[int]] = []
    for row in order:
        same = groups and (simple or len(prompts[groups[-1][0]]) == len(prompts[row]))
        if same and len(groups[-1]) < size:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _maskable(model: Any) -> bool:
    """Whether all layers keep the whole past, and attention takes a mask over it (no window, no recurrent state)."""
    config = core(model).config
    layers = DynamicCache(config=config).layers
    return config._attn_implementation in {"sdpa", "eager"} and all(type(layer) is DynamicLayer for layer in layers)


def _decode(model: Any, prompts: Sequence[Sequence[int]], chances: Tensor, settings: _Settings) -> _Part:
    """Decode a group to its end: chances [B, max_new_tokens] on the CPU -> everything on the CPU."""
    device = next(model.parameters()).device
    body = core(model).base_model
    lengths = torch.tensor([len(ids) for ids in prompts], device=device)
    longest, steps = int(lengths.max()), settings.max_new_tokens
    simple = _maskable(model)
    prefill = _prefill if simple else _prefill_equal
    cache, hidden = prefill(body, prompts, steps, device)
    mask = _open_columns(model, lengths, longest + steps) if int(lengths.min()) < longest else None
    chances = chances.to(device)
    ends = torch.tensor(settings.eos, dtype=torch.long, device=device)
    tokens = torch.zeros(len(prompts), steps, dtype=torch.long, device=device)
    logprobs = torch.zeros(len(prompts), steps, device=device)
    counts = torch.full((len(prompts),), steps, device=device)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    rows = torch.arange(len(prompts), device=device)  # which row of the group each row of the cache is
    for step in range(steps):
        chosen, scores = _choose(project(model, hidden), chances[rows, step], settings)
        tokens[rows, step], logprobs[rows, step] = chosen, scores
        over = torch.isin(chosen, ends) & ~ended[rows]
        counts[rows] = torch.where(over, step + 1, counts[rows])
        ended[rows] |= over
        alive = ~ended[rows]
        left = int(alive.sum())
        if left == 0 or step + 1 == steps:
            break
        if simple and left <= _KEEP * len(rows):
            keep = alive.nonzero().squeeze(-1)
            for layer in cache.layers:
                layer.batch_select_indices(keep)
            rows, chosen = rows[keep], chosen[keep]
            mask = None if mask is None else mask[keep]
        hidden = body(
            input_ids=chosen[:, None],
            attention_mask=None if mask is None else mask[..., : longest + step + 1],
            position_ids=(lengths[rows] + step)[:, None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
    inside = torch.arange(steps, device=device) < counts[:, None]
    return _Part(tokens.cpu(), (logprobs * inside).cpu(), counts.tolist(), ended.tolist())


def _prefill(
    body: Any, prompts: Sequence[Sequence[int]], room: int, device: torch.device
) -> tuple[DynamicCache, Tensor]:
    """Run the prompts (sorted by length) in pieces, each right-padded; returns the joint cache and last hidden states [B, H].

    Causal attention keeps real tokens from seeing the padding behind them, so no mask is needed.
    """
    longest = max(len(ids) for ids in prompts)
    cache, hidden = DynamicCache(config=body.config), []
    start = 0
    while start < len(prompts):
        end = start + 1
        while end < len(prompts) and len(prompts[end]) * (end + 1 - start) <= _PREFILL_TOKENS:
            end += 1
        piece, rows = prompts[start:end], torch.arange(start, end, device=device)
        last = torch.tensor([len(ids) - 1 for ids in piece], device=device)
        width = int(last.max()) + 1
        ids = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in piece], device=device)
        filled, states = _run(body, ids)
        hidden.append(states[rows - start, last])
        for index, layer in enumerate(filled.layers):
            if start == 0:
                cache.layers[index] = _Slab(layer, len(prompts), longest, room)
            cache.layers[index].fill(rows, layer.keys, layer.values)
        start = end
    return cache, torch.cat(hidden)


def _prefill_equal(
    body: Any, prompts: Sequence[Sequence[int]], room: int, device: torch.device
) -> tuple[DynamicCache, Tensor]:
    """Run prompts of equal length at once, in the architecture's own kind of cache."""
    cache, states = _run(body, torch.tensor([list(ids) for ids in prompts], device=device))
    return cache, states[:, -1]


def _run(body: Any, ids: Tensor) -> tuple[DynamicCache, Tensor]:
    cache = DynamicCache(config=body.config)
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    return cache, body(input_ids=ids, position_ids=places, past_key_values=cache, use_cache=True).last_hidden_state


def _open_columns(model: Any, lengths: Tensor, width: int) -> Tensor:
    """[B, 1, 1, width]: which columns of the cache a new token may look at: the row's prompt, and all behind the longest."""
    columns = torch.arange(width, device=lengths.device)
    seen = ((columns < lengths[:, None]) | (columns >= lengths.max()))[:, None, None]
    inner = core(model)
    if inner.config._attn_implementation == "sdpa":
        return seen
    return torch.zeros(seen.shape, dtype=inner.dtype, device=seen.device).masked_fill(
        ~seen, torch.finfo(inner.dtype).min
    )


def _choose(logits: Tensor, chance: Tensor, settings: _Settings) -> tuple[Tensor, Tensor]:
    """Choose from logits [B, V] by a number in [0, 1) for each row: ids [B] and their log-probabilities [B] in float32."""
    logits = logits.float()
    if settings.temperature == 0:
        scores = logits.log_softmax(-1)
        best = scores.argmax(-1)
        return best, scores.gather(-1, best[:, None]).squeeze(-1)
    scores = (logits / settings.temperature).log_softmax(-1)
    mass = _restrict(scores, settings.top_k, settings.top_p).exp().cumsum(-1)
    total = mass[:, -1:]
    # Strictly below the total, so that rounding can't push the search behind the last token that has any mass.
    target = torch.minimum(chance[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    chosen = torch.searchsorted(mass, target, right=True)
    return chosen.squeeze(-1), scores.gather(-1, chosen).squeeze(-1)


def _restrict(scores: Tensor, top_k: int, top_p: float) -> Tensor:
    """Log-probabilities [B, V] with what top-k and then top-p leave out at -inf; the likeliest token always stays."""
    if 0 < top_k < scores.shape[-1]:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[:, -1:], -torch.inf)
    if top_p < 1:
        ordered, index = scores.softmax(-1).sort(descending=True, dim=-1)
        beyond = (ordered.cumsum(-1) - ordered) >= top_p
        beyond[:, 0] = False
        scores = scores.masked_fill(beyond.scatter(-1, index, beyond), -torch.inf)
    return scores
