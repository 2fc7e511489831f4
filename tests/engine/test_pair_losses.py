"""Each loss of the DPO recipe from its spec, and the metrics, against sums done by hand on ragged completions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from workbench.domain.specs.dpo import DpoSpec
from workbench.engine.pair_losses import Seen, pair_loss, pair_metrics

SIZES = torch.tensor([3, 1, 2, 5, 4, 2])  # of three chosen completions, then of three rejected ones
MASK = torch.arange(5)[None] < SIZES[:, None]


def seen(with_reference: bool = True, strengths: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Seen:
    """Random log-probabilities, zero on padding as a forward pass leaves them."""
    generator = torch.Generator().manual_seed(3)
    logprobs, reference = (
        torch.where(MASK, -torch.rand(6, 5, generator=generator, dtype=torch.float64) * 2 - 0.05, 0.0) for _ in range(2)
    )
    return Seen(logprobs, reference if with_reference else None, MASK, torch.tensor(strengths, dtype=torch.float64))


def log_sigmoid(x: float) -> float:
    return -math.log(1 + math.exp(-x))


def by_hand(given: Seen, loss: str, beta: float, strengths: tuple[float, ...], **more: Any) -> float:
    """The mean loss of the pairs, one pair and one token at a time."""
    total = 0.0
    for place in range(3):
        sums, means, first = [], [], []
        for row in (place, place + 3):
            size = int(SIZES[row])
            sums.append(sum(float(x) for x in given.logprobs[row, :size]))
            means.append(sums[-1] / size)
            first.append(sum(float(x) for x in given.reference[row, :size]) if given.reference is not None else 0.0)
        h = (sums[0] - first[0]) - (sums[1] - first[1])
        mean_h = (sums[0] - first[0]) / int(SIZES[place]) - (sums[1] - first[1]) / int(SIZES[place + 3])
        ahead = beta * h - more.get("margin_scale", 0.0) * strengths[place]
        eps = more.get("label_smoothing", 0.0)
        if loss == "sigmoid":
            total += -(1 - eps) * log_sigmoid(ahead) - eps * log_sigmoid(-ahead)
        elif loss == "robust":
            total += (-(1 - eps) * log_sigmoid(ahead) + eps * log_sigmoid(-ahead)) / (1 - 2 * eps)
        elif loss == "hinge":
            total += max(0.0, 1 - ahead)
        elif loss == "ipo":
            total += ((mean_h if more.get("ipo_length_average", True) else h) - 1 / (2 * beta)) ** 2
        elif loss == "simpo":
            total += -log_sigmoid(beta * (means[0] - means[1]) - more["simpo_gamma"])
        elif loss == "orpo":
            odds = [mean - math.log(1 - math.exp(mean)) for mean in means]
            total += -means[0] - beta * log_sigmoid(odds[0] - odds[1])
        elif loss == "kto":
            sides = (beta * (sums[0] - first[0] - 0.25), beta * (0.25 - (sums[1] - first[1])))
            weights = more.get("kto_chosen_weight", 1.0), more.get("kto_rejected_weight", 1.0)
            total += sum(w * (1 - 1 / (1 + math.exp(-x))) for w, x in zip(weights, sides, strict=True)) / 2
    return total / 3


CASES: list[tuple[str, dict[str, Any]]] = [
    ("sigmoid", {}),
    ("sigmoid", {"label_smoothing": 0.2}),
    ("sigmoid", {"margin_scale": 0.7}),
    ("robust", {"label_smoothing": 0.1, "margin_scale": 0.7}),
    ("hinge", {"margin_scale": 0.7}),
    ("ipo", {}),
    ("ipo", {"ipo_length_average": False}),
    ("orpo", {}),
    ("simpo", {"simpo_gamma": 0.3}),
    ("kto", {"kto_chosen_weight": 2.0, "kto_rejected_weight": 0.5}),
]


@pytest.mark.parametrize(("loss", "more"), CASES, ids=lambda value: str(value))
def test_that_a_spec_s_loss_is_its_formula(loss: str, more: dict[str, Any]) -> None:
    strengths = (1.0, 0.0, 2.5)
    spec = DpoSpec.model_validate({"loss": loss, "beta": 0.4, **more})
    given = seen(spec.needs_reference, strengths)
    found = pair_loss(given, spec, torch.tensor(0.25, dtype=torch.float64) if loss == "kto" else None)
    assert float(found.loss) == pytest.approx(by_hand(given, loss, 0.4, strengths, **more), abs=1e-9)


@pytest.mark.parametrize(("loss", "more"), CASES, ids=lambda value: str(value))
def test_that_every_loss_asks_for_more_of_the_chosen_and_less_of_the_rejected(loss: str, more: dict[str, Any]) -> None:
    spec = DpoSpec.model_validate({"loss": loss, **more})
    given = seen(spec.needs_reference, (0.1, 0.2, 0.3))
    given.logprobs.requires_grad_()
    pair_loss(given, spec, torch.tensor(0.0, dtype=torch.float64) if loss == "kto" else None).loss.backward()
    slopes = given.logprobs.grad
    assert slopes is not None
    assert (slopes[:3][MASK[:3]] < 0).all()
    assert (slopes[3:][MASK[3:]] > 0).all()


@pytest.mark.parametrize("loss", ["simpo", "orpo"])
def test_that_without_a_reference_rewards_are_beta_times_the_mean_token_and_nothing_is_compared(loss: str) -> None:
    spec = DpoSpec.model_validate({"loss": loss, "beta": 2.0})
    given = seen(with_reference=False)
    found = pair_loss(given, spec)
    torch.testing.assert_close(found.chosen_reward, 2.0 * given.logprobs[:3].sum(1) / SIZES[:3])
    torch.testing.assert_close(found.rejected_reward, 2.0 * given.logprobs[3:].sum(1) / SIZES[3:])
    names = set(pair_metrics(given, found))
    assert "rewards/margin" in names
    assert not names & {"kl", "reference/accuracy", "logps/chosen_change", "logps/rejected_change"}


def test_that_the_metrics_are_their_definitions() -> None:
    given = seen()
    assert given.reference is not None
    found = pair_loss(given, DpoSpec(beta=0.4))
    values = {name: float(value) for name, value in pair_metrics(given, found).items()}
    now, first = given.logprobs.sum(1), given.reference.sum(1)
    rewards = 0.4 * (now - first)
    moved = given.logprobs - given.reference
    expected = {
        "rewards/chosen": rewards[:3].mean(),
        "rewards/rejected": rewards[3:].mean(),
        "rewards/margin": (rewards[:3] - rewards[3:]).mean(),
        "rewards/accuracy": (rewards[:3] > rewards[3:]).double().mean(),
        "logps/chosen": now[:3].mean(),
        "logps/rejected": now[3:].mean(),
        "logps/chosen_change": ((now - first) / SIZES)[:3].mean(),
        "logps/rejected_change": ((now - first) / SIZES)[3:].mean(),
        "length/difference": torch.tensor((3 + 1 + 2 - 5 - 4 - 2) / 3),
        "reference/accuracy": (first[:3] > first[3:]).double().mean(),
        "kl": (moved.exp() - 1 - moved)[MASK].sum() / 6,
    }
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        assert values[name] == pytest.approx(float(value), abs=1e-6), name


def test_that_at_the_reference_nothing_has_moved_exactly() -> None:
    given = seen()
    given = given._replace(reference=given.logprobs.clone())
    values = pair_metrics(given, pair_loss(given, DpoSpec()))
    for name in ("kl", "rewards/margin", "rewards/chosen", "logps/chosen_change", "logps/rejected_change"):
        assert float(values[name]) == 0.0


def test_that_pairs_weigh_the_same_however_they_are_grouped() -> None:
    def rows(given: Seen, places: list[int]) -> Seen:
        both = [*places, *(place + 3 for place in places)]
        assert given.reference is not None
        return Seen(given.logprobs[both], given.reference[both], given.mask[both], given.strengths[places])

    whole = seen(strengths=(1.0, 0.0, 2.5))
    for loss, more in CASES:
        spec = DpoSpec.model_validate({"loss": loss, **more})

        def total(part: Seen, spec: DpoSpec = spec) -> tuple[Tensor, dict[str, Tensor]]:
            part = part if spec.needs_reference else part._replace(reference=None)
            found = pair_loss(part, spec, torch.tensor(0.3) if spec.loss == "kto" else None)
            return found.loss, pair_metrics(part, found)

        together, parts = total(whole), [total(rows(whole, places)) for places in ([0, 2], [1])]
        shares = (2 / 3, 1 / 3)
        assert float(together[0]) == pytest.approx(sum(float(p[0]) * s for p, s in zip(parts, shares, strict=True)))
        for name, value in together[1].items():
            added = sum(float(p[1][name]) * s for p, s in zip(parts, shares, strict=True))
            assert added == pytest.approx(float(value), abs=1e-6)


# What TRL 1.16.0 says to the log-probabilities of `even`: DPOTrainer and KTOTrainer._compute_loss, CPOTrainer.cpo_loss and
# ORPOTrainer.odds_ratio_loss, with beta 0.4.
TRL: list[tuple[str, dict[str, Any], float]] = [
    ("sigmoid", {}, 0.6811370849609375),
    ("hinge", {}, 0.9555556178092957),
    ("ipo", {}, 1.704305648803711),
    ("robust", {"label_smoothing": 0.1}, 0.6755815148353577),
    ("simpo", {"simpo_gamma": 0.3}, 0.8648454546928406),
    ("orpo", {}, 0.2968579828739166),
    ("kto", {"kto_chosen_weight": 2.0, "kto_rejected_weight": 0.5}, 0.6401866674423218),
]


def even() -> Seen:
    """Log-probabilities of ragged completions from a rule that needs no random generator."""
    rows, places = torch.arange(6)[:, None], torch.arange(5)[None]
    logprobs = torch.where(MASK, -((rows * 7 + places * 3) % 11 + 1) / 8, 0.0)
    reference = torch.where(MASK, -((rows * 5 + places * 2) % 7 + 1) / 6, 0.0)
    return Seen(logprobs, reference, MASK, torch.zeros(3))


@pytest.mark.parametrize(("loss", "more", "theirs"), TRL, ids=[loss for loss, _, _ in TRL])
def test_that_losses_are_those_of_trl(loss: str, more: dict[str, Any], theirs: float) -> None:
    spec = DpoSpec.model_validate({"loss": loss, "beta": 0.4, **more})
    given = even() if spec.needs_reference else even()._replace(reference=None)
    strangers = torch.tensor(
        [0.5, 0.25, 0.0, 0.75, -0.5, 1.0]
    )  # the log-ratios of mismatched completions that TRL was given
    found = float(pair_loss(given, spec, strangers.mean()).loss)
    if loss == "orpo":  # TRL adds the imitation of the chosen completion elsewhere
        found += float((given.logprobs.sum(1) / SIZES)[:3].mean())
    assert found == pytest.approx(theirs, rel=1e-6)
