"""The starter kit: where it is, and how it gets into a workspace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from workbench.domain.errors import NotFound, StorageFailed
from workbench.domain.judgement import Item, Judgement
from workbench.domain.rows import DatasetKind
from workbench.domain.text import Demonstration, Prompt
from workbench.services.datasets import DatasetsService
from workbench.services.models import ModelsService
from workbench.services.workspace import Workspace
from workbench.store.filling import NewRow
from workbench.store.store import Store

KIT = Path("resources") / "starter"
BASE = "starter-base"
SOURCE = "starter kit (synthetic)"
DEMONSTRATIONS, PROMPTS, HELD_OUT, RANKINGS, TO_RANK = (
    "demonstrations",
    "prompts",
    "held-out-prompts",
    "rankings",
    "to-rank",
)


def kit_folder() -> Path:
    """The kit's folder, beside the package in a checkout or inside it when installed; NotFound says where it was looked for."""
    package = Path(__file__).resolve().parents[1]
    for root in (package.parent, package):
        if (root / KIT / "model" / "config.json").exists():
            return root / KIT
    raise NotFound(
        f"The starter kit is in none of {package.parent / KIT} and {package / KIT}.", "Make it with `make starter`."
    )


def fill_with_starter(workspace: Workspace, models: ModelsService, datasets: DatasetsService) -> None:
    """Put the kit's model and datasets into a workspace; what is there already is left as it is."""
    kit = kit_folder()
    if BASE not in {m.name for m in models.list()}:
        folder = workspace.models / BASE
        try:
            shutil.copytree(kit / "model", folder, dirs_exist_ok=True)
        except OSError as error:
            raise StorageFailed(
                f"The starter model can't be copied to {folder}.", "Check the place and its free space.", str(error)
            ) from error
        models.add_folder(folder, BASE, kind="base", synthetic=True)
    present = {d.name for d in datasets.list()}
    readers: dict[str, tuple[str, DatasetKind]] = {
        DEMONSTRATIONS: ("demonstrations.jsonl", "demonstrations"),
        PROMPTS: ("prompts.jsonl", "prompts"),
        HELD_OUT: ("heldout.jsonl", "prompts"),
        RANKINGS: ("items.jsonl", "preferences"),
        TO_RANK: ("to_rank.jsonl", "preferences"),
    }
    for name, (file, kind) in readers.items():
        if name not in present:
            rows = [NewRow(_row(kind, line), line=n) for n, line in enumerate(_lines(kit / file), 1)]
            workspace.lane.do(_add_whole, workspace.store, name, kind, rows)


def _add_whole(store: Store, name: str, kind: DatasetKind, rows: list[NewRow]) -> None:
    handle = store.datasets.begin(kind, SOURCE, synthetic=True)
    store.datasets.append(handle, rows)
    store.datasets.publish(handle, name)


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _row(kind: DatasetKind, line: dict[str, object]) -> Prompt | Demonstration | tuple[Item, list[Judgement]]:
    if kind == "preferences":
        judgements = line["judgements"]
        assert isinstance(judgements, list)
        return Item.model_validate(line["item"]), [Judgement.model_validate(j) for j in judgements]
    prompt = Prompt.model_validate({"turns": line["prompt"]})
    if kind == "prompts":
        return prompt
    completion = line["completion"]
    assert isinstance(completion, list)
    return Demonstration(prompt=prompt, completion=completion[0]["content"])
