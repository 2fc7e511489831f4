"""Fields that several specs have are declared once, and what a spec says anew differs from what it had."""

from __future__ import annotations

from inspect import get_annotations
from itertools import combinations
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from workbench.domain.parts import Part
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.kinds import SPECS
from workbench.domain.specs.online import OnlineSpec, RolloutSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.weighted import WeightedSpec


def declared(spec: type[Part]) -> dict[str, FieldInfo]:
    """The fields that a class itself writes down."""
    return {name: field for name, field in spec.model_fields.items() if name in get_annotations(spec)}


def said(field: FieldInfo) -> tuple[Any, ...]:
    """Everything that a field declares."""
    return (
        field.annotation, field.default, repr(field.default_factory), [repr(bound) for bound in field.metadata],
        field.description, repr(field.json_schema_extra),
    )  # fmt: skip


@pytest.mark.parametrize("kind", list(SPECS))
def test_that_no_spec_says_again_what_its_base_says(kind: str) -> None:
    for below in SPECS[kind].__mro__:
        if issubclass(below, Part) and below.__bases__[0] is not Part and below is not Part:
            above = below.__bases__[0].model_fields
            again = [
                name for name, field in declared(below).items() if name in above and said(above[name]) == said(field)
            ]
            assert again == [], below.__name__


def test_that_specs_of_one_base_do_not_write_the_same_field_twice() -> None:
    classes = {c for spec in SPECS.values() for c in spec.__mro__ if issubclass(c, Part) and c is not Part}
    for one, two in combinations(sorted(classes, key=lambda c: c.__name__), 2):
        if one.__bases__ == two.__bases__ and one.__bases__[0] is not Part:
            mine, yours = declared(one), declared(two)
            same = [name for name in mine.keys() & yours.keys() if said(mine[name]) == said(yours[name])]
            twice = [name for name in same if get_annotations(one)[name] != "PromptFormat"]  # a name for both
            assert twice == [], (one.__name__, two.__name__)


@pytest.mark.parametrize("spec", [GrpoSpec, PpoSpec])
def test_that_policy_gradients_begin_at_the_full_rate_and_fall_to_nothing(spec: type[RolloutSpec]) -> None:
    made = spec()
    assert (made.schedule, made.warmup, made.eval_every, made.holdout) == ("linear", 0.0, 10, 0.1)
    assert spec(schedule="step", drops=3).drops == 3


def test_that_imitation_warms_up_like_any_other_training() -> None:
    made = WeightedSpec()
    assert (made.schedule, made.warmup, made.eval_every, made.holdout) == ("cosine", 0.05, 10, 0.1)


@pytest.mark.parametrize("spec", [GrpoSpec, PpoSpec, WeightedSpec])
def test_that_what_learns_from_scores_holds_prompts_out_not_rows(spec: type[OnlineSpec]) -> None:
    assert spec.model_fields["holdout"].description == "Share of the prompts kept for evaluation and never trained on."
    with pytest.raises(ValueError, match=r"less than or equal to 0\.5"):
        spec(holdout=0.51)
