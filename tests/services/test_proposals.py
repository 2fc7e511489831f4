"""Which dataset a job is proposed: the one that a person most likely means."""

from datetime import UTC, datetime, timedelta

import pytest

from workbench.domain.rows import DatasetKind
from workbench.services.proposals import set_apart, suiting
from workbench.services.views import DatasetView

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def dataset(name: str, kind: DatasetKind, age: int = 0, rows: int = 1200, judged: int = 0) -> DatasetView:
    return DatasetView(name, kind, rows, judged, NOON - timedelta(hours=age))


def names(kind: str, *data: DatasetView) -> list[str]:
    return [view.name for view in suiting(kind, data)]


def test_that_only_data_of_the_right_kind_suits() -> None:
    data = [dataset("d", "documents"), dataset("s", "demonstrations"), dataset("p", "preferences")]
    assert names("sft", *data) == ["s"]
    assert names("dpo", *data) == ["p"]
    assert names("pretrain", *data) == ["d"]


def test_that_ppo_takes_prompts_first_and_other_kinds_for_their_prompts() -> None:
    data = [dataset("pref", "preferences", 0), dataset("older", "prompts", 5), dataset("newer", "prompts", 1)]
    assert names("ppo", *data) == ["newer", "older", "pref"]


@pytest.mark.parametrize(
    "name", ["held-out-prompts", "heldout", "my_hold_out", "GSM8K-test", "eval", "validation.2", "dev"]
)
def test_that_what_is_held_out_by_name_is_proposed_last(name: str) -> None:
    assert names("grpo", dataset(name, "prompts", 0), dataset("prompts", "prompts", 9)) == ["prompts", name]
    assert names("grpo", dataset(name, "prompts")) == [name], "but it is offered"


@pytest.mark.parametrize("name", ["latest", "medieval", "developers", "contest", "invalid", "shield-outing"])
def test_that_a_word_that_only_holds_such_letters_is_an_ordinary_name(name: str) -> None:
    assert not set_apart(dataset(name, "prompts"))


def test_that_a_small_dataset_is_proposed_after_a_much_larger_older_one() -> None:
    large = dataset("large", "prompts", 9, rows=1000)
    assert names("ppo", dataset("small", "prompts", rows=99), large) == ["large", "small"]
    assert names("ppo", dataset("tenth", "prompts", rows=100), large) == ["tenth", "large"]


def test_that_what_counts_of_preferences_are_judged_items() -> None:
    fresh = dataset("to-rank", "preferences", 0, rows=5000, judged=12)
    done = dataset("rankings", "preferences", 5, rows=800, judged=800)
    assert names("reward", fresh, done) == ["rankings", "to-rank"]
    assert names("weighted", fresh, done) == ["to-rank", "rankings"], "of which the prompts are used"


def test_that_a_judge_and_a_reviser_take_the_newest_with_something_left_to_do() -> None:
    done = dataset("done", "preferences", 0, rows=90, judged=90)
    left = dataset("test", "preferences", 5, rows=7, judged=3)
    assert names("judge", done, left) == ["test", "done"]
    assert names("score", done, left) == ["done", "test"]
    few = dataset("few", "prompts", 0, rows=3)
    assert names("revise", dataset("many", "prompts", 5), few) == ["few", "many"]
