"""`workbench models`: list, add, show, export."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbench.cli.common import command, family, opened, utc
from workbench.cli.output import Output
from workbench.domain.runs import ModelRef
from workbench.services.model_export import FORMS, PRECISIONS


def add(commands: Any, name: str, sentence: str) -> None:
    """Add the commands."""
    verbs = family(commands, name, sentence)
    command(verbs, "list", run_list, "list the models", "models list my-work")
    adder = command(
        verbs,
        "add",
        run_add,
        "add a folder with config.json and safetensors",
        "models add my-work ./llama --name llama",
    )
    adder.add_argument("folder", type=Path)
    adder.add_argument("--name", default="")
    show = command(verbs, "show", run_show, "show a model's card", "models show my-work tour-dpo")
    show.add_argument("name")
    export = command(
        verbs,
        "export",
        run_export,
        "write a model for use elsewhere: merged safetensors, GGUF for llama.cpp, or ONNX",
        "models export my-work tour-dpo --out ./tour-dpo-gguf --format gguf --precision q8_0 --licence apache-2.0",
    )
    export.add_argument("name")
    export.add_argument("--out", type=Path, required=True, help="a new folder")
    export.add_argument("--format", default="safetensors", choices=[form for form, _ in FORMS])
    export.add_argument("--precision", default="f32", choices=PRECISIONS, help="of a GGUF file's matrices")
    export.add_argument("--licence", default="", help="for the card: an SPDX name or any words")


def _document(model: ModelRef) -> dict[str, Any]:
    return {
        "name": model.name, "path": model.path, "kind": model.kind, "parents": list(model.parents), "parameters": model.parameters,
        "form": model.form, "run": model.run, "created": utc(model.created), "synthetic": model.synthetic,
    }  # fmt: skip


def run_list(arguments: argparse.Namespace, output: Output) -> int:
    """List the models."""
    with opened(arguments) as bench:
        found = bench.models.list()
    rows = [(m.name, m.kind, f"{m.parameters:,}", " + ".join(m.parents)) for m in found]
    output.result([_document(m) for m in found], output.table(("name", "kind", "parameters", "from"), rows))
    return 0


def run_add(arguments: argparse.Namespace, output: Output) -> int:
    """Register a folder."""
    with opened(arguments) as bench:
        model = bench.models.add_folder(arguments.folder, arguments.name)
    output.result(_document(model), f"{model.name}: {model.parameters:,} parameters in {model.path}")
    return 0


def run_export(arguments: argparse.Namespace, output: Output) -> int:
    """Write a model into a new folder."""
    with opened(arguments) as bench:
        main = bench.exports.export(
            arguments.name, arguments.out, arguments.format, licence=arguments.licence, precision=arguments.precision
        )
    output.result({"model": arguments.name, "format": arguments.format, "path": str(main)}, f"{arguments.name}: {main}")
    return 0


def run_show(arguments: argparse.Namespace, output: Output) -> int:
    """Show what is known about a model."""
    with opened(arguments) as bench:
        model, card = bench.models.get(arguments.name), bench.models.card(arguments.name)
    output.result({**_document(model), "card": dict(card)}, output.table(("", ""), card))
    return 0
