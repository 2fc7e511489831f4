"""What a dataset's rows are when they are frozen for a recipe: comparisons or rankings from judgements, distinct prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from workbench.domain.judgement import Item, Judgement, Ranking, comparisons
from workbench.domain.rows import SnapshotKind
from workbench.domain.text import Prompt
from workbench.services.workspace import Workspace
from workbench.store.datasets import DatasetRecord, RowRecord

BATCH = 1_000
Rows = list[dict[str, Any]]


class Freezer:
    """Walks over a dataset in short reads; afterwards `left_out` says what gave no row and why."""

    def __init__(
        self, workspace: Workspace, dataset: DatasetRecord, wanted: SnapshotKind, judged_by: str | None = None
    ) -> None:
        self._store = workspace.store
        self._lane = workspace.lane
        self._dataset = dataset
        self._wanted = wanted
        self._judged_by = judged_by
        self._told: set[str] = set()
        self.left_out: Counter[str] = Counter()
        self.synthetic = dataset.synthetic

    def batches(self) -> Iterator[Rows]:
        """The frozen rows, in the dataset's order."""
        for start in range(0, self._dataset.rows, BATCH):
            rows = self._lane.do(self._store.datasets.rows, self._dataset.name, start, BATCH)
            if self._wanted in {"preferences", "rankings", "items"}:
                stop = start + BATCH
                said = self._lane.do(self._store.labels.current, self._dataset.name, start, stop)
                yield self._items(rows, said) if self._wanted == "items" else self._judged(rows, said)
            else:
                yield [made for row in rows if (made := self._plain(row)) is not None]

    def _plain(self, row: RowRecord) -> dict[str, Any] | None:
        if self._wanted == "documents":
            if not (row.text or "").strip():
                self.left_out["empty text"] += 1
                return None
            return {"text": row.text}
        assert row.prompt is not None
        if self._wanted == "demonstrations":
            return {**_prompt(row.prompt), "completion": row.completion}
        if row.prompt.key() in self._told:
            self.left_out["the same prompt again"] += 1
            return None
        self._told.add(row.prompt.key())
        return _prompt(row.prompt)

    def _items(self, rows: list[RowRecord], said: list[Judgement]) -> Rows:
        """Items for a judge, without those that it has judged, with what people say of them."""
        by_item, made = _by_item(said), list[dict[str, Any]]()
        for row in rows:
            assert row.item is not None
            theirs = by_item.get(row.item.id, [])
            if any(judgement.annotator == self._judged_by for judgement in theirs):
                self.left_out["judged already"] += 1
                continue
            made.append(
                {
                    **_prompt(row.item.prompt), "item": row.item.id, "candidates": [c.text for c in row.item.candidates],
                    "people": [
                        [j.ranking.tier_of(place) for place in range(j.ranking.size)]
                        for j in theirs
                        if j.annotator_kind == "person" and j.ranking is not None
                    ],
                }
            )  # fmt: skip
        return made

    def _judged(self, rows: list[RowRecord], said: list[Judgement]) -> Rows:
        by_item = _by_item(said)
        made: Rows = []
        for row in rows:
            assert row.item is not None
            if row.item.id not in by_item:
                self.left_out["not judged"] += 1
            for judgement in by_item.get(row.item.id, []):
                made.extend(self._rows(row.item, judgement))
        return made

    def _rows(self, item: Item, judgement: Judgement) -> Rows:
        """One judgement as a ranking, or as its strict pairs."""
        if judgement.ranking is None:
            self.left_out["all bad" if judgement.outcome == "all_bad" else "skipped"] += 1
            return []
        synthetic = self._dataset.synthetic or judgement.annotator_kind != "person"
        self.synthetic = self.synthetic or synthetic
        about = {"item": item.id, "annotator": judgement.annotator, "synthetic": synthetic}
        if self._wanted == "rankings":
            return [{**_prompt(item.prompt), **_ranking(item, judgement.ranking, judgement.strength), **about}]
        pairs = comparisons(judgement.ranking, judgement.strength)
        if not pairs:
            self.left_out["tie"] += 1
        texts = [candidate.text for candidate in item.candidates]
        return [
            {**_prompt(item.prompt), "chosen": texts[p.chosen], "rejected": texts[p.rejected], "margin": p.margin, **about}
            for p in pairs
        ]  # fmt: skip


def _ranking(item: Item, ranking: Ranking, strength: int) -> dict[str, Any]:
    order = range(ranking.size)
    return {
        "completions": [item.candidates[i].text for i in order],
        "tiers": [ranking.tier_of(i) for i in order],
        "strength": strength,
    }


def _by_item(said: list[Judgement]) -> dict[str, list[Judgement]]:
    found: dict[str, list[Judgement]] = {}
    for judgement in said:
        found.setdefault(judgement.item, []).append(judgement)
    return found


def _prompt(prompt: Prompt) -> dict[str, Any]:
    return {"prompt": [{"role": turn.role, "content": turn.content} for turn in prompt.turns], "raw": prompt.raw}
