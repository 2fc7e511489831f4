"""Several roles on one frozen base: each has layers and an adapter of its own, the base's weights are in memory once.

Nothing is switched: every role is a model for itself whose layers hold the same tensors. So a role's activations can be recomputed
in a backward pass while another role is being looked at, which an adapter that is switched on and off can't do.
"""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from workbench.domain.specs.common import TrainingSpec
from workbench.domain.specs.methods import WHOLE_RESULT
from workbench.engine import bottleneck
from workbench.engine.adapters import quiet
from workbench.engine.models import Loaded, adapter_base, is_adapter, use_gradient_checkpointing
from workbench.engine.reward_settings import copy_settings


def shareable(start: Loaded, spec: TrainingSpec) -> bool:
    """Whether other roles can stand on a policy's base: it stays frozen, in the precision that it was loaded in."""
    return spec.method not in WHOLE_RESULT and spec.method != "qlora" and _classifier(start) is not None


def fits(start: Loaded, folder: Path) -> bool:
    """Whether a reward model is an adapter on the very weights of the policy's base, compared tensor for tensor."""
    if not is_adapter(folder) or bottleneck.is_bottleneck(folder):
        return False
    base = adapter_base(folder)
    if base.resolve() == start.path.resolve() and not start.merged:
        return True
    return not is_adapter(base) and _same_weights(start.model, base)


def reward_on(start: Loaded, folder: Path, *, train: bool = False, checkpointing: bool = False) -> Any:
    """The reward model of an adapter folder on the policy's base; its adapter and head are frozen, or float32 and trainable."""
    from peft import PeftModel

    shell = critic_on(start)
    copy_settings(folder, shell.config)
    with quiet():
        model = PeftModel.from_pretrained(shell, folder, is_trainable=train)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if train and checkpointing:
        use_gradient_checkpointing(model)
    return model.eval()


def critic_on(start: Loaded) -> Any:
    """A classifier with an empty scalar head on the policy's base."""
    model = _classifier(start)
    assert model is not None
    setattr(model, model.base_model_prefix, twin(start.model.base_model))
    width = int(model.config.get_text_config().hidden_size)
    model.score = nn.Linear(width, 1, bias=False, device=start.model.device)
    nn.init.zeros_(model.score.weight)
    return model.eval()


def _classifier(start: Loaded) -> Any | None:
    """A classifier around a body like the policy's, without any weights; None where there is no such one."""
    from transformers import AutoModelForSequenceClassification

    config = copy.deepcopy(start.model.config)
    config.num_labels = 1
    try:
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(config)
    except ValueError:
        return None
    alike = type(model.base_model) is type(start.model.base_model)
    return model if alike and hasattr(model, "score") else None


def twin(module: nn.Module) -> nn.Module:
    """The same layers once more, over the same tensors."""
    tensors = itertools.chain(module.parameters(), module.buffers())
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})


def _same_weights(model: Any, folder: Path) -> bool:
    wanted, prefix = dict(model.base_model.state_dict()), model.base_model_prefix
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as content:
                for name in content.keys():  # noqa: SIM118  (not a dict)
                    mine = wanted.get(name.removeprefix(f"{prefix}."))
                    if mine is None:
                        continue
                    theirs = content.get_tensor(name)
                    if theirs.shape != mine.shape or not torch.equal(theirs.to(mine.device, mine.dtype), mine):
                        return False
                    del wanted[name.removeprefix(f"{prefix}.")]
        except (OSError, SafetensorError):
            return False
    return not wanted
