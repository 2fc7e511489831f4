from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.errors import RunFailed
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine.worker import explain, main
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.safetensors")}


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_that_a_run_killed_and_paused_and_resumed_is_bit_for_bit_the_run_that_was_not(
    stories: Path,
    demonstrations: Rows,
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    worker: Callable[..., Any],
    curves: Callable[..., Any],
    said: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = SftSpec(
        base=str(stories),
        batch_size=6,
        micro_batch_size=4,
        max_steps=40,
        max_length=128,
        method="lora",
        checkpoint_every=5,
        eval_every=9,
        sample_every=12,
        sample_count=1,
        holdout=0.1,
        learning_rate=1e-3,
    )
    spec.lora.dropout = 0.1  # draws random numbers in every step
    straight = make_run(spec, demonstrations, "straight")
    monkeypatch.setenv("WORKBENCH_THREADS", "1")
    here(straight)

    broken = make_run(spec, demonstrations, "broken")
    first = worker(broken)
    first.until("metrics", 12)
    first.process.send_signal(signal.SIGKILL)
    assert first.ended()[0] == -signal.SIGKILL
    kept = [int(path.name) for path in broken.complete_checkpoints()]
    assert kept
    half = broken.checkpoints / ".99.tmp"
    half.mkdir(exist_ok=True)
    (half / "state.json").write_text("{")

    second = worker(broken)
    second.until("metrics", max(kept) + 7)
    broken.want("pause")
    assert second.ended()[0] == 0
    halted = said(broken, "halted")[-1]
    assert halted["wanted"] == "pause"
    assert broken.complete_checkpoints()[-1].name == str(halted["step"])
    assert not half.exists()

    broken.want("run")
    here(broken)
    assert [event["step"] for event in said(broken, "resumed")] == [max(kept), halted["step"]]
    assert curves(broken) == curves(straight)
    assert list(curves(straight)) == list(range(41))  # at 0 what was held out is evaluated
    assert digests(broken.model) == digests(straight.model) != {}
    spoken = {(e["step"], e["index"]): e["completion"] for e in said(broken, "sample")}
    assert spoken == {(e["step"], e["index"]): e["completion"] for e in said(straight, "sample")}


@pytest.mark.slow
def test_that_a_polite_kill_leaves_a_complete_checkpoint_and_what_libraries_print_goes_into_the_log(
    unborn: Path,
    texts: list[str],
    make_run: Callable[..., RunFolder],
    worker: Callable[..., Any],
    said: Callable[..., Any],
) -> None:
    spec = PretrainSpec(
        base=str(unborn), batch_size=2, max_steps=100_000, max_length=64, checkpoint_every=0, eval_every=0
    )
    folder = make_run(spec, [{"text": text * 6} for text in texts[:20]])
    running = worker(folder)
    running.until("metrics", 3)
    second = worker(folder)
    code, _, err = second.ended()
    assert code == 2
    assert "Another process works on" in err
    assert [event["pid"] for event in said(folder, "started")] == [running.process.pid]
    running.process.terminate()
    code, out, err = running.ended()
    assert (code, out, err) == (0, "", "")
    (halted,) = said(folder, "halted")
    assert halted["wanted"] == "pause"
    assert [path.name for path in folder.complete_checkpoints()] == [str(halted["step"])]
    assert "Token indices sequence length" in folder.log.read_text() or folder.log.read_text() == ""


@pytest.mark.slow
def test_that_a_worker_says_it_started_before_torch_is_there_and_says_why_it_failed(
    stories: Path, make_run: Callable[..., RunFolder], said: Callable[..., Any]
) -> None:
    folder = make_run(SftSpec(base=str(stories)), None)
    folder.spec.write_text('{"kind": "sft", "learning_rate": -1}')
    program = f"import sys; from workbench.engine.worker import main; code = main([{str(folder.path)!r}]); print(code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "1 False\n"
    assert "learning_rate" in done.stderr
    assert len(said(folder, "started")) == 1
    (failed,) = said(folder, "failed")
    assert failed["error"] == "bad_input"
    assert "learning_rate" in failed["what"]
    assert failed["hint"]


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 2), (["--help"], 0), (["/no/such/run"], 2), (["a", "b"], 2)], ids=str
)
def test_that_wrong_usage_is_told_in_one_line(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (MemoryError(), "out_of_memory", "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", "memory"),
        (OSError(28, "No space left on device"), "storage", "disk"),
        (RunFailed("No rows.", "Label some."), "run_failed", "No rows."),
        (ZeroDivisionError("by zero\nmore"), "ZeroDivisionError", "by zero"),
    ],
    ids=str,
)
def test_that_every_error_gets_a_sentence_and_a_hint(error: Exception, kind: str, word: str) -> None:
    found, what, hint = explain(error)
    assert found == kind
    assert word in what
    assert "\n" not in what
    assert hint


def test_that_a_run_folder_carries_every_default_of_its_spec(
    stories: Path, demonstrations: Rows, make_run: Callable[..., RunFolder]
) -> None:
    folder = make_run(SftSpec(base=str(stories)), demonstrations)
    assert set(json.loads(folder.spec.read_text())) == set(SftSpec.model_fields)
