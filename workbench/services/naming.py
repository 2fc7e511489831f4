"""Names for folders that decode: a model of the workspace, a run's checkpoint as RUN@STEP, or a folder."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.domain.errors import NotFound
from workbench.jobs import folders

_CHECKPOINT = re.compile(r"([A-Za-z0-9._-]+)@(\d+|latest)")


def checkpoint_folder(runs: Path, name: str) -> Path | None:
    """The folder of the checkpoint that RUN@STEP or RUN@latest names; None for another kind of name, NotFound for no such one."""
    found = _CHECKPOINT.fullmatch(name)
    if found is None:
        return None
    run, wanted = found.groups()
    steps = folders.checkpoint_steps(runs / run)
    if not steps:
        raise NotFound(f"{run} has no checkpoints.", "Name a run of this workspace that has some, as RUN@STEP.")
    step = steps[-1] if wanted == "latest" else int(wanted)
    if step not in steps:
        raise NotFound(f"{run} has no checkpoint of step {step}.", f"It has {', '.join(map(str, steps))}.")
    return runs / run / "checkpoints" / str(step)


def name_of_folder(runs: Path, folder: Path) -> str:
    """How a column would name a folder that is no model of the workspace: RUN@STEP, or the folder's own name."""
    if folder.parent.name == "checkpoints" and folder.parent.parent.parent == runs:
        return f"{folder.parent.parent.name}@{folder.name}"
    return folder.name
