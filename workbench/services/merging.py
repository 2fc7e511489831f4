"""Merging: what another workspace holds is brought into this one, and nothing twice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from workbench.domain.errors import BadInput, Conflict, NotFound, WorkbenchError
from workbench.services.settings import SettingsService
from workbench.services.views import GivenUp, Merged
from workbench.services.workspace import Workspace
from workbench.store.merge_datasets import MergeRecord
from workbench.store.merging import PAUSE, Abandoned
from workbench.store.store import is_workspace, open_store


class MergeService:
    """Merges workspaces from their folders."""

    def __init__(self, workspace: Workspace, settings: SettingsService) -> None:
        self._workspace = workspace
        self._lane = workspace.lane
        self._settings = settings

    def merge(self, other: Path, rename: Mapping[str, str] | None = None, dry_run: bool = False) -> Merged:
        """Bring in what the workspace in a folder has and this one hasn't; with `dry_run` only the report.

        Labels go on meanwhile. A merge that was begun is completed, at the next opening if this process dies. The other workspace is
        read and never changed. `rename` gives annotators there another name here. Conflict when both are the same, or while another
        merge is under way; other errors are those of opening a workspace.
        """
        other = Path(other).expanduser().absolute()
        if other.exists() and other.samefile(self._workspace.path):
            raise Conflict("A workspace can't be merged with itself.", "Name another one.")
        for name in (rename or {}).values():
            if not name.strip() or len(name) > 80 or not name.isprintable():
                raise BadInput(f"{name!r} is no name for an annotator.", "Give a name of at most 80 characters.")
            self._settings.refuse_judges_name(name)
        done = self._trial(other, rename or {}) if dry_run else self._merge(other, rename or {})
        return _merged(done)

    def trouble(self) -> WorkbenchError | None:
        """Why a merge couldn't be completed when this workspace was opened; None when nothing waits."""
        return self._workspace.store.merging.trouble

    def abandon(self) -> GivenUp | None:
        """Give up a merge that isn't complete; what it has brought stays. None when there is none, Conflict while it is under way."""
        return _given_up(self._lane.do(self._workspace.store.merging.abandon))

    def _trial(self, other: Path, rename: Mapping[str, str]) -> MergeRecord:
        return self._lane.do(self._workspace.store.merging.trial, other, rename)

    def _merge(self, other: Path, rename: Mapping[str, str]) -> MergeRecord:
        record = MergeRecord()
        slices = self._workspace.store.merging.merging(other, rename, record)
        done = object()
        while self._lane.do(next, slices, done) is not done:
            time.sleep(PAUSE)
        return record


def abandon_merge(path: Path) -> GivenUp | None:
    """The same in a workspace that isn't open: opening it would complete the merge, where that is possible."""
    path = Path(path).expanduser().absolute()
    if not is_workspace(path):
        raise NotFound(f"There is no workspace in {path}.", "Name the folder of a workspace.")
    store = open_store(path, settle=False)
    try:
        return _given_up(store.merging.abandon())
    finally:
        store.close()


def _given_up(found: Abandoned | None) -> GivenUp | None:
    return None if found is None else GivenUp(str(found.other or ""), _merged(found.brought))


def _merged(done: MergeRecord) -> Merged:
    counts = {name: value for name, value in vars(done).items() if isinstance(value, int)}
    return Merged(datasets=tuple(done.datasets), notes=tuple(done.notes), **counts)
