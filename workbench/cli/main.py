"""The command line: the parser, and what every command shares: errors, exit codes, `--json`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from workbench import __version__
from workbench.cli import data, generate, label, models, runs, train, workspaces
from workbench.cli.output import Output
from workbench.domain.errors import WorkbenchError

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    parser = make_parser()
    try:
        arguments = parser.parse_args(words)
    except SystemExit as end:
        return int(end.code or 0)
    output = Output(getattr(arguments, "json", False))
    try:
        result: int = arguments.run(arguments, output)
    except WorkbenchError as error:
        output.fail(error.what, error.hint)
        return FAILED
    except KeyboardInterrupt:
        output.fail("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    else:
        return result


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="Turn human preferences into better language models, on this machine.",
        epilog="Without a command, `workbench [WORKSPACE]` opens the window.",
    )
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in (workspaces, data, label, train, runs, models, generate):
        group.add(commands)
    commands.add_parser("worker", help="execute one run folder: workbench worker RUN_FOLDER")
    return parser
