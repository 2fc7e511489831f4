import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.text import Candidate, Demonstration, Prompt, Turn


@given(st.text(), st.booleans())
def test_that_equal_prompts_have_equal_keys_also_after_json(text: str, raw: bool) -> None:
    prompt = Prompt.from_text(text, raw=raw)
    back = Prompt.model_validate_json(prompt.model_dump_json())
    assert back == prompt
    assert back.key() == prompt.key()
    assert len(prompt.key()) == 64


def test_that_role_text_order_and_rawness_all_count_in_the_key() -> None:
    question, answer = Turn(role="user", content="a"), Turn(role="assistant", content="b")
    prompts = [
        Prompt(turns=(question,)),
        Prompt(turns=(question,), raw=True),
        Prompt(turns=(Turn(role="system", content="a"),)),
        Prompt(turns=(question, answer)),
        Prompt(turns=(answer, question)),
        Prompt(turns=(Turn(role="user", content="a b"),)),
        Prompt(turns=(Turn(role="user", content="a"), Turn(role="user", content="b"))),
    ]
    assert len({p.key() for p in prompts}) == len(prompts)


def test_that_the_key_is_the_same_in_every_process() -> None:
    assert Prompt.from_text("Hi").key() == hashlib.sha256(b'[false, [["user", "Hi"]]]').hexdigest()


def test_that_a_list_shows_the_last_turn() -> None:
    prompt = Prompt(turns=(Turn(role="system", content="Be kind."), Turn(role="user", content="Hello?")))
    assert prompt.text == "Hello?"


def test_that_a_prompt_has_a_turn_and_a_turn_a_known_role() -> None:
    with pytest.raises(ValidationError):
        Prompt(turns=())
    with pytest.raises(ValidationError):
        Turn(role="wizard", content="x")
    with pytest.raises(ValidationError):
        Prompt.model_validate({"turns": [{"role": "user", "content": "x"}], "mood": 1})


def test_that_a_candidate_remembers_the_settings_that_made_it() -> None:
    candidate = Candidate(text="Once", model="sft-1", settings=Sample(temperature=0.7, seed=3), seed=3)
    back = Candidate.model_validate_json(candidate.model_dump_json())
    assert back == candidate
    assert isinstance(back.settings, Sample)
    assert isinstance(Candidate.model_validate({"text": "x", "settings": {"strategy": "greedy"}}).settings, Greedy)


def test_that_a_demonstration_is_a_prompt_with_its_completion() -> None:
    shown = Demonstration(prompt=Prompt.from_text("Hi"), completion="Hello.")
    assert Demonstration.model_validate_json(shown.model_dump_json()) == shown
