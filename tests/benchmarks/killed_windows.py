"""Kills the labelling window at random moments, again and again: `python -m tests.benchmarks.killed_windows FOLDER --kills 1000`.

Every window is a process of its own with a real window (off screen), forked from one that has read the code already, so that
a thousand of them don't take an hour. It is killed at most 800 ms after its first key. After every kill the
workspace is looked at: each acknowledged judgement is there, none is there twice, none that nobody meant. From time to time
(`--walk-every`), and at the end, it is opened, and undo walks back through all of them and redo forth, which takes the longer the
more there are.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import sqlite3
import sys
import time
from pathlib import Path

from tests.benchmarks.test_store_speed import fill_by_sql
from tests.gui.pages import annotating_window
from tests.gui.pages.test_killed_window import check, told
from workbench.services.workbench import Workbench, new_workspace

TELL_EVERY = 25
PATIENCE = 600.0  # seconds until a window's first key, on a machine where everybody else goes first
LONGEST = 0.8  # seconds from a window's first key to its end


def fill(space: Path, items: int) -> None:
    """A dataset of so many pairs."""
    with Workbench.open(new_workspace(space)) as bench:
        bench.workspace.lane.do(bench.workspace.store.datasets.create, "pairs", "preferences")
        bench.workspace.lane.do(fill_by_sql, bench.workspace.store, items, 0)


def one_kill(space: Path, delay: float) -> str:
    """Fork a window, wait for its first key, kill it after so many seconds; returns what it told."""
    near, far = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(near)
        try:
            annotating_window.main(space, tell=far)
        finally:
            os._exit(1)
    os.close(far)
    found, killed = b"", False
    deadline = time.monotonic() + PATIENCE
    while True:
        ready, _, _ = select.select([near], [], [], max(0.0, deadline - time.monotonic()))
        if not ready and not killed:
            os.kill(child, signal.SIGKILL)
            killed = True
            continue
        part = os.read(near, 65536)
        if not part:
            break
        if not found:
            deadline = time.monotonic() + delay
        found += part
    os.close(near)
    _, status = os.waitpid(child, 0)
    assert found, "the window never began to judge"
    assert os.WIFSIGNALED(status), f"the window ended by itself: {status}"
    return found.decode()


def look(space: Path, intended: dict[str, int], acknowledged: set[str]) -> int:
    """Compare what is on disk with what was said, without opening the workbench."""
    with sqlite3.connect(space / "workbench.db") as database:
        found = database.execute(
            "SELECT rows.item, judgements.ranking FROM judgements JOIN rows ON rows.id = judgements.row_id"
        ).fetchall()
    stored = {item: int(ranking[2]) for item, ranking in found}
    assert len(stored) == len(found), "a judgement is there twice"
    assert acknowledged <= set(stored), f"lost: {acknowledged - set(stored)}"
    assert stored.items() <= intended.items(), "something is there that nobody meant"
    return len(stored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--items", type=int, default=60_000)
    parser.add_argument("--walk-every", type=int, default=250, help="kills between two walks through all judgements")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    space = asked.folder / "space"
    fill(space, asked.items)
    moments, intended, acknowledged = random.Random(asked.seed), {}, set()
    stored, unacknowledged, start = 0, 0, time.monotonic()
    for kill in range(1, asked.kills + 1):
        one, kept = told(one_kill(space, moments.uniform(0.0, LONGEST)))
        intended |= one
        acknowledged |= set(kept)
        stored = look(space, intended, acknowledged)
        unacknowledged = stored - len(acknowledged)
        walked = kill % asked.walk_every == 0 or kill == asked.kills
        if walked:
            assert check(space, intended, sorted(acknowledged)) == stored
        if walked or kill % TELL_EVERY == 0:
            sys.stdout.write(
                f"{kill} kills, {stored} judgements on disk, {len(acknowledged)} acknowledged, "
                f"{unacknowledged} committed and not yet acknowledged, {time.monotonic() - start:.0f} s\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
