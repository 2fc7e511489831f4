"""Serving models of the workspace: start and stop the server, its key, how it fares, its log."""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from workbench.domain.architecture import CANNOT_CONTINUE
from workbench.domain.errors import BadInput
from workbench.domain.serving import Offered, ServeSettings, Serving
from workbench.domain.specs.kinds import explain
from workbench.jobs.server import ServerProcess
from workbench.services.model_folder import family_in
from workbench.services.models import ModelsService
from workbench.services.settings import SettingsService
from workbench.services.workspace import Workspace

LOG_END = 64_000


class ServingService:
    """One server for the workspace, a process of its own. `start` returns at once; `state` tells the rest."""

    def __init__(self, workspace: Workspace, models: ModelsService, settings: SettingsService) -> None:
        self._models = models
        self._process = ServerProcess(workspace.path / "server.log", lambda: settings.get().threads)
        self._keys: tuple[str, ...] = ()
        self.record = ""  # the file in which the present or last server keeps prompts

    @property
    def key(self) -> str:
        """The (first) key that opens the present server; empty when there is none."""
        return self._keys[0] if self._keys and self.state().state not in ("stopped", "failed") else ""

    @property
    def log(self) -> Path:
        """The log of the present or last server: a JSON line for each request, without texts unless asked for."""
        return self._process.log

    def state(self) -> Serving:
        """How the server fares."""
        return self._process.serving()

    def start(
        self, names: Sequence[str], settings: ServeSettings | None = None, keys: Sequence[str] = ()
    ) -> builtins.tuple[str, ...]:
        """Start serving models under their names; returns the keys: those given, else a new one.

        NotFound for unknown models, BadInput for those that can't continue text, Conflict when a server is running.
        """
        offered = [self._offered(name) for name in dict.fromkeys(names)]
        if not offered:
            raise BadInput("No model was named.", "Name at least one model of the workspace.")
        chosen = tuple(keys) or (f"sk-{secrets.token_urlsafe(32)}",)
        if any(not key.isascii() or not key.isprintable() or " " in key or len(key) < 16 for key in chosen):
            raise BadInput(
                "A key has fewer than 16 letters, or a blank.", "Use letters, digits and signs, at least 16."
            )
        settings = settings or ServeSettings()
        self._process.start(offered, settings, chosen)
        self._keys, self.record = chosen, settings.record
        return chosen

    def stop(self, seconds: float | None = None, *, now: bool = False) -> None:
        """Let requests under way end within the time of grace (or not, with `now`), and wait for the server's end."""
        self._process.stop(seconds, now=now)

    def ask_to_stop(self) -> None:
        """Let requests under way end within the time of grace; returns at once."""
        self._process.ask_to_stop()

    def log_end(self) -> str:
        """The newest lines of the log."""
        try:
            with self._process.log.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - LOG_END))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return text if size <= LOG_END else text.partition("\n")[2]

    def close(self) -> None:
        """End the server with the workspace."""
        self._process.close()

    def _offered(self, name: str) -> Offered:
        model = self._models.get(name)
        family = family_in(Path(model.path))
        if model.kind == "reward":
            raise BadInput(f"{name} is a reward model: it scores texts and can't write any.", "Serve a policy.")
        if family in CANNOT_CONTINUE:
            raise BadInput(f"{name} {CANNOT_CONTINUE[family]}.", "Serve a causal language model.")
        return Offered(name=name, path=model.path)


def settings_for(**values: object) -> ServeSettings:
    """Validated settings; BadInput names each that is out of bounds."""
    try:
        return ServeSettings.model_validate(values)
    except ValidationError as error:
        raise BadInput(*explain(error)) from error
