"""What a label will do, held against what the recipes make of it; and a new reward model from the desk."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.conftest import make_item
from tests.services.fake_runs import FakeRuns
from workbench.domain.errors import BadInput, Conflict
from workbench.domain.events import Metrics
from workbench.domain.judgement import Ranking, comparisons
from workbench.domain.runs import JobState
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.engine import rankings
from workbench.services.aftercare import AftercareService
from workbench.services.freezing import rows_of
from workbench.services.label_effects import ALL, effects_of
from workbench.services.views import Accuracy, Effect
from workbench.services.workbench import Workbench


def effects(*tiers: tuple[int, ...], strength: int = 1) -> dict[str, Effect]:
    ranking = Ranking(tiers=tiers)
    found = effects_of(make_item("x", ranking.size), ranking, "ranked", strength)
    return {effect.method: effect for effect in found}


def test_that_a_plain_pair_is_told_for_every_method() -> None:
    told = {method: effect.text for method, effect in effects((1,), (0,)).items()}
    assert told == {
        "reward bradley_terry, hinge, mse": "B ≻ A, weight 1. Other annotators of the item share it. "
        "With “margin” on, the scores are to differ by 1.",
        "reward softmax": "B ≻ A: the first against all others, weight 1; those that are level share.",
        "reward plackett_luce": "B ≻ A: the whole ranking at once, weight 1; ties count.",
        "dpo sigmoid, ipo, hinge, robust": "B ≻ A; it is a row of weight 1, against the reference. "
        "Times “margin_scale”, the strength 1 is asked for.",
        "dpo orpo": "B ≻ A; it is a row of weight 1, without a reference. The better side is imitated besides; "
        "margins aren't read.",
        "dpo simpo": "B ≻ A; it is a row of weight 1, without a reference. Times “margin_scale”, the strength 1 is asked for.",
        "dpo kto": "Each side by itself: desirable B (weight 1); undesirable A (weight 1). Margins aren't read.",
        "sft": "Nothing: a ranking is no demonstration. What you write or mend becomes one.",
        "weighted": "Its 2 candidates may be imitated, as a reward scores them; your order isn't read.",
        "ppo, grpo": "Its prompt may be answered anew; your order is read through a reward model only.",
    }


def test_that_many_pairs_share_the_item_s_weight_and_are_summed_up() -> None:
    told = effects((2,), (0, 3), (1,), strength=2)
    assert told["reward bradley_terry, hinge, mse"].text.startswith(
        "C ≻ A, C ≻ D, C ≻ B, A ≻ B and 1 more, each 1/5 of the item's weight."
    )
    assert "differ by 2 to 4" in told["reward bradley_terry, hinge, mse"].text
    assert told["reward plackett_luce"].text.startswith("C ≻ A = D ≻ B:")
    assert "desirable A, C ×3, D (weight 1); undesirable A, B ×3, D" in told["dpo kto"].text


def test_that_a_tie_teaches_lists_only() -> None:
    told = effects((0, 1))
    assert told["reward bradley_terry, hinge, mse"].text == "All are level: no pair, so nothing is learned."
    assert told["reward plackett_luce"].text == "A = B: all are to score alike, weight 1; ties count."
    (policy,) = (effect for method, effect in told.items() if method.startswith("dpo"))
    assert policy.text == "All are level: no pair, so nothing is learned."
    assert all(not effect.pairs for effect in told.values())


@pytest.mark.parametrize(
    ("outcome", "words"), [("all_bad", "No pair and no ranking"), ("skipped", "Nothing is learned")]
)
def test_that_without_a_ranking_one_sentence_says_that_nothing_is_learned(
    bench: Workbench, outcome: Any, words: str
) -> None:
    (effect,) = bench.aftercare.effects(make_item("x"), None, outcome)
    assert (effect.method, effect.pairs, effect.weight) == (ALL, (), 0.0)
    assert effect.text.startswith(words)


def test_that_every_loss_of_both_kinds_is_told_of_exactly_once() -> None:
    for told in (effects((0,), (1,)), effects((0, 1))):
        losses = {"reward": [], "dpo": []}  # type: dict[str, list[str]]
        for method in told:
            kind, _, names = method.partition(" ")
            if kind in losses:
                losses[kind] += names.split(", ")
        for kind, spec in (("reward", RewardSpec), ("dpo", DpoSpec)):
            known = spec.model_fields["loss"].annotation.__args__  # type: ignore[union-attr]
            assert sorted(losses[kind]) == sorted(known)


@settings(max_examples=40, deadline=None)
@given(levels=st.lists(st.integers(0, 3), min_size=2, max_size=6), strength=st.integers(1, 2))
def test_that_pairs_margins_and_weights_are_those_of_the_recipes(levels: list[int], strength: int) -> None:
    found = sorted(set(levels))
    tiers = tuple(tuple(i for i, level in enumerate(levels) if level == at) for at in found)
    told = effects(*tiers, strength=strength)
    item = make_item("x", len(levels))
    (row,), _ = rows_of(item, Ranking(tiers=tiers), strength, "rankings")
    opinion = rankings.Opinion(tuple(row["tiers"]), float(row["strength"]))
    trained = rankings.pairs_of([rankings.Item([1], [[i] for i in range(len(levels))], [opinion])])
    columns = (trained.better, trained.worse, trained.margin, trained.weight)
    computed = sorted(zip(*(column.tolist() for column in columns), strict=True))
    effect = told["reward bradley_terry, hinge, mse"]
    assert [c[:3] for c in computed] == sorted((p.chosen, p.rejected, p.margin) for p in effect.pairs)
    assert all(c[3] == pytest.approx(effect.weight) for c in computed)
    rows, _ = rows_of(item, Ranking(tiers=tiers), strength, "preferences")
    for method in (m for m in told if m.startswith("dpo")):
        texts = [(f"answer {p.chosen} to x", f"answer {p.rejected} to x", p.margin) for p in told[method].pairs]
        assert texts == [(r["chosen"], r["rejected"], r["margin"]) for r in rows]
    assert (
        told["reward plackett_luce"].weight
        == rankings.lists_of([rankings.Item([1], [[i] for i in range(len(levels))], [opinion])]).weight.item()
    )


def test_that_sentences_stay_short_for_nine_candidates() -> None:
    told = effects(*((i,) for i in range(9)))
    assert max(len(effect.text) for effect in told.values()) < 200
    assert len(told["dpo kto"].pairs) == len(comparisons(Ranking(tiers=tuple((i,) for i in range(9))))) == 36


def judged(fake: FakeRuns, labels: int = 4) -> Workbench:
    bench = fake.furnished(begin=False)
    for n in range(10):
        bench.labelling.add_item("pairs", make_item(f"i{n}"))
    say(bench, labels)
    return bench


def say(bench: Workbench, labels: int) -> None:
    shown, _ = bench.labelling.start("pairs")
    for _ in range(labels):
        assert shown is not None
        told = bench.labelling.record(
            "pairs", shown, outcome="ranked", ranking=Ranking(tiers=((0,), (1,))), milliseconds=1
        )
        shown = told.next


def end(bench: Workbench, run: str, accuracy: float | None, state: JobState = JobState.DONE) -> None:
    """What the worker of a run would have told."""
    lane, runs = bench.workspace.lane, bench.workspace.store.runs
    for step in (JobState.STARTING, JobState.RUNNING):
        lane.do(runs.move, run, step)
    if accuracy is not None:
        values = {"eval/accuracy": accuracy}
        lane.do(runs.absorb, run, [Metrics(step=1, values=values).model_copy(update={"seq": 1})])
    lane.do(runs.move, run, state)


def test_that_the_first_reward_model_from_the_desk_takes_defaults_and_holds_enough_back(fake: FakeRuns) -> None:
    bench = judged(fake)
    care = AftercareService(bench.workspace, bench.training)
    view = care.retrain("pairs")
    spec = bench.runs.get(view.id).spec
    assert isinstance(spec, RewardSpec)
    assert (view.state, spec.data, spec.base, spec.holdout) == (JobState.QUEUED, "pairs", "stories", 0.2)


def test_that_the_last_run_s_spec_is_followed_with_the_newest_labels(fake: FakeRuns) -> None:
    bench = judged(fake)
    care = AftercareService(bench.workspace, bench.training)
    asked = RewardSpec(name="mine", base="stories", data="pairs", loss="hinge", seed=7, holdout=0.25, max_steps=3)
    first = bench.training.start(asked)
    end(bench, first.id, 0.5)
    failed = bench.training.start(asked.model_copy(update={"name": "broken", "max_steps": 9}))
    end(bench, failed.id, None, JobState.FAILED)
    say(bench, 2)
    again = care.retrain("pairs")
    assert bench.runs.get(again.id).spec == asked.model_copy(update={"name": ""})
    shas = [bench.workspace.lane.do(bench.workspace.store.runs.get, run).snapshot for run in (first.id, again.id)]
    assert shas[0] != shas[1]


def test_that_a_second_press_does_not_start_a_second_run(fake: FakeRuns) -> None:
    bench = judged(fake)
    care = AftercareService(bench.workspace, bench.training)
    view = care.retrain("pairs")
    with pytest.raises(Conflict, match=f"{view.id} is at work on pairs"):
        care.retrain("pairs")
    assert care.accuracy("pairs").working == view.id
    assert len(bench.runs.list()) == 1


def test_that_nothing_starts_without_labels(fake: FakeRuns) -> None:
    bench = judged(fake, labels=0)
    with pytest.raises(BadInput, match="No item of pairs is judged yet"):
        AftercareService(bench.workspace, bench.training).retrain("pairs")


def test_that_accuracy_is_seen_to_move(fake: FakeRuns) -> None:
    bench = judged(fake)
    care = AftercareService(bench.workspace, bench.training)
    assert care.accuracy("pairs") == Accuracy(None, None)
    assert care.accuracy("pairs").sentence.startswith("No reward model of this dataset")
    seen = []
    for accuracy in (0.5, 0.64, None, 0.71):
        view = care.retrain("pairs")
        end(bench, view.id, accuracy)
        found = care.accuracy("pairs")
        seen.append((found.now, found.before))
    assert seen == [(0.5, None), (0.64, 0.5), (0.64, 0.5), (0.71, 0.64)]
    assert found.sentence == "The reward model orders 71% of held-out pairs rightly, +7 points against the one before."
    assert found.run == view.id


def test_that_models_of_other_datasets_and_dimensions_are_not_compared(fake: FakeRuns) -> None:
    bench = judged(fake)
    lane, runs = bench.workspace.lane, bench.workspace.store.runs
    for number, (data, dimension) in enumerate(product(("pairs", "other"), ("", "harmless"))):
        spec = RewardSpec(base="stories", data=data, dimension=dimension).model_dump(mode="json")
        lane.do(runs.create, "reward", spec, run=f"reward-{number}")
        end(bench, f"reward-{number}", 0.5 + number / 10)
    found = AftercareService(bench.workspace, bench.training).accuracy("pairs")
    assert (found.now, found.before, found.run) == (0.6, None, "reward-1")
