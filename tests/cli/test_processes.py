"""Commands as processes of their own: start-up, exit codes, interruption, and runs that outlive them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 240


def start(*words: str | Path) -> "subprocess.Popen[str]":
    """A command as a terminal starts it: tests that run in a shell's background inherit a SIGINT that is ignored."""
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def answer(*words: str | Path) -> Any:
    code, out, err = finish(start(*words, "--json"))
    assert code == 0, err
    return json.loads(out)


def test_that_help_is_printed_before_anything_heavy_is_imported() -> None:
    code = (
        "import sys, workbench.__main__ as m; code = m.main(['--help']); heavy = {'torch', 'PySide6', 'sqlalchemy', 'numpy',"
        " 'pydantic', 'pyarrow', 'scipy'} & sys.modules.keys(); print(code, sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    assert "datasets: import, list, show, freeze, export" in done.stdout


def test_that_a_reader_that_goes_away_ends_the_command_quietly(tmp_path: Path) -> None:
    answer("new", tmp_path / "w")
    (tmp_path / "t.jsonl").write_text('{"text": "%s"}\n' % ("word " * 400) * 400, encoding="utf-8")
    answer("data", "import", tmp_path / "w", tmp_path / "t.jsonl", "--name", "t")
    process = start("data", "show", tmp_path / "w", "t", "--limit", "400")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE) == 1


@pytest.mark.usefixtures("warm")
@pytest.mark.slow
def test_that_a_run_goes_on_without_its_command_and_is_paused_resumed_and_finished(
    tmp_path: Path, shared: Path
) -> None:
    work = tmp_path / "w"
    answer("new", work)
    answer("models", "add", work, shared / "models/stories260K", "--name", "stories")
    answer("data", "import", work, shared / "data/llama_factory/identity.json", "--name", "identity")
    sets = ("max_steps=400", "batch_size=2", "checkpoint_every=2", "max_length=64", "holdout=0", "sample_count=1")
    options = [part for pair in sets for part in ("--set", pair)]
    command = start("train", work, "sft", "--base", "stories", "--data", "identity", *options, "--json")
    assert command.stderr is not None
    assert command.stderr.readline().startswith("run sft-1 in ")
    folder = work / "runs/sft-1"
    deadline = time.monotonic() + PATIENCE
    while not list(folder.glob("checkpoints/[0-9]*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    command.send_signal(signal.SIGINT)
    code, _, err = finish(command)
    assert code == 130
    assert "goes on by itself" in err and err.strip().endswith("workbench: Interrupted.")

    paused = answer("runs", "pause", work, "sft-1")
    assert (paused["state"], paused["run"]) == ("paused", "sft-1")
    reached = paused["step"]
    assert 0 < reached < 400

    resumed = answer("runs", "resume", work, "sft-1")
    assert resumed["state"] in {"queued", "starting", "running"}
    stopped = answer("runs", "stop", work, "sft-1")
    assert stopped["state"] == "stopped"
    assert stopped["step"] >= reached

    (listed,) = answer("runs", "list", work)
    fixed = {"run", "kind", "name", "state", "step", "steps", "started", "ended"}
    assert fixed <= listed.keys() and (listed["kind"], listed["steps"]) == ("sft", 400)
    code, out, _ = finish(start("runs", "metrics", work, "sft-1", "--json"))
    points = [json.loads(line) for line in out.splitlines()]
    assert all(point.keys() == {"name", "step", "value", "time"} for point in points)
    losses = [p["step"] for p in points if p["name"] == "loss"]
    assert losses == sorted(set(losses)) and losses[-1] == stopped["step"]
    shown = answer("runs", "show", work, "sft-1")
    assert shown["checkpoints"][-1] == stopped["step"]
    assert shown["spec"]["max_steps"] == 400


@pytest.mark.usefixtures("warm")
@pytest.mark.slow
def test_that_training_prints_the_model_and_its_last_metrics(tmp_path: Path, shared: Path) -> None:
    work = tmp_path / "w"
    answer("new", work)
    answer("models", "add", work, shared / "models/stories260K", "--name", "stories")
    answer("data", "import", work, shared / "data/llama_factory/identity.json", "--name", "identity")
    options = ("--set", "max_steps=2", "--set", "batch_size=2", "--set", "max_length=64", "--set", "sample_count=1")
    done = answer("train", work, "sft", "--base", "stories", "--data", "identity", *options)
    assert (done["kind"], done["state"], done["error"]) == ("sft", "done", None)
    assert Path(done["folder"]).is_dir() and (Path(done["model"]) / "model.safetensors").is_file()
    assert done["metrics"]["loss"] > 0
    base, made = answer("models", "list", work)
    assert (made["parents"], made["kind"], made["parameters"]) == (["stories"], "sft", base["parameters"])
    assert answer("runs", "watch", work, done["run"])["state"] == "done"


@pytest.mark.usefixtures("warm")
@pytest.mark.slow
def test_that_generated_text_comes_with_its_settings_and_tokens(tmp_path: Path, shared: Path) -> None:
    work = tmp_path / "w"
    answer("new", work)
    answer("models", "add", work, shared / "models/stories260K", "--name", "stories")
    ask = ("generate", work, "stories", "--raw", "--prompt", "Once upon a time", "--set", "max_new_tokens=8")
    drawn = answer(*ask, "--strategy", "sample", "--set", "seed=3", "--set", "temperature=0.8", "--tokens")
    assert drawn["strategy"] == drawn["settings"]["strategy"] == "sample"
    assert (drawn["settings"]["seed"], drawn["settings"]["temperature"], drawn["settings"]["top_p"]) == (3, 0.8, 1.0)
    assert "".join(token["text"] for token in drawn["tokens"]) == drawn["text"] != ""
    assert len(drawn["tokens"]) == 8 and drawn["seconds"] > 0 and drawn["tokens_per_second"] > 0
    code, out, _ = finish(start(*ask, "--strategy", "greedy"))
    assert (code, len(out.splitlines())) == (0, 1)
    code, out, err = finish(start(*ask, "--set", "top_k=3"))
    assert (code, out) == (1, "") and "top_k" in err
