"""Answers made of events that are made up: what stands in a whole answer, what in each piece of a stream, what at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.domain.decoding import Greedy
from workbench.domain.errors import BadInput, Conflict, NotFound, RunFailed
from workbench.serving.answers import Answering
from workbench.serving.errors import Refused, explained
from workbench.serving.order import Heard, Order, Read, Said
from workbench.serving.said import VERY_UNLIKELY, chat_logprobs, text_logprobs, usage

NEVER = float("-inf")
NAMES = {1: "<s>", 5: " a", 6: "b", 7: "b", 8: "\ufffd"}


class Table:
    """What tokens look like: 6 and 7 alike, 1 without text, 8 a part of a character."""

    def text(self, token: int) -> str:
        return NAMES[token]

    def raw(self, token: int) -> bytes | None:
        return {1: None, 8: b"\xf0\x9f"}.get(token, NAMES[token].encode())


def answering(
    n: int = 1, logprobs: int | None = None, echoed: list[str | None] | None = None, prompts: int = 1
) -> Answering:
    order = Order("tour", [[1, 5, 6]] * prompts, [9] * prompts, Greedy(), n, logprobs)
    voice: Any = SimpleNamespace(tokenizer=SimpleNamespace(decode=lambda ids, **_: "".join(NAMES[i] for i in ids)))
    return Answering(order, voice, Table(), echoed)  # type: ignore[arg-type]


async def told(*events: Any) -> AsyncIterator[Any]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


def pieces(stream: AsyncIterator[bytes]) -> list[Any]:
    """The documents of a stream; a last one that is no document as text."""

    async def hear() -> list[bytes]:
        return [piece async for piece in stream]

    lines = [piece.decode() for piece in asyncio.run(hear())]
    assert all(line.startswith("data: ") and line.endswith("\n\n") and line.count("\n") == 2 for line in lines)
    return [json.loads(line[6:]) if line[6] == "{" else line[6:-2] for line in lines]


TWO = (
    Heard(1, (Said(5, " a"),)), Heard(0, (Said(6, "b"),)), Heard(0, (Said(5, " a"), Said(1, "")), "stop", 4),
    Heard(1, (), "length", 3, fresh=0),
)  # fmt: skip


def test_that_texts_stand_in_order_and_all_that_was_made_is_counted() -> None:
    one = answering(n=2)
    whole = asyncio.run(one.chat(told(*TWO)))
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in whole["choices"]] == [
        (0, "b a", "stop"),
        (1, " a", "length"),
    ]
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
    assert whole["id"].startswith("chatcmpl-") and whole["object"] == "chat.completion"
    assert one.first is not None


def test_that_a_streams_pieces_say_role_texts_ends_usage_and_done() -> None:
    found = pieces(answering(n=2).chat_stream(told(*TWO), True))
    assert found[-1] == "[DONE]"
    *body, last = found[:-1]
    assert [piece["choices"][0]["delta"] for piece in body[:2]] == [{"role": "assistant", "content": ""}] * 2
    said = [(c["index"], c["delta"].get("content"), c["finish_reason"]) for piece in body[2:] for c in piece["choices"]]
    assert said == [(1, " a", None), (0, "b", None), (0, " a", None), (0, None, "stop"), (1, None, "length")]
    assert all("usage" in piece and piece["usage"] is None for piece in body)
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 7)
    assert len({piece["id"] for piece in (*body, last)}) == 1
    assert not any(
        "usage" in piece for piece in pieces(answering().chat_stream(told(Heard(0, (), "stop")), False))[:-1]
    )


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_that_a_stream_that_breaks_ends_with_the_error_and_is_not_done(kind: str) -> None:
    one = answering(echoed=None if kind == "chat" else ["x"])
    events = told(Heard(0, (Said(6, "b"),)), RunFailed("Out of memory.", "Ask for less."))
    found = pieces(one.chat_stream(events, True) if kind == "chat" else one.completion_stream(events, True, False))
    assert found[-1] == {
        "error": {
            "message": "Out of memory. Ask for less.",
            "type": "server_error",
            "param": None,
            "code": "decoding_failed",
        }
    }
    assert "[DONE]" not in found


def test_that_a_token_without_text_makes_a_piece_only_where_probabilities_are_asked_for() -> None:
    events = (Heard(0, (Said(8, "", -0.5),)), Heard(0, (), "stop", 1))
    assert len(pieces(answering().chat_stream(told(*events), False))) == 3
    found = pieces(answering(logprobs=0).chat_stream(told(*events), False))
    [token] = found[1]["choices"][0]["logprobs"]["content"]
    assert (token["bytes"], token["logprob"], token["top_logprobs"]) == ([0xF0, 0x9F], -0.5, [])


@pytest.mark.parametrize("streamed", [False, True])
def test_that_an_echo_stands_before_every_text_of_its_prompt_with_offsets_going_on(streamed: bool) -> None:
    one = answering(n=2, logprobs=0, echoed=["<s> ab", None], prompts=2)
    read = (Said(1, ""), Said(5, " a", -1.0), Said(6, "b", -2.0))
    events = [Read(0, read), Read(1, read), *(Heard(i, (Said(6, "b", -0.25),), "length", 1) for i in range(4))]
    if streamed:
        texts = [piece["choices"][0] for piece in pieces(one.completion_stream(told(*events), False, True))[:-1]]
    else:
        texts = asyncio.run(one.completion(told(*events), True))["choices"]
    assert [text["index"] for text in texts] == [0, 1, 2, 3]
    assert [text["text"] for text in texts[:2]] == ["<s> abb"] * 2
    assert all(text["text"].endswith("bb") for text in texts)
    assert texts[0]["logprobs"]["token_logprobs"] == [None, -1.0, -2.0, -0.25]
    assert texts[0]["logprobs"]["tokens"] == ["<s>", " a", "b", "b"]
    assert texts[0]["logprobs"]["text_offset"][:3] == [0, 0, 2]
    silent = asyncio.run(answering(echoed=["<s> ab"]).completion(told(Heard(0, (Said(6, "b"),), "stop", 1)), False))
    assert (silent["choices"][0]["text"], silent["choices"][0]["logprobs"]) == ("b", None)


def test_that_of_tokens_that_look_alike_the_more_probable_is_told_and_the_chosen_one_always() -> None:
    found = text_logprobs(Table(), [Said(6, "b", -3.0, ((7, -1.0), (6, -3.0)))], 4)  # type: ignore[arg-type]
    assert found == {"tokens": ["b"], "token_logprobs": [-3.0], "top_logprobs": [{"b": -1.0}], "text_offset": [4]}
    found = text_logprobs(Table(), [Said(5, " a", -9.0, ((6, -1.0),))], 0)  # type: ignore[arg-type]
    assert found["top_logprobs"] == [{"b": -1.0, " a": -9.0}]


def test_that_what_a_stop_text_cut_off_is_neither_in_text_nor_in_bytes() -> None:
    cut = Said(5, " ", -1.0, ((6, NEVER),), cut=True)
    [token] = chat_logprobs(Table(), [cut])["content"]  # type: ignore[arg-type]
    assert (token["token"], token["bytes"]) == (" ", [32])
    assert token["top_logprobs"] == [{"token": "b", "logprob": VERY_UNLIKELY, "bytes": [98]}]
    assert text_logprobs(Table(), [cut], 0)["tokens"] == [" "]  # type: ignore[arg-type]
    [special] = chat_logprobs(Table(), [Said(1, "", NEVER)])["content"]  # type: ignore[arg-type]
    assert (special["bytes"], special["logprob"]) == (None, VERY_UNLIKELY)


def test_that_a_prompt_counts_once_however_many_texts_it_has() -> None:
    assert usage([[1, 2], [3]], 5).model_dump() == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "retry"),
    [
        (BadInput("Wrong.", "Mend."), 400, "invalid_request_error", "invalid_value", None),
        (NotFound("Lost.", "Look."), 404, "invalid_request_error", "not_found", None),
        (Conflict("Full.", "Wait."), 503, "service_unavailable", "overloaded", "5"),
        (RunFailed("Broken.", "Look."), 500, "server_error", "decoding_failed", None),
    ],
)
def test_that_each_of_the_houses_errors_has_its_status_and_shape(
    error: Any, status: int, kind: str, code: str, retry: str | None
) -> None:
    reply = Refused.of(error).reply()
    body = json.loads(bytes(reply.body))["error"]
    assert (reply.status_code, body["type"], body["code"], body["param"]) == (status, kind, code, None)
    assert body["message"] == f"{error.what} {error.hint}"
    assert (reply.headers.get("retry-after"), reply.headers.get("www-authenticate")) == (retry, None)


def problem(
    *place: str | int, kind: str = "int_type", words: str = "Input should be a valid integer"
) -> dict[str, Any]:
    return {"loc": ("body", *place), "type": kind, "msg": words}


@pytest.mark.parametrize(
    ("problems", "param", "code", "message"),
    [
        ([problem("n")], "n", "invalid_value", "n: input should be a valid integer."),
        ([problem("max_new_tokens")], "max_tokens", "invalid_value", "max_tokens: input should be a valid integer."),
        ([problem("a-b", kind="extra_forbidden")], "a-b", "unknown_parameter", "There is no field a-b."),
        ([problem("messages", kind="missing")], "messages", "invalid_value", "messages is missing."),
        ([problem(kind="missing")], None, "invalid_value", "The body is missing or no JSON; send it with the content type application/json."),
        ([problem("stop", "str"), problem("stop", "list[constrained-str]", 0)], "stop", "invalid_value", "stop: input should be a valid integer."),
        ([problem("n"), problem("top_p")], "n", "invalid_value", "n: input should be a valid integer. top_p: input should be a valid integer."),
        ([problem("n\ud800")], "n\\ud800", "invalid_value", "n\\ud800: input should be a valid integer."),
    ],
)  # fmt: skip
def test_that_wrong_fields_are_named_as_the_client_wrote_them(
    problems: list[dict[str, Any]], param: str | None, code: str, message: str
) -> None:
    error = explained(problems, {"max_new_tokens": "max_tokens"}).document()["error"]
    assert (error["param"], error["code"], error["message"]) == (param, code, message)


def test_that_of_many_wrong_fields_five_are_told() -> None:
    refused = explained([problem(name) for name in "abcdefg"])
    assert refused.message.count("valid integer") == 5
    assert refused.param == "a"
