"""Ratings with ties against closed forms, known strengths and plain Bradley-Terry."""

import math
import random

import pytest

from workbench.analysis.ratings import Game
from workbench.analysis.tied_ratings import TieModel, tied_ratings

MODELS: tuple[TieModel, ...] = ("davidson", "rao_kupper")


def chances(model: TieModel, gap: float, ties: float) -> tuple[float, float]:
    """(win, tie) of the first, which is `gap` stronger in log-strength."""
    a, b = math.exp(gap), 1.0
    if model == "davidson":
        whole = a + b + ties * math.sqrt(a * b)
        return a / whole, ties * math.sqrt(a * b) / whole
    win, loss = a / (a + ties * b), b / (ties * a + b)
    return win, 1 - win - loss


def play(model: TieModel, strengths: dict[str, float], ties: float, rounds: int, seed: int) -> list[Game]:
    draw = random.Random(seed)
    games: list[Game] = []
    for _ in range(rounds):
        first, second = draw.sample(sorted(strengths), 2)
        win, tie = chances(model, strengths[first] - strengths[second], ties)
        roll = draw.random()
        games.append((first, second, 1.0 if roll < win else 0.5 if roll < win + tie else 0.0))
    return games


def test_that_two_models_have_the_closed_form_of_davidson() -> None:
    # wins : ties : losses = π_a : ν √(π_a π_b) : π_b, so log π_a - log π_b = log(wins / losses), ν = ties / √(wins · losses).
    found = tied_ratings([("a", "b", 1.0)] * 40 + [("a", "b", 0.5)] * 30 + [("b", "a", 1.0)] * 10, "davidson")
    assert found is not None
    assert found.strengths["a"].value - found.strengths["b"].value == pytest.approx(math.log(4), abs=1e-9)
    assert found.ties == pytest.approx(30 / math.sqrt(400), abs=1e-9)


def test_that_two_models_have_the_closed_form_of_rao_and_kupper() -> None:
    # With W = w / (1 - w) = π / θ and L = l / (1 - l) = 1 / (θ π): π² = W / L, θ² = 1 / (W L).
    win, loss = 0.5, 0.2
    found = tied_ratings([("a", "b", 1.0)] * 50 + [("a", "b", 0.5)] * 30 + [("b", "a", 1.0)] * 20, "rao_kupper")
    assert found is not None
    odds_win, odds_loss = win / (1 - win), loss / (1 - loss)
    assert found.strengths["a"].value - found.strengths["b"].value == pytest.approx(
        0.5 * math.log(odds_win / odds_loss), abs=1e-8
    )
    assert found.ties == pytest.approx(1 / math.sqrt(odds_win * odds_loss), abs=1e-8)


@pytest.mark.parametrize("model", MODELS)
def test_that_known_strengths_lie_in_their_own_intervals(model: TieModel) -> None:
    known = {"p": 0.9, "q": 0.2, "r": -0.3, "s": -0.8}
    ties = 0.8 if model == "davidson" else 1.6
    inside = total = 0
    for seed in range(6):
        found = tied_ratings(play(model, known, ties, 600, seed), model)
        assert found is not None
        assert sum(s.value for s in found.strengths.values()) == pytest.approx(0.0, abs=1e-9)
        for name, value in known.items():
            total += 1
            inside += found.strengths[name].low <= value <= found.strengths[name].high
    assert inside / total >= 0.85


@pytest.mark.parametrize("model", MODELS)
def test_that_no_step_from_the_maximum_makes_the_games_likelier(model: TieModel) -> None:
    games = play(model, {"p": 0.5, "q": 0.0, "r": -0.5}, 0.7 if model == "davidson" else 1.5, 200, 9)
    found = tied_ratings(games, model)
    assert found is not None

    def likelihood(strengths: dict[str, float], ties: float) -> float:
        whole = 0.0
        for first, second, score in games:
            win, tie = chances(model, strengths[first] - strengths[second], ties)
            whole += math.log(win if score == 1 else tie if score == 0.5 else 1 - win - tie)
        return whole

    best = {name: s.value for name, s in found.strengths.items()}
    top = likelihood(best, found.ties)
    for step in (-1e-3, 1e-3):
        assert likelihood(best, found.ties + step) < top
        for name in best:
            assert likelihood(best | {name: best[name] + step}, found.ties) < top


def test_that_games_without_a_maximum_or_with_other_scores_are_refused() -> None:
    assert tied_ratings([("a", "b", 1.0), ("b", "a", 1.0)], "davidson") is None  # no tie
    assert tied_ratings([("a", "b", 0.5)], "rao_kupper") is None  # nothing decided
    assert tied_ratings([("a", "b", 1.0), ("a", "b", 1.0)], "davidson") is None  # never lost
    with pytest.raises(ValueError, match="won, tied or lost"):
        tied_ratings([("a", "b", 0.7)], "davidson")
