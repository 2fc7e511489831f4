"""The tour's steps: what is done, what is ready, what waits; told from the workspace alone, without training."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from tests.services.conftest import make_item
from workbench.domain.errors import BadInput, NotFound, RunFailed
from workbench.domain.judgement import Judgement, Ranking
from workbench.domain.runs import MetricPoint, ModelRef
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.services.starter import BASE, HELD_OUT, RANKINGS, TO_RANK, kit_folder
from workbench.services.tour import CURVES, RANK_AT_LEAST, RESULT, Tour
from workbench.services.tour_report import Curve, Report, Row, render
from workbench.services.workbench import Workbench

TRAINED = ("sft", "reward", "ppo", "dpo")
NEEDS = {"sft": {"import"}, "reward": {"sft"}, "ppo": {"sft", "reward"}, "dpo": {"sft"}, "compare": {"ppo", "dpo"}}


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A workspace in which the tour has imported the kit."""
    with Workbench.open(tmp_path_factory.mktemp("tour") / "work", create=True) as bench:
        Tour(bench).run("import", print)
        yield bench


def states(bench: Workbench) -> dict[str, str]:
    return {step.id: step.state for step in Tour(bench).steps()}


def pretend(bench: Workbench, *names: str) -> None:
    """Put models of these names on the list, as runs do at their end."""
    for name in names:
        made = ModelRef(name=name, path="/x", kind="sft", form="full", parameters=1, created=datetime.now(UTC))
        bench.workspace.lane.do(bench.workspace.store.models.add, made)


def test_that_a_new_workspace_can_only_be_filled(bench: Workbench) -> None:
    found = states(bench)
    assert list(found) == ["import", "rank", "sft", "reward", "ppo", "dpo", "compare"]
    assert {id_: state for id_, state in found.items() if state != "waiting"} == {"import": "ready"}


def test_that_every_step_says_what_it_is_and_where_it_happens(bench: Workbench) -> None:
    for step in Tour(bench).steps():
        assert step.title
        assert step.text.endswith(".")
        assert step.page in {"data", "annotate", "runs", "playground"}


def test_that_the_import_is_done_with_the_kit_s_model_and_rankings(toured: Workbench) -> None:
    found = states(toured)
    assert found["import"] == "done"
    assert (found["sft"], found["reward"]) == ("ready", "waiting")


@pytest.mark.parametrize("made", list(product((False, True), repeat=4)), ids=lambda m: "".join("01"[x] for x in m))
def test_that_a_step_is_ready_exactly_when_what_it_needs_is_done(
    bench: Workbench, made: tuple[bool, bool, bool, bool]
) -> None:
    bench.datasets.create(RANKINGS, "preferences")
    pretend(bench, BASE, *(f"tour-{kind}" for kind, there in zip(TRAINED, made, strict=True) if there))
    done = {"import"} | {kind for kind, there in zip(TRAINED, made, strict=True) if there}
    for id_, state in states(bench).items():
        if id_ in NEEDS:
            expected = "done" if id_ in done else "ready" if NEEDS[id_] <= done else "waiting"
            assert (id_, state) == (id_, expected)


def test_that_a_missing_model_or_dataset_takes_the_import_back(bench: Workbench) -> None:
    bench.datasets.create(RANKINGS, "preferences")
    assert states(bench)["import"] == "ready"
    pretend(bench, BASE)
    assert states(bench)["import"] == "done"
    bench.datasets.delete(RANKINGS)
    assert states(bench)["import"] == "ready"


def test_that_five_pairs_must_be_ranked_by_anybody(bench: Workbench) -> None:
    for n in range(7):
        bench.labelling.add_item(TO_RANK, make_item(f"i{n}"))
    for n in range(RANK_AT_LEAST):
        assert states(bench)["rank"] == "waiting"
        said = Judgement(
            id=f"j{n}", item=f"i{n}", annotator="me" if n % 2 else "rule", outcome="ranked",
            ranking=Ranking(tiers=((0,), (1,))), shown=(0, 1), shown_seed=0, milliseconds=0, created=datetime.now(UTC),
        )  # fmt: skip
        bench.labelling.add_judgement(TO_RANK, said)
    assert states(bench)["rank"] == "done"
    bench.settings.change(annotator="rule")
    bench.labelling.undo(TO_RANK)
    assert states(bench)["rank"] == "waiting"


def test_that_the_report_makes_the_comparison_done(bench: Workbench) -> None:
    Tour(bench).report.write_text("x")
    assert states(bench)["compare"] == "done"


def test_that_the_rule_ranks_for_whoever_has_no_window_and_is_marked(toured: Workbench) -> None:
    Tour(toured).run("rank", print)
    assert states(toured)["rank"] == "done"
    said = toured.labelling.judgements(TO_RANK)
    assert len(said) == RANK_AT_LEAST + 1
    assert {(j.annotator, j.annotator_kind) for j in said} == {("story-rule", "rule")}
    assert toured.labelling.counts() == (0, 0)


def test_that_an_unknown_step_is_refused_and_not_taken_for_another(bench: Workbench) -> None:
    with pytest.raises(BadInput, match="'dance'") as caught:
        Tour(bench).run("dance", print)
    assert "compare" in caught.value.hint
    assert bench.runs.list() == []


@pytest.mark.parametrize("step", TRAINED)
def test_that_a_step_too_early_says_what_is_missing_and_is_not_timed(bench: Workbench, step: str) -> None:
    with pytest.raises(BadInput, match="There is no model called"):
        Tour(bench).run(step, print)
    assert not (bench.path / "tour-times.json").exists()
    assert states(bench)[step] == "waiting"


def test_that_the_time_of_each_step_is_kept_across_tours(bench: Workbench) -> None:
    Tour(bench).run("import", print)
    Tour(bench).run("rank", print)
    times = json.loads((bench.path / "tour-times.json").read_text())
    assert list(times) == ["import", "rank"]
    assert all(0 < seconds < 120 for seconds in times.values())


@pytest.mark.parametrize("content", ["", "{", "not json"])
def test_that_damaged_times_are_begun_anew(toured: Workbench, content: str) -> None:
    (toured.path / "tour-times.json").write_text(content)
    Tour(toured).run("import", print)
    assert list(json.loads((toured.path / "tour-times.json").read_text())) == ["import"]


@pytest.mark.parametrize(
    ("step", "kind", "base", "data"),
    [
        ("sft", SftSpec, BASE, "demonstrations"), ("reward", RewardSpec, "tour-sft", RANKINGS),
        ("ppo", PpoSpec, "tour-sft", "prompts"), ("dpo", DpoSpec, "tour-sft", RANKINGS),
    ],
)  # fmt: skip
def test_that_each_training_step_starts_from_what_the_steps_before_made(
    toured: Workbench, step: str, kind: type, base: str, data: str
) -> None:
    tour = Tour(toured)
    tour.seed = 41
    spec = tour.spec(step)
    assert isinstance(spec, kind)
    assert (spec.base, spec.data, spec.seed, spec.name) == (base, data, 41, f"tour-{step}")
    assert data in {d.name for d in toured.datasets.list()}
    if isinstance(spec, PpoSpec):
        assert spec.reward_model == "tour-reward"
        assert spec.batch_size >= spec.minibatches


def test_that_the_kit_s_specs_fit_on_this_machine(toured: Workbench) -> None:
    fit = toured.training.fit(Tour(toured).spec("sft"))
    assert fit.trouble == ()
    assert fit.memory_gib < 4
    assert any("synthetic" in note for note in fit.notes)


def test_that_a_result_before_the_end_is_not_found(bench: Workbench) -> None:
    with pytest.raises(NotFound, match="no result yet"):
        Tour(bench).result()


def test_that_the_result_is_read_back_as_it_was_written(bench: Workbench) -> None:
    row = {"model": "tour-ppo", "rule_score": 0.9, "criteria": {"hero": 1.0}, "kl": 5.5, "length": 50.0}
    (bench.path / RESULT).write_text(json.dumps({"reward_accuracy": 0.8, "table": [row]}))
    (bench.path / "tour-times.json").write_text('{"import": 1.25, "sft": 20}')
    result = Tour(bench).result()
    assert result.table == (Row(**row),)  # type: ignore[arg-type]
    assert result.as_json() == {
        "seconds": 21.2, "reward_accuracy": 0.8, "table": [row], "report": str(bench.path / "tour-report.html"),
    }  # fmt: skip


def test_that_a_comparison_without_prompts_is_refused(bench: Workbench) -> None:
    bench.datasets.create(HELD_OUT, "prompts")
    with pytest.raises(BadInput, match="no prompt to compare on"):
        Tour(bench).run("compare", print)
    with pytest.raises((NotFound, RunFailed, BadInput)):
        bench.datasets.delete(HELD_OUT)
        Tour(bench).run("compare", print)
    assert states(bench)["compare"] == "waiting"


def report(**fields: object) -> str:
    base: dict[str, object] = {
        "seconds": 12.0, "reward_accuracy": 0.5, "rows": [Row("m", 0.5, {"hero": 0.25}, 0.0, 10.0)], "curves": [],
        "times": [], "stories": [], "machine": "here",
    }  # fmt: skip
    return render(Report(**base | fields))  # type: ignore[arg-type]


def curve(*points: tuple[int, float]) -> Curve:
    made = [MetricPoint(name="x", step=s, value=v, time=datetime.now(UTC)) for s, v in points]
    return Curve("<shown>", 'a "caption" & more', made)


def test_that_an_accuracy_that_is_not_known_is_not_told_as_a_number() -> None:
    assert "nan" not in report(reward_accuracy=math.nan)
    assert "an unknown share" in report(reward_accuracy=math.nan)
    assert "<b>50.0%</b>" in report()


@pytest.mark.parametrize("points", [(), ((1, math.nan),), ((1, math.inf), (2, -math.inf))])
def test_that_a_curve_without_a_finite_point_says_so(points: tuple[tuple[int, float], ...]) -> None:
    assert "no finite value was reported" in report(curves=[curve(*points)])


@pytest.mark.parametrize("points", [((5, 1.0),), ((1, 2.0), (2, 2.0)), ((3, 0.0), (3, 1.0))])
def test_that_one_point_and_a_level_curve_divide_by_nothing(points: tuple[tuple[int, float], ...]) -> None:
    html = report(curves=[curve(*points)])
    assert 'polyline points="' in html
    assert "nan" not in html
    assert "inf" not in html


def test_that_titles_captions_names_and_the_machine_are_escaped() -> None:
    html = report(
        curves=[curve((1, 1.0))], machine="<here>", times=[("<step>", 1.0)],
        stories=[("<ask>", [("<m>", 1.0, "<script>")])], rows=[Row("<model>", 1.0, {"<c>": 1.0}, 0.0, 1.0)],
    )  # fmt: skip
    for bad in ("<here>", "<step>", "<ask>", "<m>", "<script>", "<model>", "<c>", "<shown>"):
        assert bad not in html
    assert "a &quot;caption&quot; &amp; more" in html


def test_that_every_curve_of_the_report_belongs_to_a_run_of_the_tour() -> None:
    assert {run for run, _, _ in CURVES} == {f"tour-{step}" for step in TRAINED}
    assert all(caption.endswith(".") for _, _, caption in CURVES)


def test_that_the_kit_is_where_the_package_looks_for_it() -> None:
    assert (kit_folder() / "model" / "config.json").is_file()
    assert isinstance(kit_folder(), Path)
