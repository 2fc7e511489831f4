"""Chooses what this process is: the window, a worker, the server or a command; before anything heavy is imported."""

from __future__ import annotations

import sys


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
    from workbench.cli.main import main as command

    return command(words)


if __name__ == "__main__":
    sys.exit(main())
