"""lm-evaluation-harness on the server and on the model itself, side by side: `python -m tests.benchmarks.harness.compare`.

The harness lives in an environment of its own, `.venv-lmeval` (made by `make bench-lmeval`), or where WORKBENCH_LMEVAL says.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from workbench.services.serving import settings_for
from workbench.services.workbench import Workbench, new_workspace

ROOT = Path(__file__).parents[3]
SIDE = Path(__file__).with_name("theirs.py")
NEAR = 1e-3  # nats, of a whole answer


def main() -> int:
    """Print both columns; 1 when a score differs, or an answer by more than rounding."""
    python = Path(os.environ.get("WORKBENCH_LMEVAL", ROOT / ".venv-lmeval")) / "bin" / "python"
    if not python.exists():
        print(f"{python} is missing: make bench-lmeval")
        return 1
    folder = Path(os.environ.get("WORKBENCH_SHARED", ROOT.parent / "shared")) / "models" / "stories260K"
    direct = side(python, "direct", str(folder))
    with tempfile.TemporaryDirectory() as place, Workbench.open(new_workspace(Path(place) / "w")) as bench:
        bench.models.add_folder(folder, "model")
        [key] = bench.serving.start(["model"], settings_for())
        while (state := bench.serving.state()).state == "loading":
            time.sleep(0.1)
        served = side(python, "server", state.address, str(folder), key=key)
    print(f"{'':24}{'direct':>12}{'server':>12}")
    for name, value in direct["scores"].items():
        print(f"{name:24}{value:12.6f}{served['scores'][name]:12.6f}")
    furthest, texts = distance(direct["answers"], served["answers"])
    print(f"furthest log-likelihood: {furthest:.1e} nats apart; {texts} of the texts differ")
    same = all(math.isclose(v, served["scores"][n], rel_tol=1e-5) for n, v in direct["scores"].items())
    return 0 if same and furthest < NEAR and not texts else 1


def side(python: Path, *words: str, key: str = "none") -> dict[str, Any]:
    """What one side found."""
    environment = {**os.environ, "OPENAI_API_KEY": key, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(python), str(SIDE), *words], capture_output=True, text=True, env=environment, check=False
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return found
    raise SystemExit(f"{words[0]} said:\n{done.stdout[-1000:]}\n{done.stderr[-4000:]}")


def distance(one: Any, other: Any) -> tuple[float, int]:
    """The greatest difference of any two numbers at the same place, and how many texts or verdicts differ."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        parts = [distance(a, b) for a, b in zip(one, other, strict=True)]
        return max((far for far, _ in parts), default=0.0), sum(count for _, count in parts)
    if isinstance(one, dict) and isinstance(other, dict):
        return distance([one[name] for name in sorted(one)], [other.get(name) for name in sorted(one)])
    try:
        return abs(float(one) - float(other)), 0
    except (TypeError, ValueError):
        # Decoders of SentencePiece drop the blank before a text that is decoded alone, as the harness does.
        return 0.0, int(str(one).strip() != str(other).strip())


if __name__ == "__main__":
    sys.exit(main())
