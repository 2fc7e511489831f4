"""Rules about tokens that every recipe rests on, with real text: one BOS, one EOS, no merging across the border, splits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.domain.text import Prompt, Turn
from workbench.engine.batches import Pair, collate, cut
from workbench.engine.data import row_key, split_holdout
from workbench.engine.examples import encode_demonstrations, tell
from workbench.engine.models import load_tokenizer
from workbench.engine.preferences import encode_preferences
from workbench.engine.report import Report
from workbench.engine.text import (
    decode,
    encode_completion,
    encode_documents,
    encode_prompt,
    encode_text,
    one_bos,
    plain,
    strip_eos,
    uses_template,
)
from workbench.protocol.run_folder import RunFolder

TEXTS = [
    "",
    " ",
    "Hi",
    "naïve café",
    "שלום עולם",
    "日本語の文章",
    "👩‍👩‍👧 \u200f\u202e",
    "a\n\n\tb",
    "x" * 3000,
    "\x00\x07",
]


@pytest.fixture(scope="session")
def story_tokens(stories: Path) -> Any:
    """The stories model's tokenizer: BOS is put in front, BOS ≠ EOS, no padding token."""
    return load_tokenizer(stories)


@pytest.fixture(scope="session")
def byte_tokens(shared: Path) -> Any:
    """GPT-2's real merges as a tokenizer: BOS = EOS, nothing is put in front."""
    folder = shared / "data" / "gpt2_tokenizer"
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    inner = Tokenizer(models.BPE(vocabulary, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=end, eos_token=end, unk_token=end)


@pytest.fixture(scope="session")
def both_ends(story_tokens: Any) -> Any:
    """A tokenizer that puts BOS in front and EOS behind everything, as some do by themselves."""
    inner = Tokenizer.from_str(story_tokens.backend_tokenizer.to_str())
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair=None, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="session", params=["story", "byte", "both"])
def tokens(request: pytest.FixtureRequest, story_tokens: Any, byte_tokens: Any, both_ends: Any) -> Any:
    return {"story": story_tokens, "byte": byte_tokens, "both": both_ends}[request.param]


@pytest.fixture
def chatty(story_tokens: Any) -> Any:
    """A tokenizer of its own for each test, ready to be given a template."""
    inner = Tokenizer.from_str(story_tokens.backend_tokenizer.to_str())
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def asked(text: str, *more: str) -> Prompt:
    roles = ("user", "assistant")
    return Prompt(turns=tuple(Turn(role=roles[n % 2], content=t) for n, t in enumerate((text, *more))))


@pytest.mark.parametrize("text", TEXTS)
def test_that_a_completion_has_one_end_at_its_end_whatever_it_says(tokens: Any, text: str) -> None:
    ids = encode_completion(tokens, text)
    assert ids[-1] == tokens.eos_token_id
    assert ids.count(tokens.eos_token_id) == 1


@pytest.mark.parametrize("text", TEXTS)
def test_that_a_prompt_has_at_most_one_start_no_end_and_is_never_empty(tokens: Any, text: str) -> None:
    ids = encode_prompt(tokens, Prompt.from_text(text, raw=True))
    assert ids
    assert ids.count(tokens.bos_token_id) <= 1
    if tokens.eos_token_id != tokens.bos_token_id:
        assert tokens.eos_token_id not in ids


@pytest.mark.parametrize("text", ["Hi", "naïve café", "שלום", "日本語", "a\n\n\tb"])
def test_that_bytes_come_back_as_the_text_they_were(byte_tokens: Any, text: str) -> None:
    assert decode(byte_tokens, encode_completion(byte_tokens, text)) == text
    assert decode(byte_tokens, encode_text(byte_tokens, text)) == text


def test_that_prompt_and_completion_are_tokenised_apart(byte_tokens: Any) -> None:
    row = {"prompt": [{"role": "user", "content": "The"}], "raw": True, "completion": "re"}
    (pair,) = encode_demonstrations([row], byte_tokens, "auto", 64).pairs
    together = byte_tokens("There")["input_ids"]
    assert [*pair.prompt, *pair.completion[:-1]] != together  # joined, BPE would merge across the border
    assert pair.prompt == byte_tokens("The")["input_ids"]
    assert pair.completion[:-1] == byte_tokens("re")["input_ids"]


def test_that_the_prompt_is_the_same_in_training_and_for_every_completion(tokens: Any) -> None:
    prompt = [{"role": "user", "content": "Which?"}]
    row = {"prompt": prompt, "raw": False, "chosen": "This one.", "rejected": "\nthat"}
    (pair,) = encode_preferences([row], tokens, "auto", 400, shorten=True).pairs
    (demonstration,) = encode_demonstrations([{**row, "completion": "x"}], tokens, "auto", 400).pairs
    inference = encode_prompt(tokens, asked("Which?"))
    assert pair.prompt == demonstration.prompt == inference


@pytest.mark.parametrize("room", range(1, 8))
def test_that_a_cut_end_is_not_put_back(story_tokens: Any, room: int) -> None:
    prompt, completion = encode_text(story_tokens, "Once"), encode_completion(story_tokens, "upon a time there was")
    short = cut(Pair(prompt, completion), len(prompt) + room)
    assert short is not None
    assert short.completion == completion[:room]
    assert (short.completion[-1] == story_tokens.eos_token_id) == (room >= len(completion))


def test_that_the_end_is_a_target_even_when_it_is_also_the_padding(byte_tokens: Any) -> None:
    end = byte_tokens.eos_token_id
    completions = [encode_completion(byte_tokens, text) for text in ("Yes", "No, never, not at all")]
    batch = collate([[end]] * 2, completions, pad=end)
    targets = [row[mask].tolist() for row, mask in zip(batch.completion_ids, batch.completion_mask, strict=True)]
    assert targets == completions
    assert batch.attention_mask.sum(1).tolist() == [1 + len(ids) for ids in completions]


@pytest.mark.parametrize("spelled", ["</s>", "</s></s>", "</s></s></s>"])
def test_that_an_end_that_the_data_spells_out_is_not_doubled(story_tokens: Any, spelled: str) -> None:
    assert strip_eos(story_tokens, f"Good night.{spelled}") == "Good night."
    ids = encode_completion(story_tokens, f"Good night.{spelled}")
    assert ids == encode_completion(story_tokens, "Good night.")


def test_that_a_spelled_end_inside_a_text_does_not_end_it(story_tokens: Any) -> None:
    ids = encode_completion(story_tokens, "one</s>two")
    assert ids.index(story_tokens.eos_token_id) == len(ids) - 1
    prompt = encode_text(story_tokens, "</s><s>")
    assert prompt.count(story_tokens.eos_token_id) == 0
    assert prompt.count(story_tokens.bos_token_id) == 1


@pytest.mark.parametrize("ids", [[1, 1, 5], [1, 5], [5, 1, 1], [1], [1, 1, 1], []])
def test_that_only_a_doubled_start_is_made_single(story_tokens: Any, ids: list[int]) -> None:
    expected = {(1, 1, 5): [1, 5], (1, 1, 1): [1]}.get(tuple(ids), ids)
    assert one_bos(story_tokens, list(ids)) == expected


def test_that_a_start_that_is_also_the_end_is_kept_as_a_separator(byte_tokens: Any) -> None:
    end = byte_tokens.eos_token_id
    assert one_bos(byte_tokens, [end, end, 5]) == [end, end, 5]


def test_that_documents_begin_once_and_end_once(tokens: Any) -> None:
    end, start = tokens.eos_token_id, tokens.bos_token_id
    texts = ["One day", "Lily ran." + (tokens.eos_token or ""), "שלום"]
    for slice_size in (1, 2, 1000):
        documents = encode_documents(tokens, texts, slice_size)
        assert [ids[-1] for ids in documents] == [end] * 3
        assert all(ids[:-1].count(end) == 0 for ids in documents)
        assert all(ids[:-1].count(start) <= 1 for ids in documents)
    assert encode_documents(tokens, []) == []


def test_that_a_document_is_encoded_as_a_prompt_with_an_end(tokens: Any) -> None:
    assert encode_documents(tokens, ["Once upon a time"])[0] == [
        *encode_text(tokens, "Once upon a time"),
        tokens.eos_token_id,
    ]


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{{ bos_token }}{{ bos_token }}{{ messages[0]['content'] }}", "doubled"),
        ("{{ bos_token }}{{ messages[0]['content'] }}", "once"),
        ("{{ messages[0]['content'] }}", "never"),
    ],
)
def test_that_a_template_decides_about_the_start_but_never_gets_two(chatty: Any, template: str, word: str) -> None:
    chatty.chat_template = template
    ids = encode_prompt(chatty, asked("Tell me a story"))
    assert ids.count(chatty.bos_token_id) == (0 if word == "never" else 1)


def test_that_ends_between_turns_of_a_template_stay(chatty: Any) -> None:
    chatty.chat_template = "{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}A:"
    ids = encode_prompt(chatty, asked("Hi", "Hello", "Bye"))
    assert ids.count(chatty.eos_token_id) == 3
    assert ids[-1] != chatty.eos_token_id


def test_that_a_template_that_renders_nothing_still_gives_a_token_to_start_from(chatty: Any) -> None:
    chatty.chat_template = "{% if false %}x{% endif %}"
    assert encode_prompt(chatty, asked("Hi")) == [chatty.bos_token_id]


def test_that_a_raw_prompt_passes_by_the_template(chatty: Any) -> None:
    chatty.chat_template = "{{ raise_exception('never asked') }}"
    assert decode(chatty, encode_prompt(chatty, Prompt.from_text("Once", raw=True))) == "Once"
    assert decode(chatty, encode_prompt(chatty, asked("Once"), "plain")).endswith("Assistant:")


@pytest.mark.parametrize(
    ("chat_format", "template", "expected"),
    [("auto", "x", True), ("auto", None, False), ("plain", "x", False), ("template", "x", True)],
)
def test_that_the_format_chooses_between_template_and_plain_lines(
    chatty: Any, chat_format: str, template: str | None, expected: bool
) -> None:
    chatty.chat_template = template
    assert uses_template(chatty, chat_format) is expected


def test_that_plain_lines_name_who_speaks() -> None:
    turns = (
        Turn(role="system", content="Be brief. "),
        Turn(role="user", content="\nHi"),
        Turn(role="assistant", content="Hello"),
        Turn(role="tool", content="42"),
    )
    assert plain(Prompt(turns=turns)) == "Be brief.\n\nHuman: Hi\n\nAssistant: Hello\n\nTool: 42\n\nAssistant:"


def test_that_without_any_special_token_an_empty_prompt_and_any_completion_are_refused(chatty: Any) -> None:
    chatty.bos_token, chatty.eos_token = None, None
    with pytest.raises(BadInput, match="no end-of-text token"):
        encode_completion(chatty, "x")
    inner = chatty.backend_tokenizer
    inner.post_processor = processors.TemplateProcessing(single="$A", pair=None, special_tokens=[])
    with pytest.raises(BadInput, match="no token to start with") as caught:
        encode_prompt(chatty, Prompt.from_text("", raw=True))
    assert caught.value.hint
    assert encode_documents(chatty, ["Once"])[0][-1] != 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompts=st.lists(st.sampled_from([f"prompt {n}" for n in range(12)]), min_size=1, max_size=40),
    share=st.floats(0, 0.5),
    seed=st.integers(0, 2**31 - 1),
)
def test_that_a_prompt_is_on_one_side_only_and_no_row_is_lost(prompts: list[str], share: float, seed: int) -> None:
    rows = [
        {"prompt": [{"role": "user", "content": text}], "raw": False, "number": number}
        for number, text in enumerate(prompts)
    ]
    train, held = split_holdout(rows, share, seed)
    assert not {row_key(row) for row in train} & {row_key(row) for row in held}
    assert sorted(row["number"] for row in train + held) == list(range(len(rows)))
    assert [row["number"] for row in train] == sorted(row["number"] for row in train)
    assert train
    assert bool(held) is (share > 0 and len(set(prompts)) > 1)


def test_that_the_same_words_raw_and_as_a_turn_are_different_prompts() -> None:
    turn = [{"role": "user", "content": "Hi"}]
    assert row_key({"prompt": turn, "raw": True}) != row_key({"prompt": turn, "raw": False})
    assert row_key({"prompt": turn, "raw": None}) == row_key({"prompt": turn, "raw": False})


def test_that_a_new_row_moves_no_old_prompt_to_the_other_side_but_at_the_border() -> None:
    rows = [{"text": f"document {number}"} for number in range(100)]
    held = {row["text"] for row in split_holdout(rows, 0.2, 1)[1]}
    more = {row["text"] for row in split_holdout([*rows, {"text": "new"}], 0.2, 1)[1]}
    assert len(held ^ more) <= 2


def test_that_reasons_are_told_with_their_numbers_most_frequent_first(
    story_tokens: Any, tmp_path: Path, said: Callable[..., Any]
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(SftSpec())

    def row(prompt: str, completion: str | None) -> dict[str, Any]:
        return {"prompt": [{"role": "user", "content": prompt}], "raw": True, "completion": completion}

    rows = [row("a", None), row("word " * 40, "x"), row("b", "\n"), row("c", "tree " * 40), row("d", "short")]
    found = encode_demonstrations(rows, story_tokens, "auto", 20)
    report = Report(folder)
    tell(report, found.left_out, found.cut, len(found.pairs), 20)
    report.close()
    first, second = said(folder, "noticed")
    assert first["what"].startswith("3 rows were left out: 2 because the completion is empty; 1 because the prompt")
    assert second["what"].startswith("1 completions were cut to a total of 20 tokens")
    with pytest.raises(RunFailed, match="No row of the dataset is usable: 2 because"):
        tell(report, found.left_out, 0, 0, 20)
