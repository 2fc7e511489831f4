"""What every request passes before anything is done for it: the key, the rate, the size and time of its body, and the log.

A plain ASGI application around the other, so that it sees when a client goes away and leaves streams as they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.domain.serving import ServeSettings
from workbench.serving.errors import Refused
from workbench.serving.log import Log
from workbench.serving.metrics import Metrics

KNOWN = frozenset(
    "/v1/models /v1/chat/completions /v1/completions /health /tokenize /detokenize /metrics /openapi.json".split()
)


class Keys:
    """The keys that open the door. Each comparison takes the same time, whatever was given, and all keys are compared."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def which(self, header: bytes) -> int | None:
        """The number of the key in an Authorization header; None when it holds none of them."""
        scheme, _, given = header.partition(b" ")
        digest = _digest(given.strip())
        found = None
        for number, known in enumerate(self._digests):
            if hmac.compare_digest(digest, known):
                found = number
        return found if scheme.lower() == b"bearer" else None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


class Rate:
    """At most so many requests a minute for each key, a sixth of them at once."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_minute / 60
        self._most = max(1.0, per_minute / 6)
        self._clock = clock
        self._left: dict[int, tuple[float, float]] = {}

    def wait(self, key: int) -> float:
        """Count a request: 0 when it may pass, else the seconds after which the next one may."""
        if not self._per_second:
            return 0.0
        now = self._clock()
        left, then = self._left.get(key, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_second)
        if left < 1:
            self._left[key] = (left, now)
            return (1 - left) / self._per_second
        self._left[key] = (left - 1, now)
        return 0.0


class Door:
    """Lets requests through to `app`, or answers them itself; `closing` refuses everything that is new."""

    def __init__(self, app: ASGIApp, keys: Sequence[str], settings: ServeSettings, metrics: Metrics, log: Log) -> None:
        self._app = app
        self._keys = Keys(keys)
        self._rate = Rate(settings.requests_per_minute)
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self.closing = False
        self.live = 0
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        facts: dict[str, Any] = {"request": uuid.uuid4().hex}
        scope.setdefault("state", {})["facts"] = facts
        status = 499  # until an answer has begun: the client went away

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", facts["request"].encode())]
            await send(message)

        self.live += 1
        self.requests += 1
        try:
            try:
                body = await self._checked(scope, receive)
            except Refused as refused:
                reply = refused.reply()
                reply.headers["Connection"] = "close"  # what is left of its body isn't read
                await reply(scope, receive, sending)
                return
            if body is not None:
                await self._app(scope, _replaying(body, receive), sending)
        except Exception as error:  # noqa: BLE001 - nothing that a request does may end the server
            self._log.say("mistake", request=facts["request"], error=repr(error))
            if status == 499:
                await Refused(500, "The server made a mistake; its log has the details.", code="mistake").reply()(
                    scope, receive, sending
                )
        finally:
            self.live -= 1
            self._told(scope, status, time.monotonic() - began, facts)

    async def _checked(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None when the client went away. Raises Refused."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        key = self._keys.which(headers.get(b"authorization", b""))
        if key is None:
            raise Refused(
                401, "The key is missing or wrong; send it as Authorization: Bearer KEY.", code="invalid_api_key"
            )
        if self.closing:
            raise Refused(503, "The server is stopping.", code="stopping", retry=5)
        if wait := self._rate.wait(key):
            raise Refused(
                429, f"This key may make {self._settings.requests_per_minute} requests a minute.",
                code="rate_limit_exceeded", retry=int(wait) + 1,
            )  # fmt: skip
        most = self._settings.max_body * 1024
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > most:
            raise self._too_large()
        try:
            return await asyncio.wait_for(self._read(receive, most), self._settings.body_seconds)
        except TimeoutError:
            raise Refused(
                408, f"The body didn't come within {self._settings.body_seconds:g} seconds.", code="timeout"
            ) from None

    async def _read(self, receive: Receive, most: int) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > most:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> Refused:
        return Refused(413, f"The body is larger than {self._settings.max_body} KiB.", code="request_too_large")

    def _told(self, scope: Scope, status: int, seconds: float, facts: dict[str, Any]) -> None:
        path = scope["path"]
        known = path if path in KNOWN else "/v1/models" if path.startswith("/v1/models/") else "other"
        self._metrics.requests.labels(known, str(status)).inc()
        client = scope.get("client")
        self._log.say(
            "request", method=scope["method"], path=path[:200], status=status, seconds=round(seconds, 4),
            client=client[0] if client else None, **facts,
        )  # fmt: skip


def _replaying(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body first and then whatever comes: that the client goes away."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
