"""`workbench tour`: the whole loop without a window."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from workbench.cli.common import command
from workbench.cli.output import Output
from workbench.services.tour import Tour, TourResult
from workbench.services.workbench import Workbench, is_workspace, new_workspace


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the command."""
    tour = command(commands, name, run_tour, sentence, "tour --no-window", workspace=False)
    tour.add_argument(
        "workspace",
        type=Path,
        nargs="?",
        metavar="WORKSPACE",
        help="an empty or new folder (default: a new one for the time being)",
    )
    tour.add_argument("--no-window", action="store_true", help="run everything here and print the report")
    tour.add_argument("--seed", type=int, default=0, help="seed of all runs")


def run_tour(arguments: argparse.Namespace, output: Output) -> int:
    """The whole loop, without a window."""
    path = arguments.workspace or Path(tempfile.mkdtemp(prefix="workbench-tour-"))
    if not is_workspace(path):
        new_workspace(path)
    with Workbench.open(path) as bench:
        result = Tour(bench).run_all(_Teller(output).tell, seed=arguments.seed)
    output.result(result.as_json(), summary(result, output))
    return 0


def summary(result: TourResult, output: Output) -> str:
    """The table and where the report is."""
    heads = ("model", "rule score", *result.table[0].criteria, "KL to SFT")
    rows = [
        (r.model, f"{r.rule_score:.3f}", *(f"{v:.2f}" for v in r.criteria.values()), f"{r.kl:.2f}")
        for r in result.table
    ]
    return (
        f"{output.table(heads, rows)}\n\nReward model: {result.reward_accuracy:.1%} of held-out pairs. "
        f"{result.seconds:.0f} seconds. Report: {result.report}"
    )


class _Teller:
    """Passes on the tour's sentences, each kind once: a bar's changing numbers don't fill the terminal."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last = ""

    def tell(self, sentence: str) -> None:
        """Say it when it isn't what was said last, numbers aside."""
        bare = sentence.translate(_NUMBERS)
        if bare != self._last:
            self._output.say(sentence)
        self._last = bare


_NUMBERS = {ord(c): None for c in "0123456789./-·"}
