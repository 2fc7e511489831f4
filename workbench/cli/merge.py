"""`workbench label merge`: bring in what another workspace has, or give up a merge that can't be completed."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench.cli.common import command, opened
from workbench.cli.output import Output
from workbench.domain.errors import BadInput
from workbench.services.merging import abandon_merge
from workbench.services.views import Merged

_MORE = (
    ("guidelines", "versions of guidelines"), ("golds", "known answers"), ("profiles", "profiles"),
    ("moves", "undos and redos of judgements that both have"), ("queues", "queues"),
    ("queued", "items in queues that both have"), ("drafts", "unfinished rankings"), ("scores", "scores by reward models"),
)  # fmt: skip


def add_merge(verbs: Any) -> None:
    """Add `merge` to the commands of `label`."""
    merge = command(
        verbs, "merge", run_merge, "bring in what another workspace has and this one hasn't",
        "label merge my-work ../anna/work --rename me=anna --dry-run",
    )  # fmt: skip
    other = merge.add_argument(
        "other", type=Path, metavar="OTHER", help="folder of the other workspace, which is only read"
    )
    merge.set_defaults(other=None)
    merge.add_argument(
        "--rename", action="append", default=[], metavar="THERE=HERE",
        help="sign what an annotator said there with another name here",
    )  # fmt: skip
    merge.add_argument("--dry-run", action="store_true", help="only say what would be brought")
    merge.add_argument(
        "--abandon", action=_Alone, nargs=0, default=False, instead_of=other,
        help="give up a merge that was interrupted, without OTHER: what it has brought stays",
    )  # fmt: skip


class _Alone(argparse.Action):
    """An option that stands in the place of a positional argument. (One that may always be missing must not come after options.)"""

    def __init__(self, *names: Any, instead_of: argparse.Action, **more: Any) -> None:
        super().__init__(*names, **more)
        self._instead_of = instead_of

    def __call__(self, _parser: object, namespace: argparse.Namespace, *_: object) -> None:
        """The positional argument isn't needed any more."""
        self._instead_of.required = False
        setattr(namespace, self.dest, True)


def run_merge(arguments: argparse.Namespace, output: Output) -> int:
    """Bring in what another workspace has and this one hasn't, or give up bringing it."""
    if arguments.abandon:
        return _abandon(arguments, output)
    if arguments.other is None:
        raise BadInput(
            "Which workspace is to be merged?", "Name its folder, or give up an unfinished merge: --abandon."
        )
    for pair in arguments.rename:
        if not all(pair.partition("=")):
            raise BadInput(f"--rename {pair} names nobody.", "Write it as THERE=HERE, for example --rename me=anna.")
    rename = dict(pair.split("=", 1) for pair in arguments.rename)
    with opened(arguments) as bench:
        done = bench.merging.merge(arguments.other, rename, arguments.dry_run)
    verb = "Would bring" if arguments.dry_run else "Brought"
    head = f"{verb} {_numbers(done)}. Judgements that were here already: {done.duplicates}."
    lines = [head if done.changes else "There is nothing new in it; nothing was changed."]
    output.result(asdict(done) | {"dry_run": arguments.dry_run}, "\n".join([*lines, *_rest(done)]))
    return 0


def _abandon(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.other is not None or arguments.rename or arguments.dry_run:
        raise BadInput("--abandon gives up the merge that was begun, whichever it is.", "Give it alone.")
    given_up = abandon_merge(arguments.workspace)
    if given_up is None:
        output.result({"abandoned": None}, "No merge is unfinished; nothing was changed.")
        return 0
    document = {"abandoned": given_up.other, "brought": asdict(given_up.brought)}
    lines = [
        f"The merge of {given_up.other or 'another workspace'} is given up. It had brought {_numbers(given_up.brought)}.",
        *_rest(given_up.brought),
        "That stays, and labels, queues and counts agree. Merging the same workspace again brings the rest.",
    ]
    output.result(document, "\n".join(lines))
    return 0


def _numbers(done: Merged) -> str:
    return f"judgements: {done.judgements}, items: {done.items}, other rows: {done.rows}"


def _rest(done: Merged) -> list[str]:
    lines = [f"  {getattr(done, name)} {what}" for name, what in _MORE if getattr(done, name)]
    return [*lines, *(f"  new dataset: {name}" for name in done.datasets), *(f"  {note}" for note in done.notes)]
