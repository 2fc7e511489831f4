"""Where a token stands on a scale of heat, and probabilities as people read them."""

from __future__ import annotations

import math

import pytest

from tests.gui.pages.playground.made_up import plain_token
from workbench.domain.choices import Alternative
from workbench.gui.pages.playground.heat import MOST_ENTROPY, MOST_KL, relative, share_of
from workbench.gui.pages.playground.token_words import percent


@pytest.mark.parametrize(
    ("kl", "share"),
    [
        (None, None),
        (math.inf, None),
        (math.nan, None),
        (-0.01, 0.0),
        (0.0, 0.0),
        (MOST_KL / 2, 0.5),
        (9 * MOST_KL, 1.0),
    ],
)
def test_that_a_kl_stays_on_its_scale_and_an_unknown_one_has_no_colour(kl: float | None, share: float | None) -> None:
    assert share_of(plain_token(1, "a", 0), "kl", kl) == share


def test_that_every_mode_has_a_measure_of_its_own() -> None:
    token = plain_token(1, "a", 0, p_model=0.3, p_used=0.9, entropy=MOST_ENTROPY / 5)
    assert share_of(token, "probability") == 0.3 and share_of(token, "entropy") == pytest.approx(0.2)
    best = Alternative(id=2, text="b", p_model=0.6, p_used=0.1)
    against = token.model_copy(update={"alternatives": (best,)})
    assert share_of(against, "relative") == relative(against) == 0.5, "as the model sees it, not after the rules"
    assert relative(plain_token(1, "a", 0, p_model=0.0)) == 0.0
    assert share_of(plain_token(1, "a", 0, entropy=math.inf), "entropy") == 0.0


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0.0%"), (1.0, "100.0%"), (0.001, "0.1%"), (0.0009, "0.090%"), (0.00001, "0.001%"), (0.000009, "<0.001%")],
)
def test_that_a_probability_has_the_digits_that_it_needs(share: float, words: str) -> None:
    assert percent(share) == words
