"""A policy as it was at a checkpoint of a run: to draft from, or to compare with what became of it."""

from __future__ import annotations

from pathlib import Path

import torch

from workbench.domain.architecture import CANNOT_CONTINUE
from workbench.domain.errors import BadInput
from workbench.domain.specs.common import TrainingSpec
from workbench.domain.specs.methods import WHOLE_RESULT
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.engine.adapters import adapt
from workbench.engine.checkpoint import Checkpoint
from workbench.engine.forward import virtual_tokens
from workbench.engine.models import Loaded, family_in, load_or_initialise, load_policy, load_speaker
from workbench.protocol.run_folder import RunFolder

ROLES = ("policy", "model")  # what recipes call the module that they train


def load_language_model(
    path: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Loaded:
    """`load_speaker` that takes a checkpoint's folder (runs/RUN/checkpoints/STEP) as well as a model's."""
    folder = Path(path)
    is_checkpoint = folder.parent.name == "checkpoints" and (folder / "state.json").is_file()
    return load_checkpoint(folder, device, dtype) if is_checkpoint else load_speaker(folder, device, dtype)


def _base(spec: TrainingSpec, dtype: torch.dtype) -> Loaded:
    """What the run started from: for pretraining also a folder without weights, or an encoder with a decoder."""
    if not isinstance(spec, PretrainSpec):
        return load_policy(spec.base, "cpu", dtype)
    family = family_in(spec.base) if spec.objective == "auto" else spec.objective
    if family == "masked":
        raise BadInput(f"{spec.base} {CANNOT_CONTINUE[family]}.", "Choose a checkpoint of a language model.")
    return load_or_initialise(spec.base, "cpu", dtype, family)[0]


def load_checkpoint(folder: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Loaded:
    """The run's base with the weights that the checkpoint holds; an adapter is merged where that can be.

    Raises BadInput for runs that train no language model, and for a base that has gone.
    """
    run = RunFolder(folder.parent.parent)
    spec = run.read_spec()
    if not isinstance(spec, TrainingSpec) or isinstance(spec, RewardSpec):
        raise BadInput(f"{run.path.name} trains no language model.", "Choose a checkpoint of another run.")
    loaded = _base(spec, dtype)
    # Low-rank adapters on a quantised base are the same on a plain one.
    spec = spec.model_copy(update={"method": "lora"}) if spec.method == "qlora" else spec
    apart = loaded.merged and spec.method not in WHOLE_RESULT
    model = adapt(loaded.model, loaded.tokenizer, spec, run.path / "base" if apart else loaded.path)
    checkpoint = Checkpoint(folder)
    role = next((name for name in ROLES if (folder / f"module.{name}.safetensors").exists()), ROLES[0])
    saved = checkpoint.tensors(f"module.{role}")
    wanted = {name: value for name, value in model.named_parameters() if value.requires_grad}
    missing = sorted(wanted.keys() - saved.keys())
    if missing:
        raise BadInput(f"The checkpoint {folder} lacks weights: {missing[0]}.", "Choose another checkpoint.")
    with torch.no_grad():
        for name, value in wanted.items():
            value.copy_(saved[name])
    merged = hasattr(model, "merge_and_unload") and not virtual_tokens(model)
    model = model.merge_and_unload() if merged else model
    return Loaded(model.to(device).eval(), loaded.tokenizer, folder, merged)
