"""What a decoding study tells, whoever made it."""

import pytest
from pydantic import ValidationError

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.study import MEASURES, Figure, Study, StudyColumn, measure_of


def study() -> Study:
    return Study(
        prompts=12,
        samples=4,
        columns=(
            StudyColumn(
                label="greedy", model="m", settings=Greedy(), figures={"zeal": Figure(value=1), "tokens": Figure(value=9)}
            ),
            StudyColumn(
                label="hot", model="m", settings=Sample(temperature=1.5),
                figures={"distinct_1": Figure(value=0.5, low=0.4, high=0.6, texts=48), "bliss": Figure(value=2)},
            ),
        ),
    )  # fmt: skip


def test_that_a_study_survives_the_way_through_a_file() -> None:
    assert Study.model_validate_json(study().model_dump_json()) == study()


def test_that_measures_come_in_the_tables_order_and_unknown_ones_last() -> None:
    assert study().measures == ["distinct_1", "tokens", "bliss", "zeal"]


def test_that_an_unknown_measure_is_shown_by_its_name() -> None:
    assert measure_of("bliss_of_reading").title == "bliss of reading"
    assert measure_of("self_bleu") is MEASURES["self_bleu"]


@pytest.mark.parametrize("measure", MEASURES.values(), ids=lambda m: m.name)
def test_that_every_measure_has_a_heading_and_a_sentence(measure: object) -> None:
    name, title, _, good, side, sentence = measure  # type: ignore[misc]
    assert MEASURES[name] is measure
    assert title[0].isupper() and sentence.endswith(".") and len(title) <= 18
    assert good in {"up", "down", "none"} and side in {"quality", "diversity", "speed", "size"}


def test_that_a_figure_takes_nothing_else() -> None:
    with pytest.raises(ValidationError):
        Figure(value=1.0, mean=2.0)  # type: ignore[call-arg]
