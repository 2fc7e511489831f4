"""What a dataset's rows are when they are frozen for a recipe: comparisons or rankings from judgements, distinct prompts.

Repeats and extras never come here (they are no labels), and an adjudication stands alone for its item. `rows_of` says what one
judgement gives; the desk asks it too, to tell an annotator what a label will do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from workbench.domain.judgement import Item, Judgement, Outcome, Ranking, comparisons, settled
from workbench.domain.rows import SnapshotKind
from workbench.domain.text import Prompt
from workbench.services.workspace import Workspace
from workbench.store.datasets import DatasetRecord, RowRecord

BATCH = 1_000
Rows = list[dict[str, Any]]


class Freezer:
    """Walks over a dataset in short reads; afterwards `left_out` says what gave no row and why."""

    def __init__(
        self,
        workspace: Workspace,
        dataset: DatasetRecord,
        wanted: SnapshotKind,
        judged_by: str | None = None,
        dimension: str = "",
    ) -> None:
        self._store = workspace.store
        self._lane = workspace.lane
        self._dataset = dataset
        self._wanted = wanted
        self._judged_by = judged_by
        self._dimension = dimension
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
                        for j in settled(theirs)
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
            for judgement in settled(by_item.get(row.item.id, [])):
                made.extend(self._rows(row.item, judgement))
        return made

    def _rows(self, item: Item, judgement: Judgement) -> Rows:
        """One judgement's rows, with who said so."""
        ranking, strength, reason = opinion_of(judgement, self._dimension)
        rows: Rows = []
        if ranking is not None:
            rows, reason = rows_of(item, ranking, strength, self._wanted)
            synthetic = self._dataset.synthetic or judgement.annotator_kind != "person"
            self.synthetic = self.synthetic or synthetic
            for row in rows:
                row.update(item=item.id, annotator=judgement.annotator, synthetic=synthetic)
        if reason:
            self.left_out[reason] += 1
        return rows


def opinion_of(judgement: Judgement, dimension: str = "") -> tuple[Ranking | None, int, str]:
    """(ranking, strength, why there is none) of a judgement, over all or by one dimension, which knows no strength."""
    if judgement.outcome == "skipped" or not dimension:
        return judgement.ranking, judgement.strength, without_ranking(judgement.outcome)
    for aspect in judgement.aspects:
        if aspect.name == dimension:
            return aspect.ranking, 1, ""
    return None, 1, f"not ranked by {dimension}"


def without_ranking(outcome: Outcome) -> str:
    """Why an outcome gives nothing to learn from; empty for a ranking."""
    return {"ranked": "", "all_bad": "all bad", "skipped": "skipped"}[outcome]


def rows_of(item: Item, ranking: Ranking, strength: int, wanted: SnapshotKind) -> tuple[Rows, str]:
    """What a ranking gives: itself as one row of `rankings`, or its strict pairs; and why there is none."""
    if wanted == "rankings":
        return [{**_prompt(item.prompt), **_ranking(item, ranking, strength)}], ""
    texts = [candidate.text for candidate in item.candidates]
    pairs = [
        {**_prompt(item.prompt), "chosen": texts[p.chosen], "rejected": texts[p.rejected], "margin": p.margin}
        for p in comparisons(ranking, strength)
    ]
    return pairs, "" if pairs else "tie"


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
