"""A decoder's weights as a plan for one step: projections joined, LoRA merged, weights packed for few rows; on a CPU only.

A plan holds copies of weights as they are when it is read: a rollout reads one anew, a loaded model that only speaks keeps its plan.
Which module is what in each family says families.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.engine.forward import leaves_logits_alone, shape_logits

Map = Callable[[Tensor], Tensor]
_PACKED_FROM = 2**15  # weights of a matrix from which packing pays


class Unplanned(Exception):
    """This model's layers can't be read into a plan."""


class Block(NamedTuple):
    """One layer. `qkv` gives queries (scaled), keys and values of all heads: [B, (heads + 2 · groups) · width].

    `after` and `after_mlp` are norms of what a branch adds (Gemma 3); `window` is 0 where the whole past is seen; `turn` names
    the rotary table, "" for none.
    """

    before: Map
    qkv: Map
    qk_norm: Map | None
    out: Map
    after: Map | None
    before_mlp: Map | None
    mlp: Map
    after_mlp: Map | None
    parallel: bool
    window: int
    turn: str


class Plan(NamedTuple):
    """A whole decoder. `rotated` numbers of each head are turned by position; `turns` gives their tables [P, rotated / 2], complex.

    `finish` is what stands between the last block and the `head`; the head gives logits [N, V]. `bytes` counts the copies.
    `state` tells plans of one model apart that don't differ in weights only: by dtype, and by which adapters are active where.
    """

    embed: Callable[[Tensor, Tensor], Tensor]
    blocks: list[Block]
    finish: Map
    head: Map
    heads: int
    groups: int
    width: int
    rotated: int
    turns: Callable[[int], dict[str, Tensor]]
    dtype: torch.dtype
    state: tuple[torch.dtype, tuple[Any, ...]]
    bytes: int

    @property
    def order(self) -> Tensor:
        """[width]: how the numbers of a head are ordered here, so that those that turn together are neighbours."""
        return neighbours(self.width, self.rotated)


class Reader:
    """Takes weights out of modules, in the dtype of the computation, and remembers which parameters it has seen."""

    def __init__(self, model: Any) -> None:
        self.model, self.body, self.config = model, model.base_model, model.config
        self.dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else model.dtype
        self._seen: set[int] = set()
        self._adapted: list[tuple[Any, ...]] = []
        self._bytes = 0

    def read_all(self) -> bool:
        """Whether all parameters were read, and nothing is hooked into the layers (a hook on the embedding is called with it)."""
        embedding = self.model.get_input_embeddings()
        hooked = (
            module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
            for module in self.model.modules()
            if module is not embedding
        )
        return not any(hooked) and all(id(parameter) in self._seen for parameter in self.model.parameters())

    def own(self, module: Any) -> Any:
        """What a module computes, without the road that a call takes (hooks were looked for); None for None."""
        if module is None:
            return None
        self._seen |= {id(parameter) for parameter in module.parameters()}
        return module.forward

    def weight(self, module: Any) -> tuple[Tensor, Tensor | None]:
        """([out, in], [out] or None) of a linear module, with the LoRA adapters that are active in it."""
        from transformers.pytorch_utils import Conv1D

        self.own(module)
        base = module.get_base_layer() if hasattr(module, "lora_A") else module
        if type(base) not in {nn.Linear, Conv1D}:
            raise Unplanned(type(base).__name__)
        weight = base.weight
        if base is not module:
            self._adapted.append((module.merged, module.disable_adapters, tuple(module.active_adapters)))
            weight = weight + _delta(module)
        return (weight.T if type(base) is Conv1D else weight), base.bias

    def map(self, *modules: Any) -> Map:
        """One linear map that gives the outputs of all these linear modules, joined."""
        return self.linear(*_join([self.weight(module) for module in modules]))

    def linear(self, weight: Tensor, bias: Tensor | None) -> Map:
        """A map [B, in] -> [B, out]. oneDNN's own order of weights makes few rows two to three times as fast: nothing is reordered per call."""
        weight = weight.to(self.dtype).contiguous()
        bias = None if bias is None else bias.to(self.dtype)
        self._bytes += weight.nbytes
        if weight.numel() < _PACKED_FROM or not _can_pack(self.dtype):
            return lambda x: functional.linear(cast(x, weight.dtype), weight, bias)
        dtype, packed = self.dtype, torch.ops.mkldnn._reorder_linear_weight(weight, None)
        call = torch.ops.mkldnn._linear_pointwise.default
        return lambda x: call(cast(x, dtype), packed, bias, "none", [], "")

    def norm(self, module: Any) -> Map:
        """A LayerNorm or RMSNorm over the last dimension, in float32."""
        self.own(module)
        if isinstance(module, nn.LayerNorm):
            shape, eps = module.normalized_shape, module.eps
            weight, bias = _float(module.weight), _float(module.bias)
            return lambda x: functional.layer_norm(cast(x, torch.float32), shape, weight, bias, eps)
        return rms_norm(self.gain(module), _epsilon(module))

    def gain(self, module: Any) -> Tensor:
        """What an RMSNorm multiplies with; Gemma keeps it minus one."""
        if not type(module).__name__.endswith("RMSNorm"):
            raise Unplanned(type(module).__name__)
        self.own(module)
        weight: Tensor = module.weight.float()
        return weight + 1 if self.config.model_type.startswith("gemma") else weight

    def attention(self, parts: list[tuple[Tensor, Tensor | None]], scale: float, qk: tuple[Any, Any] | None) -> Any:
        """(qkv, qk_norm) from queries, keys and values: queries scaled, and each head's numbers in `Plan.order`."""
        order = neighbours(self.width, self.rotated)

        def ordered(tensor: Tensor) -> Tensor:
            return tensor.unflatten(0, (-1, self.width))[:, order].flatten(0, 1)

        (q, q_bias), (k, k_bias), v = parts
        if qk is None:
            q, q_bias = q * scale, None if q_bias is None else q_bias * scale
        joined = [(ordered(w), None if b is None else ordered(b)) for w, b in ((q, q_bias), (k, k_bias))]
        qkv = self.linear(*_join([*joined, v]))
        if qk is None:
            return qkv, None
        q_gain, k_gain = self.gain(qk[0])[order] * scale, self.gain(qk[1])[order]
        gains = torch.cat([q_gain.expand(self.heads, -1), k_gain.expand(self.groups, -1)])
        return qkv, rms_norm(gains, _epsilon(qk[0]))

    def shape(self, *, rotated: int | None = None) -> None:
        """Take the numbers of heads from the configuration."""
        config = self.config
        self.heads = int(config.num_attention_heads)
        self.groups = int(getattr(config, "num_key_value_heads", None) or self.heads)
        self.width = int(getattr(config, "head_dim", None) or config.hidden_size // self.heads)
        self.rotated = self.width if rotated is None else rotated

    def window(self, layer: int) -> int:
        """How far a layer looks back; 0 for all the way."""
        kinds = getattr(self.config, "layer_types", None)
        if kinds is not None and kinds[layer] != "sliding_attention":
            return 0
        return int(getattr(self.config, "sliding_window", None) or 0)

    def plan(
        self, embed: Callable[[Tensor, Tensor], Tensor], blocks: list[Block], finish: Map, turns: Any = None
    ) -> Plan:
        """Put the parts together, with the model's head behind them."""
        head, config = self.map(self.model.get_output_embeddings()), self.config

        def shaped(x: Tensor) -> Tensor:
            return shape_logits(head(x), config)

        logits = head if leaves_logits_alone(config) else shaped
        shape = (self.heads, self.groups, self.width, self.rotated)
        state = (self.dtype, tuple(self._adapted))
        return Plan(embed, blocks, finish, logits, *shape, turns or (lambda _: {}), self.dtype, state, self._bytes)


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """`x` in this type. Tensor.to takes two microseconds to find that nothing is to be done, dozens of times a token."""
    return x if x.dtype is dtype else x.to(dtype)


def rms_norm(gain: Tensor, eps: float) -> Map:
    """The function x / √(mean x² + ε) · gain in few calls: the root is the hypotenuse of |x| and √(nε), over √n."""
    size = gain.shape[-1]
    floor, gain = torch.tensor(math.sqrt(size * eps)), gain * math.sqrt(size)

    def norm(x: Tensor) -> Tensor:
        x = cast(x, torch.float32)
        return (x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), floor)).mul_(gain)

    return norm


def _delta(module: Any) -> Tensor | float:
    """What the active LoRA adapters of a peft layer add to its base's weight; 0 when they are off or merged."""
    from peft.tuners.lora.layer import Linear

    if type(module) is not Linear or any(module.lora_bias.values()) or module.lora_variant:
        raise Unplanned(type(module).__name__)
    if module.merged or module.disable_adapters:
        return 0.0
    names = [name for name in module.active_adapters if name in module.lora_A]
    return sum((module.get_delta_weight(name) for name in names), start=0.0)


def _join(parts: list[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    """Matrices with biases, one below the other; a bias that is missing beside others is zero."""
    if all(bias is None for _, bias in parts):
        return torch.cat([weight for weight, _ in parts]), None
    biases = [weight.new_zeros(len(weight)) if bias is None else bias for weight, bias in parts]
    return torch.cat([weight for weight, _ in parts]), torch.cat(biases)


def neighbours(width: int, rotated: int) -> Tensor:
    """[width]: 0, r/2, 1, r/2 + 1, …, then what is not rotated as it was. Scores don't mind the order of a head's numbers."""
    return torch.cat([torch.arange(rotated).view(2, -1).T.flatten(), torch.arange(rotated, width)])


def _can_pack(dtype: torch.dtype) -> bool:
    """Whether oneDNN packs matrices of this dtype here: x86 with AVX2 at least, and for bf16 its own instructions."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    if torch.backends.cpu.get_cpu_capability() not in {"AVX2", "AVX512"}:
        return False
    return dtype is torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _epsilon(module: Any) -> float:
    return float(module.variance_epsilon if hasattr(module, "variance_epsilon") else module.eps)


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()
