from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.domain.specs.sft import SftSpec
from workbench.engine.cards import card
from workbench.engine.device import prepare, set_threads
from workbench.engine.keeper import due
from workbench.engine.report import Report
from workbench.protocol.event_log import EventTail
from workbench.protocol.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.create(SftSpec())
    return run


def test_that_everything_said_is_read_by_the_other_side_in_order(folder: RunFolder) -> None:
    report = Report(folder)
    report.started()
    report.planned(3, rows=5, notes=("a",))
    report.phase("training")
    report.metric(1, {"kl/k1": 0.5, "eval/loss": math.nan}, loss=2.0)
    report.sample(1, 0, "prompt", "completion", {"length": 3.0})
    report.notice("careful", "slow down")
    report.checkpointed(1)
    report.resumed(1)
    report.halted(1, "stop")
    report.finished(3, 10)
    report.failed("kind", "what", "hint", "details")
    report.close()
    read = EventTail(folder.events).read()
    assert [event.seq for event in read] == list(range(1, 12))
    assert (read[0].pid, read[0].pid_started) == (os.getpid(), psutil.Process().create_time())
    assert read[3].values["kl/k1"] == 0.5
    assert read[3].values["loss"] == 2.0
    assert math.isnan(read[3].values["eval/loss"])
    assert read[6].folder == str(folder.checkpoints / "1")
    assert read[8].wanted == "stop"


def test_that_a_second_process_knows_that_it_is_one(folder: RunFolder) -> None:
    first = Report(folder)
    assert not first.restarted
    first.started()
    first.close()
    second = Report(folder)
    assert second.restarted
    second.phase("on")
    second.close()
    assert [event.seq for event in EventTail(folder.events).read()] == [1, 2]


def test_that_a_wish_is_seen_at_the_next_look(folder: RunFolder) -> None:
    report = Report(folder)
    assert report.wanted() == "run"
    for wish in ("pause", "run", "stop"):
        folder.want(wish)
        assert report.wanted() == wish
    report.close()


def test_that_looking_is_cheap_and_a_missing_file_means_run(folder: RunFolder) -> None:
    report = Report(folder)
    folder.control.unlink()
    assert {report.wanted() for _ in range(1000)} == {"run"}
    report.close()


def test_that_a_polite_kill_means_pause_unless_a_stop_was_written(folder: RunFolder) -> None:
    report = Report(folder)
    report.terminated = True
    assert report.wanted() == "pause"
    folder.want("stop")
    assert report.wanted() == "stop"
    report.close()


def test_that_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("WORKBENCH_THREADS", "1")
    set_threads()
    assert torch.get_num_threads() == 1
    monkeypatch.setenv("WORKBENCH_THREADS", "0")
    set_threads()
    assert torch.get_num_threads() == len(os.sched_getaffinity(0))


def test_that_the_processor_computes_in_float32_unless_told_otherwise() -> None:
    import torch

    assert prepare(SftSpec(device="cpu")).compute is torch.float32
    half = prepare(SftSpec(device="cpu", precision="bfloat16"))
    assert half.compute is torch.bfloat16
    assert half.weights("full") is torch.float32
    with half.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
    assert "bfloat16" in str(half)


@pytest.mark.parametrize(("step", "every", "expected"), [(10, 5, True), (11, 5, False), (12, 5, True), (3, 0, False)])
def test_that_things_happen_every_so_often_and_at_the_end(step: int, every: int, expected: bool) -> None:
    assert due(step, every, 12) is expected


@pytest.mark.parametrize(
    ("method", "kind", "word"),
    [("full", SftSpec, "AutoModelForCausalLM.from_pretrained(FOLDER)"), ("lora", SftSpec, "PeftModel.from_pretrained")],
)
def test_that_a_card_says_how_to_load_the_model(method: str, kind: Callable[..., Any], word: str) -> None:
    text = card(kind(method=method, base="/models/base", data="stories", name="my-run"), 10, 5, {"loss": 1.5})
    assert text.startswith("# my-run\n")
    assert word in text
    assert "| loss | 1.5 |" in text
    assert "| base | base |" in text
