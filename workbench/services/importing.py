"""Files into datasets: a doctor's pass over every row first, then slices into a hidden dataset, shown by one last commit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench import formats
from workbench.domain.errors import BadInput, Cancelled, Conflict, StorageFailed
from workbench.domain.queues import Guidelines
from workbench.services.row_views import row_view
from workbench.services.views import Imported, Preview, RowView, Trouble
from workbench.services.workspace import Workspace
from workbench.store.filling import NewRow
from workbench.store.labels import IMPORTED

SLICE = 500
SHOWN = 20
TOLD = 3
SPARE = 8 * 2**20  # room for the write-ahead log and for taking rows away again, in bytes
UNPACKED = 4  # how much larger text is than its gzip file, about
Progress = Callable[[int, int], bool]


def preview(files: Sequence[Path], format: str, mapping: Mapping[str, str]) -> Preview:
    """What an import would do, from reading every row once; nothing is written."""
    found = formats.detect(files, format, mapping)
    shown: list[RowView] = []
    troubles: list[Trouble] = []
    read = 0
    for line, row, trouble in _rows(files, found.format, found.mapping):
        read += 1
        if row is None:
            troubles.append(Trouble(line, trouble))
        elif len(shown) < SHOWN:
            shown.append(row_view(len(shown), row.value, _facts(row)))
    return Preview(
        files=tuple(Path(f) for f in files),
        format=found.format,
        formats=tuple(formats.FORMATS),
        kind=found.kind,
        mapping=dict(found.mapping),
        columns=tuple(found.columns),
        read=read,
        usable=read - len(troubles),
        rows=tuple(shown),
        left_out=tuple(troubles),
        notes=tuple(found.notes),
    )


class Importer:
    """One import: refuses bad rows before it writes, can be cancelled, and leaves nothing behind when it doesn't finish."""

    def __init__(self, workspace: Workspace, progress: Progress | None) -> None:
        self._store = workspace.store.datasets
        self._guidelines = workspace.store.guidelines
        self._heads: list[Guidelines] = []
        self._lane = workspace.lane
        self._place = workspace.path
        self._remote = bool(workspace.store.server)
        self._progress = progress or (lambda _done, _total: True)

    def run(
        self, files: Sequence[Path], name: str, format: str, mapping: Mapping[str, str], skip_bad: bool, synthetic: bool
    ) -> Imported:
        """Read, fill, publish."""
        if any(d.name == name for d in self._lane.do(self._store.list)):
            raise Conflict(f"There is already a dataset called {name!r}.", "Choose another name, or delete it first.")
        found = formats.detect(files, format, mapping)
        read, troubles = self._examine(files, found.format, found.mapping)
        _refuse(files, read, troubles, skip_bad)
        if not self._remote:
            _refuse_full(files, self._place)
        source = ", ".join(Path(f).name for f in files)
        handle = self._lane.do(self._store.begin, found.kind, source, synthetic)
        try:
            imported = self._fill(handle, files, found.format, found.mapping, read - len(troubles))
            self._lane.do(self._guidelines.restore, handle, self._heads)
            self._lane.do(self._store.publish, handle, name)
        except BaseException:
            number = self._lane.do(self._store.abandon, handle)
            while self._lane.do(self._store.drop_some, number):
                pass
            raise
        return Imported(name, found.format, read, imported, tuple(troubles))

    def _examine(self, files: Sequence[Path], format: str, mapping: Mapping[str, str]) -> tuple[int, list[Trouble]]:
        """The doctor's pass: how many rows there are, and what is wrong with which."""
        troubles: list[Trouble] = []
        read = 0
        for line, row, trouble in _rows(files, format, mapping, self._heads):
            read += 1
            if row is None:
                troubles.append(Trouble(line, trouble))
            if read % SLICE == 0:
                self._report(0, 0)
        return read, troubles

    def _fill(self, handle: str, files: Sequence[Path], format: str, mapping: Mapping[str, str], total: int) -> int:
        done = 0
        usable = (row for _, row, _ in _rows(files, format, mapping) if row is not None)
        self._report(0, total)
        for part in slices(usable):
            self._lane.do(self._store.append, handle, part)
            done += len(part)
            self._report(done, total)
        return done

    def _report(self, done: int, total: int) -> None:
        if not self._progress(done, total):
            raise Cancelled("The import was cancelled; nothing was imported.", "Start it again when you like.")


def slices(rows: Iterator[NewRow]) -> Iterator[list[NewRow]]:
    """Rows in parts that the store takes in well under a frame each."""
    part: list[NewRow] = []
    for row in rows:
        part.append(row)
        if len(part) == SLICE:
            yield part
            part = []
    if part:
        yield part


def _rows(
    files: Sequence[Path], format: str, mapping: Mapping[str, str], heads: list[Guidelines] | None = None
) -> Iterator[tuple[int, NewRow | None, str]]:
    """(line, row, trouble): one of the two is there. Guidelines are no rows; they are put into `heads`."""
    heads = [] if heads is None else heads
    now = datetime.now(UTC)
    several = len(files) > 1
    for found in formats.read(files, format, mapping):
        if found.row is None:
            trouble = found.trouble or "The row can't be used."
            yield found.line, None, f"{found.file.name}: {trouble}" if several and found.file else trouble
            continue
        if isinstance(found.row, Guidelines):
            if found.row.version == len(heads) + 1:
                heads.append(found.row)
            elif found.row not in heads:
                yield (
                    found.line,
                    None,
                    f"The guidelines of version {found.row.version} don't follow on those before them.",
                )
            continue
        try:
            value: Any = found.row
            if isinstance(value, formats.PreferenceRow):
                value = value.to_domain(IMPORTED, now)
        except ValidationError as error:
            yield found.line, None, f"The row doesn't hold together: {error.errors()[0]['msg']}."
            continue
        yield found.line, NewRow(value, found.line, dict(found.extra) or None), ""


def _refuse(files: Sequence[Path], read: int, troubles: list[Trouble], skip_bad: bool) -> None:
    names = ", ".join(Path(f).name for f in files)
    told = "; ".join(f"line {t.line}: {t.reason.rstrip('.')}" for t in troubles[:TOLD])
    if read == len(troubles):
        raise BadInput(
            f"{names} has no usable row{f': {told}' if told else ''}.", "Check the format and the mapping of columns."
        )
    if troubles and not skip_bad:
        more = "" if len(troubles) <= TOLD else f"; and {len(troubles) - TOLD} more"
        raise BadInput(
            f"{len(troubles)} of {read} rows of {names} can't be used: {told}{more}",
            "Correct them, or import without them (--skip-bad).",
        )


def _refuse_full(files: Sequence[Path], place: Path) -> None:
    """Refuse before anything is written: a database that has filled its disk can't even take the rows away again."""
    needed = SPARE + sum(Path(f).stat().st_size * (UNPACKED if str(f).endswith(".gz") else 1) for f in files)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise StorageFailed(
            f"The disk is full: the import needs about {needed / 2**20:.0f} MiB and {free / 2**20:.0f} MiB are free.",
            "Free some space and try again; nothing was changed.",
        )


def _facts(row: NewRow) -> tuple[tuple[str, str], ...]:
    extra = tuple((str(k), str(v)) for k, v in (row.raw or {}).items())
    return (("Line in the source", str(row.line)), *extra)
