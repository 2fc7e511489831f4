"""The one owner of the KV cache: strategies never call a model, they ask a stepper for the next logits."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from workbench.domain.errors import BadInput
from workbench.engine.decoding.captured import Captured
from workbench.engine.decoding.encoding import EncoderDecoder
from workbench.engine.decoding.fast import Fast
from workbench.engine.decoding.general import General
from workbench.engine.decoding.voice import Voice
from workbench.engine.forward import core


class Stepper(Protocol):
    """Next-token logits of a batch of rows. Logits are float32; B rows, V tokens in the vocabulary."""

    @property
    def rows(self) -> int:
        """How many rows are held."""

    @property
    def length(self) -> int:
        """How many columns are held, those that pad shorter rows included."""

    @property
    def hidden(self) -> Tensor | None:
        """With `hidden=True`: the last layer's states behind the last call.

        [B, T, H] of the whole context after `prefill` (columns as in `length`), of the appended tokens after `step` (T = 1) and
        `extend`, of the new rows' context after `admit`. `reorder` and `crop` leave it alone. None otherwise.
        """

    def prefill(self, rows: list[list[int]]) -> Tensor:
        """Read prompts (ragged lists of ids) from scratch -> [B, V]. Raises BadInput for a row without a token."""

    def step(self, ids: Tensor | list[int]) -> Tensor:
        """Append one token to every row -> [B, V]."""

    def extend(self, ids: list[list[int]]) -> Tensor:
        """Append T tokens to every row (the same T) -> the logits behind each of them, [B, T, V]."""

    def reorder(self, rows: list[int]) -> None:
        """Make row i what row `rows[i]` was; rows may be repeated or dropped."""

    def crop(self, count: int) -> None:
        """Forget the newest `count` columns."""

    def admit(self, rows: list[list[int]]) -> Tensor:
        """Let new rows (ragged prompts) join behind those that are held -> their logits [n, V]."""


def stepper_for(voice: Voice, *, hidden: bool = False, fast: bool = True) -> Stepper:
    """A stepper for a model: by its plan where it has one, unless `fast` is False; with `hidden` it also tells the last layer's states.

    Raises BadInput where hidden states are wanted of an encoder-decoder.
    """
    if voice.opening is not None:
        if hidden:
            raise BadInput(
                "An encoder-decoder's text is not of one piece: its states can't be compared.",
                "Choose greedy, sample or beam, or a causal language model.",
            )
        return EncoderDecoder(voice.model)
    if fast and voice.plan is not None:
        return Fast(voice.plan, hidden=hidden)
    if core(voice.model).device.type == "cuda" and not hidden:
        return Captured(voice.model)
    return General(voice.model, hidden=hidden)
