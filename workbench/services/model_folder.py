"""Looks into a model's folder without torch: is it complete, what is it, how many parameters does it have."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

from workbench.domain.architecture import Family, family_of
from workbench.domain.errors import BadInput, NotFound
from workbench.domain.runs import ModelKind

HEADER_LIMIT = 100_000_000
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class ModelFolder(NamedTuple):
    """What a folder holds."""

    path: Path
    kind: ModelKind
    form: Literal["full", "adapter"]
    parameters: int


def inspect_folder(path: Path) -> ModelFolder:
    """Check a model folder; raises NotFound or BadInput with what is wrong and what to do."""
    path = path.expanduser().absolute()
    if not path.is_dir():
        raise NotFound(f"There is no folder {path}.", "Give the folder that holds config.json and the weights.")
    adapter = (path / "adapter_config.json").exists()
    config = _config(path / ("adapter_config.json" if adapter else "config.json"))
    shards = sorted(path.glob("adapter_model*.safetensors" if adapter else "*.safetensors"))
    if not shards:
        raise _no_weights(path)
    _refuse_missing_shards(path)
    reward = "SequenceClassification" in str(config.get("architectures")) or config.get("task_type") == "SEQ_CLS"
    parameters = sum(count_parameters(shard) for shard in shards)
    return ModelFolder(path, "reward" if reward else "base", "adapter" if adapter else "full", parameters)


def family_in(path: Path) -> Family | None:
    """What the model in a folder can do with text; None when its config doesn't say, or can't be read."""
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return family_of(config) if isinstance(config, dict) else None


def count_parameters(file: Path) -> int:
    """The number of values in a safetensors file, from its header alone; BadInput when the file is cut or damaged."""
    damaged = BadInput(f"{file} is not a complete safetensors file.", "Copy or download the file again.")
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, HEADER_LIMIT):
            raise damaged
        try:
            header = json.loads(stream.read(length))
            tensors = [t for name, t in header.items() if name != "__metadata__"]
            end = max((t["data_offsets"][1] for t in tensors), default=0)
            count = int(sum(math.prod(t["shape"]) for t in tensors))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise damaged from error
    if end != size - 8 - length:
        raise damaged
    return count


def _config(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise BadInput(
            f"{file.parent} has no {file.name}, so it isn't a model folder.",
            "Give the folder that transformers' or peft's save_pretrained wrote.",
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} can't be read: {error}.", "Restore the file and add the folder again.") from error
    if not isinstance(config, dict):
        raise BadInput(f"{file} doesn't hold a model's configuration.", "Restore the file and add the folder again.")
    return config


def _no_weights(path: Path) -> BadInput:
    pickled = [p.name for pattern in PICKLES for p in path.glob(pattern)]
    if pickled:
        return BadInput(
            f"{path} holds its weights only as pickled files ({', '.join(sorted(pickled)[:3])}), which can run "
            "any code when they are loaded; the workbench never opens them.",
            "Save the model as safetensors where you trust it: model.save_pretrained(folder) of transformers does.",
        )
    return BadInput(
        f"{path} has no weights (*.safetensors).", "Finish the download, or give the folder with the weights."
    )


def _refuse_missing_shards(path: Path) -> None:
    """A sharded model names its files in an index; all of them must be here."""
    index = path / "model.safetensors.index.json"
    if not index.exists():
        return
    try:
        wanted = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        missing = sorted(name for name in wanted if not (path / name).exists())
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(f"{index} can't be read: {error}.", "Copy or download the file again.") from error
    if missing:
        raise BadInput(
            f"{path} lacks {len(missing)} of its weight files: {', '.join(missing[:3])}.", "Finish the download."
        )
