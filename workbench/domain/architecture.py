"""What a model can do with text, by what its config.json says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Family = Literal["causal", "masked", "span"]
CANNOT_CONTINUE: dict[Family, str] = {
    "masked": "is a masked language model: it fills gaps and can't continue a text",
    "span": "is an encoder-decoder: it can't continue a text as a causal language model does",
}


def family_of(config: Mapping[str, Any]) -> Family | None:
    """Whether a model continues a text, fills gaps (BERT), or is an encoder with a decoder (T5); None when it isn't said."""
    if config.get("is_encoder_decoder"):
        return "span"
    named = config.get("architectures") or ()
    names = " ".join(map(str, named)) if isinstance(named, list | tuple) else str(named)
    if "ForMaskedLM" in names or "ForPreTraining" in names:
        return "masked"
    return "causal" if "ForCausalLM" in names or "LMHeadModel" in names else None
