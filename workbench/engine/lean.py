"""Training passes of Llama and its kin on a CPU: the arithmetic of their layers in few kernels, with gradients written by hand.

At small widths, half of a pass is the bookkeeping of small operations. Linear maps, which may carry adapters, are called as they are;
norms, rotations, gates and attention are done here, and behind the last layer's keys and values nothing is computed but where it is
read. Only bodies whose parts are exactly those that are known here come this way, once they have been compared with their own layers.

Sources: RMSNorm, Zhang and Sennrich 2019; rotary positions, Su et al. 2021; SwiGLU, Shazeer 2020.
"""

from __future__ import annotations

import logging
import math
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional

_BODIES = {"LlamaModel": "Llama", "MistralModel": "Mistral", "Qwen2Model": "Qwen2"}
_TRIED = 8  # tokens of a text, when a body is compared
_TOLERANCE = 1e-4  # of the largest state

_agreed: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def applies(body: Any, ids: Tensor) -> bool:
    """Whether this body can be computed here, for ids [B, L] that are padded on the right if at all."""
    if ids.device.type != "cpu" or torch.is_autocast_enabled("cpu") or not known(body, ids.shape[1]):
        return False
    if body not in _agreed:
        _agreed[body] = _agrees(body, ids[:2, :_TRIED])
        if not _agreed[body]:
            logging.getLogger(__name__).warning("the lean pass disagrees with the model; its own layers are used")
    return _agreed[body]


def known(body: Any, length: int) -> bool:
    """Whether all parts of a body are of the kinds that are written down here, and nothing is hooked into them."""
    family = _BODIES.get(type(body).__name__)
    if family is None or body.dtype is not torch.float32 or body.config._attn_implementation != "sdpa":
        return False
    window = getattr(body.config, "sliding_window", None)
    if (window and window < length) or getattr(body, "gradient_checkpointing", False) or _touched(body):
        return False
    if set(_kinds(body.rotary_emb)) & {"dynamic", "longrope"} or type(body.norm).__name__ != f"{family}RMSNorm":
        return False
    return len(body.layers) == body.config.num_hidden_layers and all(_plain(layer, family) for layer in body.layers)


def _kinds(rotary: Any) -> list[str]:
    kind = rotary.rope_type
    return list(kind.values()) if isinstance(kind, dict) else [kind]


def _plain(layer: Any, family: str) -> bool:
    """Whether a layer is of its family's kinds, with no dropout at work."""
    attention, mlp = layer.self_attn, layer.mlp
    names = [
        type(part).__name__ for part in (layer, attention, mlp, layer.input_layernorm, layer.post_attention_layernorm)
    ]
    expected = ["DecoderLayer", "Attention", "MLP", "RMSNorm", "RMSNorm"]
    if names != [family + kind for kind in expected] or _touched(layer, attention, mlp, layer.input_layernorm):
        return False
    if layer.gradient_checkpointing or _touched(layer.post_attention_layernorm, mlp.act_fn):
        return False
    quiet = attention.attention_dropout == 0 or not attention.training
    return quiet and type(mlp.act_fn).__name__ in {"SiLU", "SiLUActivation"}


def _touched(*modules: nn.Module) -> bool:
    """Whether something is hooked into modules that are passed over here."""
    return any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or "forward" in vars(m) for m in modules)


def _agrees(body: Any, ids: Tensor) -> bool:
    """Whether the states of a few tokens are those of the body's own layers."""
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        expected = body(input_ids=ids, use_cache=False).last_hidden_state
        apart = (states(body, ids) - expected).abs().max()
    for module, training in modes:
        module.training = training
    return bool(apart <= _TOLERANCE * expected.abs().max().clamp(min=1))


def states(body: Any, ids: Tensor, places: Tensor | None = None) -> Tensor:
    """Last hidden states of ids [B, L]: [B, L, H], or [N, H] at `places` [N] of B·L, each of which is named once."""
    x = body.embed_tokens(ids)
    cos, sin = body.rotary_emb(x, torch.arange(ids.shape[1])[None])
    turn = (cos[:, :, None], sin[:, :, None, : sin.shape[-1] // 2])
    last = len(body.layers) - 1
    for number, layer in enumerate(body.layers):
        x = _layer(layer, x, turn, places if number == last else None)
    return _norm(body.norm, x)


def _layer(layer: Any, x: Tensor, turn: tuple[Tensor, Tensor], places: Tensor | None) -> Tensor:
    """[B, L, H] -> the same behind the layer, or [N, H] of it at some places."""
    attention, mlp, (rows, length, _) = layer.self_attn, layer.mlp, x.shape
    normed = _norm(layer.input_layernorm, x)
    q = _at(attention.q_proj, normed, places).view(rows, length, -1, attention.head_dim)
    k, v = (map_(normed).view(rows, length, -1, attention.head_dim) for map_ in (attention.k_proj, attention.v_proj))
    told = functional.scaled_dot_product_attention(
        _Turn.apply(q, *turn).transpose(1, 2),
        _Turn.apply(k, *turn).transpose(1, 2),
        v.transpose(1, 2),
        is_causal=True,
        scale=attention.scaling,
        enable_gqa=q.shape[2] != k.shape[2],
    )
    told = told.transpose(1, 2).reshape(rows, length, -1)
    if places is not None:
        told, x = (whole.flatten(0, 1).index_select(0, places) for whole in (told, x))
    x = x + attention.o_proj(told)
    normed = _norm(layer.post_attention_layernorm, x)
    return x + mlp.down_proj(_Gate.apply(mlp.gate_proj(normed), mlp.up_proj(normed)))


def _at(linear: Any, x: Tensor, places: Tensor | None) -> Tensor:
    """A linear map of x [B, L, H], computed at some places only and zero elsewhere."""
    if places is None:
        return linear(x)
    flat = x.flatten(0, 1)
    found = linear(flat.index_select(0, places))
    return found.new_zeros(len(flat), found.shape[-1]).index_copy(0, places, found)


def _norm(module: Any, x: Tensor) -> Tensor:
    return _Norm.apply(x, module.weight, module.variance_epsilon)


class _Norm(torch.autograd.Function):
    """x / √(mean x² + ε) · gain over the last dimension, float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float) -> Tensor:
        """[..., H], [H] -> [..., H]."""
        size = x.shape[-1]
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = torch.hypot(length, length.new_tensor(math.sqrt(size * eps))).reciprocal_().mul_(math.sqrt(size))
        normed = x * scale
        ctx.save_for_backward(normed, scale, gain)
        return normed * gain

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        """Through y = s x and s = (mean x² + ε)^-½: s (p g − y · mean(p g y)), and the sum of p y for the gain."""
        normed, scale, gain = ctx.saved_tensors
        both = pull * normed
        mean = (both.flatten(0, -2) @ gain).view(scale.shape).div_(-gain.shape[0])
        to_gain = both.flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        return torch.addcmul(pull * gain, normed, mean).mul_(scale), to_gain, None


class _Turn(torch.autograd.Function):
    """Heads turned by position: the two halves of each head are the coordinates that turn together."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, L, heads, width] by cos [1, L, 1, width] and sin [1, L, 1, width / 2]."""
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, -1)

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        """Turned back."""
        cos, sin = ctx.saved_tensors
        return _turned(pull, cos, sin, 1), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, sign: int) -> Tensor:
    half = sin.shape[-1]
    found = x * cos
    found[..., :half].addcmul_(x[..., half:], sin, value=sign)
    found[..., half:].addcmul_(x[..., :half], sin, value=-sign)
    return found


class _Gate(torch.autograd.Function):
    """SiLU(gate) · up; SiLU is computed again in the backward pass, so that it needn't be kept."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        """Two tensors of one shape -> the same shape."""
        ctx.save_for_backward(gate, up)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor, Tensor]:
        """For gate and up."""
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(pull * up, gate), functional.silu(gate).mul_(pull)
