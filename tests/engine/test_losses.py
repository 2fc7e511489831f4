"""The losses against sums done by hand in float64, finite differences, and identities between them."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine import losses

LENGTHS = (5, 1, 3, 0)
GENERATOR_SEED = 7


def numbers(*shape: int, seed: int = GENERATOR_SEED, grad: bool = False) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.requires_grad_() if grad else x


def ragged_mask(lengths: tuple[int, ...] = LENGTHS, width: int = 6) -> Tensor:
    return (torch.arange(width)[None] < torch.tensor(lengths)[:, None]).long()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_hand_policy(lp: Tensor, old: Tensor, adv: Tensor, mask: Tensor, clip: float, dual: float | None) -> float:
    total, n = 0.0, 0
    for b in range(lp.shape[0]):
        for t in range(lp.shape[1]):
            if mask[b, t]:
                ratio, a = math.exp(lp[b, t] - old[b, t]), float(adv[b, t])
                loss = max(-a * ratio, -a * min(max(ratio, 1 - clip), 1 + clip))
                total += min(loss, -a * dual) if dual is not None and a < 0 else loss
                n += 1
    return total / n


# --- log-probabilities -------------------------------------------------------------------------------------------------


def test_that_token_logprobs_are_log_softmax_at_the_label() -> None:
    logits, labels = numbers(3, 4, 11), torch.randint(0, 11, (3, 4))
    for b in range(3):
        for t in range(4):
            row = [float(x) for x in logits[b, t]]
            expected = row[labels[b, t]] - math.log(sum(math.exp(x) for x in row))
            assert float(losses.token_logprobs(logits, labels)[b, t]) == pytest.approx(expected, abs=1e-12)


def test_that_token_logprobs_have_the_gradient_of_finite_differences() -> None:
    labels = torch.randint(0, 5, (2, 3))
    assert torch.autograd.gradcheck(lambda x: losses.token_logprobs(x, labels), (numbers(2, 3, 5, grad=True),))


def test_that_token_logprobs_do_not_depend_on_how_rows_are_sliced(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = numbers(4, 6, 9).float(), torch.randint(0, 9, (4, 6))
    whole = losses.token_logprobs(logits, labels)
    monkeypatch.setattr(losses, "_CACHED", 20)
    assert torch.equal(losses.token_logprobs(logits, labels), whole)


def test_that_token_logprobs_in_bfloat16_are_computed_and_returned_in_float32() -> None:
    logits, labels = numbers(2, 3, 50).to(torch.bfloat16), torch.randint(0, 50, (2, 3))
    found = losses.token_logprobs(logits, labels)
    assert found.dtype == torch.float32
    expected = logits.double().log_softmax(-1).gather(-1, labels[..., None]).squeeze(-1)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)


def test_that_gradients_reach_bfloat16_logits_in_their_own_type() -> None:
    logits = numbers(2, 3, 8).to(torch.bfloat16).requires_grad_()
    losses.token_logprobs(logits, torch.zeros(2, 3, dtype=torch.long)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.dtype == torch.bfloat16
    assert float(logits.grad.float().sum(-1).abs().max()) < 0.02


def test_that_token_logprobs_survive_logits_of_a_million() -> None:
    logits = torch.tensor([[[1e6, 0.0], [0.0, -1e6]]])
    assert losses.token_logprobs(logits, torch.tensor([[0, 1]])).tolist() == [[0.0, -1e6]]


def test_that_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        losses.token_logprobs(numbers(2, 3, 5), torch.zeros(2, 4, dtype=torch.long))


def test_that_entropy_is_that_of_the_distribution() -> None:
    p = torch.tensor([0.5, 0.25, 0.25, 0.0], dtype=torch.float64)
    assert float(losses.entropy(p.log())) == pytest.approx(1.5 * math.log(2))
    assert float(losses.entropy(torch.zeros(1, 1, 8))) == pytest.approx(math.log(8))
    assert losses.entropy(numbers(2, 3, 5)).shape == (2, 3)
    assert torch.autograd.gradcheck(losses.entropy, (numbers(2, 3, 4, grad=True),))


def test_that_entropy_with_impossible_tokens_has_a_finite_gradient() -> None:
    logits = torch.tensor([1.0, -torch.inf, 0.5], requires_grad=True)
    losses.entropy(logits).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


# --- likelihood --------------------------------------------------------------------------------------------------------


def test_that_sft_is_the_mean_over_completion_tokens() -> None:
    lp, mask = numbers(4, 6), ragged_mask()
    total = sum(float(lp[b, t]) for b, length in enumerate(LENGTHS) for t in range(length))
    assert float(losses.sft(lp, mask)) == pytest.approx(-total / sum(LENGTHS))
    assert float(losses.sft(lp, mask, num_tokens=100)) == pytest.approx(-total / 100)


def test_that_sft_parts_with_the_steps_token_count_add_up_to_the_whole() -> None:
    lp, mask = numbers(4, 6), ragged_mask()
    parts = [losses.sft(lp[i : i + 1], mask[i : i + 1], num_tokens=mask.sum()) for i in range(4)]
    assert float(sum(parts)) == pytest.approx(float(losses.sft(lp, mask)), abs=1e-14)


def test_that_sft_of_no_token_is_zero() -> None:
    assert float(losses.sft(numbers(2, 3), torch.zeros(2, 3))) == 0.0


def test_that_weighted_nll_sums_whole_sequences_and_does_not_differentiate_weights() -> None:
    lp, mask, weights = numbers(4, 6, grad=True), ragged_mask(), numbers(4, seed=1, grad=True)
    expected = -sum(weights.tolist()[b] * lp.tolist()[b][t] for b, n in enumerate(LENGTHS) for t in range(n))
    loss = losses.weighted_nll(lp, mask, weights)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert weights.grad is None


def test_that_equal_weights_turn_weighted_nll_into_sft() -> None:
    lp, mask = numbers(4, 6), ragged_mask()
    weights = torch.full((4,), 1 / float(mask.sum()), dtype=torch.float64)
    assert float(losses.weighted_nll(lp, mask, weights)) == pytest.approx(float(losses.sft(lp, mask)))


# --- reward models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [None, 0.7, "tensor"])
def test_that_pairwise_losses_are_their_formulas(margin: float | str | None) -> None:
    c, r = numbers(5), numbers(5, seed=1)
    given = numbers(5, seed=2).abs() if margin == "tensor" else margin
    gaps = [
        float(c[i] - r[i]) - (0.0 if given is None else float(torch.as_tensor(given, dtype=torch.float64).expand(5)[i]))
        for i in range(5)
    ]
    center = 0.3 * sum(float(c[i] + r[i]) ** 2 for i in range(5)) / 5
    formulas: dict[str, Callable[[float], float]] = {
        "bradley_terry": lambda d: -math.log(sigmoid(d)),
        "hinge": lambda d: max(0.0, -d),
        "mse": lambda d: d * d,
    }
    for kind, formula in formulas.items():
        found = losses.reward_pairwise(c, r, kind=kind, margin=given, center=0.3)  # type: ignore[arg-type]
        assert float(found) == pytest.approx(sum(map(formula, gaps)) / 5 + center, abs=1e-12)


def test_that_pairwise_losses_agree_with_torchs_own() -> None:
    c, r = numbers(5), numbers(5, seed=1)
    ranking = F.margin_ranking_loss(c, r, torch.ones(5), margin=0.4)
    assert float(losses.reward_pairwise(c, r, "hinge", margin=0.4)) == pytest.approx(float(ranking))
    assert float(losses.reward_pairwise(c, r, "mse", margin=0.4)) == pytest.approx(
        float(F.mse_loss(c - r, torch.full((5,), 0.4).double()))
    )


def test_that_bradley_terry_stays_finite_where_the_naive_form_overflows() -> None:
    loss = losses.reward_pairwise(torch.tensor([-1000.0]), torch.tensor([1000.0]))
    assert float(loss) == 2000.0


def test_that_centering_pulls_equal_scores_to_zero() -> None:
    c, r = torch.tensor([2.0], requires_grad=True), torch.tensor([2.0], requires_grad=True)
    losses.reward_pairwise(c, r, center=0.01).backward()
    assert float(c.grad + r.grad) > 0


def test_that_plackett_luce_of_two_candidates_is_bradley_terry() -> None:
    scores = numbers(6, 2)
    order = torch.tensor([[0, 1], [1, 0]]).repeat(3, 1)
    best, worst = scores.gather(1, order).unbind(1)
    found = losses.reward_listwise(scores, order, "plackett_luce")
    assert float(found) == pytest.approx(float(losses.reward_pairwise(best, worst)), abs=1e-14)


def test_that_plackett_luce_is_the_probability_of_drawing_without_replacement() -> None:
    scores, order = numbers(1, 4), torch.tensor([[2, 0, 3, 1]])
    left, probability = [float(scores[0, i]) for i in order[0]], 1.0
    while left:
        probability *= math.exp(left[0]) / sum(math.exp(s) for s in left)
        left = left[1:]
    assert float(losses.reward_listwise(scores, order, "plackett_luce")) == pytest.approx(-math.log(probability))


def test_that_candidates_that_do_not_exist_change_nothing() -> None:
    scores, order = numbers(2, 3), torch.tensor([[2, 0, 1], [1, 2, 0]])
    wide = torch.cat([scores, torch.full((2, 1), torch.nan, dtype=torch.float64)], 1)
    mask = torch.tensor([[1, 1, 1, 0]] * 2)
    plain = losses.reward_listwise(scores, order, "plackett_luce")
    for absent in (3, -1):
        listed = torch.cat([order, torch.full((2, 1), absent)], 1)
        assert float(losses.reward_listwise(wide, listed, "plackett_luce", mask)) == pytest.approx(float(plain))
    target = torch.softmax(numbers(2, 3, seed=3), -1)
    wider = torch.cat([target, torch.zeros(2, 1)], 1)
    found = losses.reward_listwise(wide, wider, "softmax", mask)
    assert float(found) == pytest.approx(float(losses.reward_listwise(scores, target)))


def test_that_softmax_listwise_with_one_best_is_cross_entropy() -> None:
    scores, best = numbers(5, 4), torch.tensor([0, 3, 1, 1, 2])
    found = losses.reward_listwise(scores, F.one_hot(best, 4).double())
    assert float(found) == pytest.approx(float(F.cross_entropy(scores, best)))


# --- preferences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sigmoid", "robust", "hinge", "ipo"])
@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_that_dpo_losses_are_their_formulas(kind: str, epsilon: float) -> None:
    if epsilon and kind in {"hinge", "ipo"}:
        with pytest.raises(ValueError, match="smoothing"):
            losses.dpo(numbers(2), numbers(2), numbers(2), numbers(2), 0.1, kind, epsilon)  # type: ignore[arg-type]
        return
    pc, pr, rc, rr = (numbers(5, seed=s) * 8 for s in range(4))
    expected = 0.0
    for i in range(5):
        h = float(pc[i] - rc[i]) - float(pr[i] - rr[i])
        up, down = math.log(sigmoid(0.3 * h)), math.log(sigmoid(-0.3 * h))
        expected += {
            "sigmoid": -(1 - epsilon) * up - epsilon * down,
            "robust": (-(1 - epsilon) * up + epsilon * down) / (1 - 2 * epsilon),
            "hinge": max(0.0, 1 - 0.3 * h),
            "ipo": (h - 1 / 0.6) ** 2,
        }[kind]
    found = losses.dpo(pc, pr, rc, rr, 0.3, kind, epsilon)  # type: ignore[arg-type]
    assert float(found.loss) == pytest.approx(expected / 5, abs=1e-12)
    torch.testing.assert_close(found.chosen_reward, 0.3 * (pc - rc))
    torch.testing.assert_close(found.rejected_reward, 0.3 * (pr - rr))


@pytest.mark.parametrize("kind", ["sigmoid", "robust", "hinge", "ipo"])
def test_that_a_margin_moves_what_beta_h_has_to_reach(kind: str) -> None:
    pc, pr, rc, rr = (numbers(5, seed=s) * 4 for s in range(4))
    margin, epsilon = numbers(5, seed=9).abs(), 0.2 if kind == "robust" else 0.0
    expected = 0.0
    for i in range(5):
        ahead = 0.3 * (float(pc[i] - rc[i]) - float(pr[i] - rr[i])) - float(margin[i])
        up, down = math.log(sigmoid(ahead)), math.log(sigmoid(-ahead))
        expected += {
            "sigmoid": -up,
            "robust": (-(1 - epsilon) * up + epsilon * down) / (1 - 2 * epsilon),
            "hinge": max(0.0, 1 - ahead),
            "ipo": ((ahead - 0.5) / 0.3) ** 2,
        }[kind]
    found = losses.dpo(pc, pr, rc, rr, 0.3, kind, epsilon, margin)  # type: ignore[arg-type]
    plain = losses.dpo(pc, pr, rc, rr, 0.3, kind, epsilon)  # type: ignore[arg-type]
    assert float(found.loss) == pytest.approx(expected / 5, abs=1e-12)
    torch.testing.assert_close(found.chosen_reward, plain.chosen_reward)
    same = losses.dpo(pc, pr, rc, rr, 0.3, kind, epsilon, torch.zeros(5))  # type: ignore[arg-type]
    assert float(same.loss) == pytest.approx(float(plain.loss))


def test_that_simpo_adds_a_margin_to_gamma_pair_by_pair() -> None:
    c, r, margin = -numbers(4).abs(), -numbers(4, seed=1).abs(), numbers(4, seed=2).abs()
    expected = [-math.log(sigmoid(2 * float(a - b) - 0.5 - float(m))) for a, b, m in zip(c, r, margin)]
    assert float(losses.simpo(c, r, 2.0, 0.5, margin)) == pytest.approx(sum(expected) / 4)
    assert float(losses.simpo(c, r, 2.0, 0.0, torch.full((4,), 0.5))) == pytest.approx(
        float(losses.simpo(c, r, 2.0, 0.5))
    )


def test_that_kto_at_the_reference_is_half_and_its_zero_is_never_negative() -> None:
    nothing = torch.zeros(3, dtype=torch.float64)
    assert float(losses.kto(nothing, nothing, nothing)) == pytest.approx(0.5)
    c, r = numbers(3), numbers(3, seed=1)
    assert float(losses.kto(c, r, nothing - 5)) == float(losses.kto(c, r, nothing))
    kl = numbers(3, seed=2, grad=True)
    losses.kto(c.requires_grad_(), r, kl).backward()
    assert kl.grad is None
    assert torch.autograd.gradcheck(
        lambda a, b: losses.kto(a, b, nothing + 0.3), (numbers(3, grad=True), numbers(2, grad=True))
    )


def test_that_dpo_at_the_reference_is_log_two_and_its_rewards_are_zero() -> None:
    c, r = numbers(3), numbers(3, seed=1)
    found = losses.dpo(c, r, c, r, 0.1)
    assert float(found.loss) == pytest.approx(math.log(2))
    assert not found.chosen_reward.any()
    assert not found.rejected_reward.any()


def test_that_preference_losses_have_the_gradient_of_finite_differences() -> None:
    inputs = tuple(numbers(4, seed=s, grad=True) for s in range(4))
    for kind in ("sigmoid", "robust", "ipo"):
        assert torch.autograd.gradcheck(lambda *x, k=kind: losses.dpo(*x, 0.5, k).loss, inputs)
    negative = tuple(-numbers(4, seed=s).abs().requires_grad_() for s in range(2))
    assert torch.autograd.gradcheck(losses.orpo, negative)
    assert torch.autograd.gradcheck(losses.simpo, negative)


def test_that_orpo_simpo_and_kto_are_their_formulas() -> None:
    c, r = -numbers(4).abs() - 0.01, -numbers(4, seed=1).abs() - 0.01
    expected = sum(-float(a) for a in c) / 4
    for a, b in zip(c.tolist(), r.tolist()):
        odds = (a - math.log(1 - math.exp(a))) - (b - math.log(1 - math.exp(b)))
        expected -= 0.2 * math.log(sigmoid(odds)) / 4
    assert float(losses.orpo(c, r, 0.2)) == pytest.approx(expected)
    simpo = sum(-math.log(sigmoid(2.5 * (a - b) - 0.5)) for a, b in zip(c.tolist(), r.tolist())) / 4
    assert float(losses.simpo(c, r, 2.5, 0.5)) == pytest.approx(simpo)
    zero = max(0.0, float(numbers(3, seed=5).mean()))
    kto = [1 - sigmoid(0.4 * (a - zero)) for a in c.tolist()] + [
        3 * (1 - sigmoid(0.4 * (zero - b))) for b in r.tolist()
    ]
    assert float(losses.kto(c, r, numbers(3, seed=5), 0.4, 1.0, 3.0)) == pytest.approx(sum(kto) / 8)


# --- policy gradients --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dual", [None, 1.5])
def test_that_the_clipped_policy_loss_is_its_formula_on_ragged_rows(dual: float | None) -> None:
    lp, old, adv, mask = numbers(4, 6), numbers(4, 6, seed=1), numbers(4, 6, seed=2), ragged_mask()
    found = losses.ppo_policy(lp, old, adv, mask, 0.2, dual)
    assert float(found.loss) == pytest.approx(by_hand_policy(lp, old, adv, mask, 0.2, dual))
    ratios = [math.exp(lp[b, t] - old[b, t]) for b, n in enumerate(LENGTHS) for t in range(n)]
    assert float(found.ratio_mean) == pytest.approx(sum(ratios) / 9)
    assert float(found.ratio_max) == pytest.approx(max(ratios))
    assert float(found.approx_kl) == pytest.approx(sum(math.log(r) ** 2 for r in ratios) / 18)


def test_that_the_clip_fraction_counts_tokens_whose_gradient_was_cut() -> None:
    lp = torch.tensor([[0.5, 0.5, -0.5, -0.5, 0.0]])
    adv = torch.tensor([[1.0, -1.0, 1.0, -1.0, 1.0]])
    found = losses.ppo_policy(lp, torch.zeros(1, 5), adv, torch.ones(1, 5))
    assert float(found.clip_fraction) == pytest.approx(2 / 5)


def test_that_padding_may_hold_nan_and_neither_loss_nor_gradient_sees_it() -> None:
    mask = ragged_mask()
    hidden = torch.where(mask.bool(), 0.0, torch.nan)
    lp = (numbers(4, 6) + hidden).requires_grad_()
    other = [numbers(4, 6, seed=s) + hidden for s in (1, 2)]
    whole = (
        losses.ppo_policy(lp, other[0], other[1], mask).loss
        + losses.ppo_value(lp, other[0], other[1], mask).loss
        + losses.sft(lp, mask)
        + losses.grpo(lp, other[0], other[1], numbers(4), mask, beta=0.1).loss
    )
    whole.backward()
    assert torch.isfinite(whole)
    assert lp.grad is not None
    assert torch.isfinite(lp.grad).all()
    assert not lp.grad[mask == 0].any()


def test_that_the_policy_loss_at_ratio_one_is_minus_the_mean_advantage() -> None:
    lp, adv, mask = numbers(4, 6), numbers(4, 6, seed=2), ragged_mask()
    found = losses.ppo_policy(lp, lp, adv, mask)
    assert float(found.loss) == pytest.approx(-float((adv * mask).sum() / mask.sum()))
    assert (float(found.approx_kl), float(found.ratio_max), float(found.clip_fraction)) == (0.0, 1.0, 0.0)


def test_that_parts_of_policy_and_value_losses_add_up_to_the_whole() -> None:
    lp, old, adv, mask = numbers(4, 6), numbers(4, 6, seed=1), numbers(4, 6, seed=2), ragged_mask()
    for function in (losses.ppo_policy, losses.ppo_value):
        whole = function(lp, old, adv, mask, 0.2)
        parts = [
            function(lp[p], old[p], adv[p], mask[p], 0.2, num_tokens=mask.sum())
            for p in (slice(0, 1), slice(1, 2), slice(2, 4))
        ]
        for name in ("loss", "clip_fraction"):
            assert float(sum(getattr(p, name) for p in parts)) == pytest.approx(float(getattr(whole, name)), abs=1e-14)


def test_that_an_absurd_ratio_stays_finite() -> None:
    found = losses.ppo_policy(torch.tensor([[0.0]]), torch.tensor([[-500.0]]), -torch.ones(1, 1), torch.ones(1, 1))
    assert torch.isfinite(found.loss)


def test_that_policy_and_value_losses_have_the_gradient_of_finite_differences() -> None:
    old, adv, mask = numbers(4, 6, seed=1), numbers(4, 6, seed=2), ragged_mask()
    for clip in (0.2, 3.0):
        assert torch.autograd.gradcheck(
            lambda x, c=clip: losses.ppo_policy(x, old, adv, mask, c).loss, (numbers(4, 6, grad=True),)
        )
        assert torch.autograd.gradcheck(
            lambda x, c=clip: losses.ppo_value(x, old, adv, mask, c).loss, (numbers(4, 6, grad=True),)
        )


@pytest.mark.parametrize("clip", [0.2, None, 0.0])
def test_that_the_value_loss_is_its_formula(clip: float | None) -> None:
    v, old, ret, mask = numbers(4, 6), numbers(4, 6, seed=1), numbers(4, 6, seed=2), ragged_mask()
    total, cut, explained = 0.0, 0, []
    for b, length in enumerate(LENGTHS):
        for t in range(length):
            x, o, r = float(v[b, t]), float(old[b, t]), float(ret[b, t])
            clipped = o + min(max(x - o, -clip), clip) if clip else x
            total += max((x - r) ** 2, (clipped - r) ** 2)
            cut += (clipped - r) ** 2 > (x - r) ** 2
            explained.append((r - x, r))
    found = losses.ppo_value(v, old, ret, mask, clip)
    assert float(found.loss) == pytest.approx(0.5 * total / 9)
    assert float(found.clip_fraction) == pytest.approx(cut / 9)
    left, spread = (torch.tensor(x).double().var(correction=0) for x in zip(*explained))
    assert float(found.explained_variance) == pytest.approx(1 - float(left / spread), abs=1e-6)


def test_that_a_perfect_critic_explains_everything_and_flat_returns_explain_nothing() -> None:
    returns, mask = numbers(4, 6), ragged_mask()
    assert float(losses.ppo_value(returns, returns, returns, mask).explained_variance) == 1.0
    flat = torch.ones(4, 6)
    assert math.isnan(float(losses.ppo_value(returns, returns, flat, mask).explained_variance))


def test_that_grpo_aggregations_are_their_formulas() -> None:
    lp, old, ref, adv = numbers(4, 6), numbers(4, 6, seed=1), numbers(4, 6, seed=2), numbers(4, seed=3)
    mask = ragged_mask((5, 1, 3, 2))
    per_sequence = []
    for b, length in enumerate((5, 1, 3, 2)):
        row = []
        for t in range(length):
            ratio, a = math.exp(lp[b, t] - old[b, t]), float(adv[b])
            away = float(ref[b, t] - lp[b, t])
            row.append(max(-a * ratio, -a * min(max(ratio, 0.8), 1.28)) + 0.1 * (math.exp(away) - away - 1))
        per_sequence.append(row)
    total = sum(map(sum, per_sequence))
    expected = {
        "grpo": sum(sum(r) / len(r) for r in per_sequence) / 4,
        "dapo": total / 11,
        "dr_grpo": total / (4 * 10),
    }
    for kind, value in expected.items():
        found = losses.grpo(lp, old, ref, adv, mask, 0.2, 0.28, 0.1, kind, max_length=10)  # type: ignore[arg-type]
        assert float(found.loss) == pytest.approx(value)
    assert float(losses.grpo(lp, old, ref, adv, mask, 0.2, 0.28, 0.1, "dapo", num_tokens=22).loss) == pytest.approx(
        total / 22
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: losses.reward_pairwise(numbers(1), numbers(1), kind="other"),  # type: ignore[arg-type]
        lambda: losses.reward_listwise(numbers(1, 2), numbers(1, 2), kind="other"),  # type: ignore[arg-type]
        lambda: losses.dpo(numbers(1), numbers(1), numbers(1), numbers(1), 0.1, "other"),  # type: ignore[arg-type]
        lambda: losses.grpo(numbers(1, 1), numbers(1, 1), None, numbers(1), torch.ones(1, 1), aggregate="other"),  # type: ignore[arg-type]
    ],
)
def test_that_unknown_kinds_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="unknown"):
        call()


@pytest.mark.parametrize("kind", ["k2", "k3"])
def test_that_the_kl_penalty_is_its_estimate_averaged_over_tokens_and_differentiable(kind: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    logprobs, ref = (-torch.rand(3, 5, generator=generator, dtype=torch.float64) * 3 for _ in range(2))
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    ref = ref.masked_fill(mask == 0, torch.nan)
    total = 0.0
    for row, column in mask.nonzero().tolist():
        d = float(logprobs[row, column] - ref[row, column])
        total += 0.5 * d * d if kind == "k2" else math.exp(-d) - 1 + d
    assert float(losses.kl_penalty(logprobs, ref, mask, kind)) == pytest.approx(total / 9, rel=1e-6)
    assert float(losses.kl_penalty(logprobs, ref, mask, kind, 18)) == pytest.approx(total / 18, rel=1e-6)
    logprobs.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: losses.kl_penalty(x, ref, mask, kind), logprobs)
    with pytest.raises(ValueError, match="k1"):
        losses.kl_penalty(logprobs, ref, mask, "k1")
