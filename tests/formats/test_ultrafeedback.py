"""UltraFeedback: ratings by dimension become rankings by dimension."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench import formats
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Ranking, Span
from workbench.formats import PreferenceRow, Read
from workbench.services.workbench import Workbench


def completion(text: str, *ratings: str, **more: Any) -> dict[str, Any]:
    names = ("helpfulness", "honesty", "truthfulness")
    notes = {name: {"Rating": r, "Rationale": "because"} for name, r in zip(names, ratings, strict=False)}
    return {"response": text, "model": f"wrote {text}", "annotations": notes, "overall_score": 10.0, **more}


def record(*offered: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "source": "evol",
        "instruction": "Why is the sky blue?",
        "models": ["m"],
        "completions": list(offered),
        **more,
    }


def read(folder: Path, *records: Any, format: str = "auto") -> list[Read]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    found = formats.detect([path], format)
    assert found.format == "ultrafeedback"
    return list(formats.read([path], found.format, found.mapping))


def row(folder: Path, *offered: dict[str, Any]) -> PreferenceRow:
    (found,) = read(folder, record(*offered))
    assert isinstance(found.row, PreferenceRow)
    return found.row


def test_that_dimensions_rank_and_the_mean_ranks_over_all(tmp_path: Path) -> None:
    made = row(tmp_path, completion("a", "5", "1", "3"), completion("b", "4", "4", "4"), completion("c", "4", "5", "1"))
    assert made.prompt.text == "Why is the sky blue?"
    assert [(c.text, c.model) for c in made.candidates] == [(t, f"wrote {t}") for t in "abc"]
    assert made.ranking == Ranking(tiers=((1,), (2,), (0,)))
    assert {a.name: a.ranking.tiers for a in made.aspects} == {
        "helpfulness": ((0,), (1, 2)),
        "honesty": ((2,), (1,), (0,)),
        "truthfulness": ((1,), (0,), (2,)),
    }
    _, (said,) = made.to_domain()
    assert (said.annotator, said.annotator_kind, said.aspects) == ("UltraFeedback ratings", "model", made.aspects)


def test_that_a_dimension_with_a_missing_rating_ranks_nothing_and_counts_for_nothing(tmp_path: Path) -> None:
    made = row(tmp_path, completion("a", "5", "N/A"), completion("b", "1", "5"))
    assert [a.name for a in made.aspects] == ["helpfulness"]
    assert made.ranking == Ranking(tiers=((0,), (1,)))


@pytest.mark.parametrize("told", ["N/A", "", "nan", "inf", None, True, [], {"Rating": {}}, 10**400])
def test_that_what_is_no_number_is_no_rating(tmp_path: Path, told: Any) -> None:
    notes = {"annotations": {"helpfulness": {"Rating": told}}}
    made = row(tmp_path, completion("a", "3"), completion("b") | notes)
    assert (made.ranking, made.aspects, made.to_domain()[1]) == (None, (), [])


def test_that_critiques_become_comments_on_the_whole_response(tmp_path: Path) -> None:
    made = row(tmp_path, completion("a", "3", critique="x" * 5000), completion("b", "3", critique=" "))
    assert made.spans == (Span(candidate=0, start=0, end=0, comment="x" * 4000),)
    assert made.ranking == Ranking(tiers=((0, 1),))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"instruction": " "}, "instruction is empty"),
        ({"instruction": None}, "'instruction' (the instruction) is missing"),
        ({"completions": "x"}, "should be a list of objects but is text"),
        ({"completions": [completion("a")]}, "1 completions; 2 to 9"),
        ({"completions": [completion("a")] * 10}, "10 completions; 2 to 9"),
        (
            {"completions": [completion("a"), {"response": 3}]},
            "'response' should be text but is a number",
        ),
        ({"completions": [completion("a"), completion("\ud800")]}, "broken character"),
    ],
)
def test_that_the_doctor_says_what_is_wrong(tmp_path: Path, wrong: dict[str, Any], why: str) -> None:
    good = record(completion("a", "3"), completion("b", "4"))
    found = read(tmp_path, good, good | wrong)
    assert found[0].row is not None
    assert found[1].row is None
    assert why in str(found[1].trouble)


def test_that_a_dimension_of_an_imported_file_can_be_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "uf.jsonl"
    rows = [record(completion(f"a{n}", "5", "1"), completion(f"b{n}", "1", "4")) for n in range(3)]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    with Workbench.open(tmp_path / "workspace", create=True) as bench:
        assert bench.datasets.import_files([path], "uf").imported == 3
        frozen = [bench.datasets.freeze("uf", "preferences", name) for name in ("helpfulness", "honesty", "")]
        assert [f.rows for f in frozen] == [3, 3, 3]
        assert len({f.sha for f in frozen}) == 2  # over all as by helpfulness, by honesty the other way round
        assert all(f.synthetic for f in frozen)
        with pytest.raises(BadInput, match="there are: helpfulness, honesty"):
            bench.datasets.freeze("uf", "preferences", "kindness")
