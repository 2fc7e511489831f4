"""Every class of errors, as the real client and as a plain one see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest

from tests.serving.conftest import Running
from workbench.serving.said import ChatReply, CompletionReply

CHAT: Any = {"model": "stories", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
TEXT: Any = {"model": "stories", "prompt": "Hi", "max_tokens": 2}


def post(server: Running, path: str, body: Any = None, key: str | None = "sk-test", **given: Any) -> Any:
    async def send() -> Any:
        async with server.http(key) as http:
            return await http.post(path, **({"json": body} if body is not None else {}), **given)

    return asyncio.run(send())


def get(server: Running, path: str, key: str | None = "sk-test") -> Any:
    async def send() -> Any:
        async with server.http(key) as http:
            return await http.get(path)

    return asyncio.run(send())


def refused(reply: Any, status: int) -> dict[str, Any]:
    """The error of a reply, after a look at its shape."""
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert isinstance(error["code"], str)
    return dict(error)


@pytest.mark.parametrize(
    ("wrong", "param", "code"),
    [
        ({"temperature": 11}, "temperature", "invalid_value"),
        ({"temperature": "1"}, "temperature", "invalid_value"),
        ({"temperature": True}, "temperature", "invalid_value"),
        ({"top_p": 0}, "top_p", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 5000}, "max_tokens", "invalid_value"),
        ({"max_tokens": 511}, "max_tokens", "context_length_exceeded"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_value"),
        ({"presence_penalty": 2.5}, "presence_penalty", "invalid_value"),
        ({"stop": ""}, "stop", "invalid_value"),
        ({"stop": ["a"] * 17}, "stop", "invalid_value"),
        ({"seed": 1.5}, "seed", "invalid_value"),
        ({"logprobs": 3}, "logprobs", "invalid_value"),
        ({"top_logprobs": 3}, "top_logprobs", "invalid_value"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages.0.content", "invalid_value"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": []}]}, "messages.0.tool_calls", "unknown_parameter"),
        ({"messages": "hello"}, "messages", "invalid_value"),
        ({"tools": []}, "tools", "unknown_parameter"),
        ({"do_sample": True}, "do_sample", "unknown_parameter"),
        ({"strategy": "magic"}, "strategy", "invalid_value"),
        ({"strategy": "greedy", "top_k": 3}, "top_k", "unknown_parameter"),
        ({"strategy": "beam", "temperature": 1.0}, "temperature", "unknown_parameter"),
        ({"strategy": "beam", "num_beams": 0}, "num_beams", "invalid_value"),
        ({"strategy": "beam", "n": 2}, "n", "invalid_value"),
        ({"strategy": "beam", "logprobs_mode": "processed"}, "logprobs_mode", "invalid_value"),
        ({"strategy": "contrastive"}, "amateur", "invalid_value"),
        ({"logprobs_mode": "both"}, "logprobs_mode", "invalid_value"),
        ({"top_k": -1}, "top_k", "invalid_value"),
        ({"top_k": [[[]]]}, "top_k", "invalid_value"),
        ({"model": 3}, "model", "invalid_value"),
    ],
    ids=str,
)  # fmt: skip
def test_that_a_wrong_field_is_refused_by_its_name(
    server_here: Running, wrong: dict[str, Any], param: str, code: str
) -> None:
    error = refused(post(server_here, "/v1/chat/completions", CHAT | wrong), 400)
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"prompt": [["a"]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [1, -2]}, "prompt"),
        ({"prompt": [512]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "logprobs": 1, "strategy": "beam"}, "echo"),
        ({"prompt": ["a"] * 65, "n": 2}, "n"),
    ],
    ids=str,
)
def test_that_wrong_fields_of_completions_are_refused(server_here: Running, wrong: dict[str, Any], param: str) -> None:
    found = refused(post(server_here, "/v1/completions", TEXT | wrong), 400)["param"]
    assert found == param or found.startswith(f"{param}.")


def test_that_a_prompt_longer_than_the_context_is_refused(server_here: Running) -> None:
    error = refused(post(server_here, "/v1/completions", TEXT | {"prompt": [5] * 512}), 400)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "prompt")
    assert "512" in error["message"]


@pytest.mark.parametrize(
    "content",
    [
        b"{", b"", b"null", b"[]", b"3", b'"x"', b"\xff\xfe{}", b'{"model": "\xff"}', b"[" * 100_000, b'{"a":' * 5_000,
        b'{"model": NaN}', json.dumps(CHAT).encode()[:-1], b'{"model": "stories", "messages": 1e400}',
        b'{"model": "\\ud800", "messages": []}', b'{"\\ud800": 1}',
        b'{"model": "stories", "messages": [{"role": "user", "content": "\\udc00"}]}',
    ],
    ids=lambda content: repr(content[:24]),
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"])
def test_that_what_is_no_request_is_refused(server_here: Running, content: bytes, path: str) -> None:
    headers = {"content-type": "application/json"}
    refused(post(server_here, path, content=content, headers=headers), 400)


def test_that_another_content_type_is_refused(server_here: Running) -> None:
    refused(post(server_here, "/v1/completions", content=b"prompt=x", headers={"content-type": "text/plain"}), 400)


@pytest.mark.parametrize("key", [None, "", "sk-tes", "sk-testt", "SK-TEST", "ключ"])
@pytest.mark.parametrize("path", ["/v1/models", "/health", "/metrics", "/openapi.json", "/nowhere"])
def test_that_nothing_is_answered_without_the_key(server_here: Running, key: str | None, path: str) -> None:
    async def send() -> Any:
        async with server_here.http(None) as http:
            headers = {} if key is None else {"Authorization": f"Bearer {key}".encode()}
            return await http.get(path, headers=headers)  # type: ignore[arg-type]

    reply = asyncio.run(send())
    assert refused(reply, 401)["code"] == "invalid_api_key"
    assert reply.headers["www-authenticate"] == "Bearer"


def test_that_another_scheme_is_no_key(server_here: Running) -> None:
    async def send() -> Any:
        async with server_here.http(None) as http:
            return await http.get("/health", headers={"Authorization": "Basic sk-test"})

    refused(asyncio.run(send()), 401)


def test_that_unknown_addresses_methods_and_models_are_told(server_here: Running) -> None:
    assert refused(get(server_here, "/v1/nothing"), 404)["code"] == "unknown_url"
    assert refused(get(server_here, "/v1/models/gpt"), 404)["code"] == "model_not_found"
    error = refused(post(server_here, "/v1/chat/completions", CHAT | {"model": "gpt"}), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert "stories" in error["message"]
    for other in ({"strategy": "contrastive", "amateur": "gpt"}, {"strategy": "speculative", "draft": "gpt"}):
        error = refused(post(server_here, "/v1/chat/completions", CHAT | other), 404)
        assert (error["code"], error["param"]) == ("model_not_found", list(other)[1])
    assert refused(get(server_here, "/v1/completions"), 405)["code"] == "method_not_allowed"


def test_that_large_bodies_are_refused_before_and_while_they_are_read(serve: Callable[..., Running]) -> None:
    server = serve(max_body=4)
    assert refused(post(server, "/v1/completions", TEXT | {"prompt": "x" * 5000}), 413)["code"] == "request_too_large"

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    refused(post(server, "/v1/completions", content=chunks()), 413)


def test_that_a_slow_body_is_given_up(serve: Callable[..., Running]) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    server = serve(body_seconds=0.05)

    async def send() -> Any:
        """What a server hands to the application: a body of which nothing more comes."""
        scope = {
            "type": "http", "method": "POST", "path": "/v1/completions", "headers": [(b"authorization", b"Bearer sk-test")],
            "query_string": b"", "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("here", 1),
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            await asyncio.sleep(60)

        async def hear(message: Any) -> None:
            sent.append(message)

        await server.door(scope, receive, hear)
        return sent

    start, body = asyncio.run(send())[:2]
    assert start["status"] == 408
    assert json.loads(body["body"])["error"]["code"] == "timeout"


def test_that_a_key_has_its_rate(serve: Callable[..., Running]) -> None:
    server = serve(requests_per_minute=1)
    assert get(server, "/health").status_code == 200
    reply = get(server, "/health")
    assert refused(reply, 429)["code"] == "rate_limit_exceeded"
    assert 1 <= int(reply.headers["retry-after"]) <= 61


def test_that_too_many_waiting_texts_are_sent_away(serve: Callable[..., Running]) -> None:
    server = serve(max_rows=1, max_waiting=1)
    body = CHAT | {"max_tokens": 300, "min_new_tokens": 300}

    async def crowd() -> list[Any]:
        async with server.http() as http:
            return await asyncio.gather(*(http.post("/v1/chat/completions", json=body) for _ in range(6)))

    replies = asyncio.run(crowd())
    statuses = sorted(reply.status_code for reply in replies)
    assert set(statuses) == {200, 503}
    away = next(reply for reply in replies if reply.status_code == 503)
    assert refused(away, 503)["code"] == "overloaded"
    assert "retry-after" in away.headers


def test_that_a_closing_server_refuses_what_is_new(server_here: Running) -> None:
    server_here.door.closing = True
    assert refused(get(server_here, "/health"), 503)["code"] == "stopping"


def test_that_rules_that_forbid_everything_are_the_clients_mistake(server_here: Running) -> None:
    extra = {"no_repeat_ngram": 1, "min_new_tokens": 6}
    body: Any = {"model": "stories", "prompt": [i for i in range(507) if i != 2], "max_tokens": 6}
    error = refused(post(server_here, "/v1/completions", body | extra), 400)
    assert "forbid" in error["message"]

    async def stream() -> None:
        async for _ in await server_here.client().completions.create(**body, stream=True, extra_body=extra):
            pass

    with pytest.raises(openai.APIError, match="forbid"):
        asyncio.run(stream())


def test_that_the_client_raises_its_own_errors(serve: Callable[..., Running]) -> None:
    server, rationed = serve(max_body=1), serve(requests_per_minute=1)
    fields: Any = {"model": "stories", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}

    def call(key: str = "sk-test", **more: Any) -> Any:
        return asyncio.run(server.client(key).chat.completions.create(**(fields | more)))

    with pytest.raises(openai.BadRequestError) as bad:
        call(temperature=20)
    assert (bad.value.param, bad.value.code, bad.value.type) == (
        "temperature",
        "invalid_value",
        "invalid_request_error",
    )
    with pytest.raises(openai.AuthenticationError):
        call("wrong")
    with pytest.raises(openai.NotFoundError):
        call(model="other")
    with pytest.raises(openai.APIStatusError, match="larger"):
        call(messages=[{"role": "user", "content": "x" * 2000}])
    with pytest.raises(openai.RateLimitError):
        for _ in range(2):
            asyncio.run(rationed.client().chat.completions.create(**fields))
    server.door.closing = True
    with pytest.raises(openai.InternalServerError):
        call()


def test_that_a_mistake_of_the_server_is_told_without_its_details(
    server_here: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("workbench.serving.taking.Taking.chat", broken)
    reply = post(server_here, "/v1/chat/completions", CHAT)
    assert "secret" not in reply.text
    assert refused(reply, 500)["code"] == "mistake"
    assert any("secret" in str(line.get("error")) for line in server_here.log())


def test_that_an_error_of_decoding_breaks_its_own_requests_only(
    server_here: Running, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("in the middle")

    with monkeypatch.context() as patched:
        patched.setattr("workbench.serving.batch.choose", broken)
        assert refused(post(server_here, "/v1/chat/completions", CHAT), 500)["code"] == "decoding_failed"
    assert "in the middle" in capfd.readouterr().err
    assert post(server_here, "/v1/chat/completions", CHAT).status_code == 200


def test_that_replies_are_what_the_document_says(server_here: Running) -> None:
    ChatReply.model_validate(post(server_here, "/v1/chat/completions", CHAT | {"logprobs": True}).json(), strict=True)
    reply = post(server_here, "/v1/completions", TEXT | {"logprobs": 2, "echo": True}).json()
    CompletionReply.model_validate(reply, strict=True)
    document = get(server_here, "/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/models/{model}", "/health", "/metrics", "/tokenize",
        "/detokenize",
    }  # fmt: skip
    fields = document["components"]["schemas"]["ChatAsked"]["properties"]
    assert {"messages", "top_k", "min_p", "num_beams", "repetition_penalty", "strategy", "logprobs_mode"} <= set(fields)
    assert "422" not in document["paths"]["/v1/completions"]["post"]["responses"]
    assert document["security"] == [{"key": []}]


def test_that_other_origins_are_not_let_in(server_here: Running) -> None:
    async def send() -> Any:
        async with server_here.http() as http:
            return await http.get("/health", headers={"Origin": "https://elsewhere.example"})

    assert "access-control-allow-origin" not in asyncio.run(send()).headers
