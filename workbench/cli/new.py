"""`workbench new`: make a workspace."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.common import command
from workbench.cli.output import Output
from workbench.services.workbench import new_workspace


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the command."""
    parser = command(commands, name, run_new, sentence, "new my-work --starter")
    parser.add_argument("--starter", action="store_true", help="with the starter kit: a small model and data for it")


def run_new(arguments: argparse.Namespace, output: Output) -> int:
    """Make a workspace."""
    path = new_workspace(arguments.workspace, starter=arguments.starter)
    output.result({"workspace": str(path)}, f"{path} is ready; open it with: workbench {path}")
    return 0
