"""`workbench train`: start a run and follow it, or leave it to itself."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from workbench.cli.common import command, opened
from workbench.cli.output import Output
from workbench.cli.values import parse_sets
from workbench.domain.errors import BadInput
from workbench.domain.runs import JobState
from workbench.domain.specs.kinds import SPECS, Spec, parse_spec
from workbench.services.views import RunView
from workbench.services.workbench import Workbench

LOOK = 0.5  # seconds between two looks at the run


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the command."""
    parser = command(commands, name, run_train, sentence,
                     "train my-work dpo --base tour-sft --data rankings --set beta=0.2")  # fmt: skip
    parser.add_argument("kind", choices=sorted(SPECS))
    parser.add_argument("--base", help="model to start from")
    parser.add_argument("--data", help="dataset to train on")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a field of the spec")
    parser.add_argument("--spec", type=Path, metavar="FILE", help="a spec as JSON; the other options change it")
    parser.add_argument("--detach", action="store_true", help="start the worker and don't wait for it")


def make_spec(arguments: argparse.Namespace, draft: Spec) -> Spec:
    """The spec that the options describe."""
    payload: dict[str, Any] = draft.model_dump()
    if arguments.spec is not None:
        try:
            payload |= _an_object(json.loads(arguments.spec.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(
                f"{arguments.spec} can't be read as a spec: {error}", "Give a JSON file such as a run's spec.json."
            ) from error
    for key, value in parse_sets(arguments.set).items():
        payload[key] = payload[key] | value if isinstance(value, dict) and isinstance(payload.get(key), dict) else value
    payload |= {key: value for key in ("base", "data") if (value := getattr(arguments, key)) is not None}
    return parse_spec({**payload, "kind": arguments.kind})


def _an_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("it holds no JSON object")  # noqa: TRY004 (told like every other file that is no spec)
    return value


def run_train(arguments: argparse.Namespace, output: Output) -> int:
    """Start the run; unless detached, wait for its end."""
    with opened(arguments) as bench:
        spec = make_spec(arguments, bench.training.draft(arguments.kind))
        return start(bench, spec, output, detach=arguments.detach)


def start(bench: Workbench, spec: Spec, output: Output, *, detach: bool) -> int:
    """Start a run and, unless it is to go on by itself, follow it to its end and print what became of it."""
    view = bench.training.start(spec, detach=detach)
    output.say(f"run {view.id} in {view.folder}")
    if not detach:
        try:
            view = follow(bench, view, output)
        except KeyboardInterrupt:
            output.say(f"{view.name} goes on by itself; see it with: workbench runs watch {bench.path} {view.id}")
            raise
    model = bench.models.get(view.model).path if view.model else None
    error = {"what": view.error_what, "hint": view.error_hint} if view.error_what else None
    document = {
        "run": view.id, "kind": view.kind, "state": view.state.value, "folder": str(view.folder), "model": model, "metrics": view.last,
        "error": error,
    }  # fmt: skip
    output.result(document, f"{view.name}: {view.state.value}" + (f", model {view.model} in {model}" if model else ""))
    if view.state is JobState.FAILED:
        output.fail(view.error_what, view.error_hint)
    return 0 if detach or view.state is JobState.DONE else 1


def follow(bench: Workbench, view: RunView, output: Output) -> RunView:
    """Wait for the run's end, with a progress bar. Ctrl+C leaves the run going."""
    while not view.state.ended:
        view = bench.runs.wait(view.id, timeout=LOOK)
        value = view.last.get(view.headline)
        output.progress(
            view.step, view.steps, f"{view.phase} {view.headline} {value:.4g}" if value is not None else view.phase
        )
    return view
