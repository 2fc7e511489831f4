import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.domain.errors import Conflict
from workbench.services.workbench import Workbench

SCRIPT = Path(__file__).with_name("annotating_window.py")
ENVIRONMENT = os.environ | {"QT_QPA_PLATFORM": "offscreen"}


def told(lines: str) -> tuple[dict[str, int], list[str]]:
    """What a window said that it would judge (item and best candidate), and which of it was acknowledged."""
    words = [line.split() for line in lines.splitlines()]
    return {w[1]: int(w[2]) for w in words if w[0] == "said"}, [w[1] for w in words if w[0] == "kept"]


def check(space: Path, intended: dict[str, int], acknowledged: list[str]) -> int:
    """Everything acknowledged is there, nothing twice, nothing else; undo walks back through all, and redo brings it back."""
    with Workbench.open(space) as again:
        said = again.labelling.judgements("pairs")
        stored = {j.item: j.ranking.tiers[0][0] for j in said if j.ranking is not None}
        assert len(stored) == len(said)
        assert set(acknowledged) <= set(stored)
        assert stored.items() <= intended.items()
        for item in stored:
            assert len(again.labelling.history("pairs", item)) == 1
        back = []
        for _ in range(len(stored)):
            back.append(again.labelling.undo("pairs").judgement.item)
        with pytest.raises(Conflict):
            again.labelling.undo("pairs")
        assert sorted(back) == sorted(stored)
        for _ in back:
            again.labelling.redo("pairs")
        assert {j.item for j in again.labelling.judgements("pairs")} == set(stored)
        return len(stored)


@pytest.mark.parametrize("labels", [1, 7])
def test_that_a_killed_window_has_lost_no_label(bench: Workbench, fill: Callable[..., None], labels: int) -> None:
    fill(10)
    space = bench.path
    bench.close()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(space), str(labels)],
        capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    intended, acknowledged = told(done.stdout)
    assert len(intended) == len(acknowledged) == labels
    assert check(space, intended, acknowledged) == labels
    with Workbench.open(space) as again:
        presentation, progress = again.labelling.start("pairs")
        assert progress.judged == labels
        assert progress.can_undo
        assert presentation is not None
        assert presentation.item.id not in intended


def test_that_a_window_killed_at_any_moment_keeps_what_it_acknowledged(
    bench: Workbench, fill: Callable[..., None]
) -> None:
    fill(200)
    space = bench.path
    bench.close()
    moments, intended, acknowledged = random.Random(11), {}, []
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, str(SCRIPT), str(space), "-1"], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        ) as window:
            assert window.stdout is not None
            first = window.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.4))
            window.kill()
            one, kept = told(first + window.stdout.read())
        intended |= one
        acknowledged += kept
    assert check(space, intended, acknowledged) >= len(acknowledged) > 0
