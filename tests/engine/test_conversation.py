"""Conversations with several answers: which of their tokens are learned, and that these are the template's own."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.domain.errors import BadInput
from workbench.domain.text import Prompt, Turn
from workbench.engine.batches import Example
from workbench.engine.conversation import assistant_example, completion_example
from workbench.engine.examples import encode_demonstrations, shorten
from workbench.engine.models import Loaded
from workbench.engine.text import decode, encode_prompt

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
# The last answer is written in another way than the same answer is once the talk goes on, as templates of thinking models do.
UNSTABLE = TEMPLATE.replace(
    "{{ m['content'] }}", "{% if m['role'] == 'assistant' and loop.last %}(thinks){% endif %}{{ m['content'] }}"
)
MARKED = UNSTABLE.replace(
    "{{ m['content'] }}",
    "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}{% endgeneration %}"
    "{% else %}{{ m['content'] }}{% endif %}",
)
ENDLESS = TEMPLATE.replace("{{ eos_token }}", "")
TALK = Prompt(
    turns=(
        Turn(role="system", content="Be kind."),
        Turn(role="user", content="Hello there"),
        Turn(role="assistant", content="Hi."),
        Turn(role="user", content="And the sun?"),
    )
)


@pytest.fixture
def tokenizer(loaded: Loaded) -> Any:
    loaded.tokenizer.chat_template = TEMPLATE
    return loaded.tokenizer


def learned(tokenizer: Any, example: Example) -> list[str]:
    return [tokenizer.decode(example.ids[places.start : places.stop]) for places in example.learned]


def rendered(tokenizer: Any, completion: str) -> list[int]:
    turns = [{"role": turn.role, "content": turn.content} for turn in TALK.turns]
    whole = [*turns, {"role": "assistant", "content": completion}]
    ids: list[int] = tokenizer.apply_chat_template(whole, tokenize=True, return_dict=False)
    return ids


def test_that_every_answer_is_learned_with_its_end_and_nothing_else_is(tokenizer: Any) -> None:
    example = assistant_example(tokenizer, TALK, "It is hot.", "auto")
    assert [text.strip() for text in learned(tokenizer, example)] == ["Hi.</s>", "It is hot.</s>"]
    assert example.ids == rendered(tokenizer, "It is hot.")


def test_that_before_each_answer_stands_what_inference_is_given(tokenizer: Any) -> None:
    example = assistant_example(tokenizer, TALK, "It is hot.", "auto")
    assert example.ids[: example.learned[0].start] == encode_prompt(tokenizer, Prompt(turns=TALK.turns[:2]))
    assert example.prompt == encode_prompt(tokenizer, TALK)


def test_that_only_the_last_answer_is_learned_by_default(tokenizer: Any) -> None:
    example = completion_example(tokenizer, TALK, "It is hot.", "auto")
    assert learned(tokenizer, example) == ["It is hot.</s>"]
    assert example.prompt == encode_prompt(tokenizer, TALK)


def test_that_an_answer_that_quotes_the_template_is_told_apart_by_rendering_not_by_searching(tokenizer: Any) -> None:
    quoting = Prompt(turns=(TALK.turns[1], Turn(role="assistant", content="I say <assistant>Hi."), TALK.turns[3]))
    example = assistant_example(tokenizer, quoting, "<user>no<assistant>yes", "auto")
    assert [text.strip() for text in learned(tokenizer, example)] == [
        "I say <assistant>Hi.</s>",
        "<user>no<assistant>yes</s>",
    ]


def test_that_a_template_that_rewrites_earlier_turns_is_refused_with_a_way_out(tokenizer: Any) -> None:
    tokenizer.chat_template = UNSTABLE
    with pytest.raises(BadInput, match="another way") as caught:
        assistant_example(tokenizer, TALK, "It is hot.", "auto")
    assert "loss_on" in caught.value.hint


def test_that_generation_marks_help_where_rendering_turn_by_turn_does_not(tokenizer: Any) -> None:
    tokenizer.chat_template = MARKED
    example = assistant_example(tokenizer, TALK, "It is hot.", "auto")
    first, last = (text.strip() for text in learned(tokenizer, example))
    assert (first, last[:10]) == ("Hi.", "It is hot.")
    assert example.ids == rendered(tokenizer, "It is hot.")


def test_that_a_template_without_an_end_gets_one_after_the_last_answer(tokenizer: Any) -> None:
    tokenizer.chat_template = ENDLESS
    example = assistant_example(tokenizer, TALK, "It is hot.", "auto")
    assert example.ids == [*rendered(tokenizer, "It is hot."), tokenizer.eos_token_id]
    assert example.ids.count(tokenizer.eos_token_id) == 1
    assert example.learned[-1].stop == example.length


def test_that_plain_lines_are_learned_turn_by_turn_too(loaded: Loaded) -> None:
    example = assistant_example(loaded.tokenizer, TALK, "It is hot.", "plain")
    assert [text.strip() for text in learned(loaded.tokenizer, example)] == ["Hi.", "It is hot.</s>"]
    assert example.ids == completion_example(loaded.tokenizer, TALK, "It is hot.", "plain").ids


def test_that_a_raw_prompt_has_no_turns_to_learn(tokenizer: Any) -> None:
    raw = Prompt.from_text("Once upon", raw=True)
    assert assistant_example(tokenizer, raw, "a time", "auto") == completion_example(tokenizer, raw, "a time", "auto")


def test_that_a_template_that_drops_the_answers_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}"
    )
    with pytest.raises(BadInput, match="leaves out"):
        assistant_example(tokenizer, TALK, "It is hot.", "auto")


def test_that_a_cut_conversation_keeps_the_answers_that_fit(tokenizer: Any) -> None:
    whole = assistant_example(tokenizer, TALK, "It is hot.", "auto")
    first = whole.learned[0]
    short = shorten(whole, first.stop + 2)
    assert short is not None
    assert short.learned == (first,)
    assert short.ids == whole.ids[: first.stop + 2]
    assert shorten(whole, first.start) is None
    assert shorten(whole, whole.length) is whole


def test_that_targets_count_what_has_something_before_it() -> None:
    assert Example([5, 6, 7], (range(3),)).targets == 2
    assert Example([5, 6, 7], (range(1, 2), range(2, 3))).targets == 2


def test_that_rows_of_an_unstable_template_are_counted_by_their_reason(tokenizer: Any) -> None:
    tokenizer.chat_template = UNSTABLE
    turns = [{"role": turn.role, "content": turn.content} for turn in TALK.turns]
    single = {"prompt": turns[1:2], "raw": False, "completion": "Hi."}
    talk = {"prompt": turns, "raw": False, "completion": "Hot."}
    found = encode_demonstrations([single, talk, talk], tokenizer, "auto", 200, "assistant")
    assert (len(found.pairs), found.missing) == (1, 2)
    assert decode(tokenizer, found.pairs[0].completion).strip() == "(thinks)Hi."
