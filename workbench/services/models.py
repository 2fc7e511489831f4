"""Models: folders with safetensors that the workspace knows by name, with their parents. Looked into without torch."""

from __future__ import annotations

import builtins
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from workbench.domain.architecture import CANNOT_CONTINUE
from workbench.domain.errors import BadInput
from workbench.domain.runs import ModelKind, ModelRef
from workbench.services.files import replace_text
from workbench.services.model_folder import family_in, inspect_folder
from workbench.services.workspace import Workspace

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class ModelsService:
    """The workspace's models."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = workspace.store.models
        self._lane = workspace.lane

    def list(self) -> builtins.list[ModelRef]:
        """Every model, oldest first."""
        return self._lane.do(self._store.list)

    def get(self, name: str) -> ModelRef:
        """One model; NotFound."""
        return self._lane.do(self._store.get, name)

    def add_folder(
        self,
        path: Path,
        name: str = "",
        *,
        kind: ModelKind | None = None,
        parents: tuple[str, ...] = (),
        run: str | None = None,
        synthetic: bool = False,
    ) -> ModelRef:
        """Register a folder with config.json and safetensors where it is; BadInput says what is missing.

        `name` defaults to the folder's name, `kind` to what the folder's config says.
        """
        folder = inspect_folder(Path(path))
        model = ModelRef(
            name=_checked(name or folder.path.name),
            path=str(folder.path),
            kind=kind or folder.kind,
            form=folder.form,
            parents=parents,
            run=run,
            parameters=folder.parameters,
            created=datetime.now(UTC),
            synthetic=synthetic,
        )
        self._lane.do(self._store.add, model)
        return model

    def register_result(
        self, name: str, kind: ModelKind, folder: Path, *, parents: tuple[str, ...], run: str, synthetic: bool = False
    ) -> ModelRef:
        """Register what a run made; a taken name gets a number behind it."""
        taken = {m.name for m in self.list()}
        free, number = name, 1
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        return self.add_folder(folder, free, kind=kind, parents=parents, run=run, synthetic=synthetic)

    def rename(self, name: str, new: str) -> ModelRef:
        """Give a model another name; Conflict when it is taken."""
        self._lane.do(self._store.rename, name, _checked(new))
        return self.get(new)

    def remove(self, name: str) -> None:
        """Take a model off the list; its files stay where they are."""
        self._lane.do(self._store.remove, name)

    def family(self, name: str) -> builtins.list[ModelRef]:
        """The language models of one family, the oldest first: the base that a model comes from, and all that came of it.

        Reward models teach, they don't speak: they are left out, and nobody is related through them.
        """
        speaking = {m.name: m for m in self.list() if m.kind != "reward"}
        root = self.get(name)
        seen = {root.name}
        while (parent := speaking.get(root.parents[0] if root.parents else "")) is not None and parent.name not in seen:
            seen.add(parent.name)
            root = parent
        related = {root.name}
        for model in speaking.values():  # a parent is older than its children
            if related & set(model.parents[:1]):
                related.add(model.name)
        return [model for model in speaking.values() if model.name in related]

    def find_bases_again(self) -> None:
        """After the workspace was moved: write into each adapter where its base is now. What can't be written stays."""
        models = self.list()
        paths = {model.name: Path(model.path) for model in models}
        for model in models:
            base = paths.get(model.parents[0]) if model.form == "adapter" and model.parents else None
            if base is not None and base.is_dir():
                _point_at(Path(model.path) / "adapter_config.json", base)

    def card(self, name: str) -> builtins.list[tuple[str, str]]:
        """What is known about a model, as (heading, text)."""
        model = self.get(name)
        facts = [
            ("Name", model.name),
            ("Kind", model.kind),
            ("Weights", "adapter" if model.form == "adapter" else "full"),
            ("Parameters", f"{model.parameters:,}"),
            ("Parents", ", ".join(model.parents) or "none"),
            ("Made by run", model.run or "imported"),
            ("Added", f"{model.created:%Y-%m-%d %H:%M} UTC"),
            ("Folder", model.path),
        ]
        family = family_in(Path(model.path))
        if family in CANNOT_CONTINUE:
            facts.append(
                (
                    "Use",
                    f"it {CANNOT_CONTINUE[family]}; pretraining can go on from it, "
                    + (
                        "the playground can use it, other jobs can't"
                        if family == "span"
                        else "other jobs and the playground can't"
                    ),
                )
            )
        if model.synthetic:
            facts.append(("Data", "synthetic: its labels were made by a rule or a model"))
        return facts + _config_facts(Path(model.path))


def _point_at(config: Path, base: Path) -> None:
    try:
        said = json.loads(config.read_text(encoding="utf-8"))
        before = Path(said["base_model_name_or_path"])
        if before.is_absolute() and not before.exists():
            replace_text(config, json.dumps({**said, "base_model_name_or_path": str(base)}, indent=2) + "\n")
    except (OSError, ValueError, KeyError, TypeError):
        return  # a place that can't be written, or no adapter any more: loading it says what is wrong


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} can't be a model's name.", "Use letters, digits, dots, hyphens and underscores, at most 80."
        )
    return name


def _config_facts(folder: Path) -> list[tuple[str, str]]:
    """A few lines of the folder's own config; nothing when the folder has gone."""
    shown: tuple[tuple[str, str], ...] = (
        ("architectures", "Architecture"), ("hidden_size", "Width"), ("num_hidden_layers", "Layers"),
        ("num_attention_heads", "Heads"), ("vocab_size", "Vocabulary"), ("max_position_embeddings", "Longest text"),
        ("base_model_name_or_path", "Base of the adapter"), ("r", "Rank of the adapter"),
    )  # fmt: skip
    facts: list[tuple[str, str]] = []
    for file in ("config.json", "adapter_config.json"):
        try:
            config = json.loads((folder / file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if not isinstance(config, dict):
            continue
        facts += [(title, _plain(config[key])) for key, title in shown if config.get(key) is not None]
    return facts if facts else [("Files", "the folder can't be read")]


def _plain(value: object) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
