"""`workbench label`: statistics about judgements."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.common import command, family, opened
from workbench.cli.output import Output


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the commands."""
    verbs = family(commands, name, sentence)
    stats = command(
        verbs, "stats", run_stats, "agreement, order bias, ratings of models", "label stats my-work rankings"
    )
    stats.add_argument("name")


def run_stats(arguments: argparse.Namespace, output: Output) -> int:
    """Print the statistics of one dataset's judgements."""
    with opened(arguments) as bench:
        stats = bench.labelling.stats(arguments.name)
    document = stats.as_json()
    lines = [
        f"{document['judgements']} judgements of {document['items']} items by {', '.join(document['annotators']) or 'nobody'}"
    ]
    lines += [f"  {name}: {value}" for name, value in document["agreement"].items()]
    rated = document["ratings"]
    if rated:
        heads = ("model", "bradley_terry", "low", "high", "elo", "wins", "ties", "losses")
        lines.append(output.table(heads, [[_short(r[h]) for h in heads] for r in rated]))
    output.result(document, "\n".join(lines))
    return 0


def _short(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
