"""Many processes that label one workspace at once, forked from one so that they start together: `python many_hands.py FOLDER HANDS LABELS`.

Each opens the workspace for itself and judges items of its own choice in "pairs"; the last line says how long it took, and what
any of them was told instead of being served.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from workbench.domain.judgement import Judgement, Ranking
from workbench.store.store import open_store

RANKING = Ranking(tiers=((0,), (1,)))


def label(workspace: Path, who: str, count: int) -> None:
    """Judge `count` items, take every tenth judgement back and let it count again."""
    store = open_store(workspace)
    for n in range(count):
        judgement = Judgement(
            id=f"{who}-{n}", item=f"i{n}", annotator=who, outcome="ranked", ranking=RANKING, shown=(0, 1), shown_seed=n,
            milliseconds=1, created=datetime.now(UTC),
        )  # fmt: skip
        store.labels.add(judgement, "pairs")
        if n % 10 == 9:
            store.labels.undo("pairs", who)
            store.labels.redo("pairs", who)
    store.close()


def main(workspace: Path, hands: int, labels: int) -> None:
    begun = time.monotonic()
    children = {}
    for number in range(hands):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                label(workspace, f"hand {number}", labels)
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                os._exit(status)
        children[child] = number
    failed = [children[child] for child in children if os.waitpid(child, 0)[1] != 0]
    sys.stdout.write(json.dumps({"seconds": time.monotonic() - begun, "failed": failed}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
