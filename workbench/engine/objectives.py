"""The three objectives of pretraining: each turns documents into rows, and rows of one epoch into batches and scores.

Masked and span objectives hide other tokens in each epoch, by (seed, row, epoch) alone, so that resume is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.engine import losses
from workbench.engine.batches import buckets
from workbench.engine.corruption import Flags, Ids, corrupt_spans, count_spans, mask_tokens, visit_rng
from workbench.engine.device import Setup
from workbench.engine.evaluate import Tally, evaluating, token_scores
from workbench.engine.forward import Scored
from workbench.engine.packing import Packed, TokenBatch, pack
from workbench.engine.text import encode_documents

Visit = tuple[int, int]  # (row, epoch)
SLICE = 1000  # documents that are tokenised at once


class GapBatch(NamedTuple):
    """Rows of tokens on their way into a model with an encoder; `decoder_input_ids` is None where there is no decoder.

    input_ids, attention_mask: [B, L]; decoder_input_ids: [B, T]; places [N]: index of each target in the flattened
    [B·L] (or [B·T]); labels [N].
    """

    input_ids: Tensor
    attention_mask: Tensor
    decoder_input_ids: Tensor | None
    places: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> GapBatch:
        """The same batch on a device."""
        wait = torch.device(device).type != "cuda"
        return GapBatch(*(t if t is None else t.to(device, non_blocking=not wait) for t in self))  # type: ignore[arg-type]


class Drawn(NamedTuple):
    """Rows as one epoch shows them: tokens in each, targets in all, and a batch of some of them by their place here."""

    lengths: list[int]
    targets: int
    batch: Callable[[Sequence[int]], TokenBatch | GapBatch]


class Causal(NamedTuple):
    """Next-token prediction on packed documents; every epoch shows the same."""

    packed: Packed

    def __len__(self) -> int:
        return len(self.packed)

    def draw(self, visits: Sequence[Visit]) -> Drawn:
        """The rows of these visits."""
        rows = [row for row, _ in visits]
        lengths = (self.packed.segments[rows] > 0).sum(1).tolist()
        return Drawn(
            lengths, self.packed.targets(rows), lambda part: self.packed.batch([rows[place] for place in part])
        )

    def __str__(self) -> str:
        """For a person."""
        return (
            f"{self.packed.pieces} pieces of documents fill {len(self)} rows ({self.packed.fill:.0%} full); those in one row don't see "
            "each other, and the first token of each is no target"
        )


class Masked(NamedTuple):
    """Masked language modelling on pieces of documents with the tokenizer's special tokens around them."""

    pieces: list[Ids]
    maskable: list[Flags]
    mask: int
    others: Ids
    pad: int
    share: float
    seed: int

    def __len__(self) -> int:
        return len(self.pieces)

    def draw(self, visits: Sequence[Visit]) -> Drawn:
        """The rows of these visits, masked as their epochs have it."""
        shown: list[Ids] = []
        wanted: list[Flags] = []
        for row, epoch in visits:
            rng = visit_rng(self.seed, row, epoch)
            ids, flags = mask_tokens(self.pieces[row], self.maskable[row], rng, self.share, self.mask, self.others)
            shown.append(ids)
            wanted.append(flags)

        def batch(part: Sequence[int]) -> GapBatch:
            ids, attention = _stack([shown[place] for place in part], self.pad)
            said, _ = _stack([self.pieces[visits[place][0]] for place in part], self.pad)
            flags, _ = _stack([wanted[place] for place in part], 0)
            places = flags.flatten().nonzero().squeeze(-1)
            return GapBatch(ids, attention, None, places, said.flatten()[places])

        return Drawn([len(ids) for ids in shown], int(sum(flags.sum() for flags in wanted)), batch)

    def __str__(self) -> str:
        """For a person."""
        return f"{len(self)} pieces of documents; {self.share:.0%} of their tokens are to be said, others in each epoch"


class Spans(NamedTuple):
    """Span corruption on pieces of documents."""

    pieces: list[Ids]
    sentinels: list[int]
    end: list[int]
    start: int
    pad: int
    density: float
    mean: float
    seed: int

    def __len__(self) -> int:
        return len(self.pieces)

    def draw(self, visits: Sequence[Visit]) -> Drawn:
        """The rows of these visits, corrupted as their epochs have it."""
        pairs = [
            corrupt_spans(
                self.pieces[row],
                visit_rng(self.seed, row, epoch),
                self.density,
                self.mean,
                self.sentinels,
                self.end,
            )
            for row, epoch in visits
        ]

        def batch(part: Sequence[int]) -> GapBatch:
            ids, attention = _stack([np.array(pairs[place][0]) for place in part], self.pad)
            labels, inside = _stack([np.array(pairs[place][1]) for place in part], self.pad)
            # The decoder is given what came before; behind a target's end it sees padding, and nobody asks what it says there.
            before = torch.cat([labels.new_full((len(labels), 1), self.start), labels[:, :-1]], 1)
            places = inside.flatten().nonzero().squeeze(-1)
            return GapBatch(ids, attention, before, places, labels.flatten()[places])

        return Drawn([len(ids) + len(said) for ids, said in pairs], sum(len(said) for _, said in pairs), batch)

    def __str__(self) -> str:
        """For a person."""
        return f"{len(self)} pieces of documents; {self.density:.0%} of their tokens are hidden, others in each epoch"


Objective = Causal | Masked | Spans


def prepare_objective(
    name: str, texts: Sequence[str], spec: PretrainSpec, tokenizer: Any, config: Any, max_length: int, pad: int
) -> tuple[Objective, int]:
    """(rows of an objective, how many of the documents they hold): no more are tokenised than the run's steps use.

    Raises BadInput when the tokenizer lacks what the objective needs, RunFailed when there is nothing to predict.
    """
    rows = spec.max_steps * spec.batch_size
    if name == "causal":
        documents = _encode(tokenizer, texts, rows * max_length)
        return Causal(pack(documents, max_length, pad, spec.seed)), len(documents)
    texts = texts[:rows] if rows else texts  # each makes a row at least
    if name == "masked":
        return _masked(texts, spec, tokenizer, config, max_length, pad), len(texts)
    return _spans(texts, spec, tokenizer, config, max_length, pad), len(texts)


def score(model: Any, batch: TokenBatch | GapBatch) -> Scored:
    """Scores [N] of the batch's targets; the head sees their positions only."""
    if isinstance(batch, TokenBatch):
        return token_scores(model, batch)
    return losses.label_scores(gap_logits(model, batch), batch.labels)


def gap_logits(model: Any, batch: GapBatch) -> Tensor:
    """[N, V]: logits of the batch's targets alone, whatever the architecture does before its head."""
    head = model.get_output_embeddings()
    if head is None:
        raise BadInput("The model has no head over the vocabulary.", "Choose a model for masked language modelling.")
    chosen = head.register_forward_pre_hook(lambda _, given: (given[0].flatten(0, 1).index_select(0, batch.places),))
    more = {} if batch.decoder_input_ids is None else {"decoder_input_ids": batch.decoder_input_ids, "use_cache": False}
    try:
        logits: Tensor = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, **more).logits
    finally:
        chosen.remove()
    return logits


def evaluate_objective(model: Any, rows: Objective, size: int, setup: Setup) -> dict[str, float]:
    """`eval/` metrics over held-out rows, at most `size` at a time; what they hide is the same each time."""
    tally, drawn = Tally(), rows.draw([(row, 0) for row in range(len(rows))])
    with evaluating(model), setup.autocast():
        for part in buckets(range(len(rows)), drawn.lengths, size, setup.start_cost):
            tally.add(score(model, drawn.batch(part).to(setup.device)))
    return tally.values("eval/")


def _encode(tokenizer: Any, texts: Sequence[str], most: int) -> list[list[int]]:
    """Documents until they have `most` tokens (0 = all)."""
    documents: list[list[int]] = []
    tokens = 0
    for start in range(0, len(texts), SLICE):
        found = encode_documents(tokenizer, texts[start : start + SLICE])
        documents += found
        tokens += sum(map(len, found))
        if 0 < most <= tokens:
            break
    return documents


def _masked(texts: Sequence[str], spec: PretrainSpec, tokenizer: Any, config: Any, max_length: int, pad: int) -> Masked:
    if tokenizer.mask_token_id is None or tokenizer.mask_token_id >= config.get_text_config().vocab_size:
        raise BadInput(
            "The tokenizer has no mask token that the model knows, so nothing can be masked.",
            "Set the tokenizer's mask_token, or choose the objective causal for a causal model.",
        )
    pieces: list[Ids] = []
    maskable: list[Flags] = []
    for start in range(0, len(texts), SLICE):
        encoded = tokenizer(
            list(texts[start : start + SLICE]),
            truncation=True,
            max_length=max_length,
            return_overflowing_tokens=True,
            return_special_tokens_mask=True,
            return_attention_mask=False,
            split_special_tokens=True,
        )
        for ids, special in zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True):
            if not all(special):
                pieces.append(np.array(ids))
                maskable.append(~np.array(special, dtype=np.bool_))
    if not pieces:
        raise _nothing()
    known = min(
        len(tokenizer), int(config.get_text_config().vocab_size)
    )  # a tokenizer may have more tokens than the model
    others = np.array(sorted(set(range(known)) - set(tokenizer.all_special_ids)))
    return Masked(pieces, maskable, tokenizer.mask_token_id, others, pad, spec.mask_share, spec.seed)


def _spans(texts: Sequence[str], spec: PretrainSpec, tokenizer: Any, config: Any, max_length: int, pad: int) -> Spans:
    vocabulary = tokenizer.get_vocab()
    sentinels: list[int] = []
    while f"<extra_id_{len(sentinels)}>" in vocabulary:
        sentinels.append(vocabulary[f"<extra_id_{len(sentinels)}>"])
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    room = max_length - len(end)
    _, needed = count_spans(room, spec.noise_density, spec.mean_span_length)
    if len(sentinels) < needed:
        raise BadInput(
            f"Span corruption needs {needed} sentinel tokens (<extra_id_0>, <extra_id_1>, …); the tokenizer has {len(sentinels)}.",
            "Choose T5's tokenizer or one like it, longer spans, a lower density, or a smaller max_length.",
        )
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        raise BadInput(
            "The model's config has no decoder_start_token_id.", "Add it to config.json; T5 takes the padding."
        )
    pieces: list[Ids] = []
    for begin in range(0, len(texts), SLICE):
        part = list(texts[begin : begin + SLICE])
        for ids in tokenizer(part, add_special_tokens=False, split_special_tokens=True)["input_ids"]:
            cuts = (np.array(ids[place : place + room]) for place in range(0, len(ids), room))
            pieces += [piece for piece in cuts if len(piece) > 1]
    if not pieces:
        raise _nothing()
    return Spans(pieces, sentinels, end, int(start), pad, spec.noise_density, spec.mean_span_length, spec.seed)


def _nothing() -> RunFailed:
    return RunFailed("The documents hold no text.", "Choose a dataset with texts of at least two tokens.")


def _stack(rows: Sequence[npt.NDArray[Any]], fill: int) -> tuple[Tensor, Tensor]:
    """([B, L] right-padded int64, [B, L] mask of what is real, int64)."""
    width = max(map(len, rows))
    ids = np.full((len(rows), width), fill, dtype=np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    mask = np.arange(width) < np.array([len(row) for row in rows])[:, None]
    return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))
