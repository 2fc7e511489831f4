"""Where and how a run computes: device, precision, threads, seeds. Looked at once, before a model is loaded."""

from __future__ import annotations

import importlib.util
import os
import random
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.common import JobSpec, TrainingSpec
from workbench.engine import products
from workbench.engine.loss_scale import LossScale

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Setup(NamedTuple):
    """Device, and the dtype of the forward pass; trained weights are always float32. `scale` is there for float16."""

    device: torch.device
    compute: torch.dtype
    scale: LossScale | None = None

    @property
    def frozen(self) -> torch.dtype:
        """Dtype of weights that are not trained: half the memory on a GPU, float32 elsewhere."""
        return self.compute if self.device.type == "cuda" else torch.float32

    def weights(self, method: str) -> torch.dtype:
        """Dtype to load a model in that is trained by a method: what trains its own weights needs float32."""
        return torch.float32 if method in {"full", "bitfit"} else self.frozen

    @property
    def start_cost(self) -> int:
        """What one more forward and backward pass costs before its first token, in tokens; see `batches.buckets`.

        On a CPU that is the reading of all weights; a GPU takes this many in the time in which its kernels are launched.
        """
        return 2048 if self.device.type == "cuda" else 64

    def home(self, method: str) -> torch.device:
        """Device to load a model on: one that is going to be quantised first stays in main memory."""
        return torch.device("cpu") if method == "qlora" else self.device

    def autocast(self) -> AbstractContextManager[object]:
        """Context of every forward pass."""
        if self.compute is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.compute)

    def backward(self, loss: Tensor) -> None:
        """The gradient of a loss, computed the same way each time; `optim.take_step` undoes the scale."""
        if self.scale is not None:
            loss = loss * self.scale.value
        if self.device.type != "cuda":
            loss.backward()
            return
        # With warnings only, attention on a GPU takes the kernels that add up in any order.
        torch.use_deterministic_algorithms(True)
        try:
            loss.backward()
        finally:
            torch.use_deterministic_algorithms(True, warn_only=True)

    def gauges(self) -> dict[str, float]:
        """Metrics of every recipe: memory in GiB, and with float16 the loss scale and the steps it skipped."""
        found = {"memory_gib": memory_gib(self.device)}
        if self.scale is not None:
            found |= {"loss_scale": self.scale.value, "skipped_steps": float(self.scale.skipped)}
        return found

    def __str__(self) -> str:
        """For a person: device, precision, threads."""
        where = (
            torch.cuda.get_device_name() if self.device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
        )
        return f"{where}, {str(self.compute).removeprefix('torch.')}"


def prepare(spec: JobSpec) -> Setup:
    """Choose the device and precision, set threads, seed everything and ask for deterministic kernels."""
    device = _device(spec.device)
    if isinstance(spec, TrainingSpec):
        _need_bitsandbytes(spec, device)
    set_threads()
    if device.type == "cpu":
        products.install()
    seed_all(spec.seed)
    # cuBLAS reads this when it is first used; without it, it may add up in another order each time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Kernels without a deterministic form warn into the log instead of ending the run.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    compute = _compute(spec.precision, device)
    return Setup(device, compute, LossScale() if compute is torch.float16 else None)


def set_threads() -> None:
    """Take the number of threads from WORKBENCH_THREADS: 0 means all cores, unset leaves torch's choice."""
    wanted = os.environ.get("WORKBENCH_THREADS", "")
    if wanted.isdigit():
        torch.set_num_threads(int(wanted) or len(os.sched_getaffinity(0)))


def seed_all(seed: int) -> None:
    """Seed python, numpy and torch (every device)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RunFailed("The run asks for a GPU, and torch finds none.", "Choose device auto or cpu.")
    return torch.device(wanted)


def _need_bitsandbytes(spec: TrainingSpec, device: torch.device) -> None:
    """Raise BadInput where 4-bit bases or 8-bit optimizers are asked for and can't be had, before anything is loaded."""
    missing = [
        word
        for word, there in (
            ("a CUDA GPU", device.type == "cuda"),
            ("the package bitsandbytes", importlib.util.find_spec("bitsandbytes") is not None),
        )
        if not there
    ]
    if spec.method == "qlora" and missing:
        raise BadInput(
            f"QLoRA needs {' and '.join(missing)}, and this machine has none.",
            "Choose the method lora; with precision bfloat16 on a GPU its base takes 16 bits for each weight.",
        )
    if spec.optimizer == "adamw8bit" and missing:
        raise BadInput(
            f"8-bit AdamW needs {' and '.join(missing)}, and this machine has none.",
            "Choose the optimizer adamw; adafactor keeps even less in memory.",
        )


def _compute(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        good = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if good else torch.float32
    return DTYPES[precision]


def memory_gib(device: torch.device) -> float:
    """Peak GPU memory on a GPU, else the resident memory of this process, in GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    import psutil

    return float(psutil.Process().memory_info().rss) / 2**30
