"""Checkpoints under bad luck: kills at every line of the writer, torn and missing files, other specs, other steps.

Studies keep cells instead of checkpoints; they are killed at the lines of their recipe.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from torch import nn

from workbench.domain.errors import RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.study import StudySpec
from workbench.domain.study import StudyText
from workbench.engine import checkpoint
from workbench.engine.checkpoint import Checkpoint, load_latest, save
from workbench.engine.optim import make_optimizer
from workbench.engine.recipes import study
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder


class Killed(BaseException):
    """Stands for a process that is gone: no `except Exception` sees it."""


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.create(SftSpec())
    return run


@pytest.fixture
def kill_after() -> Iterator[Callable[..., None]]:
    """Ends what runs after so many lines of a module (checkpoint.py unless told otherwise), wherever that is."""
    before = sys.gettrace()

    def arm(lines: int, module: ModuleType = checkpoint) -> None:
        left = lines

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename != module.__file__:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    sys.settrace(before)
                    raise Killed
            return trace

        sys.settrace(trace)

    yield arm
    sys.settrace(before)


def net_at(value: float) -> nn.Linear:
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.fill_(value)
    return net


def value_of(found: Checkpoint) -> float:
    """The weight that a checkpoint holds; fails when any of its files is torn."""
    net = nn.Linear(2, 1)
    optimizer = make_optimizer(net, SftSpec())
    found.restore({"net": net}, {"adam": optimizer})
    return float(net.weight.detach()[0, 0])


def write(folder: RunFolder, step: int, keep: int = 2) -> None:
    net = net_at(float(step))
    optimizer = make_optimizer(net, SftSpec(learning_rate=1e-30))
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    save(folder, step, modules={"net": net}, optimizers={"adam": optimizer}, keep=keep)


def lines_of_a_save(folder: RunFolder) -> int:
    """How many lines a save takes when nothing is wrong, on a copy of the folder."""
    seen = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename != checkpoint.__file__:
            return None
        seen += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        write(folder, 3)
    finally:
        sys.settrace(before)
    return seen


def test_that_a_kill_at_any_line_of_saving_leaves_only_complete_checkpoints(
    tmp_path: Path, kill_after: Callable[[int], None]
) -> None:
    start = RunFolder(tmp_path / "start")
    start.create(SftSpec())
    write(start, 1)
    write(start, 2)
    spare = RunFolder(shutil.copytree(start.path, tmp_path / "spare"))
    lines = lines_of_a_save(spare)
    assert lines > 60
    newest = set()
    for number in range(0, lines, 3):
        folder = RunFolder(shutil.copytree(start.path, tmp_path / f"kill{number}"))
        kill_after(number)
        with pytest.raises(Killed):
            write(folder, 3)
        found = load_latest(folder)
        assert found is not None
        assert value_of(found) == found.step
        newest.add(found.step)
        for path in folder.complete_checkpoints():
            assert value_of(Checkpoint(path)) == int(path.name)
        write(folder, 4)  # the run goes on: leftovers are swept, the newest are kept
        assert sorted(path.name for path in folder.checkpoints.iterdir()) == [str(found.step), "4"]
        shutil.rmtree(folder.path)
    assert newest == {2, 3}


def test_that_a_kill_between_two_prunings_leaves_no_half_checkpoint(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2, 3, 4):
        write(folder, step, keep=9)

    def torn(path: Path) -> None:
        next(Path(path).iterdir()).unlink()
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(shutil, "rmtree", torn)
        write(folder, 5, keep=2)
    assert [int(path.name) for path in folder.complete_checkpoints()] == [2, 3, 4, 5]
    for path in folder.complete_checkpoints():
        assert value_of(Checkpoint(path)) == int(path.name)
    write(folder, 6, keep=2)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["5", "6"]


def test_that_a_full_disk_leaves_the_last_checkpoint_and_the_next_try_succeeds(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, 1)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr("os.fsync", full)
        write(folder, 2)
    assert [path.name for path in folder.complete_checkpoints()] == ["1"]
    write(folder, 2)
    assert [path.name for path in folder.complete_checkpoints()] == ["1", "2"]


@pytest.mark.parametrize("name", ["module.net", "optimizer.adam", "random", "state"])
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "zeroed"])
def test_that_a_torn_file_is_named_with_what_to_do(folder: RunFolder, name: str, how: str) -> None:
    write(folder, 7)
    path = folder.checkpoints / "7" / f"{name}.{'json' if name == 'state' else 'safetensors'}"
    content = path.read_bytes()
    damaged = {"empty": b"", "cut": content[: len(content) // 2], "zeroed": bytes(len(content))}
    path.unlink()
    if how != "missing":
        path.write_bytes(damaged[how])
    with pytest.raises(RunFailed, match="7 is damaged") as caught:
        value_of(load_latest(folder))  # type: ignore[arg-type]
    assert "one before" in caught.value.hint


@pytest.mark.parametrize(
    "content", ["[]", "3", '{"step": 7}', '{"version": 1, "step": "x", "extra": {}, "random": {}}']
)
def test_that_a_state_of_another_form_is_damage_too(folder: RunFolder, content: str) -> None:
    write(folder, 7)
    (folder.checkpoints / "7" / "state.json").write_text(content)
    with pytest.raises(RunFailed, match="damaged"):
        load_latest(folder)


def test_that_the_one_before_is_taken_when_the_damaged_folder_is_deleted(folder: RunFolder) -> None:
    write(folder, 3)
    write(folder, 6)
    (folder.checkpoints / "6" / "state.json").unlink()
    with pytest.raises(RunFailed):
        load_latest(folder)
    shutil.rmtree(folder.checkpoints / "6")
    found = load_latest(folder)
    assert found is not None
    assert value_of(found) == 3


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_that_pruning_goes_by_number_and_keeps_as_many_as_asked(folder: RunFolder, count: int) -> None:
    for step in (8, 9, 10, 100, 101):
        save(folder, step, keep=count)
    assert [int(path.name) for path in folder.complete_checkpoints()] == [8, 9, 10, 100, 101][-count:]


def test_that_pruning_spares_what_it_did_not_write(folder: RunFolder) -> None:
    folder.checkpoints.mkdir()
    (folder.checkpoints / "notes").mkdir()
    (folder.checkpoints / ".DS_Store").write_text("")
    for step in (1, 2, 3):
        save(folder, step, keep=1)
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [".DS_Store", "3", "notes"]


def test_that_an_earlier_step_written_later_does_not_become_the_latest(folder: RunFolder) -> None:
    save(folder, 10)
    save(folder, 9)
    found = load_latest(folder)
    assert found is not None
    assert found.step == 10


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (lambda: nn.Linear(3, 1), "other shapes"),
        (lambda: nn.Linear(2, 1, bias=False), "other names"),
        (lambda: nn.Sequential(nn.Linear(2, 1)), "other names"),
        (lambda: nn.Linear(2, 4), "other shapes"),
    ],
    ids=["wider", "without bias", "deeper", "more outputs, which would broadcast"],
)
def test_that_weights_of_another_spec_are_refused(folder: RunFolder, other: Callable[[], nn.Module], why: str) -> None:
    write(folder, 1)
    with pytest.raises(RunFailed, match=why) as caught:
        load_latest(folder).restore({"net": other()})  # type: ignore[union-attr]
    assert "the spec the run was started with" in caught.value.hint


@pytest.mark.parametrize(
    "other", [lambda: nn.Linear(3, 1), lambda: nn.Linear(2, 1, bias=False)], ids=["other shape", "fewer parameters"]
)
def test_that_an_optimizer_of_another_spec_is_refused(folder: RunFolder, other: Callable[[], nn.Module]) -> None:
    write(folder, 1)
    with pytest.raises(RunFailed, match="other parameters"):
        load_latest(folder).restore(optimizers={"adam": make_optimizer(other(), SftSpec())})  # type: ignore[union-attr]


def test_that_an_optimizer_before_its_first_step_comes_back_empty(folder: RunFolder) -> None:
    net = net_at(1.0)
    save(folder, 0, modules={"net": net}, optimizers={"adam": make_optimizer(net, SftSpec())})
    fresh = make_optimizer(net, SftSpec())
    load_latest(folder).restore(optimizers={"adam": fresh})  # type: ignore[union-attr]
    assert fresh.state_dict()["state"] == {}


def test_that_the_optimizers_moments_come_back_to_the_last_bit(folder: RunFolder) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 5), nn.LayerNorm(5))
    optimizer = make_optimizer(net, SftSpec(learning_rate=0.1))
    for _ in range(3):
        net(torch.randn(4, 5)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    save(folder, 3, optimizers={"adam": optimizer})
    fresh = make_optimizer(net, SftSpec(learning_rate=0.1))
    load_latest(folder).restore(optimizers={"adam": fresh})  # type: ignore[union-attr]
    ours, theirs = optimizer.state_dict()["state"], fresh.state_dict()["state"]
    assert ours.keys() == theirs.keys()
    assert len(ours) == 4
    for index in ours:
        for key, tensor in ours[index].items():
            assert torch.equal(tensor, theirs[index][key]), (index, key)


def test_that_the_recipes_numbers_survive_exactly(folder: RunFolder) -> None:
    extra = {
        "beta": 0.1 + 0.2,
        "tiny": 5e-324,
        "nan": float("nan"),
        "inf": float("inf"),
        "names": {"ü": [1, None, True]},
    }
    save(folder, 1, extra=extra)
    found = load_latest(folder).extra  # type: ignore[union-attr]
    assert json.dumps(found, sort_keys=True) == json.dumps(extra, sort_keys=True)


def test_that_bfloat16_tensors_keep_their_bits(folder: RunFolder) -> None:
    tensor = torch.randn(50).bfloat16()
    save(folder, 1, tensors={"half": tensor})
    found = load_latest(folder).tensors()["half"]  # type: ignore[union-attr]
    assert found.dtype is torch.bfloat16
    assert torch.equal(found, tensor)


def test_that_each_random_generator_goes_on_where_it_was(folder: RunFolder) -> None:
    import random

    def draws() -> tuple[float, float, float, list[float], float]:
        return (
            random.random(),
            random.gauss(0, 1),
            float(np.random.randn()),
            torch.randn(3).tolist(),
            float(np.random.rand()),
        )

    draws()  # leaves a second gaussian waiting in numpy's and python's generators
    save(folder, 1)
    expected = [draws() for _ in range(3)]
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    load_latest(folder).restore()  # type: ignore[union-attr]
    assert [draws() for _ in range(3)] == expected


def test_that_a_run_on_the_processor_leaves_the_gpus_alone(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def touched() -> None:
        raise AssertionError("asking for their state would start a context on every GPU")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", touched)
    save(folder, 1)
    assert sorted(load_latest(folder).tensors("random")) == ["numpy", "torch"]  # type: ignore[union-attr]


def test_that_states_of_gpus_are_kept_and_put_back_where_they_belong(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [torch.arange(16, dtype=torch.uint8), torch.arange(16, 32, dtype=torch.uint8)]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    save(folder, 1)
    put: dict[int, list[int]] = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)  # one more than then
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, index: put.update({index: state.tolist()}))
    load_latest(folder).restore()  # type: ignore[union-attr]
    assert put == {0: states[0].tolist(), 1: states[1].tolist()}


def test_that_a_study_killed_at_any_line_tells_every_cell_once_more_or_not_at_all(
    tmp_path: Path, kill_after: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models are made up: what is tested is which cells are kept, and what an application has heard of them in the end."""

    def texts_of(number: int, column: Any, rows: list[Any], first: int, *_: Any) -> list[StudyText]:
        return [StudyText(column=number, prompt=first + place, sample=0, seed=first + place, completion=f"{number}/{first + place}",
                          measures={"tokens": 1.0}) for place in range(len(rows))]  # fmt: skip

    monkeypatch.setattr(study, "prepare", lambda _: SimpleNamespace(device=torch.device("cpu")))
    monkeypatch.setattr(study, "Stage", lambda *_: None)
    monkeypatch.setattr(study, "Scorer", lambda *_: None)
    monkeypatch.setattr(study, "texts_of", texts_of)
    monkeypatch.setattr(
        study, "Comparer", lambda *_: SimpleNamespace(shares=lambda _, first: dict.fromkeys(first, 0.5))
    )
    monkeypatch.setattr("os.fsync", lambda _: None)
    spec = StudySpec(columns="greedy\nsample", judge="made up", limit=0, batch_size=2)
    rows = [{"prompt": [{"role": "user", "content": word}], "raw": True} for word in ("one", "two", "three")]

    def go_on(folder: RunFolder) -> None:
        report = Report(folder)
        try:
            study.run(spec, folder, report)
        finally:
            report.close()

    def heard(folder: RunFolder) -> tuple[str, str, dict[int, list[str]]]:
        """The two files, and what was told of each step, as an application that knows of restarts reads it."""
        told: dict[int, list[str]] = {}
        for event in map(json.loads, folder.events.read_text().splitlines()):
            if event["kind"] == "resumed":
                told = {step: words for step, words in told.items() if step <= event["step"]}
            elif event["kind"] in {"metrics", "sample"}:
                told.setdefault(event["step"], []).append(event.get("completion") or min(event["values"]))
        return folder.study.read_text(), folder.texts.read_text(), told

    def made(name: str) -> RunFolder:
        folder = RunFolder(tmp_path / name)
        folder.create(spec)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder.data)
        return folder

    whole = made("whole")
    go_on(whole)
    assert sorted(heard(whole)[2]) == [1, 2, 3, 4, 5, 6]
    endings = set()
    for number in range(1, 400, 7):
        folder = made(f"kill{number}")
        kill_after(number, study)
        try:
            go_on(folder)
        except Killed:
            endings.add(
                len(list((folder.path / "study").glob("[!.]*.json"))) if (folder.path / "study").exists() else -1
            )
            go_on(folder)
        else:
            sys.settrace(None)
            break
        assert heard(folder) == heard(whole), number
    else:
        pytest.fail("the study never ended")
    assert endings == {-1, 0, 1, 2, 3, 4, 5, 6}
