"""Where each family of models keeps what a plan needs; one function for each way of building a layer.

Families that are not named here, and models with anything in them that wasn't read (adapters of other kinds, hooks), have no plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from workbench.engine.forward import core, virtual_tokens
from workbench.engine.plans.reader import Block, Map, Plan, Reader, Unplanned


def read_plan(model: Any) -> Plan | None:
    """The plan of a model as it now is (active adapters included), or None where it must run by its own layers."""
    inner = core(model)
    reader = Reader(inner)
    family = None if virtual_tokens(model) else _FAMILIES.get(inner.config.model_type)
    if (
        family is None
        or inner.device.type != "cpu"
        or not {inner.dtype, reader.dtype} <= {torch.float32, torch.bfloat16}
    ):
        return None
    try:
        plan = family(reader)
    except (Unplanned, AttributeError):
        return None
    return plan if reader.read_all() else None


def _llama(read: Reader) -> Plan:
    """Llama and those built like it: RMSNorm, rotary positions, gated MLP or experts; Gemma's four norms."""
    body = read.body
    read.shape()
    if getattr(read.config, "use_bidirectional_attention", False):
        raise Unplanned("attention to both sides")
    if getattr(read.config, "attn_logit_softcapping", None):
        raise Unplanned("capped attention")
    blocks = []
    for number, layer in enumerate(body.layers):
        attention, four = layer.self_attn, hasattr(layer, "pre_feedforward_layernorm")
        if hasattr(attention, "qkv_proj"):
            sizes = [read.heads * read.width, read.groups * read.width, read.groups * read.width]
            parts = _split(*read.weight(attention.qkv_proj), sizes)
        else:
            parts = [read.weight(getattr(attention, f"{name}_proj")) for name in "qkv"]
        normed = (attention.q_norm, attention.k_norm) if hasattr(attention, "q_norm") else None
        qkv, qk_norm = read.attention(parts, attention.scaling, normed)
        blocks.append(
            Block(
                before=read.norm(layer.input_layernorm),
                qkv=qkv,
                qk_norm=qk_norm,
                out=read.map(attention.o_proj),
                after=read.norm(layer.post_attention_layernorm) if four else None,
                before_mlp=read.norm(layer.pre_feedforward_layernorm if four else layer.post_attention_layernorm),
                mlp=_gated(read, layer.mlp),
                after_mlp=read.norm(layer.post_feedforward_layernorm) if four else None,
                parallel=False,
                window=read.window(number),
                turn=_turn(read, number),
            )
        )
    embedding = read.own(body.embed_tokens)
    return read.plan(lambda ids, _: embedding(ids), blocks, read.norm(body.norm), _rotary(read))


def _gpt2(read: Reader) -> Plan:
    """GPT-2: learned positions, one matrix for queries, keys and values, plain MLP."""
    body = read.body
    read.shape(rotated=0)
    blocks = []
    for layer in body.h:
        qkv = _split(*read.weight(layer.attn.c_attn), [layer.attn.split_size] * 3)
        blocks.append(
            _plain(
                read,
                before=layer.ln_1,
                qkv=qkv,
                scale=layer.attn.scaling,
                out=layer.attn.c_proj,
                before_mlp=layer.ln_2,
                mlp=(layer.mlp.c_fc, layer.mlp.act, layer.mlp.c_proj),
            )
        )
    tokens, places = read.own(body.wte), read.own(body.wpe)
    return read.plan(lambda ids, positions: tokens(ids) + places(positions), blocks, read.norm(body.ln_f))


def _neox(read: Reader) -> Plan:
    """GPT-NeoX: a part of each head is rotated; attention and MLP may stand side by side."""
    body = read.body
    read.shape(rotated=int(body.rotary_emb.inv_freq.shape[0]) * 2)
    blocks = []
    for layer in body.layers:
        weight, bias = read.weight(layer.attention.query_key_value)
        # Kept by head: query, key and value of the first, then of the second, and so on.
        by_head = [part.unflatten(0, (read.heads, 3, read.width)) for part in (weight, bias) if part is not None]
        columns = [[part[:, index].flatten(0, 1) for part in by_head] for index in range(3)]
        blocks.append(
            _plain(
                read,
                before=layer.input_layernorm,
                qkv=[(part[0], part[1] if len(part) > 1 else None) for part in columns],
                scale=layer.attention.scaling,
                out=layer.attention.dense,
                before_mlp=layer.post_attention_layernorm,
                mlp=(layer.mlp.dense_h_to_4h, layer.mlp.act, layer.mlp.dense_4h_to_h),
                parallel=layer.use_parallel_residual,
                turn="all",
            )
        )
    embedding = read.own(body.embed_in)
    return read.plan(lambda ids, _: embedding(ids), blocks, read.norm(body.final_layer_norm), _rotary(read))


def _phi(read: Reader) -> Plan:
    """Phi: like GPT-NeoX with one norm for both branches."""
    body = read.body
    read.shape(rotated=int(body.rotary_emb.inv_freq.shape[0]) * 2)
    if read.config.qk_layernorm:
        raise Unplanned("norms of queries and keys with a bias")
    blocks = []
    for layer in body.layers:
        attention = layer.self_attn
        blocks.append(
            _plain(
                read,
                before=layer.input_layernorm,
                qkv=[read.weight(getattr(attention, f"{name}_proj")) for name in "qkv"],
                scale=attention.scaling,
                out=attention.dense,
                before_mlp=None,
                mlp=(layer.mlp.fc1, layer.mlp.activation_fn, layer.mlp.fc2),
                parallel=True,
                turn="all",
            )
        )
    embedding = read.own(body.embed_tokens)
    return read.plan(lambda ids, _: embedding(ids), blocks, read.norm(body.final_layernorm), _rotary(read))


def _opt(read: Reader) -> Plan:
    """OPT: learned positions two places on, embeddings that may be narrower than the layers."""
    body = read.body.decoder
    read.shape(rotated=0)
    if not read.config.do_layer_norm_before:
        raise Unplanned("norms behind the branches")
    blocks = []
    for layer in body.layers:
        attention = layer.self_attn
        blocks.append(
            _plain(
                read,
                before=layer.self_attn_layer_norm,
                qkv=[read.weight(getattr(attention, f"{name}_proj")) for name in "qkv"],
                scale=attention.scaling,
                out=attention.out_proj,
                before_mlp=layer.final_layer_norm,
                mlp=(layer.fc1, layer.activation_fn, layer.fc2),
            )
        )
    tokens, places = read.own(body.embed_tokens), read.own(body.embed_positions)
    widen, narrow = (one and read.map(one) for one in (body.project_in, body.project_out))
    last = read.norm(body.final_layer_norm) if body.final_layer_norm is not None else None

    def embed(ids: Tensor, positions: Tensor) -> Tensor:
        found = tokens(ids) if widen is None else widen(tokens(ids))
        return found + places(None, position_ids=positions)

    def finish(x: Tensor) -> Tensor:
        x = x if last is None else last(x)
        return x if narrow is None else narrow(x)

    return read.plan(embed, blocks, finish)


def _plain(
    read: Reader,
    *,
    before: Any,
    qkv: list[tuple[Tensor, Tensor | None]],
    scale: float,
    out: Any,
    before_mlp: Any,
    mlp: tuple[Any, Any, Any],
    parallel: bool = False,
    turn: str = "",
) -> Block:
    """A block with an MLP of two matrices; without a norm of its own, the MLP reads what attention reads."""
    up, act, down = read.map(mlp[0]), mlp[1].forward, read.map(mlp[2])
    joined, _ = read.attention(qkv, scale, None)
    return Block(
        before=read.norm(before),
        qkv=joined,
        qk_norm=None,
        out=read.map(out),
        after=None,
        before_mlp=None if before_mlp is None else read.norm(before_mlp),
        mlp=lambda x: down(act(up(x))),
        after_mlp=None,
        parallel=parallel,
        window=0,
        turn=turn,
    )


def _gated(read: Reader, mlp: Any) -> Map:
    """A gated MLP as one joined matrix and another one; anything else (experts) is called as it is."""
    if hasattr(mlp, "gate_up_proj"):
        joined, act = read.map(mlp.gate_up_proj), mlp.activation_fn.forward
    elif hasattr(mlp, "gate_proj"):
        joined, act = read.map(mlp.gate_proj, mlp.up_proj), mlp.act_fn.forward
    else:
        experts, dtype = read.own(mlp), read.model.dtype
        return lambda x: experts(x[:, None].to(dtype))[:, 0]
    down = read.map(mlp.down_proj)

    def apply(x: Tensor) -> Tensor:
        gate, up = joined(x).chunk(2, dim=-1)
        return down(act(gate).mul_(up))

    return apply


def _turn(read: Reader, layer: int) -> str:
    """Which rotary table a layer uses; Gemma 3 has one for each kind of layer."""
    return str(read.config.layer_types[layer]) if read.config.model_type == "gemma3_text" else "all"


def _rotary(read: Reader) -> Callable[[int], dict[str, Tensor]]:
    """Tables of the rotations by position, as complex numbers [P, rotated / 2], by the model's own module."""
    module = read.body.rotary_emb
    kinds = module.rope_type.values() if isinstance(module.rope_type, dict) else [module.rope_type]
    if set(kinds) & {"dynamic", "longrope"}:
        raise Unplanned("rotations that depend on the length of the text")
    by_kind = [(kind,) for kind in set(read.config.layer_types)] if read.config.model_type == "gemma3_text" else [()]

    def turns(positions: int) -> dict[str, Tensor]:
        like, places = torch.zeros(1, dtype=torch.float32), torch.arange(positions)[None]
        found = {}
        for kind in by_kind:
            cos, sin = (half[0, :, : read.rotated // 2].contiguous() for half in module(like, places, *kind))
            found[kind[0] if kind else "all"] = torch.complex(cos, sin)
        return found

    return turns


def _split(weight: Tensor, bias: Tensor | None, sizes: list[int]) -> list[tuple[Tensor, Tensor | None]]:
    biases = [None] * len(sizes) if bias is None else bias.split(sizes)
    return list(zip(weight.split(sizes), biases, strict=True))


_FAMILIES: dict[str, Callable[[Reader], Plan]] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "phi3", "gemma", "gemma3_text"), _llama),
    **dict.fromkeys(("mixtral", "qwen2_moe", "qwen3_moe"), _llama),
    "gpt2": _gpt2,
    "gpt_neox": _neox,
    "phi": _phi,
    "opt": _opt,
}
