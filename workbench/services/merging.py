"""Merging: what another workspace holds is brought into this one, and nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workbench.domain.errors import BadInput, Conflict
from workbench.services.settings import SettingsService
from workbench.services.views import Merged
from workbench.services.workspace import Workspace


class MergeService:
    """Merges workspaces from their folders."""

    def __init__(self, workspace: Workspace, settings: SettingsService) -> None:
        self._workspace = workspace
        self._lane = workspace.lane
        self._settings = settings

    def merge(self, other: Path, rename: Mapping[str, str] | None = None, dry_run: bool = False) -> Merged:
        """Bring in what the workspace in a folder has and this one hasn't; all or nothing, and with `dry_run` only the report.

        The other workspace is read and never changed. `rename` gives annotators there another name here. Conflict when both are
        the same; other errors are those of opening a workspace.
        """
        other = Path(other).expanduser().absolute()
        if other.exists() and other.samefile(self._workspace.path):
            raise Conflict("A workspace can't be merged with itself.", "Name another one.")
        for name in (rename or {}).values():
            if not name.strip() or len(name) > 80 or not name.isprintable():
                raise BadInput(f"{name!r} is no name for an annotator.", "Give a name of at most 80 characters.")
            self._settings.refuse_judges_name(name)
        done = self._lane.do(self._workspace.store.merging.merge, other, rename or {}, dry_run=dry_run)
        counts = {name: value for name, value in vars(done).items() if isinstance(value, int)}
        return Merged(datasets=tuple(done.datasets), notes=tuple(done.notes), **counts)
