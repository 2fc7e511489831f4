"""Which columns of a study are beaten by none, against sets found by hand."""

from workbench.analysis.fronts import best, front
from workbench.domain.decoding import Greedy
from workbench.domain.study import Figure, Study, StudyColumn


def study(*columns: dict[str, float]) -> Study:
    made = [
        StudyColumn(label=str(n), model="m", settings=Greedy(), figures={name: Figure(value=v) for name, v in column.items()})
        for n, column in enumerate(columns)
    ]  # fmt: skip
    return Study(prompts=1, samples=1, columns=tuple(made))


def test_that_a_column_beaten_in_both_measures_is_not_in_front() -> None:
    found = study(
        {"reward": 3, "distinct_2": 1},
        {"reward": 1, "distinct_2": 3},
        {"reward": 2, "distinct_2": 2},
        {"reward": 1, "distinct_2": 1},
    )
    assert front(found, "reward", "distinct_2") == [0, 1, 2]


def test_that_less_is_more_where_less_is_good() -> None:
    found = study({"reward": 1, "self_bleu": 0.9}, {"reward": 1, "self_bleu": 0.1})
    assert front(found, "reward", "self_bleu") == [1]
    assert best(found, "self_bleu") == [1] and best(found, "reward") == [0, 1]


def test_that_equals_beat_nobody_and_missing_figures_leave_out() -> None:
    found = study({"reward": 1, "distinct_2": 1}, {"reward": 1, "distinct_2": 1}, {"reward": 9})
    assert front(found, "reward", "distinct_2") == [0, 1]
    assert best(found, "reward") == [2] and best(found, "distinct_2") == [0, 1]


def test_that_what_has_no_good_direction_has_no_best() -> None:
    assert best(study({"tokens": 5}, {"tokens": 9}), "tokens") == []
    assert best(study({}, {}), "reward") == [] and front(study(), "reward", "tokens") == []
