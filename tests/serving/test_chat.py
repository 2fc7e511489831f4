"""The real client over /v1/chat/completions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.serving.conftest import Running
from workbench.domain.decoding import Greedy, Sample
from workbench.domain.text import Prompt
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.voice import Voice
from workbench.engine.text import encode_prompt

ASKED: Any = [{"role": "user", "content": "Tell me about Lily."}]


def ask(server: Running, **fields: Any) -> Any:
    return asyncio.run(create(server, **fields))


async def create(server: Running, **fields: Any) -> Any:
    given = {"model": "stories", "messages": ASKED, "max_tokens": 12} | fields
    return await server.client().chat.completions.create(**given)


async def pieces(server: Running, **fields: Any) -> list[Any]:
    stream = await create(server, stream=True, **fields)
    return [piece async for piece in stream]


def spoken(voice: Voice, settings: Greedy | Sample) -> tuple[list[int], str]:
    """What the engine says alone: ids and text."""
    ids, steps = [], decode(voice, encode_prompt(voice.tokenizer, Prompt.from_text("Tell me about Lily.")), settings)
    while True:
        try:
            choice: Any = next(steps)
        except StopIteration as finished:
            return ids, finished.value.text
        if choice is not None:
            ids.append(choice.id)


def test_that_an_answer_has_every_field_of_openais(server_here: Running) -> None:
    reply = ask(server_here, temperature=0)
    assert reply.object == "chat.completion"
    assert reply.id.startswith("chatcmpl-")
    assert reply.model == "stories"
    [choice] = reply.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "length", None)
    assert (choice.message.role, choice.message.refusal) == ("assistant", None)
    usage = reply.usage
    assert usage.completion_tokens == 12
    assert usage.total_tokens == usage.prompt_tokens + 12


def test_that_temperature_0_says_what_the_engine_says_greedily(server_here: Running, voice: Voice) -> None:
    said = ask(server_here, temperature=0, max_tokens=40).choices[0].message.content
    assert said == spoken(voice, Greedy(max_new_tokens=40))[1]


def test_that_a_seed_gives_the_text_that_the_engine_draws_with_it(server_here: Running, voice: Voice) -> None:
    said = [ask(server_here, seed=7, temperature=0.8, max_tokens=40).choices[0].message.content for _ in range(2)]
    assert said == [spoken(voice, Sample(seed=7, temperature=0.8, max_new_tokens=40))[1]] * 2


def test_that_without_a_seed_texts_differ(server_here: Running) -> None:
    assert len({ask(server_here, max_tokens=30).choices[0].message.content for _ in range(4)}) > 1


def test_that_n_texts_are_those_of_consecutive_seeds(server_here: Running) -> None:
    together = ask(server_here, seed=3, n=3, max_tokens=24)
    alone = [ask(server_here, seed=3 + i, max_tokens=24).choices[0].message.content for i in range(3)]
    assert [choice.index for choice in together.choices] == [0, 1, 2]
    assert [choice.message.content for choice in together.choices] == alone
    assert together.usage.completion_tokens == 72
    assert together.usage.prompt_tokens == ask(server_here).usage.prompt_tokens


def test_that_a_negative_seed_is_one_too(server_here: Running) -> None:
    first, second = (ask(server_here, seed=-5).choices[0].message.content for _ in range(2))
    assert first == second


def test_that_bytes_of_tokens_join_to_the_text(server_here: Running) -> None:
    asked: Any = [{"role": "user", "content": "“Zoë”, said the café owner – “ünïcödé”"}]
    for seed in range(6):
        reply = ask(server_here, messages=asked, seed=seed, temperature=1.6, max_tokens=60, logprobs=True)
        content = reply.choices[0].logprobs.content
        joined = b"".join(bytes(token.bytes) for token in content if token.bytes is not None)
        said = reply.choices[0].message.content.encode()
        assert joined.startswith(said)
        assert len(joined) - len(said) < 4  # a character that the limit cut has no text


def test_that_logprobs_are_the_models_own_with_the_most_probable_first(server_here: Running) -> None:
    reply = ask(server_here, temperature=0, logprobs=True, top_logprobs=5)
    for token in reply.choices[0].logprobs.content:
        values = [other.logprob for other in token.top_logprobs]
        assert len(values) == 5
        assert values == sorted(values, reverse=True)
        assert token.logprob == values[0]
        assert token.token == token.top_logprobs[0].token


def test_that_top_logprobs_are_none_unless_asked_for(server_here: Running) -> None:
    reply = ask(server_here, logprobs=True)
    assert all(token.top_logprobs == [] for token in reply.choices[0].logprobs.content)
    assert ask(server_here, logprobs=False).choices[0].logprobs is None


def test_that_processed_logprobs_are_those_after_all_rules(server_here: Running) -> None:
    extra = {"top_k": 1, "logprobs_mode": "processed"}
    reply = ask(server_here, logprobs=True, top_logprobs=3, extra_body=extra)
    for token in reply.choices[0].logprobs.content:
        assert token.logprob == 0.0
        assert [other.logprob for other in token.top_logprobs][1:] == [-9999.0, -9999.0]
    raw = ask(server_here, logprobs=True, extra_body={"top_k": 1})
    assert all(token.logprob < 0 for token in raw.choices[0].logprobs.content)


def test_that_a_stream_says_role_text_finish_and_usage(server_here: Running) -> None:
    whole = ask(server_here, seed=1)
    heard = asyncio.run(pieces(server_here, seed=1, stream_options={"include_usage": True}))
    first, *middle, last, told = heard
    assert first.choices[0].delta.role == "assistant"
    assert first.choices[0].delta.content == ""
    assert all(piece.choices[0].finish_reason is None for piece in middle)
    assert "".join(piece.choices[0].delta.content for piece in middle) == whole.choices[0].message.content
    assert last.choices[0].finish_reason == "length"
    assert last.choices[0].delta.content is None
    assert told.choices == []
    assert told.usage == whole.usage
    assert {piece.id for piece in heard} == {first.id}
    assert all(piece.usage is None for piece in heard[:-1])


def test_that_usage_is_not_told_unless_asked_for(server_here: Running) -> None:
    assert all(piece.usage is None and piece.choices for piece in asyncio.run(pieces(server_here)))


def test_that_streams_of_n_texts_say_what_the_whole_answer_says(server_here: Running) -> None:
    whole = ask(server_here, seed=2, n=3, max_tokens=20)
    heard = asyncio.run(pieces(server_here, seed=2, n=3, max_tokens=20))
    for number in range(3):
        mine = [piece.choices[0] for piece in heard if piece.choices[0].index == number]
        assert mine[0].delta.role == "assistant"
        assert "".join(choice.delta.content or "" for choice in mine) == whole.choices[number].message.content
        assert [choice.finish_reason for choice in mine if choice.finish_reason] == ["length"]


def test_that_streamed_logprobs_are_those_of_the_whole_answer(server_here: Running) -> None:
    whole = ask(server_here, seed=4, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    heard = asyncio.run(pieces(server_here, seed=4, logprobs=True, top_logprobs=2))
    content = [token for piece in heard if (told := piece.choices[0].logprobs) is not None for token in told.content]
    assert [(token.token, token.bytes) for token in content] == [(token.token, token.bytes) for token in whole]
    assert [token.logprob for token in content] == pytest.approx([token.logprob for token in whole], abs=1e-5)


def test_that_the_clients_own_stream_helper_understands_it(server_here: Running) -> None:
    whole = ask(server_here, temperature=0, max_tokens=40).choices[0].message.content
    fields: Any = {"model": "stories", "messages": ASKED, "temperature": 0, "stop": whole[20:24]}

    async def follow() -> tuple[list[str], str]:
        async with server_here.client().chat.completions.stream(**fields) as stream:
            kinds = [event.type async for event in stream]
            return kinds, (await stream.get_final_completion()).choices[0].message.content or ""

    kinds, text = asyncio.run(follow())
    assert {"chunk", "content.delta", "content.done"} <= set(kinds)
    assert text == whole[: whole.index(whole[20:24])]


def test_that_the_last_line_of_a_stream_is_done(server_here: Running) -> None:
    async def raw() -> str:
        body = {"model": "stories", "messages": ASKED, "max_tokens": 3, "stream": True}
        async with server_here.http() as http:
            reply = await http.post("/v1/chat/completions", json=body)
        assert reply.headers["content-type"].startswith("text/event-stream")
        return str(reply.text)

    assert asyncio.run(raw()).endswith("data: [DONE]\n\n")


def stops_across_borders(text: str) -> list[str]:
    """Texts that begin and end within words, so that no token is one of them."""
    return [text[9:14], text[5:16], text[3:5]]


def test_that_a_stop_text_across_token_borders_ends_text_and_stream(server_here: Running) -> None:
    whole = ask(server_here, temperature=0, max_tokens=40).choices[0].message.content
    for stop in stops_across_borders(whole):
        reply = ask(server_here, temperature=0, max_tokens=40, stop=stop, logprobs=True)
        [choice] = reply.choices
        assert choice.finish_reason == "stop"
        assert choice.message.content == whole[: whole.index(stop)]
        assert reply.usage.completion_tokens < 40
        joined = b"".join(bytes(token.bytes or []) for token in choice.logprobs.content)
        assert joined.decode() == choice.message.content
        heard = asyncio.run(pieces(server_here, temperature=0, max_tokens=40, stop=[stop, "never said"]))
        assert "".join(piece.choices[0].delta.content or "" for piece in heard) == choice.message.content
        assert heard[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    "strategy",
    [{"strategy": "beam", "num_beams": 2}, {"strategy": "speculative", "draft": "ngram", "seed": 4}],
    ids=str,
)
def test_that_strategies_of_their_own_lose_a_stop_text_from_text_and_bytes_alike(
    server_here: Running, strategy: dict[str, Any]
) -> None:
    def told(**more: Any) -> Any:
        return ask(server_here, max_tokens=20, logprobs=True, extra_body=strategy, **more).choices[0]

    whole = told()
    assert b"".join(bytes(token.bytes or []) for token in whole.logprobs.content).decode() == whole.message.content
    for stop in stops_across_borders(whole.message.content)[:2]:
        choice = told(stop=stop)
        assert choice.message.content == whole.message.content[: whole.message.content.index(stop)]
        joined = b"".join(bytes(token.bytes or []) for token in choice.logprobs.content)
        assert joined.decode() == choice.message.content
        assert choice.finish_reason == "stop"


def test_that_the_beginning_of_a_stop_text_is_said_when_it_is_no_stop_after_all(server_here: Running) -> None:
    whole = ask(server_here, temperature=0, max_tokens=40).choices[0].message.content
    stop = whole[6:9] + "\u2603"
    heard = asyncio.run(pieces(server_here, temperature=0, max_tokens=40, stop=stop))
    assert "".join(piece.choices[0].delta.content or "" for piece in heard) == whole


def test_that_penalties_are_openais(server_here: Running, voice: Voice) -> None:
    for fields in ({"frequency_penalty": 1.5}, {"presence_penalty": 2.0}):
        said = ask(server_here, temperature=0, max_tokens=60, **fields).choices[0].message.content
        assert said == spoken(voice, Greedy(max_new_tokens=60, **fields))[1]
        assert said != ask(server_here, temperature=0, max_tokens=60).choices[0].message.content


def test_that_a_frequency_penalty_is_taken_from_the_logits_for_each_time(server_here: Running) -> None:
    """Processed minus raw ln p of the same first tokens tells the penalty: 0 for what wasn't said, count x penalty else."""
    fields: Any = {"temperature": 0, "frequency_penalty": 1.0, "logprobs": True, "top_logprobs": 20, "max_tokens": 30}
    raw = ask(server_here, **fields).choices[0].logprobs.content
    used = ask(server_here, **fields, extra_body={"logprobs_mode": "processed"}).choices[0].logprobs.content
    assert [t.token for t in raw] == [t.token for t in used]
    said: dict[str, int] = {}
    checked = 0
    for plain, after in zip(raw, used, strict=True):
        before = {other.token: other.logprob for other in plain.top_logprobs}
        now = {other.token: other.logprob for other in after.top_logprobs}
        shared = [token for token in before if token in now]
        shift = {token: before[token] - now[token] - said.get(token, 0) * 1.0 for token in shared}
        checked += sum(said.get(token, 0) > 0 for token in shared)
        assert max(shift.values()) - min(shift.values()) < 1e-4
        said[plain.token] = said.get(plain.token, 0) + 1
    assert checked > 5


def test_that_a_system_message_and_earlier_turns_reach_the_model(server_here: Running) -> None:
    few = ask(server_here).usage.prompt_tokens
    turns: Any = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]},
        {"role": "assistant", "content": "Hi.", "refusal": None},
        *ASKED,
    ]
    assert ask(server_here, messages=turns).usage.prompt_tokens > few


def test_that_max_completion_tokens_is_the_same_limit(server_here: Running) -> None:
    reply = ask(server_here, max_tokens=openai.omit, max_completion_tokens=5)
    assert reply.usage.completion_tokens == 5


def test_that_without_a_limit_a_chat_goes_to_the_end_of_the_context(serve: Callable[..., Running]) -> None:
    reply = ask(serve(max_tokens=30), max_tokens=openai.omit, temperature=0)
    assert reply.usage.completion_tokens <= 30
    reply = ask(serve(), max_tokens=openai.omit, temperature=0, extra_body={"min_new_tokens": 1000})
    assert reply.usage.total_tokens == 512
    assert reply.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    "extra",
    [
        {"strategy": "greedy"},
        {"strategy": "contrastive_search"},
        {"strategy": "speculative", "draft": "ngram"},
        {"mirostat_tau": 3.0},
        {"strategy": "beam", "num_beams": 3},
        {"strategy": "sample", "top_k": 5, "min_p": 0.1},
    ],
)
def test_that_strategies_and_their_settings_are_top_level_fields(server_here: Running, extra: dict[str, Any]) -> None:
    fields: Any = {"seed": 5, "logprobs": True, "top_logprobs": 3, "extra_body": extra}
    reply = ask(server_here, **fields)
    assert reply.choices[0].message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 3 for token in reply.choices[0].logprobs.content)
    heard = asyncio.run(pieces(server_here, **fields))
    said = "".join(piece.choices[0].delta.content or "" for piece in heard)
    assert said == reply.choices[0].message.content
