"""The names in a run's folder, and the small atomic files in it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from workbench.domain.errors import BadInput, NotFound
from workbench.domain.runs import Wanted
from workbench.domain.specs.kinds import Spec, parse_spec


class RunFolder:
    """One run = one folder that stands alone; this class knows where everything is."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.spec = self.path / "spec.json"
        self.data = self.path / "data.parquet"
        self.function = self.path / "reward_function.py"
        self.control = self.path / "control.json"
        self.events = self.path / "events.jsonl"
        self.log = self.path / "log.txt"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.process = self.path / "process.json"
        self.study = self.path / "study.json"
        self.texts = self.path / "texts.json"

    def create(self, spec: Spec) -> None:
        """Make the folder and write the spec with every default; the data is put in by the caller."""
        self.path.mkdir(parents=True)
        write_atomically(self.spec, spec.model_dump_json(indent=2) + "\n")
        self.want("run")

    def read_spec(self) -> Spec:
        """The validated spec; raises NotFound or BadInput."""
        try:
            payload = json.loads(self.spec.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFound(
                f"There is no run in {self.path}.", "A run folder holds a spec.json; check the path."
            ) from error
        except ValueError as error:
            raise BadInput(f"{self.spec} can't be read: {error}", "Restore the file or start the run anew.") from error
        return parse_spec(payload)

    def want(self, wanted: Wanted) -> None:
        """Say what is wanted of the run; the worker looks before every step."""
        write_atomically(self.control, json.dumps({"wanted": wanted}) + "\n")

    def wanted(self) -> Wanted:
        """What is wanted; "run" when nothing was said."""
        try:
            value: Wanted = json.loads(self.control.read_text(encoding="utf-8"))["wanted"]
        except FileNotFoundError:
            return "run"
        return value

    def complete_checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first; half-written ones have other names and don't count."""
        if not self.checkpoints.is_dir():
            return []
        return sorted((p for p in self.checkpoints.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))


def write_atomically(path: Path, text: str) -> None:
    """Replace a small file as a whole: written beside, fsynced, renamed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
