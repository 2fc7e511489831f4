"""`workbench label stats`: figures about the labels of a dataset, short, explained, or for machines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from workbench.analysis.report import Report
from workbench.cli.common import opened
from workbench.cli.output import Output


def run_stats(arguments: argparse.Namespace, output: Output) -> int:
    """Print the statistics of one dataset's judgements."""
    with opened(arguments) as bench:
        report = bench.statistics.report(arguments.name)
        written = bench.statistics.export_csv(arguments.name, arguments.csv) if arguments.csv else None
    document = report.as_json()
    who = ", ".join(document["annotators"]) or "nobody"
    lines = [f"{document['judgements']} judgements of {document['items']} items by {who}"]
    if arguments.explain:
        lines += explained(report)
    else:
        lines += _agreement(document)
        lines += _habits(document)
        rated = document["ratings"]
        if rated:
            heads = ("model", "bradley_terry", "low", "high", "elo", "wins", "ties", "losses")
            lines.append(output.table(heads, [[_short(r[h]) for h in heads] for r in rated]))
    if written is not None:
        lines.append(f"{written.rows} figures written to {written.file}")
    output.result(document, "\n".join(lines))
    return 0


def explained(report: Report) -> Iterator[str]:
    """Every figure with its interval and its sentence, then what to look at again."""
    for group, figures in groupby(report.figures, key=lambda figure: figure.group):
        yield f"\n{group}"
        for figure in figures:
            yield f"  {figure.title}: {figure.number()}\n      {figure.sentence}"
    if report.disputed:
        yield f"\nDisputed items: {report.disputed}, of which the {min(10, len(report.disputes))} with most disagreement"
        for dispute in report.disputes[:10]:
            said = "; ".join(f"{who}: {words}" for who, words in dispute.voices)
            yield f"  row {dispute.position + 1}, {dispute.item}: {said}"
    for circle in (*report.model_circles, *report.response_circles):
        yield f"\nCircle: {' ≻ '.join(circle.names)} ≻ {circle.names[0]}, in {', '.join(circle.items[:5])}"


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
