"""The door by itself, with a made-up application behind it: who passes, what is read, what is told of it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from workbench.domain.serving import ServeSettings
from workbench.serving.door import Door
from workbench.serving.inference import Fares
from workbench.serving.log import Log
from workbench.serving.metrics import Metrics

KEY = b"Bearer sk-test-of-the-door"
Headers = Iterable[tuple[bytes, bytes]]


class Behind:
    """An application that keeps what reaches it and answers with 200, or does what it is told to."""

    def __init__(self, doing: Callable[..., Any] | None = None) -> None:
        self.bodies: list[bytes] = []
        self._doing = doing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.bodies.append((await receive())["body"])
        if self._doing is not None:
            await self._doing(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": b"{}"})


class Entrance:
    """A door with its log and metrics; `ask` sends one request through it."""

    def __init__(
        self, behind: Behind | None = None, keys: tuple[str, ...] = ("sk-test-of-the-door",), **settings: Any
    ) -> None:
        self.behind, self.out = behind or Behind(), io.StringIO()
        self.metrics = Metrics(lambda: Fares(0, 0, 0.0, 0))
        self.door = Door(self.behind, keys, ServeSettings(**settings), self.metrics, Log(self.out))
        self.asked = 0

    def ask(
        self, *pieces: bytes, key: bytes = KEY, path: str = "/health", headers: Headers = (), gone: bool = False
    ) -> list[dict[str, Any]]:
        """The messages sent in answer to a body that comes in pieces; with `gone`, the client goes away instead of the last."""
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(b"Authorization", key), *headers],
            "client": None,
        }
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces[:-1]]
        messages.append(
            {"type": "http.disconnect"} if gone else {"type": "http.request", "body": pieces[-1] if pieces else b""}
        )
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            self.asked += 1
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.door(scope, receive, send))  # type: ignore[arg-type]
        return sent

    def status(self, *pieces: bytes, **more: Any) -> int:
        return int(self.ask(*pieces, **more)[0]["status"])

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    @property
    def page(self) -> str:
        return self.metrics.page().decode()


@pytest.mark.parametrize(
    "key", [b"bearer sk-test-of-the-door", b"BEARER sk-test-of-the-door", b"Bearer   sk-test-of-the-door  "]
)
def test_that_the_scheme_has_any_case_and_blanks_around_the_key_do_not_count(key: bytes) -> None:
    assert Entrance().status(key=key) == 200


@pytest.mark.parametrize(
    "key", [b"", b"Bearer", b"Bearer ", b"sk-test-of-the-door", b"Bearer sk-test-of-the-door x", b"\xff\xfe \xff"]
)
def test_that_no_part_of_a_request_is_read_before_its_key_is_known(key: bytes) -> None:
    entrance = Entrance(requests_per_minute=6)
    for _ in range(5):
        assert entrance.status(b"{}", key=key) == 401
    assert (entrance.asked, entrance.behind.bodies) == (0, [])
    entrance.door.closing = True
    assert entrance.status(key=key) == 401, "strangers aren't told that the server is stopping"
    entrance.door.closing = False
    assert entrance.status() == 200, "nor do they use up anybody's rate"


def test_that_each_of_several_keys_opens_and_has_a_rate_of_its_own() -> None:
    entrance = Entrance(keys=("sk-one-one-one-one", "sk-two-two-two-two"), requests_per_minute=6)
    told = [entrance.status(key=b"Bearer sk-" + b"-".join([name] * 4)) for name in (b"one", b"one", b"two", b"two")]
    assert told == [200, 429, 200, 429]


@pytest.mark.parametrize(("size", "status"), [(1023, 200), (1024, 200), (1025, 413)])
def test_that_a_body_may_have_its_whole_size_and_no_byte_more(size: int, status: int) -> None:
    entrance = Entrance(max_body=1)
    assert entrance.status(b"x" * size) == status
    assert entrance.status(b"x" * 1000, b"x" * (size - 1000)) == status
    assert entrance.status(b"x" * size, headers=[(b"content-length", str(size).encode())]) == status


def test_that_a_body_that_says_it_is_too_large_is_not_read_at_all() -> None:
    entrance = Entrance(max_body=1)
    for length in (b"1025", b"9" * 5000):
        assert entrance.status(b"x", headers=[(b"Content-Length", length)]) == 413
    assert entrance.asked == 0
    assert entrance.status(b"x", headers=[(b"content-length", b"many")]) == 200, "what is no number says nothing"


def test_that_the_body_reaches_the_application_whole_in_one_piece() -> None:
    entrance = Entrance()
    entrance.ask(b"one ", b"", b"two ", b"three")
    assert entrance.behind.bodies == [b"one two three"]


def test_that_a_refused_request_ends_its_connection_and_an_answered_one_does_not() -> None:
    entrance = Entrance(max_body=1)
    refused, answered = (dict(entrance.ask(body)[0]["headers"]) for body in (b"x" * 2000, b"x"))
    assert refused[b"connection"] == b"close"
    assert b"connection" not in answered
    assert answered[b"x-own"] == b"1"
    assert [headers[b"x-request-id"].decode() for headers in (refused, answered)] == [
        line["request"] for line in entrance.lines
    ]


def test_that_a_client_that_goes_away_in_its_body_reaches_nobody_and_is_told_as_gone() -> None:
    entrance = Entrance()
    assert entrance.ask(b"{", b"", gone=True) == []
    assert entrance.behind.bodies == []
    assert [line["status"] for line in entrance.lines] == [499]


def test_that_a_mistake_after_the_answer_began_says_no_second_answer() -> None:
    async def half(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError("in the midst")

    async def early(*_: Any) -> None:
        raise ZeroDivisionError("at once")

    entrance = Entrance(Behind(half))
    assert [message.get("status") for message in entrance.ask()] == [200]
    mistake, line = entrance.lines
    assert (mistake["event"], mistake["request"]) == ("mistake", line["request"])
    assert "in the midst" in mistake["error"]
    start, body = Entrance(Behind(early)).ask()
    assert (start["status"], json.loads(body["body"])["error"]["code"]) == (500, "mistake")


def test_that_requests_under_way_are_counted_while_they_are() -> None:
    live: list[int] = []

    async def look(_scope: Any, _receive: Any, _send: Any) -> None:
        live.append(entrance.door.live)
        raise ZeroDivisionError

    entrance = Entrance(Behind(look), max_body=1)
    entrance.ask()
    entrance.ask(b"x" * 2000)
    entrance.ask(key=b"")
    assert (live, entrance.door.live, entrance.door.requests) == ([1], 0, 3)


def test_that_metrics_know_addresses_and_no_paths_that_clients_make_up() -> None:
    entrance = Entrance()
    for path in (
        "/v1/models",
        "/v1/models/tour-dpo",
        "/v1/models/" + "x" * 900,
        "/metrics",
        "/made-up-1",
        "/made-up-2",
        '/"\n',
    ):
        entrance.ask(path=path)
    entrance.ask(key=b"", path="/made-up-3")
    counted = {line for line in entrance.page.splitlines() if line.startswith("workbench_requests_total")}
    assert counted == {
        'workbench_requests_total{path="/v1/models",status="200"} 3.0',
        'workbench_requests_total{path="/metrics",status="200"} 1.0',
        'workbench_requests_total{path="other",status="200"} 3.0',
        'workbench_requests_total{path="other",status="401"} 1.0',
    }
    assert len(entrance.lines[2]["path"]) == 200, "a long path doesn't fill the log"
    assert len(entrance.out.getvalue().splitlines()) == 8, "a line break in a path makes no second line"


def test_that_what_is_no_http_is_left_to_the_application() -> None:
    seen: list[str] = []

    async def behind(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    door = Door(behind, ["k" * 16], ServeSettings(), Metrics(lambda: Fares(0, 0, 0.0, 0)), Log(io.StringIO()))
    asyncio.run(door({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert (seen, door.requests) == (["lifespan"], 0)
