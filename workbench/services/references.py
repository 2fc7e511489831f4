"""What a spec names: the base, the data and the reward model, found in the workspace, and what is wrong with them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from workbench.domain.architecture import CANNOT_CONTINUE
from workbench.domain.errors import NotFound, WorkbenchError
from workbench.domain.rows import DatasetKind, usable_as
from workbench.domain.runs import ModelRef
from workbench.domain.specs.judge import JudgeSpec
from workbench.domain.specs.kinds import DATA_KIND, FROZEN_AS, Spec, data_kind
from workbench.domain.specs.online import OnlineSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.preferences import PreferenceSpec
from workbench.domain.specs.study import StudySpec, read_columns
from workbench.services.datasets import DatasetsService
from workbench.services.hardware import read_gpus
from workbench.services.model_folder import ModelFolder, family_in, inspect_folder
from workbench.services.models import ModelsService
from workbench.services.views import DatasetView


@dataclass
class Parts:
    """The things that a spec names, as far as they were found, and what is wrong with them."""

    base: ModelRef | None = None
    reward: ModelRef | None = None
    data: DatasetView | None = None
    function: Path | None = None
    trouble: list[str] = field(default_factory=list)


class References:
    """Finds what specs name."""

    def __init__(self, datasets: DatasetsService, models: ModelsService) -> None:
        self._datasets = datasets
        self._models = models

    def resolve(self, spec: Spec) -> Parts:
        """Find what the spec names; `trouble` holds a sentence for each thing that can't be used."""
        parts = Parts()
        if isinstance(spec, StudySpec):
            if any(not column.model for column in read_columns(spec.columns)):
                parts.base = self.model(spec.base, "model for the columns that name none", parts)
        elif not isinstance(spec, JudgeSpec):
            parts.base = self.model(spec.base, "base model", parts, fresh=spec.kind == "pretrain")
        elif spec.judge == "model":
            parts.base = self.model(spec.base, "model that judges", parts)
        if parts.base is not None and parts.base.kind == "reward" and spec.kind not in {"judge", "score"}:
            parts.trouble.append(f"{parts.base.name} is a reward model; choose a language model as base.")
        elif parts.base is not None and parts.base.kind != "reward" and spec.kind == "score":
            parts.trouble.append(f"{parts.base.name} is no reward model; train one on preferences first.")
        elif parts.base is not None and parts.base.kind != "reward" and spec.kind != "pretrain":
            family = family_in(Path(parts.base.path))
            if family in CANNOT_CONTINUE:
                parts.trouble.append(
                    f"{parts.base.name} {CANNOT_CONTINUE[family]}; choose a causal language model as base."
                )
        if isinstance(spec, OnlineSpec):
            self._rewards(spec, parts)
        if spec.device == "cuda" and not read_gpus():
            parts.trouble.append("The run asks for a GPU and this machine has none; choose device auto or cpu.")
        parts.data = self._data(spec, parts)
        wanted = isinstance(spec, OnlineSpec) and spec.rewards.answer_weight != 0
        if wanted and parts.data is not None and parts.data.kind != "demonstrations":
            parts.trouble.append(
                f"{parts.data.name} has no answers to compare with; choose demonstrations, or set answer_weight to 0."
            )
        return parts

    def _rewards(self, spec: OnlineSpec, parts: Parts) -> None:
        """Find the sources of rewards that a spec names."""
        if not spec.scored:
            parts.trouble.append("Choose a reward model, or another source of rewards.")
        if spec.reward_model:
            parts.reward = self.model(spec.reward_model, "reward model", parts)
        if parts.reward is not None and parts.reward.kind != "reward":
            parts.trouble.append(f"{parts.reward.name} is no reward model; train one on preferences first.")
        source, _, name = spec.rewards.function.rpartition(":")
        if source.endswith(".py"):
            parts.function = Path(source).expanduser().absolute()
            parts.trouble += function_trouble(parts.function, name)
        if isinstance(spec, PpoSpec) and spec.critic == "reward_model" and not spec.reward_model:
            parts.trouble.append("The critic is to start as the reward model, and none was chosen.")
        rollout = spec.batch_size * getattr(spec, "group_size", 1)
        if (minibatches := getattr(spec, "minibatches", 1)) > rollout:
            parts.trouble.append(f"A rollout of {rollout} completions can't be split into {minibatches} minibatches.")

    def model(self, name: str, role: str, parts: Parts, fresh: bool = False) -> ModelRef | None:
        """A model by name or by folder; None, with the trouble told, when it can't be used.

        `fresh`: a folder with a config but no weights will do, training then starts from random ones.
        """
        if not name:
            parts.trouble.append(f"Choose a {role}.")
            return None
        known = next((model for model in self._models.list() if model.name == name), None)
        path = Path(known.path if known is not None else name).expanduser().absolute()
        if known is None and not path.is_dir():
            parts.trouble.append(f"There is no model called {name!r}.")
            return None
        try:
            found = inspect_folder(path)
        except WorkbenchError as error:
            if not fresh or not (path / "config.json").is_file() or any(path.glob("*.safetensors")):
                parts.trouble.append(error.what)
                return None
            found = ModelFolder(path, "base", "full", 0)
        return known or ModelRef(
            name=name, path=str(path), kind=found.kind, form=found.form, parameters=found.parameters,
            created=datetime.now(UTC),
        )  # fmt: skip

    def _data(self, spec: Spec, parts: Parts) -> DatasetView | None:
        if not spec.data:
            parts.trouble.append("Choose a dataset.")
            return None
        try:
            data = self._datasets.get(spec.data)
        except NotFound:
            parts.trouble.append(f"There is no dataset called {spec.data!r}.")
            return None
        wanted = data_kind(spec)
        if not usable_as(data.kind, wanted):
            parts.trouble.append(f"{data.name} holds {data.kind}; a {spec.kind} run needs {wanted}.")
        elif not usable_rows(data, spec.kind, wanted):
            judged = usable_rows(data, spec.kind, wanted) != data.rows
            parts.trouble.append(f"No item of {data.name} is judged yet." if judged else f"{data.name} is empty.")
        elif isinstance(spec, PreferenceSpec) and spec.dimension:
            parts.trouble += filter(None, [self._datasets.dimension_trouble(data.name, spec.dimension)])
        return data


def function_trouble(file: Path, name: str) -> list[str]:
    """What keeps a file from giving a function of this name; it is read and parsed, never executed."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except OSError as error:
        return [f"The file with the function can't be read: {file} ({error.strerror or error})."]
    except (SyntaxError, ValueError) as error:
        return [f"{file.name} is no Python: {error}."]
    named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        named |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ImportFrom | ast.Import):
            named |= {alias.asname or alias.name for alias in node.names}
    return [] if name in named else [f"{file.name} defines no function {name}."]


def usable_rows(data: DatasetView, kind: str, wanted: DatasetKind | None = None) -> int:
    """Rows of a dataset that a recipe of this kind can learn from; judging and scoring need items, judged or not."""
    return data.judged if (wanted or DATA_KIND[kind]) == "preferences" and FROZEN_AS[kind] != "items" else data.rows
