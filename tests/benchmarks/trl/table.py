"""Both sides of each case in turn, one process for each run, as a table: `python -m tests.benchmarks.trl.table [CASE …]`.

TRL's side runs in the environment named by WORKBENCH_TRL116 (`.venv-trl116`, made by `make bench-trl`); that of PPO, which later TRL dropped, by
WORKBENCH_TRL112. A case whose environment is missing is left out and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.trl.work import CASES, WARM, Case, case_of, make

ROOT = Path(__file__).parents[3]
NEAR = 1e-4  # relative difference of the losses of a step


def python_of(case: Case) -> Path:
    """The interpreter that has the TRL of a case."""
    name, place = ("WORKBENCH_TRL112", ".venv-trl112") if case.recipe == "ppo" else ("WORKBENCH_TRL116", ".venv-trl116")
    return Path(os.environ.get(name, ROOT / place)) / "bin" / "python"


def measure(command: list[str]) -> dict[str, Any]:
    """What a side's process printed; SystemExit with its last words when it failed."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return found
    raise SystemExit(f"{' '.join(command)} said:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def compare(case: Case, rounds: int = 1) -> dict[str, Any]:
    """The quickest of some rounds of each side, taken in turn."""
    ours, theirs = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(case, folder)
            ours.append(measure([sys.executable, "-W", "ignore", "-m", "tests.benchmarks.trl.ours", case.name, name]))
            script = str(Path(__file__).with_name("theirs.py"))
            theirs.append(measure([str(python_of(case)), script, case.name, name]))
    mine, other = (min(side, key=lambda one: one["cpu"]) for side in (ours, theirs))
    tokens = case.tokens * (case.steps - WARM)
    apart = [abs(a - b) / max(abs(b), 1e-3) for a, b in zip(mine["loss"], other["loss"], strict=True)]
    return {
        "case": case.name,
        "tokens_per_second": (tokens / mine["wall"], tokens / other["wall"]),
        "wall": other["wall"] / mine["wall"],
        "cpu": other["cpu"] / mine["cpu"],
        "goal": case.goal,
        "peak": (mine["peak"], other["peak"]),
        "loss": max(apart) if apart else None,
        "versions": other["versions"],
        "threads": mine["threads"],
    }


def row(found: dict[str, Any]) -> str:
    """One line of the table."""
    (ours, theirs), (mine, other) = found["tokens_per_second"], found["peak"]
    loss = "–" if found["loss"] is None else f"{found['loss']:.0e}"
    return (
        f"| {found['case']} | {ours:.0f} | {theirs:.0f} | {found['wall']:.2f} | {found['cpu']:.2f} | {found['goal']:.1f} "
        f"| {mine:.0f} | {other:.0f} | {mine / other:.2f} | {loss} |"
    )


HEAD = (
    "| case | ours tokens/s | TRL tokens/s | faster, wall | faster, CPU time | goal | ours MiB | TRL MiB | memory | losses apart |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def main(names: list[str]) -> int:
    """Print the table of the cases named, or of all."""
    print(HEAD, flush=True)
    versions: dict[str, str] = {}
    for case in [case_of(name) for name in names] or CASES:
        if not python_of(case).exists():
            print(f"| {case.name} | left out: there is no {python_of(case)}; `make bench-trl` makes it |", flush=True)
            continue
        found = compare(case)
        versions |= {f"{name} for {case.recipe}" if name == "trl" else name: v for name, v in found["versions"].items()}
        versions["threads"] = str(found["threads"])
        print(row(found), flush=True)
    print("\n" + ", ".join(f"{name} {version}" for name, version in sorted(versions.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
