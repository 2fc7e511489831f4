"""Bottleneck adapters: small networks behind the sublayers of each layer (Houlsby 2019, Pfeiffer 2020).

peft has none, so they are ours: adapter_config.json names the kind BOTTLENECK, and only the workbench reads it. They can't be
merged into weights, because something that isn't linear stands between their two layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.domain.errors import BadInput
from workbench.domain.specs.methods import BottleneckPart

KIND = "BOTTLENECK"
_ATTENTION = ("self_attn", "attn", "attention", "self_attention")
_FEED_FORWARD = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "fc2")
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class Bottleneck(nn.Module):
    """x + up(activation(down(x))) for x [..., H]; `up` starts at zero, so that a fresh one changes nothing."""

    def __init__(self, size: int, part: BottleneckPart) -> None:
        super().__init__()
        self.down = nn.Linear(size, part.width)
        self.activation = _ACTIVATIONS[part.activation]()
        self.up = nn.Linear(part.width, size)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The sublayer's output, adapted; in the dtype of `x`."""
        inner = self.up(self.activation(self.down(x.to(self.down.weight.dtype))))
        return x + inner.to(x.dtype)


def attach(model: Any, part: BottleneckPart, base: str, *, head: bool) -> None:
    """Put fresh bottlenecks into the model; only they, and the scalar head if there is one to train, are trainable."""
    model.requires_grad_(False)
    size = int(model.config.get_text_config().hidden_size)
    device = next(model.parameters()).device
    for sublayer in _sublayers(model, part.placement == "both"):
        sublayer.bottleneck = Bottleneck(size, part).to(device)
        # A function of the module, not a closure: a copy of the model then runs through its own bottleneck.
        sublayer.register_forward_hook(_through)
    if head:
        model.score.requires_grad_(True)
        model.score.to(torch.float32)
    model.bottlenecks = {
        "peft_type": KIND,
        "task_type": "SEQ_CLS" if head else "CAUSAL_LM",
        "base_model_name_or_path": base,
        **part.model_dump(),
    }


def settings_of(model: Any) -> dict[str, Any] | None:
    """What adapter_config.json says of the model's bottlenecks; None when it has none."""
    return getattr(model, "bottlenecks", None)


def save(model: Any, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors."""
    folder.mkdir(parents=True)
    settings = settings_of(model)
    assert settings is not None
    tensors = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters() if _ours(name, settings)}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def load(model: Any, folder: Path) -> None:
    """Put a folder's bottlenecks into the model, frozen; raises BadInput when they don't fit."""
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    try:
        part = BottleneckPart(**{name: settings[name] for name in BottleneckPart.model_fields})
        attach(model, part, settings["base_model_name_or_path"], head=settings["task_type"] == "SEQ_CLS")
        saved = load_file(folder / "adapter_model.safetensors")
        wanted = {name for name, _ in model.named_parameters() if _ours(name, settings)}
        if saved.keys() != wanted:
            raise KeyError(*sorted(saved.keys() ^ wanted)[:1])
        model.load_state_dict(saved, strict=False)
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise BadInput(f"The adapter in {folder} can't be loaded.", "It may not fit its base.", str(error)) from error
    model.requires_grad_(False)


def is_bottleneck(folder: Path) -> bool:
    """Whether an adapter folder holds bottlenecks."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return bool(config.get("peft_type") == KIND)


def _ours(name: str, settings: dict[str, Any]) -> bool:
    return ".bottleneck." in name or (settings["task_type"] == "SEQ_CLS" and name.startswith("score."))


def _through(module: nn.Module, _: Any, output: Any) -> Any:
    adapter: Any = module.bottleneck
    return (adapter(output[0]), *output[1:]) if isinstance(output, tuple) else adapter(output)


def _sublayers(model: Any, attention: bool) -> Iterator[nn.Module]:
    lists = [module for module in model.base_model.modules() if isinstance(module, nn.ModuleList)]
    layers = max(lists, key=len, default=nn.ModuleList())
    wanted = [_FEED_FORWARD, _ATTENTION] if attention else [_FEED_FORWARD]
    if not len(layers):
        raise _unknown(model)
    for layer in layers:
        for names in wanted:
            found = next((getattr(layer, name) for name in names if hasattr(layer, name)), None)
            if not isinstance(found, nn.Module):
                raise _unknown(model)
            yield found


def _unknown(model: Any) -> BadInput:
    return BadInput(
        f"Where the sublayers of a {model.config.model_type} model are isn't known, so no bottleneck can be put there.",
        "Choose the method lora, which fits every architecture.",
    )
