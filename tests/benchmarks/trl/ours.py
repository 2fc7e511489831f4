"""Our side of a case: `python -m tests.benchmarks.trl.ours CASE FOLDER` executes our recipe and prints what it took as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import torch
from safetensors.torch import save_file

from tests.benchmarks.trl.work import BETA, GROUP, RATE, WARM, Case, case_of, peak_mib, read_rows, share_of_even
from workbench.domain.specs.kinds import parse_spec
from workbench.engine.batches import epoch_order
from workbench.engine.keeper import Keeper
from workbench.engine.report import Report
from workbench.engine.worker import execute
from workbench.protocol.run_folder import RunFolder


def even_words(prompts: list[str], completions: list[str], rows: list[Any]) -> list[float]:
    """The reward of both sides: the share of words with an even number."""
    return [share_of_even(text) for text in completions]


class Clock(Report):
    """A report that notes when each phase began and each step ended: (wall, processor) seconds."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(folder)
        self.phases: dict[str, tuple[float, float]] = {}
        self.steps: list[tuple[float, float]] = []
        self.values: list[dict[str, float]] = []

    def phase(self, name: str) -> None:
        self.phases.setdefault(name, now())
        super().phase(name)

    def metric(self, step: int, values: dict[str, float] | None = None, **more: float) -> None:
        super().metric(step, values, **more)
        self.steps.append(now())
        self.values.append(values or {})


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def fields(case: Case, folder: Path) -> dict[str, Any]:
    """The spec of a case: what TRL's side is told too."""
    common = {
        "kind": case.recipe, "base": str(folder / "model"), "data": "rows", "max_steps": case.steps, "batch_size": case.rows,
        "learning_rate": RATE, "schedule": "constant", "warmup": 0.0, "epsilon": 1e-8, "holdout": 0.0, "eval_every": 0,
        "sample_count": 0, "checkpoint_every": 0, "max_length": 512, "device": "cpu", "precision": "float32",
    }  # fmt: skip
    special: dict[str, dict[str, Any]] = {
        "sft": {},
        "dpo": {"beta": BETA},
        "reward": {"center": 0.0},
        "grpo": {"max_new_tokens": case.completion, "group_size": GROUP, "beta": 0.0, "rewards": {"function": f"{__file__}:even_words"}},
        "ppo": {
            "reward_model": str(folder / "judge"), "max_new_tokens": case.completion, "minibatches": 4, "ppo_epochs": 4,
            "kl_coefficient": 0.05, "missing_eos_penalty": 0.0,
        },
    }  # fmt: skip
    return common | special[case.recipe]


def rows_in_order(case: Case, folder: Path) -> list[dict[str, Any]]:
    """Rows placed so that our shuffled order is theirs."""
    rows = read_rows(folder)
    placed: list[dict[str, Any]] = [{}] * len(rows)
    for row, place in zip(rows, epoch_order(len(rows), 0, 0), strict=True):
        turns = [{"role": "user", "content": row["prompt"]}]
        placed[place] = row | {"prompt": turns, "raw": True, "item": str(place), "annotator": "Ada"}
    return placed


def keep_the_head(folder: Path) -> None:
    """Leave the drawn head of a reward model where TRL's side finds it."""
    resume = Keeper.resume

    def kept(self: Keeper) -> tuple[int, dict[str, Any]]:
        model = self._modules["model"]
        save_file({"head": model.score.weight.detach().clone()}, folder / "head.safetensors")
        return resume(self)

    Keeper.resume = kept  # type: ignore[method-assign]


def main(name: str, folder: Path) -> None:
    case = case_of(name)
    run = RunFolder(folder / "run")
    run.create(parse_spec(fields(case, folder)))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows_in_order(case, folder)), run.data)
    if case.recipe == "reward":
        keep_the_head(folder)
    report = Clock(run)
    try:
        execute(run.read_spec(), run, report)
    finally:
        report.close()
    # A reference is computed once for all rows, before the first step; this is its share of the steps that are measured.
    before = [0.0, 0.0]
    if "reference" in report.phases:
        began, ended = report.phases["reference"], report.phases["training"]
        before = [(ended[i] - began[i]) * (case.steps - WARM) / case.steps for i in (0, 1)]
    wall, cpu = (report.steps[-1][i] - report.steps[WARM - 1][i] + before[i] for i in (0, 1))
    # Each side samples its own completions, so that losses can only be compared where none are sampled.
    losses = [] if case.recipe in {"grpo", "ppo"} else [values["loss"] for values in report.values]
    found = {
        "wall": wall, "cpu": cpu, "before": before[1], "peak": peak_mib(), "loss": losses,
        "versions": {"torch": torch.__version__}, "threads": torch.get_num_threads(),
    }  # fmt: skip
    print("RESULT " + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
