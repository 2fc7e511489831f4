"""Short ways to what is trained, and tiny models to train, for the tests of adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GPT2Config, LlamaConfig

from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.sft import SftSpec
from workbench.engine.models import Loaded, make_trainable

ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def attach_lora(loaded: Loaded, part: LoraPart, base_folder: Path, *, head: bool = False) -> Any:
    """The model with a fresh low-rank adapter."""
    return make_trainable(loaded, SftSpec(method="lora", lora=part), base_folder, head=head)


def tiny(kind: str) -> Any:
    """The configuration of a tiny Llama with grouped heads, or of a tiny GPT-2."""
    if kind == "gpt2":
        return GPT2Config(vocab_size=512, n_embd=32, n_layer=2, n_head=4, n_positions=128, **ENDS)
    return LlamaConfig(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        **ENDS,
    )


def shake(model: nn.Module, size: float = 0.05) -> None:
    """Move the trained weights, as training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(size * torch.randn_like(parameter))
