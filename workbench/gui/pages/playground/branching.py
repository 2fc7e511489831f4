"""Where a column goes on from: what it has said, or what it has said up to a token with another one in its place."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.domain.choices import TokenChoice
from workbench.domain.decoding import DecodingSettings


def replaced(choice: TokenChoice, token: int, size: int | None = None) -> TokenChoice:
    """The token of this position as it is when an alternative is taken instead; raises StopIteration for one that isn't known.

    `size` is how many characters it adds to the text, where that is known: part of a character or an end token adds none.
    """
    rank, other = next((rank, a) for rank, a in enumerate(choice.alternatives) if a.id == token)
    piece = other.text if size is None else other.text[:size]
    logprob = math.log(other.p_model) if other.p_model > 0 else -math.inf
    return choice.model_copy(
        update={
            "id": other.id, "text": piece, "end": choice.start + len(piece), "p_model": other.p_model, "p_used": other.p_used,
            "logprob": logprob, "rank": rank, "beam": None, "contrast": None, "search": None, "draft": None,
        }
    )  # fmt: skip


def with_room(settings: DecodingSettings, tokens: int, reached: bool) -> DecodingSettings:
    """The settings with as many tokens again, where the limit was reached (or lies before what is there)."""
    if not reached and tokens < settings.max_new_tokens:
        return settings
    return settings.model_copy(update={"max_new_tokens": min(tokens + settings.max_new_tokens, 32768)})


def ids_of(tokens: Sequence[TokenChoice]) -> tuple[int, ...]:
    """The tokens to go on from."""
    return tuple(choice.id for choice in tokens)
