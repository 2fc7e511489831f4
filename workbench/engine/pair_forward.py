"""Both completions of a pair in one row behind their prompt, which is then computed once for both.

A row holds prompt, chosen and rejected; the sides have the same positions and don't see each other. What a model says of it is
what it says of two rows, prompt + chosen and prompt + rejected, as long as its attention follows the mask and the position
ids that it is given: this is looked up where it is known, and tried on a small pair before it is relied on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import completion_states, core, score_labels, spread, states_at
from workbench.engine.preferences import Preference, pair_batch

PROBE_TOKENS = 12  # of each part of the pair that sharing is tried on
_NEAR, _ROUGH = 1e-3, 0.2  # nats between two computations of the same, in float32 and in reduced precision
_PAD = 3  # the number of the segment that nobody looks at; 0 is the prompt, 1 chosen, 2 rejected


class SharedRows(NamedTuple):
    """n pairs as n rows of length L, without each completion's last token, which predicts nothing.

    input_ids, position_ids, segments: [n, L]. before, labels: [N], the flat index of the position that predicts each
    completion token, and that token, in the order of `mask` [2n, T]: chosen rows, then rejected ones.
    """

    input_ids: Tensor
    position_ids: Tensor
    segments: Tensor
    before: Tensor
    labels: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> SharedRows:
        """The same rows on a device."""
        return SharedRows(*(tensor.to(device, non_blocking=torch.device(device).type == "cuda") for tensor in self))

    @property
    def attention(self) -> Tensor:
        """[n, 1, L, L] bool: each token sees the prompt and its own side up to itself."""
        return sides_apart(self.segments)


def sides_apart(segments: Tensor) -> Tensor:
    """[n, 1, L, L] bool from segments [n, L]: each token sees segment 0, the prompt, and its own segment up to itself."""
    length = segments.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return (causal & ((segments[:, None, :] == 0) | (segments[:, :, None] == segments[:, None, :])))[:, None]


def shared_rows(pairs: Sequence[Preference], pad: int) -> SharedRows:
    """Each pair as one row. Every prompt and completion needs at least one token."""
    n = len(pairs)
    p, c, r = np.array([(len(pair.prompt), len(pair.chosen), len(pair.rejected)) for pair in pairs]).T
    length, width = int((p + c + r).max()) - 2, int(max(c.max(), r.max()))
    ids = np.full((n, length), pad, dtype=np.int64)
    places = np.zeros((n, length), dtype=np.int64)
    segments = np.full((n, length), _PAD, dtype=np.int8)
    before = np.zeros((2 * n, width), dtype=np.int64)
    labels = np.full((2 * n, width), pad, dtype=np.int64)
    for row, pair in enumerate(pairs):
        start = len(pair.prompt)
        ids[row, :start] = pair.prompt
        places[row, :start] = np.arange(start)
        segments[row, :start] = 0
        for side, completion in enumerate((pair.chosen, pair.rejected)):
            fed = len(completion) - 1
            here = slice(start, start + fed)
            ids[row, here] = completion[:-1]
            places[row, here] = np.arange(len(pair.prompt), len(pair.prompt) + fed)
            segments[row, here] = 1 + side
            labels[row + side * n, : fed + 1] = completion
            before[row + side * n, 0] = row * length + len(pair.prompt) - 1
            before[row + side * n, 1 : fed + 1] = row * length + np.arange(start, start + fed)
            start += fed
    mask = np.arange(width) < np.concatenate([c, r])[:, None]
    return SharedRows(
        torch.from_numpy(ids),
        torch.from_numpy(places),
        torch.from_numpy(segments),
        torch.from_numpy(before[mask]),
        torch.from_numpy(labels[mask]),
        torch.from_numpy(mask),
    )


class PairScores(NamedTuple):
    """logprobs [2n, T], zero where mask [2n, T] is not set: chosen, then rejected; entropy: the sum over all tokens, or None."""

    logprobs: Tensor
    mask: Tensor
    entropy: Tensor | None


class PairForward(NamedTuple):
    """How a run computes log-probabilities of pairs; `shared` says whether the prompt is computed once for both sides."""

    model: Any
    pad: int
    setup: Setup
    shared: bool

    def __call__(self, pairs: Sequence[Preference], with_entropy: bool = False) -> PairScores:
        """The model's log-probabilities of both completions of each pair."""
        with self.setup.autocast():
            if self.shared:
                rows = shared_rows(pairs, self.pad).to(self.setup.device)
                mask, labels = rows.mask, rows.labels
                # Both sides begin behind the prompt's last token.
                given = (rows.before, rows.input_ids, rows.attention, rows.position_ids)
                picked = states_at(self.model, *given, repeated=True)
            else:
                batch = pair_batch(pairs, self.pad).to(self.setup.device)
                mask, labels = batch.completion_mask, batch.completion_ids[batch.completion_mask]
                picked = completion_states(self.model, batch)
            scored = score_labels(self.model, picked, labels, with_entropy=with_entropy)
        entropy = None if scored.entropy is None else scored.entropy.sum()
        return PairScores(spread(scored.logprobs, mask), mask, entropy)

    def tokens(self, pair: Preference) -> int:
        """Tokens of a pair that go through the model."""
        both = len(pair.chosen) + len(pair.rejected)
        return len(pair.prompt) + both - 2 if self.shared else 2 * len(pair.prompt) + both


def choose_forward(model: Any, pairs: Sequence[Preference], pad: int, setup: Setup) -> PairForward:
    """Share prompts where that is less work for these pairs and the model computes the same with it; else two rows a pair."""
    apart = PairForward(model, pad, setup, shared=False)
    together = apart._replace(shared=True)
    longest = max(together.tokens(pair) for pair in pairs)
    width = int(getattr(core(model).config.get_text_config(), "hidden_size", 0) or 1)
    if not worth_sharing(pairs, width) or not follows_masks(model, longest) or not _agree(together, apart, pairs):
        return apart
    return together


def worth_sharing(pairs: Sequence[Preference], width: int) -> bool:
    """Whether one row for both sides is less work than two, for a model of that hidden width.

    Work of a row of L tokens is taken as L · (1 + L / (6 · width)): a layer's matrices cost 24 · width² operations for each token,
    its attention 4 · L · width. Behind a short prompt, sides that don't see each other only make each other's rows longer.
    """

    def work(length: int) -> float:
        return length * (1 + length / (6 * width))

    one = sum(work(len(p.prompt) + len(p.chosen) + len(p.rejected) - 2) for p in pairs)
    two = sum(work(len(p.prompt) + len(side)) for p in pairs for side in (p.chosen, p.rejected))
    return one < two


def follows_masks(model: Any, longest: int) -> bool:
    """Whether nothing is known of the model that would let it look at rows of that length in another way than by the mask."""
    inner = core(model)
    config = inner.config.get_text_config()
    if inner.config._attn_implementation not in {"sdpa", "eager"}:
        return False  # other kernels take no mask of this form
    if config.model_type in {"bloom", "mpt"} or getattr(config, "alibi", False):
        return False  # what is far away is told from the place in the row, not from position ids
    windows = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size", "window_size"))
    return all(not isinstance(window, int) or longest <= window for window in windows)


def _agree(together: PairForward, apart: PairForward, pairs: Sequence[Preference]) -> bool:
    """Whether both ways say the same of the beginnings of two pairs, those whose shorter side is longest."""
    n = PROBE_TOKENS
    telling = sorted(pairs, key=lambda pair: -min(len(pair.chosen), len(pair.rejected)))[:2]
    small = [Preference(pair.prompt[:n], pair.chosen[:n], pair.rejected[:n], 0.0) for pair in telling]
    dtype = core(apart.model).dtype
    exact = apart.setup._replace(compute=torch.float32) if dtype == torch.float32 else apart.setup
    try:
        with evaluating(apart.model):
            one, two = (way._replace(setup=exact)(small).logprobs for way in (together, apart))
    except Exception as error:  # noqa: BLE001  (an architecture that can't take such a mask says so in its own way)
        logging.getLogger(__name__).warning("prompts are not shared: %s", error)
        return False
    return float((one - two).abs().max()) <= (_NEAR if dtype == torch.float32 else _ROUGH)
