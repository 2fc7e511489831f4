"""The score of a completion as a formula: the sources of rewards that are on, with their weights."""

from __future__ import annotations

from workbench.domain.specs.online import OnlineSpec
from workbench.services.formulas.card import Term, number


def score_lines(spec: OnlineSpec) -> tuple[str, ...]:
    """The weighted sum as one line; none while nothing gives rewards."""
    terms = [sign if weight == 1 else f"{number(weight)}·{sign}" for sign, weight, *_ in sources(spec)]
    return (f"score = {' + '.join(terms)}".replace("+ −", "− "),) if terms else ()


def reward_terms(spec: OnlineSpec) -> tuple[Term, ...]:
    """A term for each source."""
    return tuple(Term(sign, metric, sentence) for sign, _, metric, sentence in sources(spec))


def sources(spec: OnlineSpec) -> list[tuple[str, float, str, str]]:
    """(sign, weight, metric, sentence) of each source that is on."""
    part = spec.rewards
    scored = "(r(x, y) − mean r) / std r" if part.model_normalize else "r(x, y)"
    named = part.function.rpartition(":")[2]
    return [
        (sign, weight, f"reward/{name}", sentence)
        for name, on, sign, weight, sentence in (
            ("model", bool(spec.reward_model), scored, part.model_weight, "What the reward model gives to a completion."),
            ("function", bool(named), f"{named}(x, y)", part.function_weight, "What the Python function gives."),
            ("answer", part.answer_weight != 0, "[answer]", part.answer_weight, "1 if the completion ends with the right answer."),
            ("pattern", bool(part.pattern), "[pattern]", part.pattern_weight, f"1 if {part.pattern} is found."),
            ("length", bool(part.length_target), "[length]", part.length_weight,
             f"1 for {part.length_target} words, less for fewer or more."),
            ("story", part.story_weight != 0, "[story]", part.story_weight, "The starter kit's rule about stories."),
        )
        if on and weight
    ]  # fmt: skip
