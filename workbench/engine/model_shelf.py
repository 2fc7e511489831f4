"""Models kept loaded between requests: the ones used last stay, the oldest go."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import torch

from workbench.domain.errors import RunFailed
from workbench.engine.decoding.voice import Voice
from workbench.engine.from_checkpoint import load_language_model
from workbench.engine.models import Loaded, eos_ids, load_reward

Role = Literal["policy", "reward"]
T = TypeVar("T")


class Shelved(NamedTuple):
    """A loaded model; `voice` is there for policies."""

    loaded: Loaded
    voice: Voice | None


class Shelf:
    """At most `size` models in memory, on one device."""

    def __init__(self, size: int = 6, device: str = "auto") -> None:
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(found if device == "auto" else device)
        good = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self._dtype = torch.bfloat16 if good else torch.float32
        self._size = size
        self._models: OrderedDict[tuple[str, Role, int], Shelved] = OrderedDict()

    def holds(self, path: str, role: Role) -> bool:
        """Whether a model is in memory already."""
        return (path, role, _age(path)) in self._models

    def take(self, path: str, role: Role = "policy") -> Shelved:
        """The model of a folder, loaded if need be; BadInput when it is none, RunFailed when memory doesn't suffice."""
        key = (path, role, _age(path))
        if key not in self._models:
            while len(self._models) >= self._size:
                self._models.popitem(last=False)
            self._models[key] = self._load(path, role)
        self._models.move_to_end(key)
        return self._models[key]

    def policy(self, path: str) -> tuple[Loaded, Voice]:
        """A language model with its voice."""
        shelved = self.take(path)
        if shelved.voice is None:
            raise ValueError("a policy has a voice")
        return shelved.loaded, shelved.voice

    def clear(self) -> None:
        """Let everything go."""
        self._models.clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _load(self, path: str, role: Role) -> Shelved:
        def load() -> Shelved:
            if role == "reward":
                return Shelved(load_reward(path, self.device, self._dtype), None)
            loaded = load_language_model(path, self.device, self._dtype)
            return Shelved(loaded, Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded)))

        try:
            return short_of_memory(load, path)
        except RunFailed:
            if not self._models:
                raise
        self.clear()
        return short_of_memory(load, path)


def short_of_memory(work: Callable[[], T], path: str) -> T:
    """Do the work; memory that doesn't suffice becomes RunFailed with a sentence."""
    try:
        return work()
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _memory(path, error) from error
    except RuntimeError as error:
        if "allocate memory" in str(error) or "out of memory" in str(error).lower():
            raise _memory(path, error) from error
        raise


def _memory(path: str, error: BaseException) -> RunFailed:
    return RunFailed(
        f"There isn't enough memory for {Path(path).name or path}.",
        "Use fewer columns, a shorter text or a smaller model, or wait until a training run has ended.",
        str(error),
    )


def _age(path: str) -> int:
    """When a folder was last written, so that a model that was replaced is loaded anew."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0
