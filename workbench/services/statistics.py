"""Statistics of the labels of a dataset, reckoned away from the lane and kept until labels change; and their files."""

from __future__ import annotations

import csv
import io
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.analysis.report import COLUMNS, Report, Same, report
from workbench.domain.errors import BadInput, Cancelled, StorageFailed
from workbench.domain.said import Said, Shape
from workbench.services.files import replace_bytes
from workbench.services.views import Exported
from workbench.services.workspace import Workspace

SLICE = 200  # items whose texts are read at once
KEPT = 8
CHOOSING = frozenset({"active", "disagreement", "mistakes", "newest_policy"})  # orders that prefer some items
Progress = Callable[[int, int], bool]
PNG = b"\x89PNG\r\n\x1a\n"


class StatisticsService:
    """Reads labels beside the lane and in slices, so that a label never waits for statistics."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = workspace.store
        self._read_beside = workspace.lane.beside
        self._kept: OrderedDict[str, tuple[Any, Report]] = OrderedDict()

    def report(self, dataset: str, progress: Progress | None = None) -> Report:
        """Every figure about a dataset's labels, with what plots and lists need; Cancelled when `progress` says False."""
        record = self._read_beside(self._store.datasets.get, dataset)
        if record.kind != "preferences":
            raise BadInput(f"{dataset} holds {record.kind}, not items to judge.", "Choose a dataset of preferences.")
        golds = self._read_beside(self._store.statistics.golds, dataset)
        strategies = self._read_beside(self._store.statistics.strategies, dataset)
        mark = (self._read_beside(self._store.labels.mark), record.id, record.rows, golds, strategies)
        kept = self._kept.get(dataset)
        if kept is not None and kept[0] == mark:
            return kept[1]
        shapes, made = self._read(dataset, record.rows, progress)
        found = report(
            dataset,
            shapes,
            made,
            golds=golds,
            chosen=self._chosen(dataset, made, strategies),
            same=self._same(dataset, shapes),
        )
        found = replace(found, prompts=self._read_beside(self._store.statistics.snippets, dataset, found.named_items))
        self._kept[dataset] = mark, found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    def export_csv(self, dataset: str, out: Path) -> Exported:
        """Write every figure, and the numbers behind the plots, as one table; the file is whole or absent."""
        paper = io.StringIO()
        writer = csv.writer(paper, lineterminator="\n")
        writer.writerow(COLUMNS)
        rows = list(self.report(dataset).rows())
        writer.writerows(["" if value is None else value for value in row] for row in rows)
        return Exported(_write(out, paper.getvalue().encode("utf-8")), len(rows))

    def export_picture(self, out: Path, picture: bytes) -> Path:
        """Keep a picture of a plot as a PNG file, whole or not at all."""
        if not picture.startswith(PNG):
            raise BadInput("That isn't a PNG picture.", "Export the plot again.")
        return _write(out, picture)

    def _read(self, dataset: str, rows: int, progress: Progress | None) -> tuple[dict[str, Shape], list[Said]]:
        shapes: dict[str, Shape] = {}
        made: list[Said] = []
        start = 0
        while start < rows:
            found = self._read_beside(self._store.statistics.part, dataset, start)
            start = found.stop
            shapes.update((shape.item, shape) for shape in found.shapes)
            made.extend(found.said)
            if progress is not None and not progress(min(start, rows), rows):
                raise Cancelled("Nobody waits for these statistics any more.", "Open them again.")
        return shapes, made

    def _chosen(self, dataset: str, made: list[Said], strategies: Mapping[str, str]) -> list[Said]:
        """Judgements of items that a queue chose other than at random: what they say of all items is biased."""
        choosing = {s.queue for s in made if s.queue and strategies.get(s.queue) in CHOOSING}
        if not choosing:
            return []
        names = sorted(name for name in choosing if name)
        random = self._read_beside(self._store.statistics.random_items, dataset, names)
        return [s for s in made if s.queue in choosing and (s.queue, s.item) not in random]

    def _same(self, dataset: str, shapes: Mapping[str, Shape]) -> Same:
        """Which responses are the same: texts are compared for prompts that have several items."""
        prompts = Counter(shape.prompt for shape in shapes.values())
        several = [item for item, shape in shapes.items() if prompts[shape.prompt] > 1]
        names: dict[str, tuple[Hashable, ...]] = {}
        for start in range(0, len(several), SLICE):
            part = several[start : start + SLICE]
            for item, texts in self._read_beside(self._store.statistics.texts, dataset, part).items():
                names[item] = tuple((shapes[item].prompt, hash(text)) for text in texts)

        def same(item: str, candidate: int) -> Hashable:
            known = names.get(item)
            return (item, candidate) if known is None else known[candidate]

        return same


def _write(out: Path, content: bytes) -> Path:
    out = Path(out).expanduser().absolute()
    try:
        replace_bytes(out, content)
    except OSError as error:
        raise StorageFailed(
            f"{out} can't be written: {error.strerror or error}.",
            "Choose another place, or make room on the disk.",
            str(error),
        ) from error
    return out
