"""The command line: the parser, and what every command shares: errors, exit codes, `--json`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from workbench import __version__
from workbench.cli.output import Output
from workbench.domain.errors import WorkbenchError

COMMANDS = {  # name: (module, what it is for), in the order of the help
    "new": ("workbench.cli.new", "make a workspace"),
    "tour": ("workbench.cli.tour", "the whole loop on the starter kit, with a report"),
    "data": ("workbench.cli.data", "datasets: import, list, show, freeze, export"),
    "label": ("workbench.cli.label", "judgements: statistics, and judges that stand in for people"),
    "train": ("workbench.cli.train", "train a model, or let one judge or revise"),
    "runs": ("workbench.cli.runs", "runs: list, show, watch, metrics, samples, pause, resume, stop"),
    "models": ("workbench.cli.models", "models: list, add a folder, show a card"),
    "generate": ("workbench.cli.generate", "generate text with a model"),
    "serve": ("workbench.cli.serve", "serve models behind OpenAI's interface"),
    "doctor": ("workbench.cli.doctor", "check this machine and a workspace"),
    "worker": ("", "execute one run folder: workbench worker RUN_FOLDER"),
}
DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    words = sys.argv[1:] if words is None else words
    try:
        arguments = make_parser(words).parse_args(words)
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
    except OSError as error:
        output.fail(f"{error.filename or 'The system'}: {error.strerror or error}.", "Check the place and its disk.")
        return FAILED
    except Exception as error:
        if os.environ.get("WORKBENCH_TRACEBACK"):
            raise
        output.fail(
            f"The workbench made a mistake: {type(error).__name__}: {error}.",
            "Please report it with what WORKBENCH_TRACEBACK=1 prints before the same command.",
        )
        return FAILED
    else:
        return result


def make_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands. Only the command that is named is imported; of the others it knows name and sentence."""
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="Turn human preferences into better language models, on this machine.",
        epilog="Without a command, `workbench [WORKSPACE]` opens the window.",
    )
    parser.add_argument("--version", action="version", version=f"workbench {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, sentence) in COMMANDS.items():
        if name in words[:1] and module:
            importlib.import_module(module).add(commands, name, sentence)
        else:
            commands.add_parser(name, help=sentence)
    return parser
