"""A model for use elsewhere: merged safetensors, one GGUF file for llama.cpp, or ONNX; each whole or absent, with its card."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from workbench.domain.errors import BadInput, RunFailed
from workbench.engine.gguf_file import Precision, read_back, write_gguf
from workbench.engine.models import Loaded, adapter_base, is_adapter, is_reward, load_policy, load_reward, save_model
from workbench.protocol.run_folder import read_json, write_atomically

Form = Literal["safetensors", "gguf", "onnx"]
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def export_model(
    folder: Path, out: Path, form: Form, *, card: str = "", licence: str = "", precision: Precision = "f32"
) -> Path:
    """Write the model of a folder into the new folder `out`; an adapter is merged into its base. Returns the main file or folder.

    Safetensors keep the type of numbers that the base is stored in; merging itself is done in float32. Raises BadInput for what can't
    be written in this form.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} exists already.", "Choose a new folder; nothing is written over.")
    beside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        loaded = _merged(folder)
        main = _write(loaded, folder, beside, form, card=card, licence=licence, precision=precision)
        if out.exists():
            out.rmdir()
        beside.replace(out)
    except OSError as error:
        raise RunFailed(
            f"{out} can't be written: {error.strerror or error}.", "Check the place and its space."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out / main if main else out


def _merged(folder: Path) -> Loaded:
    loaded = load_reward(folder) if is_reward(folder) else load_policy(folder)
    if is_adapter(folder) and not loaded.merged:
        raise BadInput(
            "This adapter can't be merged into its base: its tokens or layers stand beside the weights.",
            "Use its folder with the workbench, or train with LoRA.",
        )
    return loaded


def _write(
    loaded: Loaded, folder: Path, beside: Path, form: Form, *, card: str, licence: str, precision: Precision
) -> str:
    """Fill the folder; returns the name of its main file, "" for the folder itself."""
    name = folder.parent.name if folder.name == "model" else folder.name
    if form == "safetensors":
        save_model(loaded.model.to(_stored(folder)), loaded.tokenizer, beside, card)
        also_for_transformers_4(beside)
        return ""
    if is_reward(folder):
        raise BadInput("A reward model is exported as safetensors only.", "Choose safetensors.")
    if form == "onnx":
        _write_onnx(loaded, beside, card)
        return "model.onnx"
    beside.mkdir(parents=True)
    file = beside / f"{name}-{precision}.gguf"
    write_gguf(loaded.model, loaded.tokenizer, file, name=name, precision=precision, licence=licence)
    _check(file, loaded.model, precision)
    if card:
        write_atomically(beside / "README.md", card)
    return file.name


def _check(file: Path, model: Any, precision: Precision) -> None:
    """Read the file back: as many numbers as the model has, and the embedding as it is; RunFailed otherwise."""
    tensors = read_back(file)
    expected = sum(parameter.numel() for parameter in model.parameters())
    embedding = model.get_input_embeddings().weight.detach().float().cpu().numpy()
    near = {"f32": 0.0, "f16": 1e-3, "q8_0": 1e-2}[precision] * float(np.abs(embedding).max() or 1.0)
    same = np.allclose(tensors["token_embd.weight"], embedding, rtol=0.0, atol=near)
    if sum(tensor.size for tensor in tensors.values()) != expected or not same:
        raise RunFailed("The GGUF file doesn't hold what was written.", "Check the disk, then export again.")


def _write_onnx(loaded: Loaded, beside: Path, card: str) -> None:
    try:
        exporter = importlib.import_module("optimum.exporters.onnx")
    except ImportError as error:
        raise BadInput(
            "Writing ONNX needs the package optimum-onnx, which is not installed here.",
            "optimum-onnx 0.1.0 needs transformers below 4.58, and the workbench needs 5: export safetensors, and in an environment "
            "of its own: pip install optimum-onnx[onnxruntime], then optimum-cli export onnx --model FOLDER --task text-generation-with-past OUT.",
        ) from error
    source = beside.with_name(f"{beside.name}.source")
    try:
        save_model(loaded.model, loaded.tokenizer, source, card)
        also_for_transformers_4(source)
        exporter.main_export(str(source), output=beside, task="text-generation-with-past", local_files_only=True)
        if card:
            write_atomically(beside / "README.md", card)
    except Exception as error:  # whatever another library raises
        raise RunFailed(f"optimum could not write ONNX: {error}", "Export safetensors instead.") from error
    finally:
        shutil.rmtree(source, ignore_errors=True)


def also_for_transformers_4(folder: Path) -> None:
    """Say in config.json and tokenizer_config.json what transformers 4 reads under other names; 5 understands both.

    Without it, transformers 4 finds no tokenizer, and takes positions to turn with the base 10,000 whatever the model was trained with.
    """
    config = read_json(folder / "config.json")
    rope = config.get("rope_parameters") or {}
    if "rope_theta" in rope:  # where kinds of layers differ, their names stand here
        config |= {name: rope[name] for name in ("rope_theta", "partial_rotary_factor") if name in rope}
        if rope.get("rope_type", "default") != "default":
            config["rope_scaling"] = {name: value for name, value in rope.items() if name != "rope_theta"}
        write_atomically(folder / "config.json", json.dumps(config, indent=2) + "\n")
    file = folder / "tokenizer_config.json"
    if file.exists() and (said := read_json(file)).get("tokenizer_class") == "TokenizersBackend":
        # Without the names, version 4 adds token_type_ids, which its generate() then refuses.
        said = (
            {"model_input_names": ["input_ids", "attention_mask"]}
            | said
            | {"tokenizer_class": "PreTrainedTokenizerFast"}
        )
        write_atomically(file, json.dumps(said, indent=2) + "\n")


def _stored(folder: Path) -> torch.dtype:
    """The type of numbers that a model's (or an adapter's base's) weights are stored in."""
    root = adapter_base(folder) if is_adapter(folder) else folder
    try:
        said = json.loads((root / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return torch.float32
    return _DTYPES.get(str(said.get("dtype") or said.get("torch_dtype") or "float32"), torch.float32)
