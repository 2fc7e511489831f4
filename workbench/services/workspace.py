"""What every service is built from: the open workspace, its store and its lane."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.services.lane import Lane
from workbench.store.store import Store


@dataclass(frozen=True)
class Workspace:
    """An open workspace. Every call into `store` goes through `lane.do`; what reads for long goes through `lane.beside`."""

    path: Path
    store: Store
    lane: Lane

    @property
    def runs(self) -> Path:
        """Where run folders are."""
        return self.path / "runs"

    @property
    def snapshots(self) -> Path:
        """Where frozen rows are."""
        return self.path / "snapshots"

    @property
    def models(self) -> Path:
        """Where imported models are."""
        return self.path / "models"
