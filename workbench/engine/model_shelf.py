"""Models kept loaded between requests, within a budget of memory: the ones used last stay, the oldest go.

LoRA adapters stand on one base: each has layers of its own over the base's tensors (`shared_base.py`), so that a family of adapters
costs little more than its base, and no switch can leak from one column into another.
"""

from __future__ import annotations

import gc
import itertools
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch

from workbench.domain.errors import BadInput, RunFailed
from workbench.engine.adapters import quiet
from workbench.engine.decoding.voice import Voice
from workbench.engine.from_checkpoint import load_language_model
from workbench.engine.models import Loaded, adapter_base, eos_ids, is_adapter, load_reward, load_tokenizer
from workbench.engine.shared_base import twin

Role = Literal["policy", "reward"]
Loading = Callable[[float], None]
T = TypeVar("T")
_TELL_EVERY = 0.1  # seconds between two looks at how far loading is
_DTYPE_BYTES = {"F64": 8, "F32": 4, "I64": 8, "I32": 4, "BF16": 2, "F16": 2}


class Shelved(NamedTuple):
    """A loaded model; `voice` is there for policies."""

    loaded: Loaded
    voice: Voice | None


class Place(NamedTuple):
    """What a model on the shelf takes: bytes that it holds alone or together with others."""

    path: str
    role: Role
    bytes: int


class Shelf:
    """Models in memory, on one device; together they hold no more than `budget` bytes (0: half of what the machine has).

    A single model may be larger than the budget, and those in use stay: then they are alone on the shelf.
    """

    def __init__(self, budget: int = 0, device: str = "auto") -> None:
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(found if device == "auto" else device)
        good = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self._dtype = torch.bfloat16 if good else torch.float32
        self._models: OrderedDict[tuple[str, Role, int], Shelved] = OrderedDict()
        self._used_now: set[tuple[str, Role, int]] = set()
        self.budget = budget or _half_of(self.device)
        self.changed: Callable[[], None] = lambda: None

    def holds(self, path: str, role: Role) -> bool:
        """Whether a model is in memory already."""
        return (path, role, _age(path)) in self._models

    def take(self, path: str, role: Role = "policy", loading: Loading = lambda share: None) -> Shelved:
        """The model of a folder, loaded if need be; BadInput when it is none, RunFailed when memory doesn't suffice.

        `loading` is told which share of the weights is there.
        """
        key = (path, role, _age(path))
        if key not in self._models:
            self._make_room(size_on_disk(Path(path), self._dtype))
            with _told(loading):
                made = self._load(path, role)
            self._models[key] = made
            self._used_now.add(key)
            self._plan(made)
            self._make_room(0)
            self.changed()
        self._models.move_to_end(key)
        self._used_now.add(key)
        return self._models[key]

    def policy(self, path: str) -> tuple[Loaded, Voice]:
        """A language model with its voice."""
        shelved = self.take(path)
        if shelved.voice is None:
            raise ValueError("a policy has a voice")
        return shelved.loaded, shelved.voice

    def release(self) -> None:
        """Nothing is in use any more: whatever is too much goes."""
        self._used_now.clear()
        if self._make_room(0):
            self.changed()

    def free(self, path: str) -> None:
        """Let a model go, in all its roles."""
        for key in [key for key in self._models if key[0] == path]:
            self._forget(key)
        self.changed()

    def clear(self) -> None:
        """Let everything go."""
        for key in list(self._models):
            self._forget(key)
        self.changed()

    def set_budget(self, budget: int) -> None:
        """Another budget in bytes (0: half of what the machine has)."""
        self.budget = budget or _half_of(self.device)
        self._make_room(0)
        self.changed()

    @property
    def used(self) -> int:
        """Bytes that all models hold together; what several share counts once."""
        seen: dict[int, int] = {}
        return sum(_bytes(shelved, seen) for shelved in self._models.values())

    def places(self) -> list[Place]:
        """Every model with its bytes, least recently used first; a base that others stand on counts for each of them."""
        return [Place(path, role, _bytes(shelved, {})) for (path, role, _), shelved in self._models.items()]

    def _plan(self, shelved: Shelved) -> None:
        """Read the plan, which is another copy of the weights, where there is room for it."""
        voice = shelved.voice
        if voice is None or self.device.type != "cpu":
            return
        if self._make_room(_bytes(shelved, {}), evict=False) and voice.plan is not None:
            return
        voice.do_without_plan()

    def _make_room(self, wanted: int, *, evict: bool = True) -> bool:
        """Let the oldest go until so many bytes fit. With `evict` False: whether they fit without that."""
        if not evict:
            return self.used + wanted <= self.budget
        gone = False
        for key in list(self._models):
            if self.used + wanted <= self.budget:
                break
            if key not in self._used_now:
                self._forget(key)
                gone = True
        return gone

    def _forget(self, key: tuple[str, Role, int]) -> None:
        del self._models[key]
        self._used_now.discard(key)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _load(self, path: str, role: Role) -> Shelved:
        def load() -> Shelved:
            if role == "reward":
                return Shelved(load_reward(path, self.device, self._dtype), None)
            loaded = self._on_base(Path(path)) or load_language_model(path, self.device, self._dtype)
            return Shelved(loaded, Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded)))

        try:
            return short_of_memory(load, path)
        except RunFailed:
            if not self._models:
                raise
        self.clear()
        return short_of_memory(load, path)

    def _on_base(self, folder: Path) -> Loaded | None:
        """A LoRA adapter on its base, which is on the shelf too; None for everything else."""
        if not _is_lora(folder):
            return None
        from peft import PeftModel

        base = self.take(str(adapter_base(folder))).loaded
        if hasattr(base.model, "peft_config"):
            return None
        try:
            with quiet():
                model = PeftModel.from_pretrained(twin(base.model), folder, is_trainable=False)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise BadInput(
                f"The adapter in {folder} can't be loaded.", "It may not fit its base.", str(error)
            ) from error
        return Loaded(model.to(self.device).eval(), load_tokenizer(folder), folder)


def size_on_disk(folder: Path, dtype: torch.dtype) -> int:
    """How many bytes the weights of a folder take in memory, by the headers of its files; an adapter's are its own."""
    total = 0
    for file in folder.glob("*.safetensors"):
        try:
            with file.open("rb") as content:
                length = int.from_bytes(content.read(8), "little")
                header = json.loads(content.read(length) if length <= file.stat().st_size else "")
            for name, tensor in header.items():
                if name != "__metadata__":
                    begin, end = tensor["data_offsets"]
                    total += (end - begin) * dtype.itemsize // _DTYPE_BYTES.get(tensor["dtype"], dtype.itemsize)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # loading will say what is wrong with it
            continue
    return total


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


@contextmanager
def _told(loading: Loading) -> Iterator[None]:
    """Tell how many of the weights are there, as transformers' own progress bar would show it."""
    from transformers.utils import logging

    def hook(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        items = list(args[0]) if args and hasattr(args[0], "__iter__") else []
        return _Counted(items, loading) if items else factory(*args, **kwargs)

    before = logging.set_tqdm_hook(hook)
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)


class _Counted:
    """Goes through a list and tells how far it is, a few times a second."""

    def __init__(self, items: list[Any], loading: Loading) -> None:
        self._items, self._loading = items, loading
        self._told = 0.0

    def __iter__(self) -> Iterator[Any]:
        for number, item in enumerate(self._items):
            yield item
            if time.perf_counter() - self._told > _TELL_EVERY:
                self._told = time.perf_counter()
                self._loading((number + 1) / len(self._items))


def _bytes(shelved: Shelved, seen: dict[int, int]) -> int:
    """Bytes of a model's tensors, but for those in `seen`, to which they are added; its plan included."""
    model, total = shelved.loaded.model, 0
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen[storage.data_ptr()] = storage.nbytes()
            total += storage.nbytes()
    return total + (shelved.voice.plan_bytes if shelved.voice is not None else 0)


def _is_lora(folder: Path) -> bool:
    if not is_adapter(folder):
        return False
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return config.get("peft_type") == "LORA" and not is_adapter(adapter_base(folder))
    except (OSError, ValueError, BadInput):  # loading will say what is wrong with it
        return False


def _half_of(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory) // 2
    import psutil

    return int(psutil.virtual_memory().total) // 2


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
