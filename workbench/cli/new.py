"""`workbench new`: make a workspace."""

from __future__ import annotations

import argparse
from typing import Any

from workbench.cli.common import command
from workbench.cli.output import Output
from workbench.services.workbench import new_workspace, server_of


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the command."""
    parser = command(commands, name, run_new, sentence, "new my-work --starter")
    parser.add_argument("--starter", action="store_true", help="with the starter kit: a small model and data for it")
    parser.add_argument(
        "--server",
        default="",
        metavar="ADDRESS",
        help="share datasets and labels on a PostgreSQL server: postgresql+psycopg://USER@HOST/DATABASE, with ?schema=NAME "
        "if it holds several workspaces; the password comes from PGPASSWORD or ~/.pgpass",
    )


def run_new(arguments: argparse.Namespace, output: Output) -> int:
    """Make a workspace."""
    path = new_workspace(arguments.workspace, starter=arguments.starter, server=arguments.server)
    sentences = [f"{path} is ready; open it with: workbench {path}"]
    server = server_of(path)
    if server is not None:
        sentences.append(f"Datasets and labels are on {server}. Runs, models and settings stay in this folder.")
    if server is not None and server.secret:
        sentences.append("The password stands in clear in server.json; ~/.pgpass is a better place for it.")
    document = {"workspace": str(path)} | ({} if server is None else {"server": str(server)})
    output.result(document, "\n".join(sentences))
    return 0
