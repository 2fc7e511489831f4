"""`--set key=value` on the command line."""

import pytest

from workbench.cli.values import parse_sets
from workbench.domain.errors import BadInput


def test_that_values_are_json_where_they_can_be() -> None:
    assert parse_sets(["beta=0.2", "epochs=3", "margin=true", "name=mine"]) == {
        "beta": 0.2,
        "epochs": 3,
        "margin": True,
        "name": "mine",
    }


def test_that_dots_reach_into_parts() -> None:
    assert parse_sets(["lora.rank=8", "lora.alpha=16"]) == {"lora": {"rank": 8, "alpha": 16}}


def test_that_a_value_may_hold_an_equals_sign_or_be_empty() -> None:
    assert parse_sets(["name=a=b", "data="]) == {"name": "a=b", "data": ""}


@pytest.mark.parametrize("pair", ["beta", "=3", ""])
def test_that_a_pair_without_key_or_value_is_refused(pair: str) -> None:
    with pytest.raises(BadInput, match="has no value"):
        parse_sets([pair])
