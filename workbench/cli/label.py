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
    lines += _agreement(document)
    lines += _habits(document)
    rated = document["ratings"]
    if rated:
        heads = ("model", "bradley_terry", "low", "high", "elo", "wins", "ties", "losses")
        lines.append(output.table(heads, [[_short(r[h]) for h in heads] for r in rated]))
    output.result(document, "\n".join(lines))
    return 0


def _agreement(document: dict[str, Any]) -> list[str]:
    """How far annotators agree, with intervals, and how often each is right by the consensus of all."""
    if document["agreement"]["raw"] is None:
        return ["  agreement: nothing was judged by two annotators"]
    found = document["agreement"] | {"alpha_ordinal": document["reliability"]["alpha_ordinal"]}
    lines = []
    for name, value in found.items():
        if isinstance(value, dict):
            lines += [f"  {name} {pair.replace('|', ' and ')}: {_short(kappa)}" for pair, kappa in value.items()]
            continue
        low, high = document["reliability"]["intervals"].get(name, (None, None))
        lines.append(f"  {name}: {_short(value)}" + (f" ({_short(low)} to {_short(high)})" if low is not None else ""))
    right = document["reliability"]["accuracy"]
    return lines + [f"  {who} is right, by the consensus: {value:.0%}" for who, value in right.items()]


def _habits(document: dict[str, Any]) -> list[str]:
    """Order, length, pace: what may have influenced labels besides the responses."""
    lines = []
    for name, found, key in (
        ("left response preferred", document["order"], "left_rate"),
        ("longer response preferred", document["habits"]["longer_wins"], "value"),
    ):
        if found and found[key] is not None:
            lines.append(f"  {name}: {found[key]:.0%} ({found['low']:.0%} to {found['high']:.0%}); 50% is no bias")
    for who, found in document["habits"]["pace"].items():
        drift = f", {found['drift']:.0%} of that of the start at a sitting's end" if found["drift"] else ""
        lines.append(f"  {who}: {found['seconds']:.1f} s for an item{drift}")
    if document["comparison"]["triples"]:
        lines.append(
            f"  circular triples of models: {document['comparison']['circles']} of {document['comparison']['triples']}"
        )
    return lines


def _short(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "–" if value is None else str(value)
