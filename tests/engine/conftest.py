"""Fixtures of the engine: a real small model, real text, and run folders ready for a worker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.hatchery import Hatchery
from workbench.domain.specs.kinds import Spec
from workbench.engine.device import Setup
from workbench.engine.models import Loaded, load_policy, make_reward_head, save_model
from workbench.engine.report import Report
from workbench.engine.worker import execute
from workbench.protocol.run_folder import RunFolder

VOLATILE = {"tokens_per_second", "memory_gib"}


@pytest.fixture(autouse=True)
def _leave_torch_as_it_was() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are loaded in float64: what differs between two runs then is no rounding, even where a sum nearly cancels."""
    monkeypatch.setattr(Setup, "frozen", torch.float64)
    monkeypatch.setattr(Setup, "weights", lambda *_: torch.float64)


@pytest.fixture(scope="session")
def stories(shared: Path) -> Path:
    """A real Llama of 260,000 parameters that writes short English stories."""
    return shared / "models" / "stories260K"


@pytest.fixture
def loaded(stories: Path) -> Loaded:
    """The stories model in memory, fresh for each test."""
    return load_policy(stories)


@pytest.fixture(scope="session")
def texts(shared: Path) -> list[str]:
    """Short paragraphs of real English."""
    parts = (shared / "data" / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8").split("\n\n")
    return [part for part in parts[:400] if 20 < len(part) < 220]


@pytest.fixture(scope="session")
def demonstrations(texts: list[str]) -> list[dict[str, Any]]:
    """Rows of SFT data: who speaks is asked for, what they say is the completion. Prompts repeat."""
    rows = []
    for text in texts:
        speaker, _, speech = text.partition("\n")
        prompt = [{"role": "user", "content": f"What does {speaker.strip(':')} say?"}]
        rows.append({"prompt": prompt, "raw": False, "completion": speech})
    return [row for row in rows if row["completion"]][:60]


@pytest.fixture(scope="session")
def comparisons(demonstrations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of preferences: what was really said, against the same words backwards. Prompts repeat."""
    return [
        {
            "prompt": row["prompt"],
            "raw": False,
            "chosen": row["completion"],
            "rejected": " ".join(reversed(row["completion"].split())) + " and so on",
            "margin": 0.5 if number % 2 else None,
            "item": str(number),
            "annotator": "Ada",
            "synthetic": True,
        }
        for number, row in enumerate(demonstrations)
    ]


@pytest.fixture(scope="session")
def rankings(demonstrations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of rankings: what was really said, two that tie, and nonsense; every third item is judged by two people."""
    rows = []
    for number, row in enumerate([row for row in demonstrations if len(row["completion"].split()) > 4][:36]):
        words = row["completion"].split()[:12]
        texts = [words, words[::-1], words[1::2] + words[::2], ["z", "q"] * len(words)]
        shift = number % 4
        order = [(place + shift) % 4 for place in range(4)]
        about = {
            "prompt": row["prompt"],
            "raw": False,
            "completions": [" ".join(texts[i]) for i in order],
            "strength": 1 + number % 2,
            "item": str(number),
            "synthetic": True,
        }
        for annotator, tiers in (("Ada", (0, 1, 1, 2)), ("Bob", (0, 1, 2, 3)))[: 1 + (number % 3 == 0)]:
            rows.append({**about, "annotator": annotator, "tiers": [tiers[i] for i in order]})
    return rows


@pytest.fixture(scope="session")
def judge_folder(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model on the stories model, with a new head that was not trained."""
    torch.manual_seed(5)
    loaded = make_reward_head(stories)
    folder = tmp_path_factory.mktemp("judge") / "model"
    save_model(loaded.model, loaded.tokenizer, folder)
    return folder


@pytest.fixture(scope="session")
def openings() -> list[dict[str, Any]]:
    """Prompts: how stories begin; one of them twice."""
    heroes = ["Lily", "Tom", "a dog", "a cat", "Ben", "Mia", "a bird", "Tom"]
    return [
        {"prompt": [{"role": "user", "content": f"Once upon a time, {hero}{end}"}], "raw": True}
        for hero in heroes
        for end in ("", " was", " saw a big", " went to the park and")
    ]


@pytest.fixture(scope="session")
def brevity(judge_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model whose score is the last hidden state's first entries: arbitrary, smooth, and it can be climbed."""
    folder = tmp_path_factory.mktemp("brevity") / "model"
    shutil.copytree(judge_folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights["score.weight"][:] = 0.0
    weights["score.weight"][0, :4] = 1.0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture
def unborn(stories: Path, tmp_path: Path) -> Path:
    """A model folder with config and tokenizer, and no weights."""
    folder = tmp_path / "unborn"
    shutil.copytree(stories, folder, ignore=shutil.ignore_patterns("*.safetensors"), copy_function=shutil.copyfile)
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """Makes a run folder from a spec and rows."""

    def make(spec: Spec, rows: list[dict[str, Any]] | None, name: str = "run") -> RunFolder:
        folder = RunFolder(tmp_path / name)
        folder.create(spec)
        if rows is not None:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder.data)
        return folder

    return make


@pytest.fixture
def here() -> Callable[[RunFolder], list[dict[str, Any]]]:
    """Executes a run in this process; returns its events."""

    def run(folder: RunFolder) -> list[dict[str, Any]]:
        report = Report(folder)
        try:
            execute(folder.read_spec(), folder, report)
        finally:
            report.close()
        return events(folder)

    return run


class Worker:
    """A real worker process on a run folder."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        environment = {**os.environ, "WORKBENCH_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "workbench", "worker", str(folder.path)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def until(self, kind: str, step: int = 0, seconds: float = 60) -> None:
        """Wait for an event of a kind at a step or later, said since this process began."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            said = [e for e in events(self.folder) if e["kind"] == kind and e.get("step", 0) >= step]
            if said:
                return
            if self.process.poll() is not None:
                raise AssertionError(f"the worker ended before {kind} {step}: {events(self.folder)[-1]}")
            time.sleep(0.02)
        raise AssertionError(f"no {kind} {step} within {seconds} s")

    def ended(self, seconds: float = 60) -> tuple[int, str, str]:
        """(exit code, stdout, stderr) when the process has ended."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
def worker() -> Iterator[Callable[[RunFolder], Worker]]:
    """Starts worker processes, and leaves none behind."""
    begun: list[Worker] = []

    def start(folder: RunFolder) -> Worker:
        begun.append(Worker(folder))
        return begun[-1]

    yield start
    for one in begun:
        one.process.kill()
        one.process.communicate()


@pytest.fixture(scope="session")
def hatch() -> Iterator[Hatchery]:
    """Lets worker processes execute runs, and kills them where it is told to."""
    hatchery = Hatchery()
    yield hatchery
    hatchery.close()


def events(folder: RunFolder) -> list[dict[str, Any]]:
    """What was said so far, as plain dicts; a line that is being written doesn't count."""
    if not folder.events.exists():
        return []
    complete, _, _ = folder.events.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in complete.splitlines()]


@pytest.fixture
def curves() -> Callable[[RunFolder], dict[int, dict[str, float]]]:
    """The metrics of a run by step, as an application that knows of restarts reads them; without times and memory."""

    def read(folder: RunFolder) -> dict[int, dict[str, float]]:
        found: dict[int, dict[str, float]] = {}
        for event in events(folder):
            if event["kind"] == "resumed":
                found = {step: values for step, values in found.items() if step <= event["step"]}
            if event["kind"] == "metrics":
                kept = {name: value for name, value in event["values"].items() if name not in VOLATILE}
                found.setdefault(event["step"], {}).update(kept)
        return found

    return read


@pytest.fixture
def said() -> Callable[[RunFolder, str], list[dict[str, Any]]]:
    """The events of one kind."""
    return lambda folder, kind: [event for event in events(folder) if event["kind"] == kind]
