"""Checkpoints: everything that a run needs to go on bit for bit, in safetensors and JSON, complete or absent.

checkpoints/STEP/ holds one .safetensors for each module (trainable parameters and buffers) and optimizer, loose tensors,
and state.json (step, random states, the recipe's own numbers). It is written beside, fsynced and renamed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.domain.errors import RunFailed, TooNew
from workbench.protocol.run_folder import RunFolder, read_json

VERSION = 1


class Generators(NamedTuple):
    """The state of every random generator: what is a tensor, and what is plain numbers."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]

    @classmethod
    def now(cls) -> Generators:
        """As they are at this moment."""
        algorithm, keys, *rest = np.random.get_state()
        tensors = {"numpy": torch.from_numpy(np.array(keys)), "torch": torch.get_rng_state()}
        if torch.cuda.is_initialized():  # asking a GPU that the run doesn't use would take memory there
            tensors |= {f"cuda.{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
        return cls(tensors, {"python": random.getstate(), "numpy": [algorithm, *rest]})

    def restore(self) -> None:
        """Put them back."""
        random.setstate(_tuples(self.numbers["python"]))
        algorithm, position, has_gauss, cached = self.numbers["numpy"]
        np.random.set_state((algorithm, self.tensors["numpy"].numpy(), position, has_gauss, cached))
        torch.set_rng_state(self.tensors["torch"])
        if torch.cuda.is_available():
            for index in range(torch.cuda.device_count()):
                if f"cuda.{index}" in self.tensors:
                    torch.cuda.set_rng_state(self.tensors[f"cuda.{index}"], index)


class Checkpoint:
    """A complete checkpoint on disk; `step` optimizer steps were done, `extra` holds the recipe's own numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            state = read_json(path / "state.json")
            if state["version"] > VERSION:
                raise TooNew("The checkpoint was written by a newer version of the workbench.", "Update the workbench.")
            self.step = int(state["step"])
            self.extra: dict[str, Any] = state["extra"]
            self._random: dict[str, Any] = state["random"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged() from error

    def restore(
        self,
        modules: Mapping[str, nn.Module] | None = None,
        optimizers: Mapping[str, torch.optim.Optimizer] | None = None,
    ) -> None:
        """Put the saved state into modules, optimizers and the random generators (those last)."""
        for name, module in (modules or {}).items():
            _fill(module, self.tensors(f"module.{name}"))
        for name, optimizer in (optimizers or {}).items():
            _fill_optimizer(optimizer, self.tensors(f"optimizer.{name}"))
        Generators(self.tensors("random"), self._random).restore()

    def tensors(self, name: str = "tensors") -> dict[str, Tensor]:
        """Tensors of one file of the checkpoint, on the CPU; raises RunFailed when it is missing or damaged."""
        try:
            return load_file(self.path / f"{name}.safetensors")
        except (OSError, SafetensorError) as error:
            raise self._damaged() from error

    def _damaged(self) -> RunFailed:
        return RunFailed(f"The checkpoint {self.path} is damaged.", "Delete its folder; the one before is taken.")


def save(
    folder: RunFolder,
    step: int,
    *,
    modules: Mapping[str, nn.Module] | None = None,
    optimizers: Mapping[str, torch.optim.Optimizer] | None = None,
    tensors: Mapping[str, Tensor] | None = None,
    extra: Mapping[str, Any] | None = None,
    keep: int = 2,
) -> Path:
    """Write checkpoints/STEP and delete all but the newest `keep`. A checkpoint of that step that is there stays."""
    target = folder.checkpoints / str(step)
    if target.exists():
        return target
    _sweep(folder)
    beside = folder.checkpoints / f".{step}.tmp"
    beside.mkdir(parents=True)
    generators = Generators.now()
    payload = {"version": VERSION, "step": step, "random": generators.numbers, "extra": dict(extra or {})}
    try:
        for name, module in (modules or {}).items():
            _write(beside / f"module.{name}.safetensors", _content(module))
        for name, optimizer in (optimizers or {}).items():
            _write(beside / f"optimizer.{name}.safetensors", _optimizer_content(optimizer))
        _write(beside / "tensors.safetensors", dict(tensors or {}))
        _write(beside / "random.safetensors", generators.tensors)
        (beside / "state.json").write_text(json.dumps(payload), encoding="utf-8")
        for path in [*beside.iterdir(), beside]:
            _sync(path)
        beside.rename(target)
    except Exception:  # on a full disk, what was begun would keep the run from saying why it ends
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _sync(folder.checkpoints)
    for old in folder.complete_checkpoints()[:-keep]:
        # Renamed first, so that a kill between two unlinks leaves no half checkpoint under a complete one's name.
        shutil.rmtree(old.rename(old.with_name(f".{old.name}.old")))
    return target


def save_module(module: nn.Module, file: Path) -> None:
    """Write a module's trainable parameters and buffers into one file; complete or absent."""
    beside = file.with_name(f".{file.name}.tmp")
    try:
        _write(beside, _content(module))
        _sync(beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def load_module(module: nn.Module, file: Path) -> None:
    """Put back what `save_module` wrote; raises RunFailed when the file is missing, damaged or another model's."""
    try:
        saved = load_file(file)
    except (OSError, SafetensorError) as error:
        raise RunFailed(f"The kept weights {file} are missing or damaged.", "Resume from a checkpoint.") from error
    _fill(module, saved)


def load_latest(folder: RunFolder) -> Checkpoint | None:
    """The newest complete checkpoint, or None."""
    complete = folder.complete_checkpoints()
    return Checkpoint(complete[-1]) if complete else None


def _sweep(folder: RunFolder) -> None:
    folder.checkpoints.mkdir(exist_ok=True)
    for leftover in folder.checkpoints.glob(".*"):
        if leftover.suffix in {".tmp", ".old"}:
            shutil.rmtree(leftover)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def _content(module: nn.Module) -> dict[str, Tensor]:
    """Trainable parameters (tied ones once) and persistent buffers; what is frozen is loaded from the base again."""
    persistent = module.state_dict(keep_vars=True).keys()
    parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
    buffers = {name: value for name, value in module.named_buffers() if name in persistent}
    return {**parameters, **buffers}


def _fill(module: nn.Module, saved: Mapping[str, Tensor]) -> None:
    present = _content(module)
    if present.keys() != saved.keys():
        raise _foreign("its tensors have other names")
    if any(tensor.shape != saved[name].shape for name, tensor in present.items()):
        raise _foreign("its tensors have other shapes")
    with torch.no_grad():
        for name, tensor in present.items():
            tensor.copy_(saved[name])


def _foreign(why: str) -> RunFailed:
    return RunFailed(
        f"The checkpoint belongs to another model: {why}.", "Resume with the spec the run was started with."
    )


def _optimizer_content(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State by parameter number and name; a dict within (8-bit optimizers have one) is written as `number.dict.name`."""
    found: dict[str, Tensor] = {}
    for index, one in optimizer.state_dict()["state"].items():
        for key, value in one.items():
            if isinstance(value, dict):  # cloned, because 8-bit optimizers share code books between parameters
                found |= {f"{index}.{key}.{name}": torch.as_tensor(part).clone() for name, part in value.items()}
            elif value is not None:
                found[f"{index}.{key}"] = torch.as_tensor(value)
    return found


def _fill_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for path, tensor in saved.items():
        index, *middle, name = path.split(".")
        if int(index) >= len(parameters) or not _fits(name, tensor, parameters[int(index)]):
            raise _foreign("its optimizer has other parameters")
        place = state.setdefault(int(index), {})
        if middle:
            place = place.setdefault(middle[0], {})
        # Counters that were whole numbers are so again; where they were tensors they stay it.
        place[name] = int(tensor) if tensor.ndim == 0 and not tensor.is_floating_point() else tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _fits(name: str, tensor: Tensor, parameter: Tensor) -> bool:
    """Whether a piece of state can be that parameter's: of its shape, or with ones in it (Adafactor keeps rows and columns)."""
    if tensor.ndim == 0 or name.startswith(
        ("qmap", "absmax")
    ):  # the code books of 8-bit states have sizes of their own
        return True
    if tensor.ndim != parameter.ndim:
        return False
    return all(size in {1, whole} for size, whole in zip(tensor.shape, parameter.shape, strict=True))


def _tuples(value: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(_tuples(part) if isinstance(part, list) else part for part in value)
