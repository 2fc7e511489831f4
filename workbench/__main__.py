"""Chooses what this process is: the window, a worker, the server or a command; before anything heavy is imported."""

from __future__ import annotations

import sys
from pathlib import Path

COMMANDS = frozenset("new tour doctor data label train runs models generate serve worker decoder server".split())


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `workbench`; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    first = words[0] if words else ""
    if first == "worker":
        from workbench.engine.worker import main as work

        return work(words[1:])
    if first == "decoder":
        from workbench.engine.decode_worker import main as decode

        return decode(words[1:])
    if first == "server":
        from workbench.serving.main import main as serve

        return serve(words[1:])
    if wants_window(words):
        from workbench.gui.app import main as window

        return window(Path(words[-1]) if words and words[-1] != "tour" else None)
    from workbench.cli.main import main as command

    return command(words)


def wants_window(words: list[str]) -> bool:
    """Nothing or a folder opens the window; so does the tour unless it is asked to do without."""
    if words and words[0] == "tour":
        return not any(word.startswith("-") for word in words)
    return not words or (len(words) == 1 and not words[0].startswith("-") and words[0] not in COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
