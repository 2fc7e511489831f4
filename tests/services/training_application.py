"""An application that starts a real training run and supervises it until somebody kills it; its worker runs on the Python that it is told of."""

import sys
import time
from pathlib import Path

from workbench.domain.specs.kinds import parse_spec
from workbench.services.workbench import Workbench

if __name__ == "__main__":
    sys.executable = sys.argv[2]
    with Workbench.open(Path(sys.argv[1])) as bench:
        spec = parse_spec(
            {"kind": "sft", "base": "stories", "data": "demos", "batch_size": 4, "max_steps": 400, "checkpoint_every": 5,
             "eval_every": 100, "max_length": 64, "sample_count": 1}
        )  # fmt: skip
        bench.training.start(spec)
        while True:
            time.sleep(0.1)
