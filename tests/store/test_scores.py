"""Scores of items: kept with the run's events, replaced by newer ones of the same model, gone with their items."""

from __future__ import annotations

from workbench.domain.events import Scored
from workbench.store.store import Store


def _scoring(store: Store, base: str = "rm") -> str:
    return store.runs.create("score", {"kind": "score", "data": "pairs", "base": base}).id


def _scored(number: int, seq: int, *scores: float, spread: float | None = 0.1) -> Scored:
    return Scored(seq=seq, item=f"i{number}", scores=scores or (1.0, 0.5), spread=spread)


def test_that_scores_come_back_by_model_in_the_datasets_order(ten: Store) -> None:
    ten.runs.absorb(_scoring(ten), [_scored(4, 1, 2.0, -1.0), _scored(1, 2, spread=None)])
    ten.runs.absorb(_scoring(ten, "other"), [_scored(4, 1, 0.0, 0.25)])
    assert [tuple(s) for s in ten.scores.of("pairs", "rm")] == [("i1", (1.0, 0.5), None), ("i4", (2.0, -1.0), 0.1)]
    assert [s.scores for s in ten.scores.of("pairs", "other")] == [(0.0, 0.25)]
    assert ten.scores.models("pairs") == [("other", 1), ("rm", 2)]


def test_that_newer_scores_of_a_model_replace_its_older_ones(ten: Store) -> None:
    ten.runs.absorb(_scoring(ten), [_scored(0, 1), _scored(1, 2)])
    ten.runs.absorb(_scoring(ten), [_scored(0, 1, 9.0, 8.0)])
    assert [s.scores for s in ten.scores.of("pairs", "rm")] == [(9.0, 8.0), (1.0, 0.5)]


def test_that_scores_that_fit_no_item_are_told_and_the_others_kept(ten: Store) -> None:
    run = _scoring(ten)
    ten.runs.absorb(
        run, [_scored(0, 1), _scored(77, 2), _scored(2, 3, 1.0, 2.0, 3.0), Scored(seq=4, item="i3", why="x")]
    )
    assert [s.item for s in ten.scores.of("pairs", "rm")] == ["i0"]
    (notice,) = ten.runs.notices(run)
    assert notice[0].startswith("2 scores could not be kept")


def test_that_scores_of_a_dataset_that_is_gone_are_told(ten: Store) -> None:
    run = _scoring(ten)
    number = ten.datasets.hide("pairs")
    while ten.datasets.drop_some(number):
        pass
    ten.runs.absorb(run, [_scored(0, 1)])
    assert ten.runs.notices(run)[0][0] == "1 scores could not be kept: the dataset pairs is gone."
