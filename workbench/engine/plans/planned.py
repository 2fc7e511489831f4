"""Decoding step by step through a plan: the arithmetic of the model's layers without their bookkeeping, on a CPU.

A step of a small model is mostly overhead: masks, cache classes, module calls, norms of five operations, weights that the matrix
library reorders each time. Here a layer is about twenty tensor operations. The cache is written in place and its length is a
number: to forget columns is to set it. Plans are compared with their models before they are used (checked.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from workbench.engine.plans.prefill import Piece, padded, pieces
from workbench.engine.plans.reader import Block, Plan, cast

Attend = Callable[[int, Block, Tensor], Tensor]
_GROWS = 1.5  # a cache that is full becomes so many times as large


class Planned:
    """A batch of rows in the middle of their texts: B rows, columns of which the last is the newest token of every row.

    One slab [layers, 2, B, groups, columns, width] holds all keys and values. Shorter rows begin further right: row b has nothing
    in its first `pads[b]` columns, which are masked. `states` [B, T, H] are the last layer's states behind the newest call, before
    the head; after a prefill they are those of the last column only, unless all were asked for.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._windows = {block.window for block in plan.blocks if block.window}
        self._slab = torch.empty(0)
        self._pads: list[int] = []
        self._turns: dict[str, Tensor] = {}
        self._turned = 0  # for how many positions
        self._shared = 0  # leading columns that are the same in every row
        self.length = 0
        self.states = torch.empty(0)

    @property
    def rows(self) -> int:
        """B."""
        return len(self._pads)

    def prefill(self, prompts: Sequence[Sequence[int]], room: int, *, every: bool = False) -> Tensor:
        """Read prompts (ragged, at least one token each) into an empty cache with `room` for more -> logits [B, V].

        `every`: keep the states of all columns, not only of the last.
        """
        plan, self.length = self._plan, max(map(len, prompts))
        self._pads = [self.length - len(ids) for ids in prompts]
        self._shared = self.length if len(set(map(tuple, prompts))) == 1 else 0
        shape = (len(plan.blocks), 2, self.rows, plan.groups, self.length + room, plan.width)
        self._slab = torch.empty(shape, dtype=plan.dtype)
        self._measure()
        self.states = self._fill(prompts, 0, every=every)
        return plan.head(self.states[:, -1])

    def step(self, ids: Tensor) -> Tensor:
        """Append a token to every row: ids [B] -> logits [B, V]."""
        end, plan = self.length + 1, self._plan
        self._make_room(end)
        slab = self._slab[:, :, : self.rows]
        new = slab.select(-2, end - 1).unbind(0)
        past = {window: self._past(slab, max(0, end - window) if window else 0, end) for window in {0, *self._windows}}

        def attend(layer: int, block: Block, qkv: Tensor) -> Tensor:
            rows = qkv.shape[0]
            new[layer].copy_(qkv[:, plan.heads :].view(rows, 2, plan.groups, plan.width).transpose(0, 1))
            # Each group of heads shares its keys and values: [B · groups, heads of a group, width].
            queries = cast(qkv[:, : plan.heads].reshape(rows * plan.groups, -1, plan.width), plan.dtype)
            keys, values, mask = past[block.window]
            scores = torch.bmm(queries, keys[layer]) if mask is None else torch.baddbmm(mask, queries, keys[layer])
            return torch.bmm(cast(scores.softmax(-1), plan.dtype), values[layer]).view(rows, -1)

        self.length = end
        states = plan.finish(self._layers(ids, self._offsets + (end - 1), attend))
        self.states = states.unsqueeze(1)
        return plan.head(states)

    def extend(self, ids: Tensor) -> Tensor:
        """Append T tokens to every row: ids [B, T] -> logits behind each of them [B, T, V]."""
        (rows, count), plan = ids.shape, self._plan
        start, end = self.length, self.length + count
        self._make_room(end)
        slab = self._slab[:, :, : self.rows]
        seen = {window: self._seen(start, end, window) for window in {0, *self._windows}}

        def attend(layer: int, block: Block, qkv: Tensor) -> Tensor:
            by_head = qkv.view(rows, count, -1, plan.width).transpose(1, 2).to(plan.dtype)
            queries, new = by_head[:, : plan.heads], by_head[:, plan.heads :].unflatten(1, (2, plan.groups))
            slab[layer, ..., start:end, :] = new.transpose(0, 1)
            keys, values = slab[layer, ..., :end, :].unbind(0)
            told = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=seen[block.window], scale=1.0, enable_gqa=True
            )
            return told.transpose(1, 2).reshape(rows * count, -1)

        self.length = end
        positions = (self._offsets[:, None] + torch.arange(start, end)).flatten()
        states = plan.finish(self._layers(ids.flatten(), positions, attend))
        self.states = states.view(rows, count, -1)
        return plan.head(states).view(rows, count, -1)

    def reorder(self, rows: Sequence[int]) -> None:
        """Make row i what row `rows[i]` was; rows may be repeated or dropped. Only what differs between rows is copied."""
        before = self.rows
        if list(rows) == list(range(before)):
            return
        if len(rows) > self._slab.shape[2]:
            self._resize(len(rows), self._slab.shape[-2], rows, 0)
        else:
            moved = [(to, place) for to, place in enumerate(rows) if to != place]
            first = self._shared if len(rows) <= before else 0
            if moved and first < self.length:
                to, source = (torch.tensor(column) for column in zip(*moved, strict=True))
                self._slab[:, :, to, :, first : self.length] = self._slab[:, :, source, :, first : self.length]
        pads, self._pads = self._pads, [self._pads[row] for row in rows]
        if len(rows) < before and (spare := min(self._pads, default=0)):
            self._slab[..., : self.length - spare, :] = self._slab[..., spare : self.length, :].clone()
            self._pads, self.length = [pad - spare for pad in self._pads], self.length - spare
        if self._pads != pads:
            self._measure()

    def crop(self, count: int) -> None:
        """Forget the newest `count` columns."""
        self.length -= count
        self._shared = min(self._shared, self.length)

    def admit(self, prompts: Sequence[Sequence[int]], room: int, *, every: bool = False) -> Tensor:
        """Read further prompts into rows behind those that are held -> their logits [n, V]; `states` are theirs."""
        if not self.rows:
            return self.prefill(prompts, room, every=every)
        held, longest = self.rows, max(map(len, prompts))
        shift = max(0, longest - self.length)
        kept = [*range(held), *([0] * len(prompts))]
        self._resize(len(kept), max(self._slab.shape[-2], longest + room), kept, shift)
        self.length += shift
        self._pads = [*(pad + shift for pad in self._pads), *(self.length - len(ids) for ids in prompts)]
        self._shared = 0
        self._measure()
        self.states = self._fill(prompts, held, every=every)
        return self._plan.head(self.states[:, -1])

    def _layers(self, ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """[N, H]: N tokens through all blocks; `attend` gives [N, heads · width] for [N, heads + 2 · groups, width]."""
        plan = self._plan
        turns = {name: table.index_select(0, positions).unsqueeze(1) for name, table in self._turns.items()}
        x = plan.embed(ids, positions)
        for layer, block in enumerate(plan.blocks):
            normed = block.before(x)
            told = block.out(attend(layer, block, self._project(block, normed, turns.get(block.turn))))
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
        qkv = cast(block.qkv(x), torch.float32).view(x.shape[0], turned + plan.groups, plan.width)
        if block.qk_norm is not None:
            qkv[:, :turned] = block.qk_norm(qkv[:, :turned])
        if turn is not None:
            pairs = qkv[:, :turned, : plan.rotated].view(x.shape[0], turned, -1, 2)
            torch.view_as_complex(pairs).mul_(turn)
        return qkv

    def _past(self, slab: Tensor, start: int, end: int) -> tuple[Sequence[Tensor], Sequence[Tensor], Tensor | None]:
        """Keys [B · groups, width, n], values [B · groups, n, width] of every layer, and the mask of columns `start` to `end`."""
        part = slab[..., start:end, :].flatten(2, 3)
        mask = None if self._closed is None else self._closed[..., start:end]
        return part[:, 0].transpose(-1, -2).unbind(0), part[:, 1].unbind(0), mask

    def _seen(self, start: int, end: int, window: int) -> Tensor:
        """[B or 1, 1, T, columns] of bool: what each of the tokens in columns `start` to `end` looks at."""
        own, columns = torch.arange(start, end)[:, None], torch.arange(end)
        seen = columns <= own
        if window:
            seen &= columns > own - window
        if self._closed is None:
            return seen[None, None]
        return (seen & (columns >= torch.tensor(self._pads)[:, None, None]))[:, None]

    def _fill(self, prompts: Sequence[Sequence[int]], first: int, *, every: bool) -> Tensor:
        """Read prompts into rows `first` and on; returns their states, [n, columns or 1, H]."""
        states: list[Tensor | None] = [None] * len(prompts)
        for piece in pieces(prompts):
            read = self._plan.finish(self._read(piece, first, every=every))
            for row, line in zip(piece.rows.tolist(), piece.source.tolist(), strict=True):
                if every:
                    begin = sum(map(len, piece.prompts[:line]))
                    own = read[begin : begin + len(piece.prompts[line])]
                    states[row] = functional.pad(own, (0, 0, self.length - len(own), 0))
                else:
                    states[row] = read[line : line + 1]
        return torch.stack([state for state in states if state is not None])

    def _read(self, piece: Piece, first: int, *, every: bool) -> Tensor:
        """Read distinct prompts into all their rows; returns the states of all their tokens, or of each one's last.

        Only attention sees them as padded lines; all else runs over their tokens alone.
        """
        plan, ids = self._plan, padded(piece.prompts)
        lines, width = ids.shape
        lengths = torch.tensor([len(prompt) for prompt in piece.prompts])
        # Where the tokens stand among lines · width; indexing by numbers is several times as fast as by a mask.
        flat = (torch.arange(width) < lengths[:, None]).flatten().nonzero().squeeze(1)
        windows = {window: _band(width, window) for window in self._windows if window < width}
        begins = lengths.cumsum(0) - lengths
        tokens, rows, columns = self._places(piece, lengths, begins, first)

        def attend(layer: int, block: Block, qkv: Tensor) -> Tensor:
            kept = qkv[:, plan.heads :].view(-1, 2, plan.groups, plan.width).to(plan.dtype)
            self._slab[layer][:, rows, :, columns] = kept if tokens is None else kept[tokens]
            lined = torch.zeros(lines * width, *qkv.shape[1:], dtype=plan.dtype)
            lined.index_copy_(0, flat, qkv.to(plan.dtype))
            by_head = lined.view(lines, width, *qkv.shape[1:]).transpose(1, 2)
            queries, keys, values = by_head.split([plan.heads, plan.groups, plan.groups], dim=1)
            band = windows.get(block.window)
            told = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=band, is_causal=band is None, scale=1.0, enable_gqa=True
            )
            return told.transpose(1, 2).reshape(lines * width, -1).index_select(0, flat)

        states = self._layers(ids.flatten().index_select(0, flat), flat % width, attend)
        return states if every else states[begins + lengths - 1]

    def _places(
        self, piece: Piece, lengths: Tensor, begins: Tensor, first: int
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Which token of the piece (None: each in turn) goes to which row and column."""
        sizes = lengths[piece.source]
        rows = (piece.rows + first).repeat_interleave(sizes)
        inside = torch.cat([torch.arange(size) for size in sizes.tolist()])
        columns = inside + (self.length - sizes).repeat_interleave(sizes)
        if len(piece.rows) == len(piece.prompts):
            return None, rows, columns
        return begins[piece.source].repeat_interleave(sizes) + inside, rows, columns

    def _make_room(self, columns: int) -> None:
        have = self._slab.shape[-2]
        if columns > have:
            self._resize(self._slab.shape[2], max(columns, int(have * _GROWS)), range(self._slab.shape[2]), 0)
            self._measure()

    def _resize(self, rows: int, columns: int, source: Sequence[int], shift: int) -> None:
        """Another slab, with row `source[i]` as row i and everything `shift` columns further right."""
        slab = self._slab.new_empty((*self._slab.shape[:2], rows, self._plan.groups, columns, self._plan.width))
        index = torch.tensor(list(source))
        slab[:, :, :, :, shift : shift + self.length] = self._slab[:, :, index, :, : self.length]
        self._slab = slab

    def _measure(self) -> None:
        """What follows from the rows and the room: offsets of positions, the mask of padding, tables of rotations."""
        columns = self._slab.shape[-2]
        self._offsets = -torch.tensor(self._pads)
        if columns != self._turned:
            self._turns, self._turned = self._plan.turns(columns), columns
        self._closed: Tensor | None = None
        if any(self._pads):
            for row, pad in enumerate(self._pads):
                self._slab[:, :, row, :, :pad] = 0  # what is masked must be finite all the same
            closed = torch.zeros(self.rows, columns, dtype=self._plan.dtype)
            closed.masked_fill_(torch.arange(columns) < torch.tensor(self._pads)[:, None], -torch.inf)
            self._closed = closed.repeat_interleave(self._plan.groups, 0).unsqueeze(1)


def _band(width: int, window: int) -> Tensor:
    """[width, width] of bool: each token sees itself and the `window` - 1 before it."""
    seen = torch.ones(width, width, dtype=torch.bool)
    return seen.tril() & ~seen.tril(-window)
