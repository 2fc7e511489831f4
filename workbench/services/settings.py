"""The declared settings of this workspace: read, changed, checked."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from workbench.domain.errors import BadInput, Conflict
from workbench.domain.settings import Settings
from workbench.domain.specs.judge import RULES
from workbench.domain.specs.kinds import explain
from workbench.services.workspace import Workspace
from workbench.store.labels import IMPORTED


class SettingsService:
    """Settings as one validated value; what isn't stored has its default."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = workspace.store.settings
        self._profiles = workspace.store.profiles
        self._lane = workspace.lane
        self._known: Settings | None = None

    def known(self) -> Settings:
        """The settings as this process last read or changed them: what the window shows, without a look at the database."""
        return self._known or self.get()

    def get(self) -> Settings:
        """The settings; stored values that this version can't use fall back to their defaults."""
        stored = self._lane.do(self._store.get)
        known = {name: value for name, value in stored.items() if name in Settings.model_fields}
        try:
            self._known = Settings.model_validate(known)
        except ValidationError as error:
            bad = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
            self._known = Settings.model_validate({k: v for k, v in known.items() if k not in bad})
        return self._known

    def change(self, **fields: Any) -> Settings:
        """Change some settings; BadInput names each field that is out of bounds, and then nothing is changed."""
        try:
            changed = Settings.model_validate({**self.get().model_dump(), **fields})
        except ValidationError as error:
            raise BadInput(*explain(error)) from error
        if "annotator" in fields:
            self.refuse_judges_name(changed.annotator)
        values = changed.model_dump(mode="json")
        self._lane.do(self._store.set, **{name: values[name] for name in fields})
        self._known = changed
        return changed

    def refuse_judges_name(self, name: str) -> None:
        """Conflict when a model or a rule signs with this name: whose labels are whose must stay clear."""
        if name == IMPORTED:
            raise Conflict(f"Judgements that came with a file are signed {name!r}.", "Choose another name.")
        if name in RULES or self._lane.do(self._profiles.signed_by_judge, name):
            raise Conflict(f"A model or a rule signs its judgements as {name!r}.", "Choose another name.")
