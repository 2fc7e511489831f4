"""What the commands share: adding a command with its example, and opening a workspace."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.cli.output import Output
from workbench.services.workbench import Workbench

Handler = Callable[[argparse.Namespace, Output], int]


def command(
    group: Any, name: str, run: Handler, help_: str, example: str, *, workspace: bool = True
) -> argparse.ArgumentParser:
    """Add one command; every one has `--help` with an example and `--json`."""
    parser: argparse.ArgumentParser = group.add_parser(
        name, help=help_, description=help_, epilog=f"Example: workbench {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    if workspace:
        parser.add_argument("workspace", type=Path, metavar="WORKSPACE", help="folder of the workspace")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.set_defaults(run=run)
    return parser


def family(commands: Any, name: str, help_: str) -> Any:
    """A command with commands of its own, such as `data import`."""
    parser = commands.add_parser(name, help=help_, description=help_)
    return parser.add_subparsers(dest="verb", required=True, metavar="VERB")


def opened(arguments: argparse.Namespace) -> Workbench:
    """The workspace that a command names."""
    return Workbench.open(arguments.workspace)


@contextmanager
def caught_up(arguments: argparse.Namespace) -> Iterator[Workbench]:
    """The workspace after one look at its runs: what workers reported while nobody had it open is booked."""
    with opened(arguments) as bench:
        bench.runs.tick()
        yield bench


def utc(value: Any) -> str | None:
    """A time as ISO 8601."""
    return None if value is None else value.isoformat()
