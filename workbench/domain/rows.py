"""Kinds of dataset and the columns of a snapshot: the contract between datasets and recipes.

A snapshot is a Parquet file. `prompt` is a list of structs {role, content}, `raw` says that it gets no chat template.

    documents        text
    prompts          prompt, raw
    demonstrations   prompt, raw, completion
    preferences      prompt, raw, chosen, rejected, margin, item, annotator, synthetic
    rankings         prompt, raw, completions, tiers, strength, item, annotator, synthetic
    items            prompt, raw, item, candidates, people

A `preferences` dataset holds items with candidates and judgements. It is frozen either as the comparisons derived from the
judgements (ties give none), or as whole `rankings`, a row for each judgement: `tiers` holds the tier of each completion, 0 for
the best, equal numbers for ties; or, for a judge, as `items`, where `people` holds such tiers for each ranking by a person. Any kind
with prompts may be used where `prompts` are asked for: its distinct prompts are taken.
"""

from __future__ import annotations

from typing import Literal

DatasetKind = Literal["documents", "prompts", "demonstrations", "preferences"]
DATASET_KINDS: tuple[DatasetKind, ...] = ("documents", "prompts", "demonstrations", "preferences")
SnapshotKind = DatasetKind | Literal["rankings", "items"]
SNAPSHOT_KINDS: tuple[SnapshotKind, ...] = (*DATASET_KINDS, "rankings", "items")
COLUMNS: dict[SnapshotKind, tuple[str, ...]] = {
    "documents": ("text",),
    "prompts": ("prompt", "raw"),
    "demonstrations": ("prompt", "raw", "completion"),
    "preferences": ("prompt", "raw", "chosen", "rejected", "margin", "item", "annotator", "synthetic"),
    "rankings": ("prompt", "raw", "completions", "tiers", "strength", "item", "annotator", "synthetic"),
    "items": ("prompt", "raw", "item", "candidates", "people"),
}


def usable_as(kind: DatasetKind, wanted: SnapshotKind) -> bool:
    """Whether a dataset of one kind can serve a recipe that asks for another."""
    if wanted in {"rankings", "items"}:
        return kind == "preferences"
    return kind == wanted or (wanted == "prompts" and kind in {"demonstrations", "preferences"})
