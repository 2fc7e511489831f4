from __future__ import annotations

from typing import Any

import pytest

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.text import Prompt, Turn
from workbench.engine.models import Loaded
from workbench.engine.text import decode, encode_completion, encode_documents, encode_prompt, encode_text

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
TALK = Prompt(
    turns=(
        Turn(role="system", content="Be kind."),
        Turn(role="user", content="Hello there"),
        Turn(role="assistant", content="Hi."),
        Turn(role="user", content="Tell me a story."),
    )
)


@pytest.fixture
def tokenizer(loaded: Loaded) -> Any:
    return loaded.tokenizer


def test_that_a_raw_prompt_is_given_to_the_tokenizer_as_it_stands(tokenizer: Any) -> None:
    ids = encode_prompt(tokenizer, Prompt.from_text("Once upon a time", raw=True))
    assert ids == tokenizer("Once upon a time")["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == 1


def test_that_turns_without_a_template_become_plain_lines_that_end_at_the_assistant(tokenizer: Any) -> None:
    text = decode(tokenizer, encode_prompt(tokenizer, TALK))
    assert text == "Be kind.\n\nHuman: Hello there\n\nAssistant: Hi.\n\nHuman: Tell me a story.\n\nAssistant:"


def test_that_the_template_is_rendered_once_with_one_bos(tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATE
    ids = encode_prompt(tokenizer, TALK)
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids[0] == tokenizer.bos_token_id
    assert decode(tokenizer, ids).endswith("[user] Tell me a story.\n[assistant] ")
    assert encode_prompt(tokenizer, TALK, "plain") != ids


def test_that_a_template_that_writes_bos_twice_is_mended(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ bos_token }}{{ bos_token }}x"
    assert encode_prompt(tokenizer, TALK).count(tokenizer.bos_token_id) == 1


def test_that_a_demanded_template_that_is_missing_is_an_error_with_a_hint(tokenizer: Any) -> None:
    with pytest.raises(RunFailed, match="no chat template") as caught:
        encode_prompt(tokenizer, TALK, "template")
    assert "plain" in caught.value.hint


def test_that_a_template_that_refuses_a_conversation_says_so(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(BadInput, match="roles must alternate"):
        encode_prompt(tokenizer, TALK)


@pytest.mark.parametrize("text", ["the end", "the end</s>", "the end</s></s>"])
def test_that_a_completion_ends_with_eos_exactly_once(tokenizer: Any, text: str) -> None:
    ids = encode_completion(tokenizer, text)
    assert ids.count(tokenizer.eos_token_id) == 1
    assert ids[-1] == tokenizer.eos_token_id
    assert decode(tokenizer, ids) == "the end"


def test_that_special_tokens_spelled_out_in_a_completion_stay_text(tokenizer: Any) -> None:
    ids = encode_completion(tokenizer, "a </s> b <s> c")
    assert ids.count(tokenizer.eos_token_id) == 1
    assert tokenizer.bos_token_id not in ids
    assert decode(tokenizer, ids) == "a </s> b <s> c"


def test_that_what_was_said_becomes_the_same_ids_when_it_is_read_back(tokenizer: Any) -> None:
    prompt = encode_text(tokenizer, "Once upon a time")
    whole = tokenizer("Once upon a time there was a dog.", add_special_tokens=False)["input_ids"]
    said = whole[len(prompt) - 1 :]
    assert prompt[1:] + said == whole
    assert encode_completion(tokenizer, decode(tokenizer, said)) == [*said, tokenizer.eos_token_id]


def test_that_an_empty_prompt_still_has_a_token_to_start_from(tokenizer: Any) -> None:
    assert encode_text(tokenizer, "") == [tokenizer.bos_token_id]
    tokenizer.bos_token = None
    assert encode_text(tokenizer, "x")


def test_that_documents_get_one_bos_and_one_eos(tokenizer: Any) -> None:
    texts = ["One day", "The sun was up.</s>", "third"]
    encoded = encode_documents(tokenizer, texts, slice_size=2)
    assert [decode(tokenizer, ids) for ids in encoded] == ["One day", "The sun was up.", "third"]
    for ids in encoded:
        assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
        assert ids.count(tokenizer.bos_token_id) == ids.count(tokenizer.eos_token_id) == 1


def test_that_a_tokenizer_without_an_end_token_is_refused(tokenizer: Any) -> None:
    tokenizer.eos_token = None
    with pytest.raises(BadInput, match="no end-of-text token"):
        encode_completion(tokenizer, "x")
