"""Pure functions against plain statements of their formulas, number by number, on random ragged rows; gradients; identities."""

import math
import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from workbench.engine import advantages, losses

SEEDS = range(8)
Rows = list[list[float]]


class Draw:
    """Random ragged rows, as plain lists and as tensors with rubbish behind each end."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self.lengths = [self._draw.randint(1, 7) for _ in range(self._draw.randint(2, 6))]
        self.width = max(self.lengths) + self._draw.randint(0, 2)
        self.mask = torch.arange(self.width)[None] < torch.tensor(self.lengths)[:, None]

    def rows(self, mean: float = 0.0, spread: float = 1.0) -> tuple[Rows, Tensor]:
        rows = [[self._draw.gauss(mean, spread) for _ in range(n)] for n in self.lengths]
        padded = [row + [1e6] * (self.width - len(row)) for row in rows]
        return rows, torch.tensor(padded, dtype=torch.float64)

    def column(self, count: int | None = None) -> list[float]:
        return [self._draw.gauss(0.0, 1.0) for _ in range(count or len(self.lengths))]


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("seed", SEEDS)
def test_that_likelihoods_are_their_formulas(seed: int) -> None:
    draw = Draw(seed)
    rows, tensor = draw.rows(-2.0)
    weights = draw.column()
    assert float(losses.sft(tensor, draw.mask)) == pytest.approx(-sum(map(sum, rows)) / sum(draw.lengths), rel=1e-6)
    found = losses.weighted_nll(tensor, draw.mask, column(weights))
    assert float(found) == pytest.approx(-sum(w * sum(row) for w, row in zip(weights, rows)), rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_that_the_policy_and_value_losses_are_their_formulas(seed: int) -> None:
    draw = Draw(seed)
    (new, a), (old, b), (gains, c) = draw.rows(-2, 0.4), draw.rows(-2, 0.4), draw.rows()
    tokens = [(n, o, g) for rows in zip(new, old, gains) for n, o, g in zip(*rows)]
    plain = [max(-g * math.exp(n - o), -g * min(max(math.exp(n - o), 0.8), 1.2)) for n, o, g in tokens]
    dual = [min(loss, -1.5 * g) if g < 0 else loss for loss, (_, _, g) in zip(plain, tokens)]
    assert float(losses.ppo_policy(a, b, c, draw.mask).loss) == pytest.approx(mean(plain), rel=1e-6)
    assert float(losses.ppo_policy(a, b, c, draw.mask, dual_clip=1.5).loss) == pytest.approx(mean(dual), rel=1e-6)
    clipped = [(n, o, o + min(max(n - o, -0.2), 0.2), g) for n, o, g in tokens]
    squares = [0.5 * max((n - g) ** 2, (near - g) ** 2) for n, _, near, g in clipped]
    assert float(losses.ppo_value(a, b, c, draw.mask, 0.2).loss) == pytest.approx(mean(squares), rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_that_grpo_is_its_formula(seed: int) -> None:
    draw = Draw(seed)
    (new, a), (old, b), (ref, c), gains = draw.rows(-2, 0.4), draw.rows(-2, 0.4), draw.rows(-2, 0.4), draw.column()

    def loss(n: float, o: float, r: float, g: float) -> float:
        ratio = math.exp(n - o)
        return max(-g * ratio, -g * min(max(ratio, 0.8), 1.28)) + 0.1 * (math.exp(r - n) - (r - n) - 1)

    rows = [[loss(n, o, r, g) for n, o, r in zip(*sides)] for *sides, g in zip(new, old, ref, gains)]
    total = sum(map(sum, rows))
    expected = {
        "grpo": mean([mean(row) for row in rows]),
        "dapo": total / sum(draw.lengths),
        "dr_grpo": total / (9 * len(rows)),
    }
    for aggregate, value in expected.items():
        found = losses.grpo(a, b, c, column(gains), draw.mask, 0.2, 0.28, 0.1, aggregate, max_length=9)  # type: ignore[arg-type]
        assert float(found.loss) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_that_advantages_are_their_formulas(seed: int) -> None:
    draw = Draw(seed)
    (rewards, a), (values, b) = draw.rows(), draw.rows()
    found, returns = advantages.gae(a, b, draw.mask, 0.97, 0.9)
    flat = []
    for i, (row, worth) in enumerate(zip(rewards, values)):
        deltas = [r + 0.97 * after - v for r, v, after in zip(row, worth, [*worth[1:], 0.0])]
        for t in range(len(row)):
            expected = sum((0.97 * 0.9) ** k * delta for k, delta in enumerate(deltas[t:]))
            flat.append(expected)
            assert float(found[i, t]) == pytest.approx(expected, rel=1e-6)
            assert float(returns[i, t]) == pytest.approx(expected + worth[t], rel=1e-6)
    centre = mean(flat)
    spread = math.sqrt(sum((x - centre) ** 2 for x in flat) / (len(flat) - 1))
    white = advantages.whiten(found, draw.mask)[draw.mask].tolist()
    assert white == pytest.approx([(x - centre) / spread for x in flat], rel=1e-6)


# Of x and y each loss learns; c is given.
CASES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "sft": lambda x, y, c, mask: losses.sft(x, mask),
    "weighted_nll": lambda x, y, c, mask: losses.weighted_nll(x, mask, c[:, 0]),
    "bradley_terry": lambda x, y, c, mask: losses.reward_pairwise(x[:, 0], y[:, 0], "bradley_terry", 0.3, 0.1),
    "hinge": lambda x, y, c, mask: losses.reward_pairwise(x[:, 0], y[:, 0], "hinge", 5.0),
    "mse": lambda x, y, c, mask: losses.reward_pairwise(x[:, 0], y[:, 0], "mse", 0.3),
    "softmax": lambda x, y, c, mask: losses.reward_listwise(x, c.softmax(-1), "softmax"),
    "plackett_luce": lambda x, y, c, mask: losses.reward_listwise(x, c.argsort(-1), "plackett_luce"),
    "orpo": lambda x, y, c, mask: losses.orpo(-x[:, 0].exp(), -y[:, 0].exp()),
    "simpo": lambda x, y, c, mask: losses.simpo(x[:, 0], y[:, 0]),
    "kto": lambda x, y, c, mask: losses.kto(x[:, 0], y[:, 0], c[:, 0]),
    "kl_penalty_k2": lambda x, y, c, mask: losses.kl_penalty(x, c, mask, "k2"),
    "kl_penalty_k3": lambda x, y, c, mask: losses.kl_penalty(x, c, mask, "k3"),
    "grpo": lambda x, y, c, mask: losses.grpo(x, c, c - 0.1, c[:, 0], mask, beta=0.1).loss,
    "ppo_policy": lambda x, y, c, mask: losses.ppo_policy(x, c, c - 0.1, mask, dual_clip=1.5).loss,
    "ppo_value": lambda x, y, c, mask: losses.ppo_value(x, c, c + 0.5, mask, 0.2).loss,
}


@pytest.mark.parametrize("name", CASES)
def test_that_gradients_are_those_of_finite_differences(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    x, y, given = (torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    mask = torch.arange(4)[None] < torch.tensor([4, 1, 2])[:, None]
    loss = CASES[name]
    inputs = (x.requires_grad_(), y.requires_grad_())
    assert torch.autograd.gradcheck(lambda u, v: loss(u, v, given, mask), inputs)
    assert torch.autograd.grad(loss(*inputs, given, mask), x)[0].any()


def test_that_weighting_goes_from_best_of_n_to_plain_imitation() -> None:
    rewards = torch.tensor([[0.1, 2.0, -1.0, 0.5]], dtype=torch.float64)
    logprobs = torch.tensor([[-1.0, -2.0], [-0.5, -0.2], [-3.0, -1.0], [-0.7, -0.9]], dtype=torch.float64)
    mask = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 1]])

    def loss(beta: float) -> float:
        return float(losses.weighted_nll(logprobs, mask, advantages.softmax_weights(rewards, beta).flatten()))

    assert loss(1e-3) == pytest.approx(0.5, rel=1e-9)
    imitation = losses.sft(logprobs, mask, num_tokens=4)  # the same sum, shared by four completions
    assert loss(1e9) == pytest.approx(float(imitation), rel=1e-6)


def test_that_a_constant_added_to_all_rewards_changes_nothing_where_it_should_not() -> None:
    draw = Draw(3)
    rewards = column(draw.column(12)).view(3, 4)
    for scale in ("group", "batch", "none"):
        before, after = (advantages.group_relative(r, scale) for r in (rewards, rewards + 7.5))  # type: ignore[arg-type]
        torch.testing.assert_close(after, before)
    torch.testing.assert_close(advantages.softmax_weights(rewards + 7.5, 0.3), advantages.softmax_weights(rewards, 0.3))
    for kind in ("bradley_terry", "hinge", "mse"):
        one, two = (losses.reward_pairwise(rewards[0] + c, rewards[1] + c, kind) for c in (0.0, 7.5))  # type: ignore[arg-type]
        torch.testing.assert_close(one, two)
    order = rewards.argsort(dim=-1, descending=True)
    one, two = (losses.reward_listwise(rewards + c, order, "plackett_luce") for c in (0.0, 7.5))
    torch.testing.assert_close(one, two)


def test_that_a_group_of_one_contributes_nothing() -> None:
    gains = advantages.group_relative(torch.tensor([[3.0], [-1.0]])).flatten()
    logprobs = torch.full((2, 3), -1.0, requires_grad=True)
    found = losses.grpo(logprobs, logprobs.detach(), None, gains, torch.ones(2, 3))
    found.loss.backward()
    assert float(found.loss.detach()) == 0.0
    assert logprobs.grad is not None
    assert not logprobs.grad.any()


def test_that_the_kl_estimates_have_the_means_and_gradients_that_theory_says() -> None:
    generator = torch.Generator().manual_seed(5)
    policy = torch.randn(6, generator=generator, dtype=torch.float64, requires_grad=True)
    ref = torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(-1)
    logprobs = policy.log_softmax(-1)
    chances = logprobs.exp().detach()
    true = (logprobs.exp() * (logprobs - ref)).sum()
    (slope,) = torch.autograd.grad(true, policy, retain_graph=True)

    def expected(kind: str) -> tuple[Tensor, Tensor]:
        value = (chances * advantages.kl(logprobs, ref, kind)).sum()  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(value, policy, retain_graph=True)
        return value.detach(), gradient

    torch.testing.assert_close(expected("k1")[0], true.detach())
    torch.testing.assert_close(expected("k3")[0], true.detach())
    torch.testing.assert_close(expected("k2")[1], slope)
    torch.testing.assert_close(expected("k1")[1], torch.zeros_like(slope), atol=1e-12, rtol=0)
    assert float((expected("k3")[1] - slope).abs().max()) > 1e-2
