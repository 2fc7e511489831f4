"""Our pure functions against what TRL, torchtune and verl say to the same numbers (`golden/make.py`), and where those are wrong."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.domain.specs.grpo import GrpoSpec
from workbench.engine import advantages, losses
from workbench.engine.groups import compare

STORED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "golden.json").read_text())
HALF = 3
X = SimpleNamespace(**{name: torch.tensor(value, dtype=torch.float64) for name, value in STORED["inputs"].items()})
MASK = torch.arange(6)[None] < X.lengths[:, None]
ONE_MORE = torch.arange(6)[None] <= X.lengths[:, None]  # TRL's mask of values and rewards: the first padding, too
SUMS, REFS = (X.logprobs * MASK).sum(1), (X.ref * MASK).sum(1)


def said(source: str, name: str) -> Tensor:
    return torch.tensor(STORED[source][name], dtype=torch.float64)


def check(ours: Tensor, source: str, name: str, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(ours.double(), said(source, name), rtol=tolerance, atol=tolerance)


def dpo(kind: Any, smoothing: float = 0.0, lengths: Tensor | None = None) -> Tensor:
    sides = [side / (1.0 if lengths is None else lengths) for side in (SUMS, REFS)]
    parts = (sides[0][:HALF], sides[0][HALF:], sides[1][:HALF], sides[1][HALF:])
    return losses.dpo(*parts, 0.3, kind, smoothing).loss


def test_that_the_stored_values_come_from_the_versions_that_they_are_said_to() -> None:
    assert {name: STORED[name]["versions"].split(",")[0] for name in STORED if name != "inputs"} == {
        "trl": "trl 1.16.0",
        "trl_ppo": "trl 1.12.0",
        "torchtune": "torchtune 0.6.1",
        "verl": "verl 0.9.1",
    }


# --- TRL 1.16 ------------------------------------------------------------------------------------------------------------


def test_that_sft_is_that_of_trl() -> None:
    check(losses.sft(X.logprobs, MASK), "trl", "sft")


def test_that_the_reward_loss_is_that_of_trl() -> None:
    chosen, rejected = X.scores[:HALF], X.scores[HALF:]
    check(losses.reward_pairwise(chosen, rejected), "trl", "reward/plain")
    check(losses.reward_pairwise(chosen, rejected, margin=X.margins), "trl", "reward/margin")
    check(losses.reward_pairwise(chosen, rejected, center=0.1), "trl", "reward/center")


def test_that_dpo_is_that_of_trl() -> None:
    check(dpo("sigmoid"), "trl", "dpo/sigmoid/0.0")
    check(dpo("robust", 0.1), "trl", "dpo/robust/0.1")
    check(dpo("hinge"), "trl", "dpo/hinge/0.0")
    check(dpo("ipo", lengths=X.lengths), "trl", "dpo/ipo/0.0")  # TRL takes means over the completion


def test_that_trl_ignores_label_smoothing_where_we_do_not() -> None:
    assert said("trl", "dpo/sigmoid/0.1") == said("trl", "dpo/sigmoid/0.0")
    h = 0.3 * ((SUMS - REFS)[:HALF] - (SUMS - REFS)[HALF:])
    right = (-0.9 * F.logsigmoid(h) - 0.1 * F.logsigmoid(-h)).mean()
    assert float(dpo("sigmoid", 0.1)) == pytest.approx(float(right), abs=1e-9)
    check(dpo("sigmoid", 0.1), "torchtune", "dpo/sigmoid/0.1")
    assert abs(float(right - said("trl", "dpo/sigmoid/0.1"))) > 1e-3


@pytest.mark.parametrize("aggregate", ["grpo", "dapo", "dr_grpo"])
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_that_grpo_is_that_of_trl(aggregate: Any, beta: float) -> None:
    found = losses.grpo(X.logprobs, X.old, X.ref, X.scores, MASK, 0.2, 0.28, beta, aggregate, max_length=6)
    check(found.loss, "trl", f"grpo/{aggregate}/{beta}")


@pytest.mark.parametrize("aggregate", ["grpo", "dapo", "dr_grpo"])
def test_that_trl_weighs_the_kl_by_the_ratio_where_it_corrects_bias(aggregate: Any) -> None:
    def loss(**more: Any) -> Tensor:
        return losses.grpo(
            X.logprobs, X.old, X.ref, X.scores, MASK, 0.2, 0.28, 0.0, aggregate, max_length=6, **more
        ).loss

    weighed = 0.1 * advantages.kl(X.logprobs, X.ref, "k3") * (X.logprobs - X.old).exp() * MASK
    per_row = {
        "grpo": (weighed.sum(1) / X.lengths).mean(),
        "dapo": weighed.sum() / MASK.sum(),
        "dr_grpo": weighed.sum() / 36,
    }
    check(loss() + per_row[aggregate], "trl", f"grpo/{aggregate}/0.1/corrected")


def rloo(away: Tensor, beta: float) -> Tensor:
    """Our advantages of two groups of three."""
    spec = GrpoSpec(variant="rloo", group_size=HALF, beta=beta)
    return compare(X.scores, torch.ones(6, dtype=torch.bool), spec, away).advantages


def test_that_rloo_advantages_are_those_of_trl_and_verl() -> None:
    away = (advantages.kl(X.old, X.ref) * MASK).sum(1)
    check(rloo(away, 0.0), "trl", "rloo/0.0")
    check(rloo(away, 0.1), "trl", "rloo/0.1")
    check(rloo(away, 0.0), "verl", "rloo")


def test_that_trl_normalises_rloo_advantages_over_the_batch_where_asked() -> None:
    ours = rloo((advantages.kl(X.old, X.ref) * MASK).sum(1), 0.1)
    check((ours - ours.mean()) / (ours.std() + 1e-4), "trl", "rloo/0.1/normalised")


def test_that_on_policy_the_gradient_of_rloo_is_that_of_trl() -> None:
    logprobs = X.old.clone().requires_grad_()
    losses.grpo(logprobs, X.old, None, X.scores, MASK, aggregate="dr_grpo", max_length=1).loss.backward()
    assert logprobs.grad is not None
    check(logprobs.grad, "trl", "rloo/gradient")


# --- PPO: TRL 1.12, torchtune, verl ------------------------------------------------------------------------------------------


def test_that_whitening_is_that_of_trl() -> None:
    check(advantages.whiten(X.advantages, MASK), "trl_ppo", "whiten")
    check(advantages.whiten(X.advantages, MASK, shift_mean=False), "trl_ppo", "whiten/shift_mean_false")


class Rollout(NamedTuple):
    """What our functions make of the rollout that TRL's loop was given, with a reward of -0.1·KL a token."""

    rewards: Tensor
    gains: Tensor
    returns: Tensor
    policy: Tensor
    value: Tensor
    mask: Tensor


def by_ours(mask: Tensor, kind: Any = "k1", scores: Tensor = X.scores, white: bool = False) -> Rollout:
    rewards = advantages.shaped_rewards(scores, advantages.kl(X.old, X.ref, kind), mask, 0.1)
    given = advantages.whiten(rewards, mask, shift_mean=False) if white else rewards
    gains, returns = advantages.gae(given, X.old_values, mask, 0.97, 0.9)
    policy = losses.ppo_policy(X.logprobs, X.old, advantages.whiten(gains, mask), mask, 0.2).loss
    return Rollout(
        rewards, gains, returns, policy, losses.ppo_value(X.values, X.old_values, returns, mask, 0.2).loss, mask
    )


@pytest.mark.parametrize(
    ("case", "more"),
    [
        ("full", {}),
        ("full/k3", {"kind": "k3"}),
        ("full/eos", {"scores": X.scores - 1.0}),
        ("full/white", {"white": True}),
    ],
)
def test_that_where_nothing_is_padded_a_rollout_of_ppo_is_that_of_trl(case: str, more: dict[str, Any]) -> None:
    ours = by_ours(torch.ones_like(MASK), **more)
    check(ours.gains, "trl_ppo", f"{case}/advantages")
    check(advantages.whiten(ours.gains, ours.mask), "trl_ppo", f"{case}/whitened")
    check(ours.policy[None], "trl_ppo", f"{case}/policy")
    check(ours.value[None], "trl_ppo", f"{case}/value")


def test_that_on_padded_rows_the_clipped_losses_are_those_of_trl_each_under_the_mask_that_it_has_there() -> None:
    white = said("trl_ppo", "ragged/whitened")
    found = losses.ppo_policy(X.logprobs, X.old, white, MASK, 0.2)
    check(found.loss[None], "trl_ppo", "ragged/policy")
    check(found.clip_fraction, "trl_ppo", "ragged/clip_fraction")
    values, there = X.old_values * ONE_MORE, said("trl_ppo", "ragged/advantages")
    check(losses.ppo_value(X.values, values, there + values, ONE_MORE, 0.2).loss[None], "trl_ppo", "ragged/value")


def test_that_trl_puts_the_score_on_the_first_padding_where_we_put_it_on_the_last_token() -> None:
    theirs, ours = said("trl_ppo", "ragged/white/rewards"), by_ours(MASK).rewards
    rows, last = torch.arange(6), X.lengths.long() - 1
    padded = X.lengths < 6
    kl = 0.1 * advantages.kl(X.old, X.ref)
    torch.testing.assert_close(theirs[rows, last][padded], -kl[rows, last][padded])
    torch.testing.assert_close(theirs[rows, last + padded.long()][padded], X.scores[padded])
    torch.testing.assert_close(ours[rows, last], X.scores - kl[rows, last])
    assert not ours[~MASK].any()
    torch.testing.assert_close(theirs.sum(), ours.sum())  # nothing is lost there, but it is discounted once more
    assert said("trl_ppo", "ragged/white/rewards_mask").bool().equal(ONE_MORE)


def test_that_what_trls_critic_says_of_padding_moves_its_advantages_and_not_ours() -> None:
    apart = said("trl_ppo", "ragged/pad/advantages") - said("trl_ppo", "ragged/advantages")
    rows, last = torch.arange(6), X.lengths.long() - 1
    # Five more on the padding are γ·5 more for the token before it, less what λ takes off again: γ·5·(1 - λ).
    torch.testing.assert_close(apart[rows, last], torch.where(X.lengths < 6, 0.97 * 5 * (1 - 0.9), 0.0).double())
    assert STORED["trl_ppo"]["ragged/pad/policy"] != STORED["trl_ppo"]["ragged/policy"]
    moved = X.old_values + 5.0 * ~MASK
    for before, after in zip(
        advantages.gae(X.rewards, X.old_values, MASK), advantages.gae(X.rewards, moved, MASK), strict=True
    ):
        assert torch.equal(before, after)


def test_that_trl_whitens_rewards_with_the_padding_that_holds_the_score() -> None:
    theirs = said("trl_ppo", "ragged/white/rewards")
    white = advantages.whiten(theirs, ONE_MORE, shift_mean=False)
    found, _ = advantages.gae(white, X.old_values * ONE_MORE, ONE_MORE, 0.97, 0.9)
    torch.testing.assert_close(found[MASK], said("trl_ppo", "ragged/white/advantages")[MASK])
    ours = advantages.whiten(by_ours(MASK).rewards, MASK, shift_mean=False)[MASK]
    assert float(ours.std()) == pytest.approx(1)
    assert float(white[MASK].std()) < 0.9  # most scores stand outside of what is learned from


def test_that_trl_counts_padding_into_its_kl_and_we_do_not() -> None:
    right = 0.5 * (X.logprobs - X.old).square()[MASK].mean()
    found = losses.ppo_policy(X.logprobs, X.old, X.advantages, MASK, 0.2)
    assert float(found.approx_kl) == pytest.approx(float(right), abs=1e-9)
    assert STORED["trl_ppo"]["ragged/approx_kl"] == pytest.approx(float(right) * 21 / 36, rel=1e-6)
    assert STORED["trl_ppo"]["full/approx_kl"] == pytest.approx(
        float(0.5 * (X.logprobs - X.old).square().mean()), rel=1e-6
    )


def test_that_the_loss_of_trls_ppo_depends_on_micro_batches_and_ours_does_not() -> None:
    white = said("trl_ppo", "ragged/whitened")
    theirs = said("trl_ppo", "ragged/halves/policy")
    assert abs(float(theirs.mean()) - STORED["trl_ppo"]["ragged/policy"][0]) > 0.01
    parts = [
        losses.ppo_policy(X.logprobs[part], X.old[part], white[part], MASK[part], 0.2, num_tokens=21).loss
        for part in (slice(0, HALF), slice(HALF, 6))
    ]
    check(torch.stack(parts).sum()[None], "trl_ppo", "ragged/policy")
    shares = torch.stack([MASK[:HALF].sum(), MASK[HALF:].sum()]) / 21
    check((theirs * shares).sum()[None], "trl_ppo", "ragged/policy")


@pytest.mark.parametrize("source", ["torchtune", "verl"])
def test_that_returns_are_those_of_others(source: str) -> None:
    _, returns = advantages.gae(X.rewards, X.values, MASK, 0.97, 0.9)
    check(returns, source, "gae/returns")


def test_that_whitened_advantages_are_those_of_verl() -> None:
    found, _ = advantages.gae(X.rewards, X.values, MASK, 0.97, 0.9)
    check(advantages.whiten(found, MASK), "verl", "gae/whitened")


def test_that_torchtune_adds_back_the_mean_that_whitening_takes_away() -> None:
    found, _ = advantages.gae(X.rewards, X.values, MASK, 0.97, 0.9)
    theirs = said("torchtune", "gae/advantages_with_their_mean_added")
    torch.testing.assert_close(advantages.whiten(found, MASK, shift_mean=False), theirs, atol=1e-6, rtol=1e-6)
    ours = advantages.whiten(found, MASK)
    assert abs(float(ours.sum())) < 1e-9
    assert abs(float(theirs.sum())) > 0.1


def test_that_the_clipped_policy_loss_is_that_of_others() -> None:
    found = losses.ppo_policy(X.logprobs, X.old, X.advantages, MASK, 0.2)
    check(found.loss, "torchtune", "ppo/policy")
    check(found.clip_fraction, "torchtune", "ppo/clip_fraction")
    check(found.loss, "verl", "ppo/policy/plain")
    check(found.clip_fraction, "verl", "ppo/clip_fraction/plain")


def test_that_dual_clipping_is_that_of_verl() -> None:
    found = losses.ppo_policy(X.logprobs, X.old, X.advantages, MASK, 0.2, dual_clip=1.5)
    check(found.loss, "verl", "ppo/policy/dual_clip")
    assert float(found.loss) < STORED["verl"]["ppo/policy/plain"]


def test_that_the_critics_loss_is_that_of_others() -> None:
    found = losses.ppo_value(X.values, X.old_values, X.returns, MASK, 0.2)
    check(found.loss, "torchtune", "ppo/value")
    check(found.loss, "verl", "ppo/value")


def test_that_kl_estimates_are_those_of_verl() -> None:
    for kind in ("k1", "k2", "k3"):
        check(advantages.kl(X.old, X.ref, kind) * MASK, "verl", f"kl/{kind}")  # type: ignore[arg-type]


def test_that_the_score_falls_where_torchtune_puts_it() -> None:
    found = advantages.shaped_rewards(X.scores, advantages.kl(X.old, X.ref), MASK, 0.1)
    check(found, "torchtune", "shaped_rewards")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("grpo", "seq-mean-token-mean"), ("dapo", "token-mean"), ("dr_grpo", "seq-mean-token-sum-norm")],
)
def test_that_aggregations_are_those_of_verl(ours: Any, theirs: str) -> None:
    # At ratio 1 the loss of each token is minus its row's advantage.
    found = losses.grpo(X.logprobs, X.logprobs, None, X.scores, MASK, aggregate=ours, max_length=6)
    check(found.loss, "verl", f"aggregate/{theirs}")


def test_that_group_advantages_are_those_of_verl_but_for_its_smaller_epsilon() -> None:
    groups = X.scores.view(2, 3)
    check(advantages.group_relative(groups, "none").flatten(), "verl", "group_relative/no_std")
    spread = groups.std(dim=1, keepdim=True)
    ours = advantages.group_relative(groups) * (spread + 1e-4) / (spread + 1e-6)
    check(ours.flatten(), "verl", "group_relative")
