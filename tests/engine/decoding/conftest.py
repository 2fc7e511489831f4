"""Tiny models of three architectures, and one real one with its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tests.engine.decoding.tables import die
from workbench.engine.decoding.voice import Voice


@pytest.fixture(scope="session")
def stories(shared: Path) -> Voice:
    folder = shared / "models" / "stories260K"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return Voice.of(model, AutoTokenizer.from_pretrained(folder), [2])


@pytest.fixture(scope="session")
def zoo() -> dict[str, Any]:
    """Random models with a peaked output (so that ties don't decide), 61 tokens, ids 0 = end."""
    small = {"vocab_size": 61, "eos_token_id": 0, "bos_token_id": 1}
    torch.manual_seed(5)
    models = {
        "gpt2": GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=64, **small)),
        "qwen2": Qwen2ForCausalLM(
            Qwen2Config(
                hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=64, **small,
            )
        ),
        "llama": LlamaForCausalLM(
            LlamaConfig(
                hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=4, max_position_embeddings=64, **small,
            )
        ),
    }  # fmt: skip
    for model in models.values():
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(6.0)
        model.eval()
    return models


@pytest.fixture(scope="session")
def dice() -> Any:
    """A die for sums over all texts."""
    return die(11)
