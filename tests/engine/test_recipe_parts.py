"""The parts of which recipes are made, each by itself: what a step adds up, which rows it takes, what it leaves out."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.online import RewardPart
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.weighted import WeightedSpec
from workbench.engine import candidates
from workbench.engine.batches import buckets, rows_at, visits_at
from workbench.engine.candidates import Group, score_candidates
from workbench.engine.data import drawn
from workbench.engine.device import Setup
from workbench.engine.experience import Experience
from workbench.engine.models import Loaded
from workbench.engine.optim import NotFinite, make_optimizer
from workbench.engine.pair_forward import PairScores
from workbench.engine.preferences import Preference
from workbench.engine.rankings import Item, Opinion
from workbench.engine.recipes import dpo, grpo, ppo, pretrain, reward, weighted
from workbench.engine.reward_sources import Scores
from workbench.engine.roles import Roles
from workbench.protocol.run_folder import RunFolder

CPU = Setup(torch.device("cpu"), torch.float32)


# -- rows and groups ----------------------------------------------------------------------------------------------------------


def cost_of(groups: list[list[int]], lengths: list[int], start: int) -> int:
    return sum(len(group) * max(lengths[row] for row in group) + start for group in groups)


@pytest.mark.parametrize("start", [0, 3, 1000])
@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("lengths", [[5], [3, 9, 3, 8, 1], [4, 4, 4, 4], [1, 2, 3, 4, 50]])
def test_that_buckets_are_the_cheapest_of_all_ways_to_cut(lengths: list[int], size: int, start: int) -> None:
    rows = range(len(lengths))
    found = buckets(rows, lengths, size, start)
    assert sorted(row for group in found for row in group) == list(rows)
    assert all(len(group) <= (size or len(lengths)) for group in found)
    longest = [max(lengths[row] for row in group) for group in found]
    assert longest == sorted(longest, reverse=True)
    ordered = sorted(rows, key=lambda row: -lengths[row])
    best = math.inf
    for cuts in itertools.product([False, True], repeat=len(ordered) - 1):
        groups: list[list[int]] = [[ordered[0]]]
        for row, cut in zip(ordered[1:], cuts, strict=True):
            groups += [[row]] if cut else []
            if not cut:
                groups[-1].append(row)
        if all(len(group) <= (size or len(lengths)) for group in groups):
            best = min(best, cost_of(groups, lengths, start))
    assert cost_of(found, lengths, start) == best


def test_that_no_rows_make_no_buckets_and_equal_lengths_few() -> None:
    assert buckets([], [], 4, 10) == []
    assert [len(group) for group in buckets(range(6), [7] * 6, 0, 0)] == [6]


def test_that_buckets_know_rows_by_their_numbers() -> None:
    assert sorted(map(sorted, buckets([7, 2, 5], [0, 0, 9, 0, 0, 1, 0, 9], 0, 1))) == [[2, 7], [5]]


@pytest.mark.parametrize(("rows", "size"), [(5, 2), (3, 7), (1, 4), (4, 4)])
def test_that_a_visit_says_how_often_its_row_was_seen(rows: int, size: int) -> None:
    seen = dict.fromkeys(range(rows), 0)
    for step in range(6):
        visits = visits_at(step, rows, size, seed=9)
        assert [row for row, _ in visits] == rows_at(step, rows, size, 9)
        for row, epoch in visits:
            assert epoch == seen[row]
            seen[row] += 1


@pytest.mark.parametrize("limit", [0, 3, 8, 99])
def test_that_a_draw_keeps_the_order_and_depends_on_the_seed(limit: int) -> None:
    rows = [{"text": f"document {number}"} for number in range(8)]
    found = drawn(rows, limit, seed=4)
    assert len(found) == (min(limit, 8) or 8)
    assert [row for row in rows if row in found] == found
    assert drawn(rows, limit, seed=4) == found
    if limit == 3:
        assert len({json.dumps(drawn(rows, 3, seed)) for seed in range(6)}) > 1


def test_that_rows_with_one_text_are_drawn_one_by_one() -> None:
    assert len(drawn([{"text": "the same"}] * 10, 4, seed=1)) == 4


# -- candidates of a dataset, scored once -------------------------------------------------------------------------------------


class Counting:
    """A source that gives the length of a completion, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, prompts: list[list[int]], completions: list[list[int]], rows: list[Any], setup: Setup) -> Scores:
        assert len(prompts) == len(completions) == len(rows)
        self.asked += 1
        return Scores(torch.tensor([float(len(ids)) for ids in completions]), {})


GROUPS = [Group({"name": "a"}, [1], [[2], [3, 4]]), Group({"name": "b"}, [1, 5], [[6, 7, 8], [9], [2, 2]])]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.path.mkdir()
    return made


def test_that_candidates_are_scored_once_in_the_order_of_their_groups(folder: RunFolder) -> None:
    sources = Counting()
    for _ in range(2):
        found = score_candidates(GROUPS, sources, folder, CPU)  # type: ignore[arg-type]
        assert found == [[1.0, 2.0], [3.0, 1.0, 2.0]]
    assert sources.asked == 1


@pytest.mark.parametrize(
    "other",
    [
        GROUPS[::-1],
        [GROUPS[0]],
        [GROUPS[0]._replace(prompt=[2]), GROUPS[1]],
        [GROUPS[0]._replace(completions=[[2], [3, 5]]), GROUPS[1]],
    ],
)
def test_that_scores_of_other_candidates_are_not_taken_for_these(folder: RunFolder, other: list[Group]) -> None:
    sources = Counting()
    score_candidates(GROUPS, sources, folder, CPU)  # type: ignore[arg-type]
    score_candidates(other, sources, folder, CPU)  # type: ignore[arg-type]
    assert sources.asked == 2


def test_that_scores_are_on_disk_whole_or_not_at_all(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(candidates, "write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        score_candidates(GROUPS, Counting(), folder, CPU)  # type: ignore[arg-type]
    assert list(folder.path.iterdir()) == []


# -- weighted -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("standardize", "spread", "expected"), [(True, 2.5, 2.5), (True, 0.0, 1.0), (False, 2.5, 1.0)])
def test_that_rewards_are_measured_in_their_spread_if_that_is_wanted(
    standardize: bool, spread: float, expected: float
) -> None:
    assert weighted.unit(spread, WeightedSpec(standardize=standardize)) == expected


def test_that_the_spread_is_of_what_is_trained_on_alone(folder: RunFolder) -> None:
    found = weighted.score_dataset(GROUPS[:1], GROUPS[1:], Counting(), folder, CPU)  # type: ignore[arg-type]
    assert (found.train, found.held) == ([[1.0, 2.0]], [[3.0, 1.0, 2.0]])
    assert found.spread == pytest.approx(0.5)


def test_that_a_step_takes_all_candidates_of_its_prompts_with_their_weights() -> None:
    spec = WeightedSpec(beta=1.0, standardize=False)
    examples, told = weighted.weigh_dataset(GROUPS, [[0.0, math.log(3)], [5.0, 5.0, 5.0]], [1, 0, 0], 9.0, spec)
    assert examples.prompts == [[1, 5]] * 3 + [[1]] * 4
    assert examples.completions == [[6, 7, 8], [9], [2, 2], [2], [3, 4], [2], [3, 4]]
    assert examples.weights.tolist() == pytest.approx([1, 1, 1, 0.5, 1.5, 0.5, 1.5])
    assert (examples.tokens, examples.lengths) == (12, [5, 3, 4, 2, 3, 2, 3])
    assert told["effective_sample_size"] == pytest.approx((3 + 2 * 1 / (0.25**2 + 0.75**2)) / 3)
    assert told["reward/score"] == pytest.approx((15 + 2 * math.log(3)) / 7)


def test_that_completions_without_weight_need_not_be_computed() -> None:
    assert weighted.Examples([[1]] * 3, [[2]] * 3, torch.tensor([0.0, 2.0, 1e-30])).learned == [1, 2]


@pytest.mark.parametrize("average", ["token", "completion"])
def test_that_parts_of_a_weighted_step_add_up_and_equal_weights_are_plain_imitation(
    average: Any, loaded: Loaded
) -> None:
    roles = Roles(loaded, None, None, None)
    spec = WeightedSpec(average=average, completions="dataset", temperature=0.5)
    examples = weighted.Examples([[1], [1, 403], [1, 5]], [[410, 2], [2], [7, 8, 9, 2]], torch.ones(3))
    with torch.no_grad():
        whole = weighted.part_loss(roles, examples, [0, 1, 2], spec, CPU)[1]["loss"]
        parts = [weighted.part_loss(roles, examples, part, spec, CPU)[1]["loss"] for part in ([2], [0, 1])]
        each = []
        for prompt, said in zip(examples.prompts, examples.completions, strict=True):
            logits = loaded.model(torch.tensor([prompt + said])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            each.append(-logits.gather(-1, torch.tensor(said)[:, None]).squeeze(-1))
    expected = torch.cat(each).mean() if average == "token" else torch.stack([one.mean() for one in each]).mean()
    assert whole == pytest.approx(float(expected), rel=1e-5)
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


def test_that_what_was_sampled_is_scored_at_its_temperature_and_people_s_texts_at_none(loaded: Loaded) -> None:
    roles, examples = Roles(loaded, None, None, None), weighted.Examples([[1]], [[410, 2]], torch.ones(1))
    with torch.no_grad():
        found = {
            (kind, temperature): weighted.part_loss(
                roles, examples, [0], WeightedSpec(completions=kind, temperature=temperature), CPU
            )[1]["loss"]
            for kind in ("sampled", "dataset")
            for temperature in (0.5, 1.0)
        }
    assert found["dataset", 0.5] == found["dataset", 1.0] == found["sampled", 1.0] != found["sampled", 0.5]


# -- grpo ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("iterations", "minibatches", "once"), [(1, 1, True), (2, 1, False), (1, 2, False)])
def test_that_one_step_on_a_rollout_needs_no_old_policy(iterations: int, minibatches: int, once: bool) -> None:
    assert grpo.once(GrpoSpec(iterations=iterations, minibatches=minibatches)) is once


def test_that_every_pass_deals_all_rows_out_anew() -> None:
    spec = GrpoSpec(iterations=3, minibatches=2, seed=5)
    found = grpo.minibatches(7, spec, 4)
    assert [len(members) for members in found] == [4, 3] * 3
    passes = [found[place] + found[place + 1] for place in (0, 2, 4)]
    assert all(sorted(rows) == list(range(7)) for rows in passes)
    assert len({tuple(rows) for rows in passes}) == 3
    assert found == grpo.minibatches(7, spec, 4) != grpo.minibatches(7, spec, 5)
    assert found != grpo.minibatches(7, GrpoSpec(iterations=3, minibatches=2, seed=6), 4)


def test_that_there_are_no_more_minibatches_than_rows() -> None:
    assert sorted(grpo.minibatches(2, GrpoSpec(minibatches=9), 0)) == [[0], [1]]


def test_that_steps_of_a_rollout_are_averaged_and_the_largest_ratio_is_told() -> None:
    steps = [{"loss": 1.0, "policy/ratio_max": 3.0}, {"loss": 2.0, "policy/ratio_max": 1.0}]
    assert grpo.merged(steps) == {"loss": 1.5, "policy/ratio_max": 3.0}
    assert grpo.merged([]) == {"loss": 0.0, "grad_norm": 0.0}


# -- ppo ----------------------------------------------------------------------------------------------------------------------


def experience(rows: int = 6) -> Experience:
    zeros = torch.zeros(rows, 2)
    return Experience(
        [[1]] * rows, [[5, 6]] * rows, zeros == 0, *[zeros] * 4, zeros + torch.arange(rows)[:, None], zeros
    )


class Steps:
    """Stands in for the backward passes of PPO: says what it is told, and keeps which rows it got."""

    def __init__(self, kl: list[float], loss: float = 1.0) -> None:
        self.kl, self.loss, self.rows = kl, loss, list[list[int]]()
        self.policy, self.critic = (torch.nn.Linear(1, 1) for _ in range(2))
        self.optimizers = {name: make_optimizer(getattr(self, name), PpoSpec()) for name in ("policy", "critic")}
        self.taken = 0
        for optimizer in self.optimizers.values():
            optimizer.register_step_post_hook(lambda *_: setattr(self, "taken", self.taken + 1))

    def __call__(
        self, roles: Any, given: Any, white: torch.Tensor, part: list[int], tokens: int, *_: Any
    ) -> dict[str, float]:
        self.rows.append(sorted(part))
        self.tokens = tokens
        self.white = white
        (self.policy.weight.sum() + self.critic.weight.sum()).backward()
        count = len(self.rows)
        return {
            "loss": self.loss,
            "policy/approx_kl": self.kl[(count - 1) % len(self.kl)],
            "policy/ratio_max": float(count),
        }

    def learn(self, monkeypatch: pytest.MonkeyPatch, **spec: Any) -> dict[str, float]:
        monkeypatch.setattr(ppo, "learn_part", self)
        roles = Roles(None, None, None, self.critic)  # type: ignore[arg-type]
        return ppo.learn(roles, experience(), PpoSpec(**spec), CPU, self.optimizers, 3, 0.1)


def test_that_every_pass_over_a_rollout_takes_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps([0.0])
    told = steps.learn(monkeypatch, ppo_epochs=2, minibatches=3)
    assert [len(rows) for rows in steps.rows] == [2] * 6
    for first in (0, 3):
        assert sorted(row for rows in steps.rows[first : first + 3] for row in rows) == list(range(6))
    assert steps.rows[:3] != steps.rows[3:]
    assert steps.tokens == 4
    assert steps.taken == 12
    assert told["policy/ratio_max"] == 6.0
    assert told["loss"] == pytest.approx(1.0)
    assert "policy/updates" not in told
    assert float(steps.white.mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(steps.white.var()) == pytest.approx(1.0, rel=1e-5)


def test_that_parts_of_a_minibatch_add_up_to_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps([0.25])
    told = steps.learn(monkeypatch, ppo_epochs=1, minibatches=2, micro_batch_size=1)
    assert [len(rows) for rows in steps.rows] == [1] * 6
    assert steps.taken == 4  # two optimizers, two steps
    assert told["loss"] == pytest.approx(3.0)
    assert told["policy/approx_kl"] == pytest.approx(0.75)
    assert told["policy/ratio_max"] == 6.0


@pytest.mark.parametrize(
    ("kl", "limit", "updates"),
    [([0.0, 0.5, 0.0], 0.2, 1), ([0.0, 0.1, 0.5], 0.2, 2), ([0.9], 0.2, 1), ([0.0], 0.2, 4), ([0.2], 0.2, 4)],
)
def test_that_passes_end_before_a_step_beyond_the_limit_but_never_before_the_first(
    kl: list[float], limit: float, updates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(kl)
    told = steps.learn(monkeypatch, ppo_epochs=2, minibatches=2, stop_kl=limit)
    assert told["policy/updates"] == updates
    assert steps.taken == 2 * updates
    assert steps.policy.weight.grad is None  # what was computed for the step that wasn't taken
    assert steps.critic.weight.grad is None


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_that_a_loss_that_is_no_number_moves_no_weight(loss: float, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps([0.0], loss)
    before = steps.policy.weight.detach().clone()
    with pytest.raises(NotFinite, match="loss became"):
        steps.learn(monkeypatch)
    assert steps.taken == 0
    assert torch.equal(steps.policy.weight, before)


# -- dpo ----------------------------------------------------------------------------------------------------------------------

PAIRS = [Preference([1, n], [n, 2], [n, n, 2], 0.0) for n in (10, 20, 30, 40, 50)]


def test_that_strangers_of_held_out_prompts_are_held_out_too() -> None:
    found = dpo.with_strangers(PAIRS, 3, 99)
    assert found[:5] == PAIRS
    assert [pair.prompt for pair in found[5:]] == [pair.prompt for pair in PAIRS]
    trained = {tuple(pair.chosen) for pair in PAIRS[:3]}
    assert {tuple(pair.chosen) for pair in found[5:8]} == trained
    assert all(pair.chosen != own.chosen for pair, own in zip(found[5:], PAIRS, strict=True))
    assert tuple(found[8].chosen) == tuple(PAIRS[4].chosen)


def test_that_one_held_out_prompt_is_compared_with_one_that_is_trained_on() -> None:
    found = dpo.with_strangers(PAIRS[:4], 3, 99)
    assert len(found) == 8
    assert found[7].prompt == PAIRS[3].prompt
    assert found[7].chosen == PAIRS[0].chosen


class Says:
    """A way to compute that gives each token of a pair the logarithm of its number."""

    setup = CPU

    def __call__(self, pairs: list[Preference], with_entropy: bool = False) -> PairScores:
        sides = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
        width = max(map(len, sides))
        table = torch.tensor([[-0.1 * token for token in ids] + [0.0] * (width - len(ids)) for ids in sides])
        mask = torch.tensor([[True] * len(ids) + [False] * (width - len(ids)) for ids in sides])
        return PairScores(table, mask, mask.sum() * 0.5 if with_entropy else None)


class Zero:
    """A reference to which every token is as likely as can be."""

    def batch(self, rows: list[int], width: int) -> torch.Tensor:
        return torch.zeros(2 * len(rows), width)


def task(kto: bool = False) -> dpo.Task:
    pairs = dpo.with_strangers(PAIRS, 3, 99) if kto else PAIRS
    return dpo.Task(Says(), pairs, [pair.length for pair in pairs], len(PAIRS), Zero())  # type: ignore[arg-type]


def test_that_partners_are_counted_only_where_a_loss_looks_at_them() -> None:
    assert task().with_partners([3, 1, 3]) == [1, 3]
    assert task(kto=True).with_partners([3, 1]) == [1, 3, 6, 8]


def test_that_a_loss_without_a_reference_has_none() -> None:
    assert task()._replace(reference=None).reference_of([0], torch.zeros(2, 3)) is None


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "orpo", "kto"])
def test_that_parts_of_a_step_of_pairs_add_up_to_the_whole(loss: Any) -> None:
    made = task(kto=loss == "kto")
    if loss == "orpo":
        made = made._replace(reference=None)
    spec = DpoSpec(loss=loss, batch_size=4, sft_weight=0.0 if loss == "orpo" else 0.3, beta=0.05)
    whole = [4, 0, 2, 1]
    zero = dpo.log_ratio_of_strangers(made, whole, spec)
    together = dpo.part_loss(made, whole, whole, spec, zero)
    parts = [dpo.part_loss(made, part, whole, spec, zero) for part in ([1], [4, 2], [0])]
    assert sum(float(part[0]) for part in parts) == pytest.approx(float(together[0]), rel=1e-6)
    added = dpo.added([part[1] for part in parts])
    for name, value in dpo.added([together[1]]).items():
        assert added[name] == pytest.approx(value, rel=1e-6), name
    assert added["entropy"] == pytest.approx(0.5)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_that_the_log_ratio_of_strangers_is_of_the_whole_step_whatever_the_parts(size: int) -> None:
    spec = DpoSpec(loss="kto", batch_size=4, micro_batch_size=size)
    made = task(kto=True)
    strangers = [made.pairs[row + 5] for row in (0, 1)]
    expected = sum(-0.1 * token for pair in strangers for side in (pair.chosen, pair.rejected) for token in side) / 4
    assert float(dpo.log_ratio_of_strangers(made, [0, 1], spec)) == pytest.approx(expected)  # type: ignore[arg-type]
    assert dpo.log_ratio_of_strangers(made, [0, 1], DpoSpec()) is None


def test_that_supervision_beside_preferences_counts_the_chosen_tokens_of_the_step() -> None:
    found = [float(dpo.part_loss(task(), [0, 1], [0, 1], DpoSpec(sft_weight=w), None)[0]) for w in (0.0, 1.0, 2.0)]
    chosen = [0.1 * token for pair in PAIRS[:2] for token in pair.chosen]
    assert found[1] - found[0] == pytest.approx(sum(chosen) / len(chosen), rel=1e-5)
    assert found[2] - found[0] == pytest.approx(2 * sum(chosen) / len(chosen), rel=1e-5)


@pytest.mark.parametrize(("loss", "words"), [("sigmoid", "the policy as it starts"), ("simpo", "needs no reference")])
@pytest.mark.parametrize("shared", [True, False])
def test_that_a_person_is_told_how_pairs_are_computed(loss: Any, words: str, shared: bool) -> None:
    told = dpo.notes_on(DpoSpec(loss=loss), SimpleNamespace(shared=shared))  # type: ignore[arg-type]
    assert words in told[0]
    assert len(told) == 1 + shared


# -- reward -------------------------------------------------------------------------------------------------------------------


def item(*tiers: int, strength: float = 1.0) -> Item:
    return Item([1], [[10 + place, 2] for place in range(len(tiers))], [Opinion(tuple(tiers), strength)])


@pytest.mark.parametrize("loss", ["bradley_terry", "hinge", "mse", "softmax", "plackett_luce"])
def test_that_items_weigh_the_same_however_they_are_put_together(loss: Any) -> None:
    items = [item(0, 1, 2), item(1, 0), item(0, 1, 1, 2)]
    scores = torch.tensor([0.3, -0.2, 0.9, 0.1, 0.4, 1.0, -1.0, 0.5, 0.2])
    spec = RewardSpec(loss=loss, center=0.1)
    whole = float(reward.loss_of(scores, items, spec))
    parts = [reward.loss_of(scores[a:b], items[i:j], spec) for a, b, i, j in ((0, 3, 0, 1), (3, 9, 1, 3))]
    assert sum(map(float, parts)) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("loss", ["softmax", "plackett_luce", "bradley_terry"])
def test_that_centring_means_the_same_for_a_pair_in_every_loss(loss: Any) -> None:
    scores = torch.tensor([1.5, 0.5])
    bare, centred = (float(reward.loss_of(scores, [item(0, 1)], RewardSpec(loss=loss, center=c))) for c in (0.0, 0.25))
    assert centred - bare == pytest.approx(0.25 * 2.0**2)


@pytest.mark.parametrize(
    ("fields", "margin"),
    [
        ({"loss": "bradley_terry"}, 0.0),
        ({"loss": "bradley_terry", "margin": True, "margin_scale": 0.5}, 3.0),
        ({"loss": "hinge", "margin_scale": 0.5}, 0.5),
        ({"loss": "mse", "margin": True, "margin_scale": 2.0}, 12.0),
    ],
)
def test_that_the_margin_is_what_people_said_or_one_for_all_or_none(fields: dict[str, Any], margin: float) -> None:
    gap = 1.0 - margin
    expected = {"bradley_terry": math.log1p(math.exp(-gap)), "hinge": max(0.0, -gap), "mse": gap**2}[fields["loss"]]
    found = reward.loss_of(torch.tensor([1.0, 0.0]), [item(0, 2, strength=3.0)], RewardSpec(center=0.0, **fields))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_that_items_that_are_all_ties_have_no_pairs_to_be_judged_by() -> None:
    assert reward.pair_metrics([item(0, 0)], torch.tensor([1.0, 2.0])) == {}


def test_that_parts_of_a_step_are_told_as_one_and_a_loss_that_is_no_number_ends_the_run() -> None:
    parts = [[item(0, 1)], [item(1, 0)]]
    told = reward.metrics_of(parts, [torch.tensor([0.25, 2.0, 1.0]), torch.tensor([0.5, 3.0, 1.0])])
    assert told["loss"] == pytest.approx(0.75)
    assert told["accuracy"] == 0.5
    assert told["margin"] == pytest.approx((1.0 - 2.0) / 2)
    with pytest.raises(NotFinite):
        reward.metrics_of(parts[:1], [torch.tensor([math.nan, 2.0, 1.0])])


class Graded:
    """A way to compute that scores a completion by its first token; knows no gradients."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)
        self.model.config = SimpleNamespace()  # type: ignore[assignment]
        self.seen: list[int] = []

    def __call__(self, items: list[Item]) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        self.seen.append(len(items))
        return torch.tensor([float(ids[0]) for one in items for ids in one.completions])

    def lengths(self, items: list[Item]) -> list[int]:
        return [one.length for one in items]

    def parts(self, rows: range, lengths: list[int], size: int) -> list[list[int]]:
        return buckets(rows, lengths, size, 0)


def test_that_scores_come_in_the_order_of_the_items_whatever_was_computed_together() -> None:
    items = [Item([1] * length, [[length], [length + 50]], [Opinion((0, 1), 1)]) for length in (3, 9, 1, 7)]
    forward = Graded()
    found = reward.scores_of(forward, items, RewardSpec(batch_size=2))  # type: ignore[arg-type]
    assert found.tolist() == [3, 53, 9, 59, 1, 51, 7, 57]
    assert max(forward.seen) <= 2


@pytest.mark.parametrize(("normalize", "scores"), [("all", [10, 11, 12, 10, 11]), ("chosen", [10, 11, 11])])
def test_that_the_saved_spread_is_of_all_completions_or_of_each_item_s_best(
    normalize: Any, scores: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Graded()
    kept: list[list[float]] = []
    monkeypatch.setattr(reward, "set_statistics", lambda _, found: kept.append(found.tolist()))
    spec = RewardSpec.model_construct(normalize=normalize, batch_size=8, micro_batch_size=0)
    reward.save_statistics(forward, [item(0, 0, 1)], [item(1, 0)], spec)  # type: ignore[arg-type]
    assert kept == [scores]


@pytest.mark.parametrize(
    ("held", "trained", "used"), [(3, 500, reward.MEASURED), (reward.MEASURED + 9, 500, reward.MEASURED + 9), (2, 4, 6)]
)
def test_that_items_trained_on_fill_up_where_few_are_held_out(
    held: int, trained: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(reward, "set_statistics", lambda _, found: kept.append(len(found)))
    items = [item(0, 1)] * (held + trained)
    reward.save_statistics(Graded(), items[:held], items[held:], RewardSpec(normalize="all"))  # type: ignore[arg-type]
    assert kept == [2 * used]


@pytest.mark.parametrize(
    ("tiers", "chosen", "rejected"),
    [((1, 0, 2), 11, 12), ((0, 0, 1), 10, 12), ((0, 1, 1), 10, 12), ((2, 1, 0), 12, 10)],
)
def test_that_the_best_completion_is_shown_with_its_score_and_that_of_the_worst(
    tiers: tuple[int, ...], chosen: int, rejected: int, loaded: Loaded
) -> None:
    told: list[tuple[Any, ...]] = []
    report = SimpleNamespace(sample=lambda *what: told.append(what))
    row = {"prompt": [{"role": "user", "content": "Say it."}], "raw": True}
    reward.report_scores(report, 7, Graded(), [(row, item(*tiers))], loaded.tokenizer)  # type: ignore[arg-type]
    ((step, index, prompt, said, numbers),) = told
    assert (step, index, prompt) == (7, 0, "Say it.")
    assert said == loaded.tokenizer.decode([chosen, 2], skip_special_tokens=True)
    assert numbers == {"chosen_reward": float(chosen), "rejected_reward": float(rejected)}


# -- pretrain -----------------------------------------------------------------------------------------------------------------


def test_that_openings_are_the_first_five_words_of_different_documents() -> None:
    texts = ["a b c d e f", "a  b\nc d e g", "x", "y z"]
    assert pretrain.openings(texts, 3) == ["a b c d e", "x", "y z"]
    assert pretrain.openings(texts, 1) == ["a b c d e"]
    assert pretrain.openings(texts, 0) == []


def test_that_a_rollout_s_order_is_a_function_of_seed_step_and_pass() -> None:
    orders = {
        (seed, step): tuple(
            map(tuple, grpo.minibatches(9, GrpoSpec(seed=seed, rewards=RewardPart(length_target=3)), step))
        )
        for seed in (0, 1)
        for step in (0, 1, 2)
    }
    assert len(set(orders.values())) == 6
    assert np.unique([len(order[0]) for order in orders.values()]).tolist() == [9]
