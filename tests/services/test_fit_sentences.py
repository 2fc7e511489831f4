"""What the fit check says to a person: counts in words that agree with them, and advice where something doesn't fit."""

import json
from pathlib import Path

import pytest

from tests.services.conftest import make_item
from tests.services.fake_runs import FakeRuns, demonstrations, sft
from workbench.domain.judgement import Ranking
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.kinds import Spec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.services import fit as estimates
from workbench.services.workbench import Workbench


def notes(bench: Workbench, spec: Spec) -> str:
    found = bench.training.fit(spec)
    assert all(note.endswith(".") for note in found.notes)
    return " ".join(found.notes)


def judged(bench: Workbench, count: int, strict: bool = True) -> None:
    for n in range(count):
        bench.labelling.add_item("pairs", make_item(f"i{n}"))
    shown, _ = bench.labelling.start("pairs")
    while shown is not None:
        ranking = Ranking(tiers=((0,), (1,)) if strict else ((0, 1),))
        shown = bench.labelling.record("pairs", shown, outcome="ranked", ranking=ranking, milliseconds=1).next


@pytest.fixture
def bench(fake: FakeRuns) -> Workbench:
    return fake.furnished(begin=False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"holdout": 0.0}, "20 rows; 2 steps."),
        ({"holdout": 0.1}, "20 rows, 10% of them held out; 2 steps."),
        ({"holdout": 0.005}, "20 rows, 0.5% of them held out; 2 steps."),
        ({"holdout": 0.125}, "20 rows, 12.5% of them held out; 2 steps."),
        ({"holdout": 0.0, "batch_size": 20}, "20 rows; 1 step."),
        ({"holdout": 0.0, "max_steps": 12_000}, "20 rows; 12,000 steps."),
    ],
)
def test_that_rows_and_steps_are_counted_in_words(bench: Workbench, fields: dict[str, float], words: str) -> None:
    assert words in notes(bench, sft(**fields))


def test_that_one_row_is_one_row(bench: Workbench) -> None:
    bench.datasets.create("one", "demonstrations")
    bench.datasets.append("one", demonstrations(1))  # type: ignore[arg-type]
    assert "1 row; 1 step." in notes(bench, sft(data="one", holdout=0.0))


def test_that_documents_are_told_with_a_rough_number_of_steps(bench: Workbench) -> None:
    bench.datasets.create("texts", "documents")
    bench.datasets.append("texts", ["Once upon a time."] * 3)  # type: ignore[list-item]
    said = notes(bench, PretrainSpec(base="stories", data="texts", holdout=0.0))
    assert "3 documents; about 1 step, depending on how many tokens they have." in said


def test_that_long_documents_take_more_steps_than_short_ones(bench: Workbench) -> None:
    steps = []
    for name, words in (("short", 1), ("long", 4000)):
        bench.datasets.create(name, "documents")
        bench.datasets.append(name, ["word " * words] * 10)  # type: ignore[list-item]
        steps.append(bench.training.fit(PretrainSpec(base="stories", data=name, batch_size=1)).steps)
    assert steps[0] < steps[1]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (RewardSpec, "3 judged items; 1 step, fewer where items are all tied or bad."),
        (DpoSpec, "3 judged items; at least 1 step, more where a ranking gives several pairs."),
    ],
)
def test_that_judged_items_are_counted_and_pairs_only_where_they_are_rows(
    bench: Workbench, kind: type[Spec], words: str
) -> None:
    judged(bench, 3)
    bench.labelling.add_item("pairs", make_item("later"))
    assert words in notes(bench, kind(base="stories", data="pairs", holdout=0.0))


def test_that_items_with_more_completions_need_more_memory_for_a_reward_model(bench: Workbench) -> None:
    judged(bench, 3)
    bench.labelling.add_item("many", make_item("x", 9))
    spec = RewardSpec(base="stories", data="pairs", max_length=512, batch_size=64)
    two, nine = (bench.training.fit(spec.model_copy(update={"data": data})).memory_gib for data in ("pairs", "many"))
    assert nine - 0.5 > 3 * (two - 0.5)


def test_that_rollouts_are_counted_with_their_completions(bench: Workbench) -> None:
    bench.models.add_folder(bench.models.get("stories").path, "judge", kind="reward")  # type: ignore[arg-type]
    spec = PpoSpec(base="stories", data="demos", reward_model="judge", batch_size=4, minibatches=2, holdout=0.0)
    assert "20 prompts; 5 rollouts of 4 completions." in notes(bench, spec)
    one = spec.model_copy(update={"batch_size": 1, "minibatches": 1, "max_steps": 1})
    assert "20 prompts; 1 rollout of 1 completion." in notes(bench, one)


def test_that_the_share_that_is_trained_is_told_as_an_estimate_only_for_an_adapter(bench: Workbench) -> None:
    assert "260,032 of 260,032 parameters are trained." in notes(bench, sft())
    assert "About 260,032" not in notes(bench, sft())
    assert "About 20,480 of 260,032 parameters" in notes(bench, sft(method="lora", lora=LoraPart(rank=4)))


@pytest.mark.parametrize(
    ("number", "words"),
    [(10**9, "1.0 billion"), (1_500_000_000, "1.5 billion"), (7_300_000, "7.3 million"), (999_999, "999,999")],
)
def test_that_large_numbers_of_parameters_are_told_in_words(
    bench: Workbench, tmp_path: Path, number: int, words: str
) -> None:
    header = json.dumps({"w": {"dtype": "U8", "shape": [number], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert f"{words} of {words} parameters are trained." in notes(bench, sft(base=str(tmp_path)))


def test_that_rows_longer_than_the_model_reads_are_announced(bench: Workbench) -> None:
    assert "reads at most 512 tokens" in notes(bench, sft(max_length=513))
    assert "reads at most" not in notes(bench, sft(max_length=512))


def test_that_a_micro_batch_larger_than_the_batch_is_announced(bench: Workbench) -> None:
    assert "computed whole" in notes(bench, sft(batch_size=4, micro_batch_size=5))
    assert "computed whole" not in notes(bench, sft(batch_size=4, micro_batch_size=4))


def test_that_the_head_of_a_reward_model_is_said_to_be_trained_in_full(bench: Workbench) -> None:
    judged(bench, 1)
    assert "score head" in notes(bench, RewardSpec(base="stories", data="pairs", method="lora"))
    assert "score head" not in notes(bench, RewardSpec(base="stories", data="pairs"))


def test_that_synthetic_labels_are_announced(bench: Workbench) -> None:
    bench.datasets.create("made", "demonstrations", synthetic=True)
    bench.datasets.append("made", demonstrations(3))  # type: ignore[arg-type]
    assert "synthetic" in notes(bench, sft(data="made"))
    assert "synthetic" not in notes(bench, sft())


def test_that_too_little_memory_comes_with_advice_and_exactly_then(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = bench.training.fit(sft()).memory_gib
    monkeypatch.setattr(estimates, "available_gib", lambda _spec: needed + 0.1)
    assert "It may not fit" not in notes(bench, sft())
    monkeypatch.setattr(estimates, "available_gib", lambda _spec: needed - 0.1)
    said = notes(bench, sft())
    assert f"about {needed:.1f} GiB are needed and {needed - 0.1:.1f} GiB are free" in said
    assert bench.training.fit(sft()).trouble == ()


def test_that_only_ties_are_found_out_when_the_run_is_started_and_nothing_stays(bench: Workbench) -> None:
    judged(bench, 2, strict=False)
    spec = DpoSpec(base="stories", data="pairs")
    assert bench.training.fit(spec).trouble == ()
    with pytest.raises(Exception, match=r"no row to train on \(2 tie\)"):
        bench.training.start(spec)
    assert bench.runs.list() == []
    assert not list((bench.path / "runs").glob("*"))


@pytest.mark.parametrize("base", ["", "nobody"])
def test_that_everything_that_is_wrong_is_told_at_once(bench: Workbench, base: str) -> None:
    trouble = bench.training.fit(
        PpoSpec(base=base, data="nothing", reward_model="stories", batch_size=1, minibatches=3)
    ).trouble
    assert len(trouble) == 4
    assert all(sentence.endswith(".") for sentence in trouble)
