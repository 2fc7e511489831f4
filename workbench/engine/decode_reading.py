"""What the decoding worker says about given texts: log-probabilities, rewards, two models side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from workbench.domain.choices import Aligned
from workbench.domain.errors import BadInput
from workbench.domain.text import Prompt
from workbench.engine.batches import Batch, collate
from workbench.engine.decode_columns import read_again
from workbench.engine.decoding.pieces import Pieces, TextStream
from workbench.engine.decoding.voice import Voice, context_length
from workbench.engine.forward import completion_logprobs, rewards
from workbench.engine.model_shelf import short_of_memory
from workbench.engine.models import Loaded
from workbench.engine.text import encode_completion, encode_prompt
from workbench.protocol.decode_wire import Align, Reward, Score

ROWS = 16
T = TypeVar("T")
Told = Callable[[int, int], None]
Wanted = Callable[[], bool]


def scored(loaded: Loaded, request: Score, wanted: Wanted, told: Told) -> tuple[tuple[float, ...], ...] | None:
    """Log-probabilities of the tokens of each completion; None when it was stopped."""
    found: dict[int, tuple[float, ...]] = {}
    for places, batch in _batches(loaded, request, wanted, told):
        table = short_of_memory(partial(completion_logprobs, loaded.model, batch), request.model)
        for place, row, size in zip(places, table.tolist(), batch.completion_lengths.tolist(), strict=True):
            found[place] = tuple(row[:size])
    return _in_order(found, len(request.pairs))


def rewarded(loaded: Loaded, request: Reward, wanted: Wanted, told: Told) -> tuple[float, ...] | None:
    """A reward model's score of each completion; None when it was stopped."""
    found: dict[int, float] = {}
    for places, batch in _batches(loaded, request, wanted, told):
        values = short_of_memory(partial(rewards, loaded.model, batch), request.model)
        found.update(zip(places, values.tolist(), strict=True))
    return _in_order(found, len(request.pairs))


@torch.inference_mode()
def aligned(
    policy: Voice, reference: Voice, request: Align, wanted: Wanted, told: Told
) -> tuple[tuple[Aligned, ...], ...] | None:
    """Every completion under two models, token by token; None when it was stopped. BadInput for models of two vocabularies."""
    if policy.tokenizer.get_vocab() != reference.tokenizer.get_vocab():
        raise BadInput(
            "The two models have different tokens, so they can't be compared token by token.",
            "Choose a reference of the same family: its base, or another step of its training.",
        )
    found = []
    for number, (prompt, ids) in enumerate(encode_pairs(policy, request.pairs, request.chat_format)):
        if not wanted():
            return None
        work = partial(_aligned, policy, reference, prompt, ids)
        found.append(short_of_memory(work, request.model))
        told(number + 1, len(request.pairs))
    return tuple(found)


def _aligned(policy: Voice, reference: Voice, prompt: list[int], ids: list[int]) -> tuple[Aligned, ...]:
    stream = TextStream(policy.tokenizer, prompt)
    rows = zip(ids, read_again(policy, prompt, ids), read_again(reference, prompt, ids), strict=True)
    return tuple(_token(token, stream.push(token), own, other) for token, own, other in rows)


def _token(token: int, text: str, own: Tensor, other: Tensor) -> Aligned:
    """One token under the logits [V] of both; padding of the larger table of embeddings is left out."""
    size = min(len(own), len(other))
    own, other = own[:size].double().log_softmax(-1), other[:size].double().log_softmax(-1)
    mass = own.exp()
    return Aligned(
        id=token,
        text=text,
        logprob=float(own[token]),
        reference=float(other[token]),
        kl=max(0.0, float((mass * (own - other)).sum())),
        entropy=float(torch.special.entr(mass).sum()),
    )


def pieces_of(loaded: Loaded, ids: Sequence[int]) -> tuple[tuple[int, str], ...]:
    """Ids with what each looks like on its own."""
    pieces = Pieces(loaded.tokenizer)
    return tuple((token, pieces[token]) for token in ids)


def _batches(
    loaded: Loaded, request: Score | Reward, wanted: Wanted, told: Told
) -> Iterator[tuple[Sequence[int], Batch]]:
    """Rows of similar length together, with their places; ends early when the job is stopped."""
    rows = encode_pairs(loaded, request.pairs, request.chat_format)
    order = sorted(range(len(rows)), key=lambda i: -sum(map(len, rows[i])))
    with torch.inference_mode():
        for first in range(0, len(order), ROWS):
            if not wanted():
                return
            places = order[first : first + ROWS]
            batch = collate([rows[i][0] for i in places], [rows[i][1] for i in places], loaded.pad)
            yield places, batch.to(loaded.model.device)
            told(min(first + ROWS, len(order)), len(order))


def _in_order(found: dict[int, T], count: int) -> tuple[T, ...] | None:
    return tuple(found[i] for i in range(count)) if len(found) == count else None


def encode_pairs(
    loaded: Loaded | Voice, pairs: Sequence[tuple[Prompt, str]], chat_format: str
) -> list[tuple[list[int], list[int]]]:
    """Ids of prompts and completions; BadInput for a pair that doesn't fit the model's context."""
    rows = [
        (encode_prompt(loaded.tokenizer, prompt, chat_format), encode_completion(loaded.tokenizer, text))
        for prompt, text in pairs
    ]
    bound = context_length(loaded.model)
    longest = max((len(p) + len(c) for p, c in rows), default=0)
    if bound is not None and longest > bound:
        raise BadInput(
            f"A prompt with its completion has {longest} tokens; the model reads at most {bound}.",
            "Leave it out, or choose a model with a longer context.",
        )
    return rows
