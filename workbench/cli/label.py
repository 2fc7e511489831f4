"""`workbench label`: statistics about judgements, judgements by a model or a rule, guidelines, merging."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any

from workbench.cli.common import command, family, opened
from workbench.cli.label_stats import run_stats
from workbench.cli.merge import add_merge
from workbench.cli.output import Output
from workbench.cli.queues import add_queues
from workbench.cli.studies import add_sample
from workbench.cli.train import start
from workbench.cli.values import parse_sets
from workbench.domain.errors import BadInput
from workbench.domain.queues import Guidelines
from workbench.domain.specs.judge import RULES, rule_file
from workbench.domain.specs.kinds import Spec, parse_spec
from workbench.services.guidelines import dimension
from workbench.services.workbench import Workbench


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the commands."""
    verbs = family(commands, name, sentence)
    stats = command(
        verbs, "stats", run_stats, "agreement, order bias, ratings of models", "label stats my-work rankings"
    )
    stats.add_argument("name", help="dataset of preferences")
    stats.add_argument("--explain", action="store_true", help="every figure with a sentence on how to read it")
    stats.add_argument("--csv", type=Path, metavar="FILE", help="write every figure into a table as well")
    judge = command(
        verbs,
        "judge",
        run_judge,
        "judgements by a model or rule, marked as such",
        "label judge my-work rankings --judge tour-sft",
    )
    judge.add_argument("name", help="dataset of preferences")
    judge.add_argument("--judge", required=True, help=f"a model, or a rule: {', '.join(RULES)}, FILE.py:FUNCTION")
    judge.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a further field of the judge's spec"
    )
    add_merge(verbs)
    guide = command(
        verbs, "guidelines", run_guidelines, "show the guidelines of a dataset, or write a new version",
        "label guidelines my-work rankings --file how.md --dimension 'harmless=Nobody could come to harm by it.'",
    )  # fmt: skip
    guide.add_argument("name", help="dataset of preferences")
    guide.add_argument("--file", type=Path, help="text of the new version, in Markdown (default: the present text)")
    guide.add_argument(
        "--dimension", action="append", default=[], metavar="NAME=SENTENCE",
        help="a criterion by which candidates are ranked besides; those of the version before go unless they are named",
    )  # fmt: skip
    guide.add_argument("--history", action="store_true", help="show every version")
    judge.add_argument("--detach", action="store_true", help="start the worker and don't wait for it")
    add_queues(verbs)
    add_sample(verbs)


def run_judge(arguments: argparse.Namespace, output: Output) -> int:
    """Start a judge as a run; unless detached, wait for its end."""
    with opened(arguments) as bench:
        known = {model.name for model in bench.models.list()}
        spec = judge_spec(arguments.judge, arguments.name, parse_sets(arguments.set), known)
        return start(bench, spec, output, detach=arguments.detach)


def run_guidelines(arguments: argparse.Namespace, output: Output) -> int:
    """Show the guidelines, or with --file or --dimension write a new version."""
    with opened(arguments) as bench:
        if arguments.file is not None or arguments.dimension:
            shown = [_write_guidelines(bench, arguments)]
        elif arguments.history:
            shown = bench.guidelines.history(arguments.name)
        else:
            now = bench.guidelines.get(arguments.name)
            shown = [] if now is None else [now]
    documents = [g.model_dump(mode="json") for g in shown]
    text = (
        "\n\n".join(_guidelines_text(g) for g in shown)
        or f"{arguments.name} has no guidelines yet; --file writes some."
    )
    output.result(documents if arguments.history else documents[0] if documents else {}, text)
    return 0


def _write_guidelines(bench: Workbench, arguments: argparse.Namespace) -> Guidelines:
    now = bench.guidelines.get(arguments.name)
    text = "" if now is None else now.text
    if arguments.file is not None:
        try:
            text = arguments.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{arguments.file} can't be read.", "Give a text file in UTF-8.", str(error)) from error
    parts = [pair.partition("=") for pair in arguments.dimension]
    chosen = tuple(dimension(name, sentence) for name, _, sentence in parts)
    if not chosen and now is not None:
        chosen = now.dimensions
    return bench.guidelines.write(arguments.name, text, chosen)


def _guidelines_text(guidelines: Guidelines) -> str:
    lines = [
        f"version {guidelines.version} by {guidelines.author}, {guidelines.created:%Y-%m-%d %H:%M} UTC",
        guidelines.text,
    ]
    lines += [f"  {d.name}: {d.description}" if d.description else f"  {d.name}" for d in guidelines.dimensions]
    return "\n".join(line for line in lines if line)


def judge_spec(judge: str, data: str, values: dict[str, Any], models: Collection[str]) -> Spec:
    """The spec of a judge that is named on the command line: a model of the workspace or a folder, else a rule."""
    named = {"kind": "judge", "data": data}
    if judge in models or Path(judge).is_dir():
        return parse_spec(values | named | {"judge": "model", "base": judge})
    try:
        rule_file(judge)
    except ValueError as error:
        raise BadInput(f"There is no judge called {judge!r}.", f"Name a model of the workspace; {error}.") from error
    return parse_spec(values | named | {"judge": "rule", "rule": judge})
