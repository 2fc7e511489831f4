"""A merge that can't be completed: the window says so when it has opened the workspace, and offers to give it up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from workbench.domain.errors import WorkbenchError
from workbench.gui.bridge import Bridge
from workbench.gui.shell import Shell
from workbench.gui.widgets.words import count
from workbench.services.views import GivenUp

if TYPE_CHECKING:  # the window stands before the database is loaded
    from workbench.services.merging import MergeService

WORDS = (
    "What it has brought stays: labels, queues and counts agree. What it hasn't brought yet stays in the other workspace alone; merging "
    "that again brings it."
)


def tell_of_merge(merging: MergeService, bridge: Bridge, shell: Shell) -> None:
    """Say why a merge isn't complete, if one isn't, until somebody closes the message or gives the merge up."""
    bridge.run(merging.trouble, then=partial(_tell, merging, bridge, shell))


def _tell(merging: MergeService, bridge: Bridge, shell: Shell, trouble: WorkbenchError | None) -> None:
    if trouble is not None:
        give_up = partial(bridge.run, merging.abandon, then=partial(_gone, shell))
        ask = partial(shell.confirm, "Give the merge up?", WORDS, give_up, "Give up")
        hint = "Nothing is frozen or exported until then. Opening the workspace again tries once more."
        shell.notify(trouble.what, hint, "bad", ("Give it up…", ask), trouble.details)


def _gone(shell: Shell, given_up: GivenUp | None) -> None:
    if given_up is None:
        shell.notify("No merge is unfinished any more.", "", "good")
        return
    done = given_up.brought
    brought = f"{count(done.judgements, 'judgement')}, {count(done.items, 'item')} and {count(done.rows, 'other row')}"
    shell.notify(
        f"The merge of {given_up.other or 'another workspace'} is given up.", f"It had brought {brought}.", "good"
    )
