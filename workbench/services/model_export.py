"""Models for use elsewhere: written by the decoding worker, with a card that tells where they came from."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from workbench.domain.errors import BadInput, NotFound
from workbench.domain.metrics import metric
from workbench.domain.runs import ModelRef
from workbench.services.models import ModelsService
from workbench.services.playground import PlaygroundService
from workbench.services.workspace import Workspace

Form = Literal["safetensors", "gguf", "onnx"]
Precision = Literal["f32", "f16", "q8_0"]
FORMS: tuple[tuple[Form, str], ...] = (
    ("safetensors", "Merged weights for transformers, vLLM and other Python libraries."),
    ("gguf", "One file for llama.cpp and what is built on it: Llama, Mistral and Qwen2 models."),
    ("onnx", "For ONNX Runtime; needs the package optimum-onnx."),
)
PRECISIONS: tuple[Precision, ...] = ("f32", "f16", "q8_0")


class ModelExportService:
    """Exports models of the workspace. `export` blocks until the files are there."""

    def __init__(self, workspace: Workspace, models: ModelsService, playground: PlaygroundService) -> None:
        self._store, self._lane = workspace.store, workspace.lane
        self._models, self._playground = models, playground

    def export(
        self, name: str, out: Path, form: Form = "safetensors", *, licence: str = "", precision: Precision = "f32"
    ) -> Path:
        """Write a model into a new folder; returns the main file, or the folder.

        `licence` is an SPDX name or any words; it is written into the card and, for GGUF, into the file.
        """
        if any(c in licence for c in "\r\n"):
            raise BadInput("A licence is named in one line.", "Give its SPDX name, for example apache-2.0.")
        out = Path(out).expanduser().absolute()
        if not out.parent.is_dir():
            raise BadInput(f"{out.parent} is no folder.", "Make it first, or choose another place.")
        card = self.card(name, form, licence.strip())
        return self._playground.write_model(name, out, form, card, licence.strip(), precision)

    def card(self, name: str, form: Form, licence: str = "") -> str:
        """The README: licence, lineage with the hash of each run's data, last metrics, and how it was trained."""
        model = self._models.get(name)
        family = list(self._ancestors(model))
        bases = [one.name for one in family if not one.parents] or [name]
        parts = [
            _front(model, licence, bases, form),
            f"# {name}",
            f"A {model.kind} model of {model.parameters:,} parameters, exported as {form} by RLHF Workbench. "
            f"Licence: {licence or 'not stated; ask for that of the base model and of the data'}."
            + (" Labels were made by a rule or a model: the data is synthetic." if model.synthetic else ""),
            "## Lineage",
            _table(("model", "kind", "run", "data", "SHA-256 of the rows"), [self._line(one) for one in family]),
        ]
        if rows := self._metrics(model):
            parts += [
                "## Metrics",
                "The last value of each in the run that made the model.",
                _table(("metric", "value", "what it says"), rows),
            ]
        if trained := _readme(Path(model.path)):
            parts += ["## As it was trained", trained]
        return "\n\n".join(parts) + "\n"

    def _ancestors(self, model: ModelRef) -> Iterator[ModelRef]:
        """The model, its parents, theirs and so on; each once, those that are no longer known left out."""
        known = {one.name: one for one in self._models.list()}
        waiting, seen = [model], {model.name}
        while waiting:
            one = waiting.pop(0)
            yield one
            for parent in one.parents:
                if parent in known and parent not in seen:
                    seen.add(parent)
                    waiting.append(known[parent])

    def _line(self, model: ModelRef) -> tuple[str, ...]:
        if model.run is None:
            return model.name, model.kind, "imported", "", ""
        try:
            run = self._lane.do(self._store.runs.get, model.run)
        except NotFound:
            return model.name, model.kind, model.run, "", ""
        return model.name, model.kind, run.name or run.id, str(run.spec.get("data", "")), run.snapshot or ""

    def _metrics(self, model: ModelRef) -> builtins.list[tuple[str, ...]]:
        latest = self._lane.do(self._store.runs.latest, model.run) if model.run is not None else {}
        return [(key, f"{value:.6g}", metric(key).sentence) for key, value in sorted(latest.items())]


def _front(model: ModelRef, licence: str, bases: builtins.list[str], form: Form) -> str:
    """What model hubs read: YAML in front."""
    library = {"safetensors": "transformers", "gguf": "gguf", "onnx": "onnx"}[form]
    named = "\n".join(f"- {_quoted(base)}" for base in bases if base != model.name)
    lines = [
        f"license: {_quoted(licence or 'unknown')}",
        f"library_name: {library}",
        f"tags:\n- rlhf-workbench\n- {model.kind}",
    ]
    return "\n".join(["---", *lines, *([f"base_model:\n{named}"] if named else []), "---"])


def _quoted(words: str) -> str:
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _table(heads: tuple[str, ...], rows: builtins.list[tuple[str, ...]]) -> str:
    cells = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in cells
    )


def _readme(folder: Path) -> str:
    """The README that lies beside the weights, its headings two steps lower, without its own front matter."""
    try:
        words = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    if words.startswith("---\n") and "\n---\n" in words[4:]:
        words = words[4:].split("\n---\n", 1)[1]
    lines, fenced = [], False
    for line in words.strip().splitlines():
        fenced ^= line.startswith("```")
        lines.append(f"##{line}" if line.startswith("#") and not fenced else line)
    return "\n".join(lines)
