"""`workbench runs`: list, show, watch, metrics, samples, pause, resume, stop."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.common import caught_up, command, family, utc
from workbench.cli.output import Output
from workbench.cli.studies import add_table
from workbench.cli.train import follow
from workbench.services.views import RunView

PATIENCE = 120.0  # seconds to wait for a run that was asked to end


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the commands."""
    verbs = family(commands, name, sentence)
    command(verbs, "list", run_list, "list the runs", "runs list my-work")
    for verb, run, help_ in (
        ("show", run_show, "show one run"),
        ("watch", run_watch, "follow a run until it ends"),
        ("metrics", run_metrics, "print every point of a run's curves"),
        ("samples", run_samples, "print what the model said to the fixed prompts"),
        ("pause", run_control, "pause a run: it leaves a complete checkpoint"),
        ("resume", run_control, "continue a run from its last checkpoint"),
        ("stop", run_control, "stop a run: it leaves a complete checkpoint"),
    ):
        command(verbs, verb, run, help_, f"runs {verb} my-work dpo-1").add_argument("id", metavar="RUN")
    add_table(verbs)


def _document(view: RunView) -> dict[str, Any]:
    return {
        "run": view.id, "kind": view.kind, "name": view.name, "state": view.state.value, "step": view.step, "steps": view.steps,
        "started": utc(view.started), "ended": utc(view.ended), "folder": str(view.folder), "model": view.model, "metrics": view.last,
    }  # fmt: skip


def run_list(arguments: argparse.Namespace, output: Output) -> int:
    """List the runs."""
    with caught_up(arguments) as bench:
        found = bench.runs.list()
    rows = [(v.id, v.kind, v.name, v.state.value, f"{v.step}/{v.steps}") for v in found]
    output.result([_document(v) for v in found], output.table(("run", "kind", "name", "state", "step"), rows))
    return 0


def run_show(arguments: argparse.Namespace, output: Output) -> int:
    """Show one run."""
    with caught_up(arguments) as bench:
        detail = bench.runs.get(arguments.id)
    document = _document(detail.view) | {
        "spec": detail.spec.model_dump(mode="json"), "notices": [{"what": w, "hint": h} for w, h in detail.notices],
        "checkpoints": list(detail.checkpoints), "command": detail.command,
        "error": {"what": detail.view.error_what, "hint": detail.view.error_hint} if detail.view.error_what else None,
    }  # fmt: skip
    facts = [(k, v) for k, v in document.items() if k not in {"spec", "metrics"}]
    facts += [(f"  {k}", f"{v:.6g}") for k, v in detail.view.last.items()]
    output.result(document, output.table(("", ""), facts))
    return 0


def run_watch(arguments: argparse.Namespace, output: Output) -> int:
    """Follow a run until it ends."""
    with caught_up(arguments) as bench:
        view = follow(bench, bench.runs.get(arguments.id).view, output)
    output.result(_document(view), f"{view.name}: {view.state.value}")
    return 0


def run_metrics(arguments: argparse.Namespace, output: Output) -> int:
    """One line for each point, in order of steps."""
    with caught_up(arguments) as bench:
        curves = bench.runs.metrics(arguments.id)
    points = sorted((p for curve in curves.values() for p in curve), key=lambda p: (p.step, p.name))
    for p in points:
        output.line(
            {"name": p.name, "step": p.step, "value": p.value, "time": utc(p.time)},
            f"{p.step}\t{p.name}\t{p.value:.6g}",
        )
    return 0


def run_samples(arguments: argparse.Namespace, output: Output) -> int:
    """One line for each sample."""
    with caught_up(arguments) as bench:
        found = bench.runs.samples(arguments.id)
    for s in found:
        document = {
            "step": s.step,
            "index": s.index,
            "prompt": s.prompt,
            "completion": s.completion,
            "numbers": s.numbers,
        }
        output.line(document, f"[step {s.step}] {s.prompt}\n  {s.completion}")
    return 0


def run_control(arguments: argparse.Namespace, output: Output) -> int:
    """Pause, resume or stop. A pause or stop is waited for, since it ends with a complete checkpoint."""
    with caught_up(arguments) as bench:
        view: RunView = getattr(bench.runs, arguments.verb)(arguments.id)
        if arguments.verb == "resume":
            bench.runs.tick()  # starts the worker if its device is free; nobody else may have this workspace open
            view = bench.runs.get(arguments.id).view
        elif not view.state.ended:
            output.say(f"waiting for {view.name} to write its checkpoint")
            view = bench.runs.wait(arguments.id, timeout=PATIENCE)
    output.result(_document(view), f"{view.name}: {view.state.value}")
    return 0
