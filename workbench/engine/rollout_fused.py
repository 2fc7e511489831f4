"""Decoding step by step through a plan: the arithmetic of the model's layers without their bookkeeping, on a CPU.

A step of a small model is mostly overhead: masks, cache classes, module calls, norms of five operations, weights that the matrix
library reorders each time. Here a layer is about twenty tensor operations. `agrees` compares with the model before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workbench.engine.forward import core, project
from workbench.engine.rollout_plan import Block, Plan
from workbench.engine.rollout_prefill import Piece, padded, pieces

_CHECKED_TOKENS = 8  # of a prompt, when a plan is compared with its model
_TOLERANCE = {torch.float32: 3e-4, torch.bfloat16: 5e-2}  # of the largest logit


class Fused:
    """A batch of rows in the middle of their texts. `logits` [B, V] are those of the next token.

    Per layer, a slab [2, B, groups, columns, width] holds keys and values; column c is position c of the prompt, or, behind the
    longest prompt, the same number of new tokens in every row. Columns between are masked.
    """

    def __init__(self, plan: Plan, prompts: Sequence[Sequence[int]], room: int) -> None:
        lengths = torch.tensor([len(ids) for ids in prompts])
        longest = int(lengths.max())
        columns = torch.arange(longest + room)
        places = torch.where(columns < longest, columns, columns - longest + lengths[:, None])
        self._plan, self._length = plan, longest
        self._turns = plan.turns(longest + room)
        self._places = places.masked_fill((columns >= lengths[:, None]) & (columns < longest), -1)
        self._windows = {block.window for block in plan.blocks if 0 < block.window < longest + room}
        self._closed = _closing(self._places >= 0, plan) if int(lengths.min()) < longest else None
        shape = (2, len(prompts), plan.groups, longest + room, plan.width)
        self._slabs = [torch.empty(shape, dtype=plan.dtype) for _ in plan.blocks]
        for slab in self._slabs:
            slab[..., :longest, :] = 0  # what is masked must be finite all the same
        read = [(piece.rows, self._read(piece)) for piece in pieces(prompts)]
        rows, states = (torch.cat(column) for column in zip(*read, strict=True))
        self.logits = plan.head(states[rows.argsort()])

    def step(self, ids: Tensor, positions: Tensor) -> None:
        """Append a token to every row: ids and positions [B]."""
        self._length += 1
        masks = {window: self._mask(positions, window) for window in {0, *self._windows}}

        def attend(block: Block, slab: Tensor, qkv: Tensor) -> Tensor:
            return self._attend(slab, qkv, masks[block.window if block.window in self._windows else 0])

        self.logits = self._plan.head(self._layers(ids, positions, attend))

    def keep(self, rows: Tensor) -> bool:
        """Go on with these rows only."""
        for index, slab in enumerate(self._slabs):
            smaller = slab.new_empty(2, len(rows), *slab.shape[2:])
            smaller[..., : self._length, :] = slab[:, rows, :, : self._length]
            self._slabs[index] = smaller
        self._places = self._places[rows]
        if self._closed is not None:
            self._closed = self._closed.unflatten(0, (-1, self._plan.groups))[rows].flatten(0, 1)
        return True

    def _layers(self, ids: Tensor, positions: Tensor, attend: Callable[[Block, Tensor, Tensor], Tensor]) -> Tensor:
        """[N, H]: N tokens through all blocks; `attend` gives [N, heads · width] for [N, heads + 2 · groups, width]."""
        plan = self._plan
        turns = {name: table.index_select(0, positions).unsqueeze(1) for name, table in self._turns.items()}
        x = plan.embed(ids, positions)
        for block, slab in zip(plan.blocks, self._slabs, strict=True):
            normed = block.before(x)
            told = block.out(attend(block, slab, self._project(block, normed, turns.get(block.turn))))
            if block.parallel:
                x = x + told + block.mlp(block.before_mlp(x) if block.before_mlp else normed)
                continue
            x = x + (block.after(told) if block.after else told)
            added = block.mlp(block.before_mlp(x) if block.before_mlp else x)
            x = x + (block.after_mlp(added) if block.after_mlp else added)
        return x

    def _project(self, block: Block, x: Tensor, turn: Tensor | None) -> Tensor:
        """[N, heads + 2 · groups, width], float32: queries and keys, normed and turned by position, and values."""
        plan, turned = self._plan, self._plan.heads + self._plan.groups
        qkv = block.qkv(x).float().view(x.shape[0], turned + plan.groups, plan.width)
        if block.qk_norm is not None:
            qkv[:, :turned] = block.qk_norm(qkv[:, :turned])
        if turn is not None:
            pairs = qkv[:, :turned, : plan.rotated].view(x.shape[0], turned, -1, 2)
            torch.view_as_complex(pairs).mul_(turn)
        return qkv

    def _attend(self, slab: Tensor, qkv: Tensor, mask: Tensor | None) -> Tensor:
        """What one new token in each row is told by those before it and itself."""
        plan, rows = self._plan, qkv.shape[0]
        new = qkv[:, plan.heads :].view(rows, 2, plan.groups, plan.width).transpose(0, 1)
        slab.select(3, self._length - 1).copy_(new)
        # Each group of heads shares its keys and values: [B · groups, heads of a group, width].
        queries = qkv[:, : plan.heads].reshape(rows * plan.groups, -1, plan.width).to(slab.dtype)
        keys, values = slab.flatten(1, 2)[:, :, : self._length].unbind(0)
        keys = keys.transpose(1, 2)
        scores = torch.bmm(queries, keys) if mask is None else torch.baddbmm(mask, queries, keys)
        return torch.bmm(scores.softmax(-1).to(slab.dtype), values).view(rows, -1)

    def _read(self, piece: Piece) -> Tensor:
        """Read some prompts into their rows of the slabs; returns their last states, in the order of `piece.rows`.

        Only attention sees them as padded lines; all else runs over their tokens alone.
        """
        plan, ids = self._plan, padded(piece.prompts)
        lines, width = ids.shape
        lengths = torch.tensor([len(prompt) for prompt in piece.prompts])
        # Where the tokens stand among lines · width; indexing by numbers is several times as fast as by a mask.
        flat = (torch.arange(width) < lengths[:, None]).flatten().nonzero().squeeze(1)
        windows = {w: _band(width, w) for w in self._windows if w < width}

        def attend(block: Block, slab: Tensor, qkv: Tensor) -> Tensor:
            lined = torch.zeros(lines * width, *qkv.shape[1:], dtype=slab.dtype)
            lined.index_copy_(0, flat, qkv.to(slab.dtype))
            by_head = lined.view(lines, width, *qkv.shape[1:]).transpose(1, 2)
            queries, keys, values = by_head.split([plan.heads, plan.groups, plan.groups], dim=1)
            slab[0, piece.rows, :, :width], slab[1, piece.rows, :, :width] = keys[piece.source], values[piece.source]
            band = windows.get(block.window)
            told = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=band, is_causal=band is None, scale=1.0, enable_gqa=True
            )
            return told.transpose(1, 2).reshape(lines * width, -1).index_select(0, flat)

        states = self._layers(ids.flatten().index_select(0, flat), flat % width, attend)
        return states[lengths.cumsum(0) - 1][piece.source]

    def _mask(self, positions: Tensor, window: int) -> Tensor | None:
        """[B · groups, 1, length] of 0 and -inf, or None where every column is seen."""
        if not window:
            return None if self._closed is None else self._closed[..., : self._length]
        places = self._places[:, : self._length]
        return _closing((places >= 0) & (places > positions[:, None] - window), self._plan)


def agrees(plan: Plan, model: Any, prompts: Sequence[Sequence[int]]) -> bool:
    """Whether the plan gives the model's own logits for the beginnings of the shortest and the longest prompt, and for one step."""
    rows = [[*ids, ids[-1]][:_CHECKED_TOKENS] for ids in (min(prompts, key=len), max(prompts, key=len))]
    lengths = torch.tensor([len(ids) - 1 for ids in rows])  # the last token of each is the one that is stepped
    ids = padded(rows)
    places, both = torch.arange(ids.shape[1]).expand_as(ids), torch.arange(2)
    states = core(model).base_model(input_ids=ids, position_ids=places, use_cache=False).last_hidden_state
    expected = project(model, torch.cat([states[both, lengths - 1], states[both, lengths]])).float()
    batch = Fused(plan, [row[:-1] for row in rows], room=1)
    found = [batch.logits]
    batch.step(torch.tensor([row[-1] for row in rows]), lengths)
    apart = (torch.cat([*found, batch.logits]).float() - expected).abs().max()
    return bool(apart <= _TOLERANCE[plan.dtype] * expected.abs().max().clamp(min=1))


def _closing(seen: Tensor, plan: Plan) -> Tensor:
    """[B, n] of bool -> [B · groups, 1, n]: 0 where a column is seen, -inf elsewhere."""
    closed = torch.zeros(seen.shape).masked_fill(~seen, -torch.inf).to(plan.dtype)
    return closed.repeat_interleave(plan.groups, 0).unsqueeze(1)


def _band(width: int, window: int) -> Tensor:
    """[width, width] of bool: each token sees itself and the `window` - 1 before it."""
    seen = torch.ones(width, width, dtype=torch.bool)
    return seen.tril() & ~seen.tril(-window)
