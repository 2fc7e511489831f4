"""Drafts of rankings that aren't finished: they survive a crash, and go when the item is judged."""

from __future__ import annotations

from typing import Any

from workbench.services.settings import SettingsService
from workbench.services.workspace import Workspace


class DraftService:
    """Your drafts; what stands in a body is the desk's business."""

    def __init__(self, workspace: Workspace, settings: SettingsService) -> None:
        self._store = workspace.store
        self._lane = workspace.lane
        self._settings = settings

    def save(self, dataset: str, item: str, body: dict[str, Any] | None) -> None:
        """Keep what you have begun to say about an item (None throws it away); it is committed when this returns."""
        me = self._settings.get().annotator
        self._lane.do(self._store.drafts.save, dataset, item, me, body)

    def get(self, dataset: str, item: str) -> dict[str, Any] | None:
        """What you have begun to say about an item; None when there is nothing."""
        return self._lane.do(self._store.drafts.get, dataset, item, self._settings.get().annotator)
