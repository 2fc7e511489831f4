"""Tiny configurations of the architectures that people start from, with dropout where they have it and EOS as padding."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)

WINDOW = 8


def config_of(name: str, vocab: int = 128) -> Any:
    """The configuration of an architecture by its short name: two layers, four heads, width 32."""
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    common: dict[str, Any] = {
        "vocab_size": vocab,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        **ends,
    }
    grouped = {**common, "intermediate_size": 48, "num_key_value_heads": 2}
    gemma = {**grouped, "head_dim": 16}
    kinds = ["sliding_attention", "full_attention"]
    made: dict[str, Any] = {
        "gpt2": lambda: GPT2Config(vocab_size=vocab, n_embd=32, n_layer=2, n_head=4, n_positions=64, **ends),
        "llama": lambda: LlamaConfig(**grouped, attention_dropout=0.1),
        "qwen2": lambda: Qwen2Config(**grouped, tie_word_embeddings=True, attention_dropout=0.1),
        "qwen3": lambda: Qwen3Config(**grouped, head_dim=16, attention_dropout=0.1),
        "gemma": lambda: GemmaConfig(**gemma, attention_dropout=0.1),
        "gemma2": lambda: Gemma2Config(**gemma, sliding_window=WINDOW, layer_types=kinds, query_pre_attn_scalar=16),
        "gemma3": lambda: Gemma3TextConfig(**gemma, sliding_window=WINDOW, layer_types=kinds, query_pre_attn_scalar=16),
        "mistral": lambda: MistralConfig(**grouped, sliding_window=WINDOW, attention_dropout=0.1),
        "phi": lambda: PhiConfig(**common, intermediate_size=48, resid_pdrop=0.1, embd_pdrop=0.1),
        "phi3": lambda: Phi3Config(**grouped, sliding_window=WINDOW, resid_pdrop=0.1, attention_dropout=0.1),
        "neox": lambda: GPTNeoXConfig(**common, intermediate_size=48, hidden_dropout=0.1, attention_dropout=0.1),
        "opt": lambda: OPTConfig(**common, ffn_dim=48, word_embed_proj_dim=16, dropout=0.1, layerdrop=0.1),
        "falcon": lambda: FalconConfig(**common, hidden_dropout=0.1, attention_dropout=0.1),
        "mixtral": lambda: MixtralConfig(**grouped, num_local_experts=4, router_jitter_noise=0.1),
        "qwen2moe": lambda: Qwen2MoeConfig(
            **grouped, num_experts=4, moe_intermediate_size=16, shared_expert_intermediate_size=24
        ),
        "qwen3moe": lambda: Qwen3MoeConfig(
            **grouped, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, head_dim=16
        ),
    }
    return made[name]()


def make_model(name: str, vocab: int = 128, scale: float = 8.0) -> Any:
    """A random model, float32, in evaluation mode; matrices `scale` times as large as at birth, so that attention matters."""
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(config_of(name, vocab), dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(scale)
            elif parameter.ndim == 1:  # norms and biases are all alike at birth
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()
