from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workbench.domain.errors import RunFailed, TooNew
from workbench.domain.specs.sft import SftSpec
from workbench.engine import checkpoint
from workbench.engine.checkpoint import load_latest, save
from workbench.engine.optim import make_optimizer
from workbench.protocol.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.create(SftSpec())
    return run


class Tied(nn.Module):
    """Tied and frozen parameters, buffers that are saved and one that is not: what real models have."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("fleeting", torch.zeros(1), persistent=False)


def train(net: Tied, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        loss = net.b(net.a(torch.randn(4, 3))).square().mean() + random.random() * float(np.random.rand())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        net.count += 1
        losses.append(loss.item())
    return losses


def test_that_training_goes_on_bit_for_bit_from_a_checkpoint(folder: RunFolder) -> None:
    torch.manual_seed(1)
    net = Tied()
    optimizer = make_optimizer(net, SftSpec(learning_rate=0.1, weight_decay=0.1))
    train(net, optimizer, 3)
    extra = {"beta": 0.1 + 0.2, "names": ["x"]}
    save(
        folder, 3, modules={"net": net}, optimizers={"adam": optimizer}, tensors={"mean": torch.arange(3)}, extra=extra
    )
    straight = train(net, optimizer, 4)

    fresh = Tied()
    other = make_optimizer(fresh, SftSpec(learning_rate=0.1, weight_decay=0.1))
    latest = load_latest(folder)
    assert latest is not None
    latest.restore({"net": fresh}, {"adam": other})
    assert (latest.step, latest.extra) == (3, extra)
    assert torch.equal(latest.tensors()["mean"], torch.arange(3))
    assert train(fresh, other, 4) == straight
    assert torch.equal(fresh.a.weight, net.a.weight)
    assert fresh.a.weight is fresh.b.weight
    assert fresh.count.item() == 7


def test_that_frozen_weights_are_not_written(folder: RunFolder) -> None:
    save(folder, 1, modules={"net": Tied()})
    latest = load_latest(folder)
    assert latest is not None
    assert sorted(latest.tensors("module.net")) == ["a.bias", "a.weight", "count"]


def test_that_only_the_newest_checkpoints_are_kept(folder: RunFolder) -> None:
    for step in (2, 9, 10, 11):
        save(folder, step, keep=2)
    assert [path.name for path in folder.complete_checkpoints()] == ["10", "11"]
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["10", "11"]


def test_that_a_checkpoint_half_written_by_a_killed_process_is_never_loaded_and_swept_away(folder: RunFolder) -> None:
    save(folder, 4)
    torn = folder.checkpoints / ".8.tmp"
    torn.mkdir()
    (torn / "state.json").write_text("{")
    latest = load_latest(folder)
    assert latest is not None
    assert latest.step == 4
    save(folder, 8)
    assert not torn.exists()
    assert load_latest(folder).step == 8  # type: ignore[union-attr]


def test_that_saving_a_step_again_keeps_what_is_there(folder: RunFolder) -> None:
    first = save(folder, 5, extra={"a": 1})
    before = (first / "state.json").stat().st_ino
    save(folder, 5, extra={"a": 2})
    assert (first / "state.json").stat().st_ino == before


def test_that_nothing_in_a_checkpoint_is_pickled(folder: RunFolder) -> None:
    net = Tied()
    save(folder, 1, modules={"net": net}, optimizers={"adam": make_optimizer(net, SftSpec())})
    assert {path.suffix for path in (folder.checkpoints / "1").iterdir()} == {".safetensors", ".json"}


def spoil(folder: RunFolder, change: Callable[[Path], None]) -> None:
    save(folder, 1, modules={"net": Tied()})
    change(folder.checkpoints / "1" / "state.json")


def test_that_a_damaged_checkpoint_says_which_and_what_to_do(folder: RunFolder) -> None:
    spoil(folder, lambda path: path.write_text("{") and None)
    with pytest.raises(RunFailed, match="is damaged") as caught:
        load_latest(folder)
    assert "Delete" in caught.value.hint


def test_that_a_checkpoint_of_a_later_version_is_refused(folder: RunFolder) -> None:
    spoil(folder, lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99})) and None)
    with pytest.raises(TooNew):
        load_latest(folder)


def test_that_a_checkpoint_of_another_model_is_refused(folder: RunFolder) -> None:
    save(folder, 1, modules={"net": nn.Linear(2, 2)})
    with pytest.raises(RunFailed, match="another model"):
        load_latest(folder).restore({"net": Tied()})  # type: ignore[union-attr]


def test_that_a_run_without_checkpoints_has_none(folder: RunFolder) -> None:
    assert load_latest(folder) is None


class Full(Exception):
    """A disk without room."""


@pytest.mark.parametrize("written", range(5))
def test_that_a_checkpoint_for_which_the_disk_has_no_room_leaves_nothing_behind(
    folder: RunFolder, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(folder, 4)
    really, count = checkpoint.save_file, iter(range(9))

    def fill(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if next(count) == written:
            path.write_bytes(b"half")
            raise Full
        really(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", fill)
    monkeypatch.setattr(checkpoint.json, "dumps", _refused if written == 4 else json.dumps)
    net = Tied()
    with pytest.raises(Full):
        save(folder, 8, modules={"net": net}, optimizers={"adam": make_optimizer(net, SftSpec())})
    assert [path.name for path in folder.checkpoints.iterdir()] == ["4"]
    monkeypatch.undo()
    save(folder, 8)
    assert load_latest(folder).step == 8  # type: ignore[union-attr]


def _refused(*_: object, **__: object) -> str:
    raise Full


def test_that_weights_that_could_not_be_kept_leave_those_that_were(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, file = Tied(), folder.path / "best.safetensors"
    checkpoint.save_module(net, file)
    before = net.a.weight.detach().clone()
    with torch.no_grad():
        net.a.weight.add_(1.0)
    monkeypatch.setattr(checkpoint, "_sync", _refused)
    with pytest.raises(Full):
        checkpoint.save_module(net, file)
    assert [path.name for path in folder.path.glob("*best*")] + list(folder.path.glob(".*best*")) == [file.name]
    checkpoint.load_module(net, file)
    assert torch.equal(net.a.weight, before)


@pytest.mark.parametrize("content", [None, b"", b"no tensors at all"])
def test_that_kept_weights_that_are_gone_or_damaged_are_told(folder: RunFolder, content: bytes | None) -> None:
    file = folder.path / "best.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RunFailed, match="missing or damaged") as told:
        checkpoint.load_module(Tied(), file)
    assert "checkpoint" in told.value.hint


def test_that_kept_weights_of_another_model_are_refused(folder: RunFolder) -> None:
    file = folder.path / "best.safetensors"
    checkpoint.save_module(nn.Linear(4, 4), file)
    with pytest.raises(RunFailed, match="its tensors have other names"):
        checkpoint.load_module(Tied(), file)
    checkpoint.save_module(nn.Linear(4, 5), file)
    with pytest.raises(RunFailed, match="its tensors have other shapes"):
        checkpoint.load_module(nn.Linear(4, 4), file)


def test_that_the_states_of_every_generator_come_back(folder: RunFolder) -> None:
    def draw() -> tuple[float, ...]:
        drawn = random.random(), random.gauss(0, 1), np.random.rand(), np.random.standard_normal()
        return *drawn, float(torch.rand(()))

    draw()  # so that the normal numbers' second halves are waiting
    now = checkpoint.Generators.now()
    save(folder, 1)
    first = draw()
    assert draw() != first
    now.restore()
    assert draw() == first
    draw()
    load_latest(folder).restore()  # type: ignore[union-attr]
    assert draw() == first


def test_that_a_gpu_that_a_run_does_not_use_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", _refused)
    assert sorted(checkpoint.Generators.now().tensors) == ["numpy", "torch"]


def test_that_the_states_of_all_gpus_are_kept_and_given_to_those_that_are_there(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([3, 4], dtype=torch.uint8)]
    given: list[tuple[list[int], int]] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, index: given.append((state.tolist(), index)))
    save(folder, 1)
    for there, expected in ((2, [([1, 2], 0), ([3, 4], 1)]), (1, [([1, 2], 0)]), (3, [([1, 2], 0), ([3, 4], 1)])):
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: there)
        given.clear()
        load_latest(folder).restore()  # type: ignore[union-attr]
        assert given == expected


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_that_older_checkpoints_go_as_far_as_the_number_to_keep_says(folder: RunFolder, keep: int) -> None:
    for step in range(1, 5):
        save(folder, step, keep=keep)
    assert [int(path.name) for path in folder.complete_checkpoints()] == list(range(max(1, 5 - keep), 5))
