"""`workbench doctor`: what this machine has, what it lacks, and whether a workspace is sound."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.common import command, opened
from workbench.cli.output import Output
from workbench.services.hardware import HardwareService


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the command."""
    parser = command(commands, name, run_doctor, sentence, "doctor my-work", workspace=False)
    parser.add_argument("workspace", type=Path, nargs="?", metavar="WORKSPACE", help="a workspace to look at as well")


def run_doctor(arguments: argparse.Namespace, output: Output) -> int:
    """Check this machine; exit code 1 when something is wrong."""
    if arguments.workspace is None:
        checks = HardwareService().checks()
    else:
        with opened(arguments) as bench:
            checks = bench.hardware.checks()
    good = all(c.ok for c in checks)
    document = {"ok": good, "checks": [{"name": c.name, "ok": c.ok, "what": c.what, "hint": c.hint} for c in checks]}
    lines = [f"{'✓' if c.ok else '✗'} {c.name}: {c.what}" + (f" → {c.hint}" if c.hint else "") for c in checks]
    output.result(document, "\n".join(lines))
    return 0 if good else 1
