"""The addresses that the server answers at."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from workbench import __version__
from workbench.domain.errors import WorkbenchError
from workbench.domain.serving import ServeSettings
from workbench.domain.text import Prompt
from workbench.engine.decoding.pieces import completion_of
from workbench.engine.decoding.voice import Voice, context_length
from workbench.engine.text import encode_prompt, encode_text
from workbench.serving import errors
from workbench.serving.answers import Answering, Events
from workbench.serving.asked import ChatAsked, CompletionAsked, DetokenizeAsked, TokenizeAsked
from workbench.serving.door import Door
from workbench.serving.errors import ErrorReply, Refused
from workbench.serving.inference import Inference
from workbench.serving.listening import Gone, Inbox, listen, post, until_gone
from workbench.serving.log import Log, Record
from workbench.serving.metrics import Metrics
from workbench.serving.order import Order
from workbench.serving.said import (
    ChatReply,
    CompletionReply,
    DetokenizeReply,
    HealthReply,
    ModelReply,
    ModelsReply,
    TokenizeReply,
)
from workbench.serving.taking import Taking, conversation
from workbench.serving.token_bytes import TokenBytes

T = TypeVar("T")
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply} for status in (400, 401, 404, 408, 413, 429, 500, 503)
}


@dataclass
class House:
    """What the addresses share: the models, the inference thread, and where things are written down."""

    voices: Mapping[str, Voice]
    settings: ServeSettings
    inference: Inference
    taking: Taking
    tables: Mapping[str, TokenBytes]
    metrics: Metrics
    log: Log
    record: Record | None

    def __post_init__(self) -> None:
        self.began = int(time.time())
        # Tokenizers may change themselves while they encode, so one thread at a time.
        self._encoding = threading.Lock()

    async def encoded(self, work: Callable[[], T]) -> T:
        """Do what encodes text, off the event loop."""

        def alone() -> T:
            with self._encoding:
                return work()

        return await asyncio.to_thread(alone)

    def give(self, order: Order) -> Events:
        """Hand an order to the inference thread; its events."""
        order.inbox = Inbox()
        try:
            self.inference.submit(order)
        except WorkbenchError as error:
            raise Refused.of(error) from error
        return listen(self.inference, order)

    def note(self, prompts: Sequence[Prompt], model: str) -> None:
        """Record prompts, if the owner wants that."""
        if self.record is not None:
            for prompt in prompts:
                self.record.add(prompt, model)


def make_app(
    voices: Mapping[str, Voice], settings: ServeSettings, keys: Sequence[str], log: Log, record: Record | None = None
) -> tuple[Door, Inference]:
    """The server as an ASGI application, and its inference thread, which the caller closes."""
    inference = Inference(voices, post, settings.max_rows, settings.max_waiting)
    tables = {name: TokenBytes(voice.tokenizer, voice.pieces) for name, voice in voices.items()}
    metrics = Metrics(inference.fares)
    house = House(voices, settings, inference, Taking(voices, settings), tables, metrics, log, record)
    app = FastAPI(
        title="RLHF Workbench", version=__version__, docs_url=None, redoc_url=None, responses=_ERRORS,
        description="Models of a workspace behind OpenAI's interface.",
    )  # fmt: skip
    errors.install(app)
    _add_completions(app, house)
    _add_models(app, house)
    _add_rest(app, house)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return Door(app, keys, settings, metrics, log), inference


class _Stream(StreamingResponse):
    """A stream whose source is closed whatever happens, so that its decoding ends with the client's going."""

    def __init__(self, pieces: AsyncIterator[bytes], end: Callable[[bool], None]) -> None:
        super().__init__(pieces, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._pieces, self._end = pieces, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        whole = False

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal whole
            async for piece in self._pieces:
                yield piece
            whole = True

        self.body_iterator = pieces()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end(whole)


def _add_completions(app: FastAPI, house: House) -> None:
    async def answer(
        request: Request,
        answering: Answering,
        events: Events,
        whole: Callable[[], Any],
        stream: AsyncIterator[bytes] | None,
    ) -> Response:
        facts = request.scope["state"]["facts"]

        def told(complete: bool) -> None:
            if not complete:
                house.inference.cancel(answering.order)
                house.metrics.gone.inc()
            _tell(house, request, answering, facts)

        if stream is not None:
            return _Stream(stream, told)
        try:
            reply = await until_gone(request, whole())
        except Gone:
            told(False)
            return Response(status_code=499)
        except WorkbenchError as error:
            raise Refused.of(error) from error
        told(True)
        return JSONResponse(reply)

    @app.post("/v1/chat/completions", response_model=ChatReply, responses=_STREAM)
    async def chat(asked: ChatAsked, request: Request) -> Response:
        """Answer a conversation."""
        order, prompt = await house.encoded(lambda: house.taking.chat(asked))
        request.scope["state"]["facts"] |= _about(house, asked.user, [prompt.transcript])
        events = house.give(order)
        house.note([prompt], asked.model)
        answering = Answering(order, house.voices[asked.model], house.tables[asked.model])
        options = asked.stream_options
        stream = answering.chat_stream(events, bool(options and options.include_usage)) if asked.stream else None
        return await answer(request, answering, events, lambda: answering.chat(events), stream)

    @app.post("/v1/completions", response_model=CompletionReply, responses=_STREAM)
    async def completion(asked: CompletionAsked, request: Request) -> Response:
        """Continue texts."""
        order, given = await house.encoded(lambda: house.taking.completion(asked))
        voice = house.voices[asked.model]
        texts = [
            completion_of(voice.tokenizer, ids) if text is None else text
            for ids, text in zip(order.prompts, given, strict=True)
        ]
        request.scope["state"]["facts"] |= _about(house, asked.user, texts)
        events = house.give(order)
        house.note([Prompt.from_text(text, raw=True) for text in texts], asked.model)
        answering = Answering(order, voice, house.tables[asked.model], given)
        options, echo = asked.stream_options, bool(asked.echo)
        stream = (
            answering.completion_stream(events, bool(options and options.include_usage), echo) if asked.stream else None
        )
        return await answer(request, answering, events, lambda: answering.completion(events, echo), stream)


def _about(house: House, user: str | None, prompts: list[str]) -> dict[str, Any]:
    return {"user": user} | ({"prompts": prompts} if house.log.texts else {})


def _tell(house: House, request: Request, answering: Answering, facts: dict[str, Any]) -> None:
    """What the log and the metrics learn of an answer."""
    order = answering.order
    read = sum(map(len, order.prompts))
    facts |= {
        "model": order.model, "strategy": order.settings.strategy, "prompt_tokens": read, "completion_tokens": answering.made,
        "first_token_seconds": None if answering.first is None else round(answering.first, 4),
        "finish": ",".join(text.finish for text in answering.texts[:8]),
    }  # fmt: skip
    if house.log.texts:
        facts["answers"] = [text.text for text in answering.texts]
    house.metrics.read.labels(order.model).inc(read)
    house.metrics.made.labels(order.model).inc(answering.made)
    house.metrics.seconds.labels(request.scope["path"]).observe(time.monotonic() - answering.began)
    if answering.first is not None:
        house.metrics.first.observe(answering.first)


def _add_models(app: FastAPI, house: House) -> None:
    def about(name: str) -> ModelReply:
        return ModelReply(id=name, created=house.began, max_model_len=context_length(house.voices[name].model))

    @app.get("/v1/models", response_model=ModelsReply)
    async def models() -> ModelsReply:
        """The served models."""
        return ModelsReply(data=[about(name) for name in house.voices])

    @app.get("/v1/models/{model}", response_model=ModelReply)
    async def model(model: str) -> ModelReply:
        """One served model."""
        house.taking.voice(model)
        return about(model)


def _add_rest(app: FastAPI, house: House) -> None:
    @app.get("/health", response_model=HealthReply)
    async def health() -> HealthReply:
        """That the server is well."""
        fares = house.inference.fares()
        return HealthReply(rows=fares.rows, waiting=fares.waiting, tokens_per_second=round(fares.speed, 2))

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(house.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/tokenize", response_model=TokenizeReply)
    async def tokenize(asked: TokenizeAsked) -> TokenizeReply:
        """The tokens of a text, or of a conversation as the model is given it."""
        voice = house.taking.voice(asked.model)
        if (asked.prompt is None) == (asked.messages is None):
            raise Refused(400, "Give either prompt or messages.", param="prompt", code="invalid_value")
        ids = await house.encoded(lambda: _tokens(voice, asked))
        names = [str(name) for name in voice.tokenizer.convert_ids_to_tokens(ids)]
        length = context_length(voice.model)
        return TokenizeReply(count=len(ids), max_model_len=length, tokens=ids, token_strs=names)

    @app.post("/detokenize", response_model=DetokenizeReply)
    async def detokenize(asked: DetokenizeAsked) -> DetokenizeReply:
        """The text of tokens."""
        voice = house.taking.voice(asked.model)
        if max(asked.tokens, default=0) >= len(voice.tokenizer):
            raise Refused(400, f"Token {max(asked.tokens)} is unknown.", param="tokens", code="invalid_value")
        return DetokenizeReply(prompt=completion_of(voice.tokenizer, asked.tokens))


def _tokens(voice: Voice, asked: TokenizeAsked) -> list[int]:
    try:
        if asked.messages is not None:
            return encode_prompt(voice.tokenizer, conversation(asked.messages))
        if asked.add_special_tokens:
            return encode_text(voice.tokenizer, asked.prompt or "")
        found = voice.tokenizer(asked.prompt, add_special_tokens=False, split_special_tokens=True)
        return list(found["input_ids"])
    except WorkbenchError as error:
        raise Refused.of(error) from error


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: every address needs the key, and wrong requests are answered with 400."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"key": []}]
        for operations in found["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            found["components"]["schemas"].pop(name, None)
        app.openapi_schema = found
    return app.openapi_schema
