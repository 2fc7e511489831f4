"""What the tour reaches on the starter kit, over three seeds. Takes about ten minutes; `make bench` prints the table."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def tours(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    results = []
    for seed in (0, 1, 2):
        workspace = tmp_path_factory.mktemp("tour") / str(seed)
        command = [
            sys.executable,
            "-m",
            "workbench",
            "tour",
            str(workspace),
            "--no-window",
            "--json",
            "--seed",
            str(seed),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout))
        assert Path(results[-1]["report"]).exists()
    return results


def scores(tour: dict[str, Any]) -> dict[str, float]:
    return {row["model"]: row["rule_score"] for row in tour["table"]}


def test_that_the_loop_is_seen_to_work_over_three_seeds(tours: list[dict[str, Any]]) -> None:
    for seed, tour in enumerate(tours):
        rows = "  ".join(f"{r['model']} {r['rule_score']:.3f} (KL {r['kl']:.1f})" for r in tour["table"])
        print(f"\nseed {seed}: {tour['seconds']:.0f} s, reward accuracy {tour['reward_accuracy']:.3f}  {rows}")
    for tour in tours:
        found = scores(tour)
        assert tour["reward_accuracy"] >= 0.80
        assert found["tour-sft"] - found["starter-base"] >= 0.20
        assert found["tour-ppo"] - found["tour-sft"] >= 0.15
        assert found["tour-dpo"] - found["tour-sft"] >= 0.15
        assert all(row["kl"] <= 15 for row in tour["table"] if row["model"] in {"tour-ppo", "tour-dpo"})
