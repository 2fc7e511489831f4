"""The declared settings of this workspace: read, changed, checked."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from workbench.domain.errors import BadInput
from workbench.domain.settings import Settings
from workbench.domain.specs.kinds import explain
from workbench.services.workspace import Workspace


class SettingsService:
    """Settings as one validated value; what isn't stored has its default."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = workspace.store.settings
        self._lane = workspace.lane

    def get(self) -> Settings:
        """The settings; stored values that this version can't use fall back to their defaults."""
        stored = self._lane.do(self._store.get)
        known = {name: value for name, value in stored.items() if name in Settings.model_fields}
        try:
            return Settings.model_validate(known)
        except ValidationError as error:
            bad = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
            return Settings.model_validate({k: v for k, v in known.items() if k not in bad})

    def change(self, **fields: Any) -> Settings:
        """Change some settings; BadInput names each field that is out of bounds, and then nothing is changed."""
        try:
            changed = Settings.model_validate({**self.get().model_dump(), **fields})
        except ValidationError as error:
            raise BadInput(*explain(error)) from error
        values = changed.model_dump(mode="json")
        self._lane.do(self._store.set, **{name: values[name] for name in fields})
        return changed
