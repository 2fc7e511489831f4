"""The real client over /v1/completions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch

from tests.serving.conftest import Running
from workbench.engine.decoding.voice import Voice
from workbench.engine.text import encode_text

PROMPT = "Once upon a time, Tim"


def ask(server: Running, **fields: Any) -> Any:
    return asyncio.run(create(server, **fields))


async def create(server: Running, **fields: Any) -> Any:
    return await server.client().completions.create(**({"model": "stories", "prompt": PROMPT} | fields))


async def pieces(server: Running, **fields: Any) -> list[Any]:
    return [piece async for piece in await create(server, stream=True, **fields)]


def test_that_a_text_is_continued_by_16_tokens_unless_told_otherwise(server_here: Running) -> None:
    reply = ask(server_here, temperature=0)
    assert reply.object == "text_completion"
    assert reply.id.startswith("cmpl-")
    assert reply.usage.completion_tokens == 16
    assert reply.choices[0].finish_reason == "length"
    assert not reply.choices[0].text.startswith(PROMPT)
    assert reply.choices[0].logprobs is None


def test_that_ids_are_taken_as_they_are(server_here: Running, voice: Voice) -> None:
    ids = encode_text(voice.tokenizer, PROMPT)
    by_ids, by_text = (ask(server_here, prompt=prompt, temperature=0) for prompt in (ids, PROMPT))
    assert by_ids.choices[0].text == by_text.choices[0].text
    assert by_ids.usage == by_text.usage


def test_that_several_prompts_have_their_own_texts_in_order(server_here: Running, voice: Voice) -> None:
    prompts = [PROMPT, "The dog", "A bird saw a very big and very old tree near the river and"]
    together = ask(server_here, prompt=prompts, n=2, seed=11)
    assert [choice.index for choice in together.choices] == list(range(6))
    for number, prompt in enumerate(prompts):
        alone = ask(server_here, prompt=prompt, n=2, seed=11 + 2 * number)
        assert [c.text for c in together.choices[2 * number : 2 * number + 2]] == [c.text for c in alone.choices]
    ids = [encode_text(voice.tokenizer, prompt) for prompt in prompts]
    assert together.usage.prompt_tokens == sum(map(len, ids))
    again = ask(server_here, prompt=ids, n=2, seed=11)
    assert [choice.text for choice in again.choices] == [choice.text for choice in together.choices]


def test_that_echoed_logprobs_are_the_models_over_prompt_and_text(server_here: Running, voice: Voice) -> None:
    reply = ask(server_here, echo=True, logprobs=3, max_tokens=6, temperature=0)
    [choice] = reply.choices
    told = choice.logprobs
    ids = encode_text(voice.tokenizer, PROMPT)
    full = ids + encode_text(voice.tokenizer, choice.text)[len(ids) :]
    assert choice.text.startswith(PROMPT)
    with torch.inference_mode():
        table = torch.log_softmax(voice.model(torch.tensor([full])).logits[0].float(), -1)
    wanted = [float(table[place, token]) for place, token in enumerate(full[1:])]
    assert told.token_logprobs[0] is None and told.top_logprobs[0] is None
    assert told.token_logprobs[1:] == pytest.approx(wanted, abs=1e-4)
    assert len(told.tokens) == len(told.text_offset) == len(told.top_logprobs) == len(full)
    for token, logprob, top in list(zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True))[1:]:
        assert top[token] == logprob
        assert len(top) in (3, 4)
        assert max(top.values()) >= logprob


def test_that_greedy_tokens_are_the_most_probable_ones_to_the_last_bit(server_here: Running) -> None:
    """Evaluation harnesses compare the two numbers for equality."""
    whole = ask(server_here, max_tokens=12, temperature=0).choices[0].text
    told = (
        ask(server_here, prompt=PROMPT + whole, echo=True, logprobs=1, max_tokens=1, temperature=0).choices[0].logprobs
    )
    assert told.token_logprobs[-5:] == [max(top.values()) for top in told.top_logprobs[-5:]]


def test_that_offsets_point_into_the_text(server_here: Running) -> None:
    [choice] = ask(server_here, logprobs=1, max_tokens=20, temperature=0).choices
    told = choice.logprobs
    for token, start, end in zip(told.tokens, told.text_offset, [*told.text_offset[1:], len(choice.text)], strict=True):
        assert choice.text[start:end] == token


def test_that_echo_with_no_new_tokens_gives_the_prompts_probabilities(server_here: Running) -> None:
    reply = ask(server_here, echo=True, logprobs=0, max_tokens=0)
    [choice] = reply.choices
    assert choice.text == PROMPT
    assert choice.finish_reason == "length"
    assert reply.usage.completion_tokens == 0
    assert len(choice.logprobs.tokens) == reply.usage.prompt_tokens
    assert all(len(top) == 1 for top in choice.logprobs.top_logprobs[1:])


def test_that_a_prompt_that_fills_the_context_can_be_scored(server_here: Running, voice: Voice) -> None:
    ids = (encode_text(voice.tokenizer, PROMPT) * 100)[:512]
    reply = ask(server_here, prompt=ids, echo=True, logprobs=1, max_tokens=0)
    assert len(reply.choices[0].logprobs.tokens) == 512


def test_that_echo_without_logprobs_gives_the_prompt_back(server_here: Running) -> None:
    plain = ask(server_here, temperature=0).choices[0].text
    assert ask(server_here, temperature=0, echo=True).choices[0].text == PROMPT + plain
    heard = asyncio.run(pieces(server_here, temperature=0, echo=True))
    assert "".join(piece.choices[0].text for piece in heard) == PROMPT + plain
    assert heard[0].choices[0].text.startswith(PROMPT)


def test_that_a_stream_says_what_the_whole_answer_says(server_here: Running) -> None:
    fields: Any = {"seed": 3, "n": 2, "logprobs": 2, "echo": True, "max_tokens": 9}
    whole = ask(server_here, **fields)
    heard = asyncio.run(pieces(server_here, **fields, stream_options={"include_usage": True}))
    assert heard[-1].usage == whole.usage
    for number in range(2):
        mine = [piece.choices[0] for piece in heard[:-1] if piece.choices[0].index == number]
        assert "".join(choice.text for choice in mine) == whole.choices[number].text
        assert mine[-1].finish_reason == "length"
        wanted = whole.choices[number].logprobs
        assert [token for choice in mine for token in choice.logprobs.tokens] == wanted.tokens
        assert [offset for choice in mine for offset in choice.logprobs.text_offset] == wanted.text_offset


def test_that_the_end_token_stands_in_the_logprobs_without_text(server_here: Running) -> None:
    reply = ask(server_here, seed=0, n=32, temperature=10, logprobs=0, max_tokens=100)
    ended = [choice for choice in reply.choices if choice.finish_reason == "stop"]
    assert ended
    for choice in ended:
        assert choice.logprobs.tokens[-1] in {"</s>", "<s>"}
        assert choice.logprobs.text_offset[-1] == len(choice.text)


def test_that_stop_texts_work_here_too(server_here: Running) -> None:
    whole = ask(server_here, temperature=0, max_tokens=40).choices[0].text
    reply = ask(server_here, temperature=0, max_tokens=40, stop=["nowhere to be seen", whole[11:15]])
    assert reply.choices[0].text == whole[: whole.index(whole[11:15])]
    assert reply.choices[0].finish_reason == "stop"
