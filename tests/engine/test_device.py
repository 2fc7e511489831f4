"""Device, precision and determinism: what a GPU would be asked for is looked at through torch's own switches."""

from __future__ import annotations

import importlib.util
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.adapting import attach_lora
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.sft import SftSpec
from workbench.engine import forward
from workbench.engine.batches import collate
from workbench.engine.device import Setup, memory_gib, prepare, seed_all, set_threads
from workbench.engine.models import load_policy, make_reward_head
from workbench.engine.optim import make_optimizer, trainable
from workbench.engine.packing import pack
from workbench.engine.worker import explain

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """torch as on a machine with a GPU that has bfloat16, as long as nothing is computed there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Accelerator 9000")
    return monkeypatch


@pytest.mark.parametrize(("wanted", "kind"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_that_a_gpu_is_taken_unless_the_processor_is_asked_for(
    with_gpu: pytest.MonkeyPatch, wanted: str, kind: str
) -> None:
    assert prepare(SftSpec(device=wanted)).device.type == kind  # type: ignore[arg-type]


def test_that_a_run_that_demands_a_gpu_ends_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert prepare(SftSpec(device="auto")).device == CPU
    with pytest.raises(RunFailed, match="torch finds none") as caught:
        prepare(SftSpec(device="cuda"))
    assert "cpu" in caught.value.hint


@pytest.mark.parametrize(
    ("wish", "what", "instead"),
    [({"method": "qlora"}, "QLoRA needs", "method lora"), ({"optimizer": "adamw8bit"}, "8-bit AdamW needs", "adamw")],
    ids=["4-bit base", "8-bit optimizer"],
)
def test_that_few_bits_where_they_cannot_be_had_are_refused_before_anything_is_loaded(
    with_gpu: pytest.MonkeyPatch, wish: dict[str, Any], what: str, instead: str
) -> None:
    with pytest.raises(BadInput, match=f"{what} a CUDA GPU") as caught:
        prepare(SftSpec(device="cpu", **wish))
    assert instead in caught.value.hint
    with_gpu.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=f"{what} the package bitsandbytes"):
        prepare(SftSpec(device="cuda", **wish))
    with_gpu.setattr(importlib.util, "find_spec", lambda name: object())
    assert prepare(SftSpec(device="cuda", **wish)).device == GPU


@pytest.mark.parametrize(
    ("device", "precision", "compute"),
    [
        ("cuda", "auto", torch.bfloat16),
        ("cuda", "float32", torch.float32),
        ("cuda", "bfloat16", torch.bfloat16),
        ("cpu", "auto", torch.float32),
        ("cpu", "bfloat16", torch.bfloat16),
        ("cpu", "float16", torch.float16),
        ("cuda", "float16", torch.float16),
    ],
)
def test_that_precision_follows_the_spec_and_then_the_device(
    with_gpu: pytest.MonkeyPatch, device: str, precision: str, compute: torch.dtype
) -> None:
    setup = prepare(SftSpec(device=device, precision=precision))  # type: ignore[arg-type]
    assert setup.compute is compute
    assert (setup.scale is not None) == (compute is torch.float16)


def test_that_a_gpu_that_only_emulates_bfloat16_computes_in_float32(with_gpu: pytest.MonkeyPatch) -> None:
    with_gpu.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert prepare(SftSpec()).compute is torch.float32


@pytest.mark.parametrize(
    ("setup", "full", "lora"),
    [
        (Setup(GPU, torch.bfloat16), torch.float32, torch.bfloat16),
        (Setup(GPU, torch.float32), torch.float32, torch.float32),
        (Setup(CPU, torch.bfloat16), torch.float32, torch.float32),
    ],
    ids=["gpu half", "gpu float32", "processor half"],
)
def test_that_only_frozen_weights_on_a_gpu_are_halved(setup: Setup, full: torch.dtype, lora: torch.dtype) -> None:
    assert (setup.weights("full"), setup.weights("lora")) == (full, lora)
    assert (setup.weights("bitfit"), setup.weights("prefix")) == (full, lora)
    assert setup.frozen is lora


def test_that_a_setup_tells_a_person_where_and_how_it_computes(with_gpu: pytest.MonkeyPatch) -> None:
    assert str(Setup(GPU, torch.bfloat16)) == "Accelerator 9000, bfloat16"
    assert str(Setup(CPU, torch.float32)) == f"cpu, {torch.get_num_threads()} threads, float32"


def test_that_float32_needs_no_autocast_and_half_precision_has_it() -> None:
    for compute in (torch.float32, torch.bfloat16, torch.float16):
        with Setup(CPU, compute).autocast():
            assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype is compute
    assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype is torch.float32


def test_that_the_gradient_on_a_gpu_is_taken_with_exact_kernels_only_and_warnings_come_back() -> None:
    seen = []

    class Look(torch.autograd.Function):
        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, grad: torch.Tensor) -> torch.Tensor:
            seen.append(torch.are_deterministic_algorithms_enabled())
            seen.append(torch.is_deterministic_algorithms_warn_only_enabled())
            return grad

    prepare(SftSpec(device="cpu"))
    for device in (GPU, CPU):
        weight = torch.ones(1, requires_grad=True)
        Setup(device, torch.float32).backward(Look.apply(weight).sum())
        assert weight.grad is not None
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert seen == [True, False, True, True]


def test_that_strictness_ends_with_a_gradient_that_fails() -> None:
    prepare(SftSpec(device="cpu"))
    with pytest.raises(RuntimeError, match="does not require grad"):
        Setup(GPU, torch.float32).backward(torch.ones(()))
    assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_that_cublas_is_told_to_add_in_one_order_unless_a_person_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    prepare(SftSpec(device="cpu"))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    prepare(SftSpec(device="cpu"))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_that_a_seed_seeds_every_generator() -> None:
    def draws(seed: int) -> tuple[float, float, float]:
        seed_all(seed)
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draws(3) == draws(3)
    assert all(one != other for one, other in zip(draws(3), draws(4), strict=True))


@pytest.mark.parametrize("said", ["", "many", "-1"])
def test_that_a_number_of_threads_that_is_none_changes_nothing(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("WORKBENCH_THREADS", said)
    set_threads()
    assert torch.get_num_threads() == before


def test_that_memory_is_that_of_this_process_or_the_peak_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.05 < memory_gib(CPU) < 64
    asked = []
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: asked.append(device) or 3 * 2**30)
    assert memory_gib(GPU) == 3.0
    assert asked == [GPU]


def test_that_a_batch_moves_without_waiting_only_towards_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    moves = []
    real = torch.Tensor.to

    def watch(self: torch.Tensor, device: object, non_blocking: bool = False) -> torch.Tensor:
        moves.append(non_blocking)
        return real(self, "cpu")

    monkeypatch.setattr(torch.Tensor, "to", watch)
    batch = collate([[1, 2]], [[3]], 0)
    packed = pack([[1, 2, 3], [4, 5]], 8, 0, 0).batch([0])
    batch.to("cpu"), packed.to(CPU)
    assert not any(moves)
    moves.clear()
    batch.to(GPU), packed.to("cuda")
    assert len(moves) > 8
    assert all(moves)


@pytest.mark.parametrize("head", [False, True], ids=["policy", "reward model"])
def test_that_an_adapter_on_a_halved_base_is_trained_in_float32(stories: Path, tmp_path: Path, head: bool) -> None:
    make = make_reward_head if head else load_policy
    loaded = make(stories, "cpu", torch.bfloat16)
    model = attach_lora(loaded, LoraPart(rank=2), tmp_path, head=head)
    named = trainable(model)
    assert {parameter.dtype for _, parameter in named} == {torch.float32}
    assert any("score" in name for name, _ in named) is head
    frozen = {p.dtype for name, p in model.named_parameters() if not p.requires_grad and "score" not in name}
    assert frozen == {torch.bfloat16}


def test_that_small_steps_move_the_head_of_a_halved_reward_model(stories: Path, tmp_path: Path) -> None:
    model = attach_lora(make_reward_head(stories, "cpu", torch.bfloat16), LoraPart(rank=2), tmp_path, head=True)
    setup = Setup(CPU, torch.bfloat16)
    optimizer = make_optimizer(model, SftSpec(learning_rate=1e-6))
    head = next(parameter for name, parameter in trainable(model) if "score" in name)
    before = head.detach().clone()
    with setup.autocast():
        loss = forward.rewards(model, collate([[1, 5]], [[7, 2]], 0)).sum()
    setup.backward(loss)
    optimizer.step()
    moved = (head.detach() - before).abs()
    assert (moved > 0).all()
    assert moved.max().item() == pytest.approx(1e-6, rel=0.1)


def test_that_half_precision_scores_nearly_as_float32_and_reports_in_float32(stories: Path) -> None:
    batch = collate([[1, 403, 407], [1, 270]], [[410, 261, 2], [417, 2]], 2)
    model = load_policy(stories).model
    with torch.no_grad():
        exact = forward.completion_logprobs(model, batch)
        with Setup(CPU, torch.bfloat16).autocast():
            half = forward.completion_logprobs(model, batch)
    assert half.dtype is torch.float32
    assert not torch.equal(half, exact)
    assert (half - exact).abs().max() < 0.3


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity …"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: not enough memory: you tried to"),
        OSError(12, "Cannot allocate memory"),
        MemoryError("Unable to allocate 3.2 TiB for an array"),
        np._core._exceptions._ArrayMemoryError((10**9,), np.dtype(np.float64)),
    ],
    ids=["torch", "driver", "cublas", "processor", "windows", "fork", "python", "numpy"],
)
def test_that_every_way_to_say_that_memory_ran_out_is_understood(error: Exception) -> None:
    kind, what, hint = explain(error)
    assert kind == "out_of_memory"
    assert "memory" in what
    assert "micro_batch_size" in hint


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: device-side assert triggered"), ValueError("the memory of a goldfish")]
)
def test_that_other_errors_are_not_taken_for_a_lack_of_memory(error: Exception) -> None:
    assert explain(error)[0] == type(error).__name__


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_that_a_lack_of_memory_while_loading_is_not_called_a_damaged_model(
    stories: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from transformers import AutoModelForCausalLM

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(type(error)) as caught:
        load_policy(stories)
    assert not isinstance(caught.value, BadInput)
    assert explain(caught.value)[0] == "out_of_memory"
