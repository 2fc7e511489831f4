"""A loaded model that speaks: with its tokenizer, the ids that end a text, and what each token looks like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from workbench.domain.errors import BadInput
from workbench.engine.decoding.encoding import decoder_opening, encodes
from workbench.engine.decoding.pieces import Pieces
from workbench.engine.forward import virtual_tokens
from workbench.engine.plans.checked import checked_plan
from workbench.engine.plans.reader import Plan

_PROBE = 8  # tokens on which a plan is compared with its model


@dataclass(frozen=True)
class Voice:
    """A model with its tokenizer, ready to speak; `eos` are the ids that end a text. Its weights don't change any more."""

    model: Any
    tokenizer: Any
    eos: frozenset[int]
    pieces: Pieces

    @cached_property
    def plan(self) -> Plan | None:
        """The weights as a plan, read once and compared with the model, or None where it must run by its own layers."""
        if self.opening is not None:
            return None
        vocabulary = int(self.model.config.get_text_config().vocab_size)
        probe = [place * (vocabulary - 1) // (_PROBE - 1) for place in range(_PROBE)]
        return checked_plan(self.model, [probe[2:5], probe])

    @property
    def plan_bytes(self) -> int:
        """What the plan holds besides the model, if it was read."""
        plan: Plan | None = self.__dict__.get("plan")
        return 0 if plan is None else plan.bytes

    def do_without_plan(self) -> None:
        """Let the plan go, or never read it: there is no memory for a second copy of the weights."""
        self.__dict__["plan"] = None

    @cached_property
    def opening(self) -> list[int] | None:
        """What an encoder-decoder's answer stands behind; None for all other models, whose answers stand behind the prompt."""
        return decoder_opening(self.model) if encodes(self.model) else None

    @classmethod
    def of(cls, model: Any, tokenizer: Any, eos: list[int]) -> Voice:
        """Prepare the table of pieces once for each loaded model."""
        return cls(model, tokenizer, frozenset(eos), Pieces(tokenizer))


def context_length(model: Any) -> int | None:
    """How many positions the model has for a text (None when its configuration names no bound)."""
    config = model.config.get_text_config()
    length = getattr(config, "max_position_embeddings", None)
    return int(length) - virtual_tokens(model) if length else None


def room_after(model: Any, prompt: list[int], wanted: int) -> int:
    """How many new tokens fit the model's context; raises BadInput when none does."""
    length = context_length(model)
    if length is None:
        return wanted
    if len(prompt) >= length:
        raise BadInput(
            f"The prompt has {len(prompt)} tokens; the model reads at most {length}.",
            "Shorten the prompt, or choose a model with a longer context.",
        )
    return min(wanted, length - len(prompt))
