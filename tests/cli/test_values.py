"""`--set key=value` on the command line."""

import argparse
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.cli.values import parse_sets, whole
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


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), (str(2**62), 2**62)])
def test_that_a_whole_number_is_read(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", "1e3", " 1", "1_000", "\u0663", "\u00b2", str(2**62 + 1), "9" * 5000]
)
def test_that_anything_else_is_no_whole_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a whole number"):
        whole(text)


@pytest.mark.parametrize("pairs", [["a=1", "a.b=2"], ["a.b=1", "a.b.c=2"], ["lora=null", "lora.rank=1"]])
def test_that_a_part_of_a_plain_value_is_refused(pairs: list[str]) -> None:
    with pytest.raises(BadInput, match="gives a part of"):
        parse_sets(pairs)


def test_that_the_last_of_two_values_counts() -> None:
    assert parse_sets(["beta=1", "beta=2"]) == {"beta": 2}
    assert parse_sets(["lora.rank=1", "lora.rank=2", "lora.alpha=3"]) == {"lora": {"rank": 2, "alpha": 3}}
    assert parse_sets(["lora.rank=1", "lora=null"]) == {"lora": None}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(json_values)
def test_that_any_json_value_comes_through(value: object) -> None:
    assert parse_sets([f"key={json.dumps(value)}"]) == {"key": value}


@given(st.text())
def test_that_any_text_gives_a_value_or_one_sentence(text: str) -> None:
    key, equals, _ = text.partition("=")
    if key and equals:
        assert len(parse_sets([text])) == 1
    else:
        with pytest.raises(BadInput, match="has no value") as told:
            parse_sets([text])
        assert told.value.hint
