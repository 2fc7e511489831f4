"""`workbench data`: import, list, show, freeze, export."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.common import command, family, opened, utc
from workbench.cli.output import Output
from workbench.cli.values import whole
from workbench.domain.errors import BadInput
from workbench.services.views import Trouble


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the commands."""
    verbs = family(commands, name, sentence)
    importer = command(verbs, "import", run_import, "import files as a dataset, all or nothing",
                       "data import my-work hh.jsonl.gz --name harmless --skip-bad")  # fmt: skip
    importer.add_argument("files", type=Path, nargs="+", metavar="FILE")
    importer.add_argument("--name", required=True, help="name of the dataset")
    importer.add_argument("--format", default="auto", help="format of the files (default: find out)")
    importer.add_argument(
        "--map", action="append", default=[], metavar="FIELD=COLUMN", help="which column holds a field"
    )
    importer.add_argument("--dry-run", action="store_true", help="only say what would be imported and left out")
    importer.add_argument("--skip-bad", action="store_true", help="leave out rows that can't be used, and list them")
    command(verbs, "list", run_list, "list the datasets", "data list my-work")
    show = command(verbs, "show", run_show, "show rows of a dataset", "data show my-work harmless --limit 3")
    show.add_argument("name")
    show.add_argument("--offset", type=whole, default=0)
    show.add_argument("--limit", type=whole, default=10)
    show.add_argument("--search", default="", help="only rows with this text")
    freeze = command(
        verbs, "freeze", run_freeze, "freeze a dataset's rows as a snapshot", "data freeze my-work harmless"
    )
    freeze.add_argument("name")
    freeze.add_argument(
        "--dimension", default="", metavar="NAME", help="rankings by this dimension instead of those over all"
    )
    export = command(verbs, "export", run_export, "write a dataset to a file",
                     "data export my-work harmless --format trl-preference --out pairs.jsonl")  # fmt: skip
    export.add_argument("name")
    export.add_argument("--format", required=True)
    export.add_argument("--out", type=Path, required=True, metavar="FILE")


def run_import(arguments: argparse.Namespace, output: Output) -> int:
    """Import, or with --dry-run only look."""
    mapping = _mapping(arguments.map)
    with opened(arguments) as bench:
        if arguments.dry_run:
            seen = bench.datasets.preview(arguments.files, arguments.format, mapping)
            document = _imported(arguments.name, seen.format, seen.read, 0, seen.left_out)
            output.result(
                document,
                f"{seen.usable} of {seen.read} rows can be imported as {seen.kind} ({seen.format}).\n"
                + _lines(seen.left_out),
            )
            return 0

        def progress(at: int, of: int) -> bool:
            output.progress(at, of, "rows")
            return True

        done = bench.datasets.import_files(
            arguments.files, arguments.name, arguments.format, mapping, skip_bad=arguments.skip_bad,
            progress=progress,
        )  # fmt: skip
        document = _imported(done.dataset, done.format, done.read, done.imported, done.left_out)
        output.result(
            document,
            f"{done.imported} of {done.read} rows were imported as {done.dataset} ({done.format}).\n"
            + _lines(done.left_out),
        )
    return 0


def _mapping(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise BadInput(
                f"--map {pair} has no column.", "Write it as FIELD=COLUMN, for example --map prompt=question."
            )
    return dict(pair.split("=", 1) for pair in pairs)


def _imported(name: str, format_: str, read: int, imported: int, left_out: tuple[Trouble, ...]) -> dict[str, Any]:
    troubles = [{"line": t.line, "reason": t.reason} for t in left_out]
    return {"dataset": name, "format": format_, "read": read, "imported": imported, "left_out": troubles}


def _lines(left_out: tuple[Trouble, ...]) -> str:
    return "\n".join(f"  line {t.line}: {t.reason}" for t in left_out)


def run_list(arguments: argparse.Namespace, output: Output) -> int:
    """List the datasets."""
    with opened(arguments) as bench:
        found = bench.datasets.list()
    document = [
        {"name": d.name, "kind": d.kind, "rows": d.rows, "created": utc(d.created), "judged": d.judged, "source": d.source,
         "synthetic": d.synthetic}
        for d in found
    ]  # fmt: skip
    text = output.table(("name", "kind", "rows", "judged"), [(d.name, d.kind, d.rows, d.judged) for d in found])
    output.result(document, text if found else "There is no dataset yet; `workbench data import` makes one.")
    return 0


def run_show(arguments: argparse.Namespace, output: Output) -> int:
    """Show rows."""
    with opened(arguments) as bench:
        rows = bench.datasets.page(arguments.name, arguments.offset, arguments.limit, search=arguments.search)
    for row in rows:
        document = {"index": row.index, "id": row.id, "texts": dict(row.texts), "facts": dict(row.facts)}
        output.line(document, "\n".join([f"[{row.index}]", *(f"{head}: {text}" for head, text in row.texts), ""]))
    return 0


def run_freeze(arguments: argparse.Namespace, output: Output) -> int:
    """Freeze a dataset as its own kind."""
    with opened(arguments) as bench:
        kind = bench.datasets.get(arguments.name).kind
        frozen = bench.datasets.freeze(arguments.name, kind, arguments.dimension)
    document = {"sha": frozen.sha, "file": str(frozen.path), "rows": frozen.rows, "left_out": dict(frozen.left_out)}
    output.result(document, f"{frozen.rows} rows in {frozen.path}")
    return 0


def run_export(arguments: argparse.Namespace, output: Output) -> int:
    """Write a dataset to a file."""
    with opened(arguments) as bench:
        done = bench.datasets.export(arguments.name, arguments.format, arguments.out)
    document = {"file": str(done.file), "rows": done.rows, "notes": list(done.notes)}
    output.result(document, "\n".join([f"{done.rows} rows were written to {done.file}", *done.notes]))
    return 0
