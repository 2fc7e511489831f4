"""What is frozen where annotators ranked by dimensions, were asked twice, or a third settled what two disagree on."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.services.conftest import make_item
from tests.services.fake_runs import FakeRuns
from workbench.cli.main import main
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Aspect, Judgement, Ranking, Span, settled
from workbench.domain.queues import Dimension
from workbench.domain.specs.kinds import parse_spec
from workbench.services.workbench import Workbench

A, B = ((0,), (1,)), ((1,), (0,))
START = datetime(2026, 1, 1, tzinfo=UTC)


def say(bench: Workbench, item: str, who: str, tiers: Sequence[Sequence[int]] | None = A, **more: Any) -> Judgement:
    """Add a judgement of an item of "pairs"; later ones are newer."""
    number = len(bench.labelling.judgements("pairs"))
    fields: dict[str, Any] = {
        "id": f"{item} by {who} {number} {more}", "item": item, "annotator": who, "outcome": "ranked",
        "ranking": None if tiers is None else {"tiers": tiers}, "shown": (1, 0), "shown_seed": 3, "milliseconds": 900,
        "created": START + timedelta(seconds=number),
    }  # fmt: skip
    judgement = Judgement.model_validate(fields | more)
    bench.labelling.add_judgement("pairs", judgement)
    return judgement


def harmless(tiers: Sequence[Sequence[int]]) -> tuple[Aspect, ...]:
    return (Aspect(name="harmless", ranking=Ranking.model_validate({"tiers": tiers})),)


def frozen(bench: Workbench, kind: Any = "preferences", dimension: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(bench.datasets.freeze("pairs", kind, dimension).path).to_pylist()
    return rows


def test_that_a_dimension_is_frozen_in_place_of_the_ranking_over_all(ten: Workbench) -> None:
    say(ten, "i0", "me", A, strength=2, aspects=harmless(B))
    say(ten, "i1", "me", A)
    (row,) = frozen(ten, dimension="harmless")
    assert (row["chosen"], row["margin"], row["annotator"]) == ("answer 1 to i0", 1.0, "me")
    (ranking,) = frozen(ten, "rankings", "harmless")
    assert (ranking["tiers"], ranking["strength"]) == ([1, 0], 1)
    assert [r["chosen"] for r in frozen(ten)] == ["answer 0 to i0", "answer 0 to i1"]
    over_all, by_dimension = (ten.datasets.freeze("pairs", "preferences", d) for d in ("", "harmless"))
    assert over_all.sha != by_dimension.sha
    assert dict(by_dimension.left_out) == {"not judged": 8, "not ranked by harmless": 1}


def test_that_a_dimension_may_rank_what_is_bad_altogether_but_not_what_was_skipped(ten: Workbench) -> None:
    say(ten, "i0", "me", None, outcome="all_bad", aspects=harmless(B))
    say(ten, "i1", "me", None, outcome="skipped", skip_reason="unclear", aspects=harmless(B))
    say(ten, "i2", "me", A, aspects=harmless([[0, 1]]))
    assert [r["item"] for r in frozen(ten, dimension="harmless")] == ["i0"]
    left_out = dict(ten.datasets.freeze("pairs", "preferences", "harmless").left_out)
    assert left_out == {"not judged": 7, "skipped": 1, "tie": 1}


def test_that_an_unknown_dimension_is_refused_with_those_that_there_are(ten: Workbench) -> None:
    say(ten, "i0", "me", A)
    with pytest.raises(BadInput, match="has no dimension 'kind'; it has none"):
        ten.datasets.freeze("pairs", "preferences", "kind")
    ten.guidelines.write("pairs", "x", [Dimension(name="truthful")])
    say(ten, "i1", "me", A, aspects=harmless(A))
    with pytest.raises(BadInput, match="no dimension 'kind'; there are: truthful, harmless"):
        ten.datasets.freeze("pairs", "rankings", "kind")
    with pytest.raises(BadInput, match="8 not judged, 2 not ranked by truthful"):
        ten.datasets.freeze("pairs", "preferences", "truthful")
    with pytest.raises(BadInput, match="prompts have no dimensions"):
        ten.datasets.freeze("pairs", "prompts", "harmless")


@pytest.mark.parametrize("kind", ["reward", "dpo"])
def test_that_a_run_names_its_dimension_and_an_unknown_one_keeps_it_from_starting(ten: Workbench, kind: str) -> None:
    say(ten, "i0", "me", A, aspects=harmless(B))
    good, bad = (parse_spec({"kind": kind, "data": "pairs", "dimension": d}) for d in ("harmless", "kind"))
    about = [[t for t in ten.training.fit(spec).trouble if "dimension" in t] for spec in (good, bad)]
    assert about == [[], ["pairs has no dimension 'kind'; there are: harmless."]]


def test_that_a_run_of_a_dimension_gets_the_rows_of_that_dimension(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    for n in range(3):
        bench.labelling.add_item("pairs", make_item(f"i{n}"))
        say(bench, f"i{n}", "me", A, aspects=harmless(B))
    for kind, rows in (("reward", "rankings"), ("dpo", "preferences")):
        spec = parse_spec({"kind": kind, "base": "stories", "data": "pairs", "dimension": "harmless", "max_steps": 1})
        assert "Only items that are ranked by harmless are used" in " ".join(bench.training.fit(spec).notes)
        started = bench.training.start(spec)
        record = bench.workspace.lane.do(bench.workspace.store.runs.get, started.id)
        shas = [bench.datasets.freeze("pairs", rows, name).sha for name in ("harmless", "")]  # type: ignore[arg-type]
        assert record.snapshot == shas[0] != shas[1]


def test_that_repeats_and_extras_never_train(ten: Workbench) -> None:
    say(ten, "i0", "me", A)
    say(ten, "i0", "me", B, purpose="repeat")
    say(ten, "i0", "you", B, purpose="extra")
    assert [(r["annotator"], r["chosen"]) for r in frozen(ten)] == [("me", "answer 0 to i0")]


def test_that_an_adjudication_alone_trains_its_item(ten: Workbench) -> None:
    say(ten, "i0", "me", A)
    say(ten, "i0", "you", B)
    say(ten, "i0", "third", B, purpose="adjudication")
    say(ten, "i1", "me", A)
    say(ten, "i1", "you", B)
    for kind in ("preferences", "rankings"):
        assert [(r["item"], r["annotator"]) for r in frozen(ten, kind)] == [
            ("i0", "third"),
            ("i1", "me"),
            ("i1", "you"),
        ]
    items = pq.read_table(ten.datasets.freeze_items("pairs", "judge").path).to_pylist()
    assert [row["people"] for row in items[:3]] == [[[1, 0]], [[0, 1], [1, 0]], []]


def test_that_an_adjudication_may_say_all_bad_and_a_skipped_one_settles_nothing(ten: Workbench) -> None:
    for item in ("i0", "i1"):
        say(ten, item, "me", A)
    say(ten, "i0", "third", None, outcome="all_bad", purpose="adjudication")
    say(ten, "i1", "third", None, outcome="skipped", skip_reason="unclear", purpose="adjudication")
    assert [(r["item"], r["annotator"]) for r in frozen(ten)] == [("i1", "me")]


def test_that_of_two_adjudications_the_newer_one_stands(ten: Workbench) -> None:
    first = say(ten, "i0", "third", A, purpose="adjudication")
    second = say(ten, "i0", "fourth", B, purpose="adjudication")
    assert settled([first, second]) == settled([second, first]) == [second]
    assert settled([]) == []


def test_that_the_workbench_s_own_format_carries_everything_to_another_workspace(
    ten: Workbench, tmp_path: Path
) -> None:
    ten.guidelines.write("pairs", "Prefer the kinder one.", [Dimension(name="harmless", description="No harm.")])
    ten.guidelines.write("pairs", "Prefer the truer one.")
    spans = (Span(candidate=1, start=0, end=3, comment="wrong"),)
    whole = {"queue": "monday", "guideline": 2, "aspects": harmless(B), "spans": spans, "note": "n", "strength": 2}
    said = [
        say(ten, "i0", "me", A, **whole),
        say(ten, "i0", "me", B, purpose="repeat"),
        say(ten, "i0", "you", B),
        say(ten, "i0", "third", B, purpose="adjudication"),
        say(ten, "i1", "you", B, purpose="extra"),
        say(ten, "i1", "me", A),
        say(ten, "i1", "me", B),
    ]
    ten.labelling.add_judgement(
        "pairs", said[0].model_copy(update={"id": "taken back", "item": "i2", "annotator": "x"})
    )
    ten.workspace.lane.do(ten.workspace.store.labels.undo, "pairs", "x")
    file = tmp_path / "all.jsonl"
    done = ten.datasets.export("pairs", "workbench", file)
    assert (done.rows, done.notes) == (10, ())
    with Workbench.open(tmp_path / "other", create=True) as other:
        assert other.datasets.preview([file]).read == 10
        other.datasets.import_files([file], "pairs")
        assert other.guidelines.history("pairs") == ten.guidelines.history("pairs")
        assert other.labelling.judgements("pairs") == ten.labelling.judgements("pairs")
        log = other.workspace.lane.do(other.workspace.store.labels.all, "pairs")
        assert sorted(log, key=lambda j: j.created) == sorted(said, key=lambda j: j.created)
        for kind in ("preferences", "rankings"):
            assert other.datasets.freeze("pairs", kind).sha == ten.datasets.freeze("pairs", kind).sha
        again = other.datasets.export("pairs", "workbench", tmp_path / "again.jsonl")
        assert again.file.read_text(encoding="utf-8") == file.read_text(encoding="utf-8")


def test_that_other_formats_get_what_training_would_take(ten: Workbench, tmp_path: Path) -> None:
    ten.guidelines.write("pairs", "Prefer the kinder one.")
    say(ten, "i0", "me", A)
    say(ten, "i0", "me", B, purpose="repeat")
    say(ten, "i0", "third", B, purpose="adjudication")
    ten.datasets.export("pairs", "trl-preference", tmp_path / "pairs.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["annotator"] for row in rows] == ["third"]


def test_that_guidelines_of_two_files_that_contradict_each_other_are_told(ten: Workbench, tmp_path: Path) -> None:
    ten.guidelines.write("pairs", "one")
    ten.datasets.export("pairs", "workbench", tmp_path / "one.json")
    ten.labelling.add_item("other", make_item("x"))
    ten.guidelines.write("other", "two")
    ten.datasets.export("other", "workbench", tmp_path / "two.jsonl.gz")
    with pytest.raises(BadInput, match="guidelines of version 1 don't follow"):
        ten.datasets.import_files([tmp_path / "one.json", tmp_path / "two.jsonl.gz"], "both")
    twice = ten.datasets.import_files([tmp_path / "one.json", tmp_path / "one.json"], "twice")
    assert twice.left_out == ()
    assert [g.text for g in ten.guidelines.history("twice")] == ["one"]


def test_that_the_command_freezes_a_dimension(ten: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    say(ten, "i0", "me", A, aspects=harmless(B))
    say(ten, "i1", "me", A)
    assert main(["data", "freeze", str(ten.path), "pairs", "--dimension", "harmless", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["rows"], document["left_out"]) == (1, {"not judged": 8, "not ranked by harmless": 1})
    assert main(["data", "freeze", str(ten.path), "pairs", "--dimension", "kind"]) == 1
    assert "there are: harmless" in capsys.readouterr().err
