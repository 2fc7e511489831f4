"""A study's figures, by hand."""

from __future__ import annotations

import math

import pytest

from workbench.analysis.studies import figures, interval, study_of
from workbench.domain.decoding import Greedy, Sample
from workbench.domain.specs.study import Asked
from workbench.domain.study import StudyText, measure_of


def text(column: int, prompt: int, sample: int, completion: str, **measures: float) -> StudyText:
    return StudyText(column=column, prompt=prompt, sample=sample, seed=0, completion=completion, measures=measures)


def test_that_prompts_count_alike_however_many_texts_they_have() -> None:
    found = figures([text(0, 0, 0, "a b", rule=1.0), text(0, 0, 1, "a c", rule=0.0), text(0, 1, 0, "d", rule=1.0)])
    assert found["rule"].value == pytest.approx(0.75)  # (0.5 + 1) / 2, not 2/3
    assert found["rule"].texts == 3


def test_that_intervals_are_students() -> None:
    found = interval([1.0, 2.0, 3.0, 4.0], 8)
    assert found.value == 2.5
    reach = 3.182446 * math.sqrt((5 / 3) / 4)
    assert (found.low, found.high) == (pytest.approx(2.5 - reach, rel=1e-5), pytest.approx(2.5 + reach, rel=1e-5))
    alone = interval([0.3], 1)
    assert (alone.value, alone.low, alone.high, alone.texts) == (0.3, None, None, 1)


def test_that_perplexity_turns_the_interval_of_the_log_probability_round() -> None:
    found = figures([text(0, n, 0, "x", logprob=value) for n, value in enumerate((-1.0, -2.0, -3.0))])
    assert found["perplexity"].value == pytest.approx(math.exp(2.0))
    assert found["perplexity"].low is not None and found["logprob"].high is not None
    assert found["perplexity"].low == pytest.approx(math.exp(-found["logprob"].high))
    assert found["perplexity"].low < found["perplexity"].value < (found["perplexity"].high or 0)


def test_that_self_bleu_compares_the_texts_of_one_prompt() -> None:
    same, other = "the cat sat on the mat", "a dog ran over two hills"
    alike = figures([text(0, 0, 0, same), text(0, 0, 1, same)])
    assert alike["self_bleu"].value == pytest.approx(1.0)
    different = figures([text(0, 0, 0, same), text(0, 0, 1, other)])
    assert different["self_bleu"].value < 0.3
    assert "self_bleu" not in figures([text(0, 0, 0, same), text(0, 1, 0, same)])


def test_that_columns_are_told_apart_by_label_and_missing_measures_are_absent() -> None:
    columns = [Asked("m", Greedy(), ()), Asked("m", Greedy(), ()), Asked("m", Sample(top_k=3), ("top_k",))]
    study = study_of(columns, [text(0, 0, 0, "a", tokens=3.0)], 5, 2)
    assert [c.label for c in study.columns] == ["greedy", "greedy #2", "sample (top_k 3)"]
    assert study.columns[1].figures == {}
    assert study.measures == ["tokens"]
    assert (study.prompts, study.samples) == (5, 2)


def test_that_every_measure_of_a_study_has_an_entry() -> None:
    for name in ("factor", "acceptance", "tokens_per_pass", "judge", "self_bleu", "perplexity"):
        assert measure_of(name).sentence != f"{name}, without a description."
