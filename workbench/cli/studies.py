"""`workbench runs study` and `workbench label sample`: a study's table, and its texts as items to rank."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.common import caught_up, command, opened
from workbench.cli.output import Output
from workbench.domain.study import Figure, measure_of


def add_table(verbs: Any) -> None:
    """Add `study` to the commands of `runs`."""
    table = command(verbs, "study", run_table, "a decoding study's table, also as a file",
                    "runs study my-work study-1 --out study.csv")  # fmt: skip
    table.add_argument("id", metavar="RUN")
    table.add_argument(
        "--out", type=Path, metavar="FILE", help="write the table (.csv), or table, prompts and texts (.json)"
    )


def add_sample(verbs: Any) -> None:
    """Add `sample` to the commands of `label`."""
    sample = command(verbs, "sample", run_sample, "make items to rank of what models said in a decoding study",
                     "label sample my-work answers --from study-1 --candidates 4")  # fmt: skip
    sample.add_argument("name", help="dataset of preferences that the items are appended to; made when there is none")
    sample.add_argument("--from", dest="study", required=True, metavar="RUN", help="a run of the kind study")
    sample.add_argument("--candidates", type=int, default=4, metavar="N", help="texts of an item, 2 to 9 (default: 4)")


def run_table(arguments: argparse.Namespace, output: Output) -> int:
    """Print the table; write it, if a file is named."""
    with caught_up(arguments) as bench:
        study = bench.studies.get(arguments.id)
        if arguments.out is not None:
            output.say(f"wrote {bench.studies.export(arguments.id, arguments.out)}")
    names = study.measures
    rows = [(c.label, *(_shown(c.figures.get(name)) for name in names)) for c in study.columns]
    heads = ("column", *(measure_of(name).title.lower() for name in names))
    output.result(study.model_dump(mode="json"), output.table(heads, rows))
    return 0


def run_sample(arguments: argparse.Namespace, output: Output) -> int:
    """Append the items."""
    with opened(arguments) as bench:
        made = bench.studies.to_ranking(arguments.study, arguments.name, arguments.candidates)
    document = {"dataset": made.dataset, "items": made.items, "left_out": made.left_out}
    left = f" {made.left_out} prompts had fewer than two different texts." if made.left_out else ""
    output.result(document, f"{made.items} items were appended to {made.dataset}.{left}")
    return 0


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    reach = "" if figure.low is None or figure.high is None else f" ±{(figure.high - figure.low) / 2:.2g}"
    return f"{figure.value:.3g}{reach}"
