"""Loads the models that are served. Adapters of one base stand on the same tensors, each as a model of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from workbench.domain.errors import BadInput
from workbench.domain.serving import Offered
from workbench.engine import bottleneck
from workbench.engine.adapters import adapted, quiet
from workbench.engine.decoding.voice import Voice
from workbench.engine.model_shelf import short_of_memory
from workbench.engine.models import Loaded, adapter_base, eos_ids, is_adapter, load_policy, load_tokenizer
from workbench.engine.shared_base import twin


def load_voices(
    offered: Sequence[Offered],
    device: torch.device,
    dtype: torch.dtype,
    loading: Callable[[str], None] = lambda name: None,
) -> dict[str, Voice]:
    """A voice for each model by its name. Raises BadInput for a folder that is none, RunFailed when memory doesn't suffice.

    An adapter that is alone on its base is merged, which is faster; several of one base, or one beside its base, aren't: the base is
    in memory once.
    """
    names = Counter(model.name for model in offered)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise BadInput(f"{doubled[0]} is named twice.", "Name each model once.")
    folders = [Path(model.path) for model in offered]
    bases = Counter(base for folder in folders if (base := _base_of(folder)) is not None)
    bases.update(folder.resolve() for folder in folders)
    held: dict[Path, Loaded] = {}

    def take(folder: Path) -> Loaded:
        if folder.resolve() not in held:
            held[folder.resolve()] = load_policy(folder, device, dtype)
        return held[folder.resolve()]

    def voice(folder: Path) -> Voice:
        base = _base_of(folder)
        loaded = take(folder) if base is None or bases[base] < 2 else _upon(take(base), folder)
        loaded.tokenizer("a")  # tokenizers settle how they encode with their first text
        return Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded))

    voices = {}
    for model, folder in zip(offered, folders, strict=True):
        loading(model.name)
        voices[model.name] = short_of_memory(lambda folder=folder: voice(folder), model.name)  # type: ignore[misc]
    return voices


def _base_of(folder: Path) -> Path | None:
    """The folder whose weights an adapter can share; None for everything else."""
    if not is_adapter(folder) or bottleneck.is_bottleneck(folder):
        return None
    return adapter_base(folder).resolve()


def _upon(base: Loaded, folder: Path) -> Loaded:
    """An adapter on layers of its own over the base's tensors."""
    from peft import PeftModel

    if adapted(base.model):
        raise BadInput(f"{base.path} carries an adapter that can't be merged.", "Serve its adapters one at a time.")
    try:
        with quiet():
            model: Any = PeftModel.from_pretrained(twin(base.model), folder, is_trainable=False)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise BadInput(f"The adapter in {folder} can't be loaded.", "It may not fit its base.", str(error)) from error
    return Loaded(model.to(base.model.device).eval(), load_tokenizer(folder), folder)
