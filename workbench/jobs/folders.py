"""What services do with run folders: make, control, read and delete them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from workbench.domain.errors import Conflict, StorageFailed
from workbench.domain.runs import Wanted
from workbench.domain.specs.kinds import Spec
from workbench.jobs.watch import occupied
from workbench.protocol.run_folder import RunFolder, write_atomically


def make_run(folder: Path, spec: Spec, snapshot: Path | None, files: Mapping[str, Path] | None = None) -> None:
    """Make a run folder with its spec, its data (a hard link where the disk allows it) and copies of files; all or nothing."""
    run = RunFolder(folder)
    try:
        run.create(spec)
        if snapshot is not None:
            _link_or_copy(snapshot, run.data)
        for name, source in (files or {}).items():
            shutil.copyfile(source, folder / name)
    except FileExistsError as error:
        raise Conflict(f"{folder} is there already.", "Start the run again; it gets a new folder.") from error
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StorageFailed(
            f"The run's folder {folder} could not be written: {error.strerror or error}.",
            "Free some disk space or change the folder's permissions; nothing was changed.",
        ) from error


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def want(folder: Path, wanted: Wanted) -> None:
    """Say what is wanted of a run."""
    try:
        RunFolder(folder).want(wanted)
    except OSError as error:
        raise StorageFailed(
            f"The run could not be told to {wanted}: {error.strerror or error}.",
            "Check that the run's folder is there and may be written to.",
        ) from error


def wanted(folder: Path) -> Wanted:
    """What is wanted of a run."""
    return RunFolder(folder).wanted()


def read_spec(folder: Path) -> Spec:
    """The spec of a run folder."""
    return RunFolder(folder).read_spec()


def rewrite_spec(folder: Path, spec: Spec) -> None:
    """Replace a run's spec as a whole."""
    try:
        write_atomically(RunFolder(folder).spec, spec.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise StorageFailed(
            f"The run's folder {folder} could not be written: {error.strerror or error}.",
            "Free some disk space or change the folder's permissions, then try again.",
        ) from error


def checkpoint_steps(folder: Path) -> tuple[int, ...]:
    """Steps with a complete checkpoint, in order."""
    return tuple(int(p.name) for p in RunFolder(folder).complete_checkpoints())


def files(folder: Path) -> tuple[tuple[str, int], ...]:
    """Every file of a run with its size in bytes; paths are relative to the folder."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            try:
                found.append((str(path.relative_to(folder)), path.stat().st_size))
            except FileNotFoundError:  # replaced or pruned while we look
                continue
    return tuple(sorted(found))


def log_tail(folder: Path, size: int) -> str:
    """The last `size` bytes of the run's log, from a line's beginning; empty when there is no log yet."""
    try:
        with RunFolder(folder).log.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - size))
            content = file.read()
    except FileNotFoundError:
        return ""
    if length > size:
        content = content[content.find(b"\n") + 1 :]
    return content.decode("utf-8", errors="replace")


def study(folder: Path) -> tuple[bytes | None, bytes | None]:
    """(the table, the texts) of a study, as JSON; None for what isn't written yet."""
    run = RunFolder(folder)
    table, texts = (path.read_bytes() if path.exists() else None for path in (run.study, run.texts))
    return table, texts


def delete_run(folder: Path) -> None:
    """Delete a run's folder; refused while a process works in it."""
    if occupied(folder) is not None:
        raise Conflict("A worker still has this run.", "Stop the run first, then delete it.")
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageFailed(
            f"{folder} could not be deleted: {error.strerror or error}.",
            "Close programs that use its files and try again.",
        ) from error
