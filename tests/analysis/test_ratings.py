"""Bradley-Terry, Elo and tallies: against sums by hand, a general optimiser, and strengths known from simulation."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from workbench.analysis.ratings import Game, bradley_terry, elo, tally

EXACT = 1e-9


def simulated(strengths: dict[str, float], games: int, seed: int) -> list[Game]:
    draw = random.Random(seed)
    result: list[Game] = []
    for _ in range(games):
        a, b = draw.sample(sorted(strengths), 2)
        chance = 1 / (1 + math.exp(strengths[b] - strengths[a]))
        result.append((a, b, 1.0 if draw.random() < chance else 0.0))
    return result


def test_that_two_models_have_the_log_odds_of_their_wins() -> None:
    ratings = bradley_terry([("a", "b", 1.0)] * 3 + [("b", "a", 1.0)])
    assert ratings is not None
    assert ratings["a"].value - ratings["b"].value == pytest.approx(math.log(3), abs=EXACT)
    assert ratings["a"].value + ratings["b"].value == pytest.approx(0, abs=EXACT)
    # theta_a = d / 2 where d has the variance 1 / (n p q) = 1 / (4 * 3/16)
    half = 1.959963984540054 * math.sqrt(1 / (4 * 3 / 16)) / 2
    assert ratings["a"].high - ratings["a"].value == pytest.approx(half, abs=EXACT)


def test_that_a_tie_counts_as_half_a_win_for_each() -> None:
    tied = bradley_terry([("a", "b", 1.0), ("a", "b", 0.5), ("b", "a", 0.5)])
    halves = bradley_terry([("a", "b", 1.0)] * 4 + [("b", "a", 1.0)] * 2)
    assert tied is not None and halves is not None
    assert tied["a"].value == pytest.approx(halves["a"].value, abs=EXACT)


def test_that_the_maximum_likelihood_solution_is_found() -> None:
    names = ["a", "b", "c", "d"]
    games = simulated(dict(zip(names, (1.0, 0.3, -0.2, -1.1))), 400, seed=1) + [("a", "d", 0.5)] * 7

    def loss(theta: np.ndarray) -> float:
        value = dict(zip(names, theta))
        total = 0.0
        for a, b, score in games:
            gap = value[a] - value[b]
            total += score * np.logaddexp(0, -gap) + (1 - score) * np.logaddexp(0, gap)
        return float(total)

    found = bradley_terry(games)
    assert found is not None
    theta = np.array([found[n].value for n in names])
    step = 1e-5
    slopes = [(loss(theta + step * e) - loss(theta - step * e)) / (2 * step) for e in np.eye(4)]
    assert np.abs(slopes).max() < 1e-6
    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).fun
    assert loss(theta) <= best + EXACT


def minorised(games: list[Game]) -> dict[str, float]:
    """Zermelo's iteration (1929; Hunter 2004 proves that it climbs), by another road to the same maximum."""
    names = sorted({name for a, b, _ in games for name in (a, b)})
    wins = np.zeros((len(names), len(names)))
    for a, b, score in games:
        i, j = names.index(a), names.index(b)
        wins[i, j] += score
        wins[j, i] += 1 - score
    played, power = wins + wins.T, np.ones(len(names))
    for _ in range(100_000):
        new = wins.sum(1) / (played / (power[:, None] + power[None, :])).sum(1)
        new /= np.exp(np.log(new).mean())
        if np.abs(np.log(new / power)).max() < 1e-14:
            break
        power = new
    return dict(zip(names, np.log(power)))


@pytest.mark.parametrize("seed", range(5))
def test_that_strengths_are_the_maximum_to_a_billionth(seed: int) -> None:
    games = simulated({"a": 1.0, "b": 0.3, "c": -0.2, "d": -1.1}, 300, seed) + [("a", "d", 0.5), ("b", "c", 0.5)] * 9
    found = bradley_terry(games)
    assert found is not None
    assert {name: s.value for name, s in found.items()} == pytest.approx(minorised(games), abs=EXACT)


def test_that_real_verdicts_have_the_maximum_to_a_billionth(shared: Path) -> None:
    rows = json.loads((shared / "data/pandalm/testset-v1.json").read_text(encoding="utf-8"))
    score = {0: 0.5, 1: 1.0, 2: 0.0}
    games = [(*row["cmp_key"].split("_"), score[row[f"annotator{i}"]]) for row in rows for i in (1, 2, 3)]
    found = bradley_terry(games)
    assert found is not None
    assert {name: s.value for name, s in found.items()} == pytest.approx(minorised(games), abs=EXACT)


def test_that_known_strengths_lie_in_their_own_intervals() -> None:
    true = {"a": 0.9, "b": 0.2, "c": -0.3, "d": -0.8}
    inside = 0
    for seed in range(40):
        found = bradley_terry(simulated(true, 600, seed))
        assert found is not None
        inside += sum(found[n].low <= t <= found[n].high for n, t in true.items())
    assert inside / 160 >= 0.9


@pytest.mark.parametrize(
    "games",
    [
        [],
        [("a", "b", 1.0)],
        [("a", "b", 1.0), ("b", "a", 1.0), ("c", "d", 1.0), ("d", "c", 1.0)],
        [("a", "b", 0.5), ("a", "c", 1.0), ("b", "c", 1.0)],
    ],
    ids=["nothing", "always won", "two islands", "one never won"],
)
def test_that_ratings_without_a_finite_maximum_are_undefined(games: list[Game]) -> None:
    assert bradley_terry(games) is None


def test_that_a_cycle_of_wins_is_a_draw_of_all() -> None:
    found = bradley_terry([("a", "b", 1.0), ("b", "c", 1.0), ("c", "a", 1.0)])
    assert found is not None
    assert [s.value for s in found.values()] == pytest.approx([0, 0, 0], abs=EXACT)


def test_that_lopsided_results_still_converge() -> None:
    found = bradley_terry([("a", "b", 1.0)] * 100_000 + [("b", "a", 1.0)])
    assert found is not None
    assert found["a"].value * 2 == pytest.approx(math.log(100_000), abs=1e-8)


@pytest.mark.parametrize("game", [("a", "a", 1.0), ("a", "b", 1.5)])
def test_that_impossible_games_are_refused(game: Game) -> None:
    with pytest.raises(ValueError):
        bradley_terry([game])


def test_that_elo_moves_by_its_formula_in_the_order_of_the_games() -> None:
    after = elo([("a", "b", 1.0), ("a", "b", 0.5)])
    first = 1000 + 32 * 0.5
    second = first + 32 * (0.5 - 1 / (1 + 10 ** ((1000 - 16 - first) / 400)))
    assert after["a"] == pytest.approx(second, abs=EXACT)
    assert after["a"] + after["b"] == pytest.approx(2000, abs=EXACT)


def test_that_wins_ties_and_losses_are_counted_for_both_sides() -> None:
    assert tally([("a", "b", 1.0), ("b", "a", 0.5), ("b", "a", 1.0)]) == {"a": (1, 1, 1), "b": (1, 1, 1)}
