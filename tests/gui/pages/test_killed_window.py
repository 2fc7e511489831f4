import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.services.workbench import Workbench

SCRIPT = Path(__file__).with_name("annotating_window.py")


@pytest.mark.parametrize("labels", [1, 7])
def test_that_a_killed_window_has_lost_no_label(bench: Workbench, fill: Callable[..., None], labels: int) -> None:
    fill(10)
    space = bench.path
    bench.close()
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(space), str(labels)],
        capture_output=True, text=True, timeout=120, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    intended = {name: int(best) for name, best in (line.split() for line in done.stdout.splitlines())}
    assert len(intended) == labels
    with Workbench.open(space) as again:
        stored = {j.item: j.ranking.tiers[0][0] for j in again.labelling.judgements("pairs") if j.ranking is not None}
        assert stored == intended
        presentation, progress = again.labelling.start("pairs")
        assert progress.judged == labels
        assert progress.can_undo
        assert presentation is not None
        assert presentation.item.id not in intended
