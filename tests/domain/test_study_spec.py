"""Columns of a study as text: a model, a strategy, its settings."""

from __future__ import annotations

import pytest

from workbench.domain.decoding import (
    Beam,
    Contrastive,
    ContrastiveSearch,
    DecodingSettings,
    Greedy,
    Sample,
    Speculative,
    draws,
)
from workbench.domain.errors import BadInput
from workbench.domain.queues import QueueSpec
from workbench.domain.specs.kinds import parse_spec
from workbench.domain.specs.study import (
    Asked,
    StudySpec,
    labels_of,
    read_columns,
    read_queue,
    write_columns,
    write_queue,
)

COLUMNS = """
# compare
greedy
tour-dpo sample temperature=0.8 top_p=0.95 stop='["\\n\\n"]'
tour-dpo beam num_beams=3
"/a folder/model" speculative draft=small gamma=2
"""


def test_that_columns_are_read_line_by_line() -> None:
    found = read_columns(COLUMNS)
    assert [column.model for column in found] == ["", "tour-dpo", "tour-dpo", "/a folder/model"]
    assert found[0].settings == Greedy()
    assert found[1].settings == Sample(temperature=0.8, top_p=0.95, stop=("\n\n",))
    assert found[2].settings == Beam(num_beams=3)
    assert found[3].settings == Speculative(draft="small", gamma=2)


def test_that_what_is_written_reads_the_same_again() -> None:
    found = read_columns(COLUMNS)
    assert read_columns(write_columns(found)) == found


def test_that_base_and_length_come_from_the_study_where_a_line_is_silent() -> None:
    spec = StudySpec(base="b", columns="greedy\nm sample max_new_tokens=7\nsample min_new_tokens=40", max_new_tokens=20)
    assert [(c.model, c.settings.max_new_tokens) for c in spec.asked] == [("b", 20), ("m", 7), ("b", 40)]


def test_that_a_label_names_what_was_set_and_the_model_where_it_tells_columns_apart() -> None:
    alike = read_columns("m sample top_k=3 temperature=0.5\nm greedy\nm greedy\nm greedy")
    assert labels_of(alike) == ["sample (top_k 3, temperature 0.5)", "greedy", "greedy #2", "greedy #3"]
    assert labels_of([Asked("/a/m", Greedy(), ()), Asked("n", Greedy(), ())]) == ["m · greedy", "n · greedy"]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("", "there is no column"),
        ("# nothing", "there is no column"),
        ("greedy\nmodel", "column 2: name a strategy"),
        ("m guess", "column 1: name a strategy"),
        ("sample temperature", "column 1: write temperature as SETTING=VALUE"),
        ("sample temperature=-1", "column 1: temperature: "),
        ("greedy\ngreedy top_k=3", "column 2: top_k: "),
        ("'unclosed greedy", "column 1: "),
        ("\n".join(["greedy"] * 17), "at most 16 columns"),
    ],
)
def test_that_a_column_which_cannot_be_read_is_named(columns: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse_spec({"kind": "study", "columns": columns})


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        (Greedy(), False), (Sample(), True), (Sample(temperature=0.0), False), (Beam(), False), (Speculative(), True),
        (Speculative(temperature=0.0), False), (ContrastiveSearch(), False), (Contrastive(amateur="a"), False),
        (Contrastive(amateur="a", sample=True), True),
    ],
)  # fmt: skip
def test_that_settings_which_draw_are_known(settings: DecodingSettings, drawn: bool) -> None:
    assert draws(settings) is drawn


def test_that_rule_and_question_are_checked() -> None:
    with pytest.raises(BadInput, match="rule"):
        parse_spec({"kind": "study", "rule": "nonsense"})
    with pytest.raises(BadInput, match="question"):
        parse_spec({"kind": "study", "question": "which one?"})
    assert parse_spec({"kind": "study", "rule": "longer"}).kind == "study"


@pytest.mark.parametrize(
    "queue",
    [
        QueueSpec(name="monday", dataset="d"),
        QueueSpec(name="second reading = 2", dataset="d", overlap=3, strategy="random", seed=9),
        QueueSpec(name="checks", dataset="d", repeats=0.05, golds=0.1, lease_minutes=2.5),
    ],
)
def test_that_a_queue_that_is_written_reads_the_same_again(queue: QueueSpec) -> None:
    assert read_queue(write_queue(queue), "d") == queue


def test_that_only_what_differs_of_a_queue_is_written() -> None:
    assert write_queue(QueueSpec(name="monday", dataset="d")) == "monday"
    assert write_queue(QueueSpec(name="two words", dataset="d", overlap=2)) == "'two words' overlap=2"


@pytest.mark.parametrize(
    ("queue", "says"),
    [
        ("monday overlap", "write overlap as SETTING=VALUE"),
        ("monday =2", "write =2 as SETTING=VALUE"),
        ("monday overlap=0", "overlap: "),
        ("monday dataset=other", "dataset can't be said here"),
        ("monday reward_model=r", "reward_model can't be said here"),
        ("monday name=tuesday", "name can't be said here"),
        ("monday strategy=active", "needs scores, which new items don't have yet"),
        ("monday strategy=mistakes", "needs scores, which new items don't have yet"),
        ("monday colour=red", "colour: "),
        ("'monday", "No closing quotation"),
        ("''", "name: "),
        ("x" * 81, "name: "),
    ],
)
def test_that_a_queue_that_can_not_be_made_is_refused(queue: str, says: str) -> None:
    with pytest.raises(BadInput, match="queue") as refused:
        parse_spec({"kind": "study", "items": "d", "queue": queue})
    assert says in refused.value.what


def test_that_a_queue_without_items_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        parse_spec({"kind": "study", "queue": "monday"})
    assert "name the dataset that they are appended to" in refused.value.what
    assert StudySpec(queue="  ").queue == "  "
