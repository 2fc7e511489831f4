"""Answers, whole or as streams of server-sent events, for conversations and for texts."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from workbench.domain.errors import WorkbenchError
from workbench.engine.decoding.pieces import text_of
from workbench.engine.decoding.voice import Voice
from workbench.serving.errors import Refused
from workbench.serving.order import Finish, Heard, Order, Read, Said
from workbench.serving.said import chat_logprobs, text_logprobs, usage
from workbench.serving.token_bytes import TokenBytes

Events = AsyncIterator[Heard | Read]


@dataclass
class Text:
    """One text as it was heard."""

    said: list[Said] = field(default_factory=list)
    finish: Finish = "length"

    @property
    def text(self) -> str:
        """What was said."""
        return "".join(one.text for one in self.said)


class Answering:
    """One request's answer; `made`, `first` and `texts` are what the log tells of it."""

    def __init__(self, order: Order, voice: Voice, table: TokenBytes, echoed: list[str | None] | None = None) -> None:
        self.order, self._table = order, table
        self.id = f"{'cmpl' if echoed is not None else 'chatcmpl'}-{uuid.uuid4().hex}"
        self.made = 0
        self.first: float | None = None
        self.began = time.monotonic()
        self.texts = [Text() for _ in range(order.texts)]
        self._created = int(time.time())
        self._voice, self._echoed = voice, echoed
        self._read: dict[int, tuple[Said, ...]] = {}

    async def chat(self, events: Events) -> dict[str, Any]:
        """The whole answer to a conversation."""
        await self._hear_all(events)
        choices = [
            {
                "index": number,
                "message": {"role": "assistant", "content": text.text, "refusal": None},
                "logprobs": self._chat_logprobs(text.said),
                "finish_reason": text.finish,
            }
            for number, text in enumerate(self.texts)
        ]
        return self._whole("chat.completion", choices)

    async def completion(self, events: Events, echo: bool) -> dict[str, Any]:
        """The whole continuations."""
        await self._hear_all(events)
        choices = []
        for number, text in enumerate(self.texts):
            before, read = self._before(number) if echo else ("", ())
            logprobs = None
            if self.order.logprobs is not None:
                logprobs = text_logprobs(self._table, read, 0)
                for name, values in text_logprobs(self._table, text.said, len(before)).items():
                    logprobs[name] += values
            choices.append(_text(number, before + text.text, logprobs, text.finish))
        return self._whole("text_completion", choices)

    async def chat_stream(self, events: Events, with_usage: bool) -> AsyncIterator[bytes]:
        """The answer to a conversation as it grows."""
        kind = "chat.completion.chunk"
        for number in range(self.order.texts):
            delta = {"role": "assistant", "content": ""}
            yield self._piece(kind, [_delta(number, delta)], with_usage)
        try:
            async for event in events:
                if isinstance(event, Read):
                    continue
                self._count(event)
                text = "".join(one.text for one in event.said)
                if text or (event.said and self.order.logprobs is not None):
                    choice = _delta(event.choice, {"content": text}, self._chat_logprobs(event.said))
                    yield self._piece(kind, [choice], with_usage)
                if event.finish is not None:
                    yield self._piece(kind, [_delta(event.choice, {}, finish=event.finish)], with_usage)
        except WorkbenchError as error:
            yield _event(Refused.of(error).document())
            return
        for piece in self._closing(kind, with_usage):
            yield piece

    async def completion_stream(self, events: Events, with_usage: bool, echo: bool) -> AsyncIterator[bytes]:
        """The continuations as they grow; with echo, each begins with its prompt."""
        kind = "text_completion"
        offsets = [0] * self.order.texts
        begun = [not echo] * self.order.texts
        try:
            async for event in events:
                if isinstance(event, Read):
                    self._read[event.prompt] = event.said
                    continue
                self._count(event)
                number = event.choice
                text, said = "".join(one.text for one in event.said), event.said
                logprobs = None
                if not begun[number]:
                    begun[number] = True
                    before, read = self._before(number)
                    text, said = before + text, (*read, *said)
                if self.order.logprobs is not None:
                    logprobs = text_logprobs(self._table, said, offsets[number])
                offsets[number] += len(text)
                if text or event.finish or logprobs:
                    yield self._piece(kind, [_text(number, text, logprobs, event.finish)], with_usage)
        except WorkbenchError as error:
            yield _event(Refused.of(error).document())
            return
        for piece in self._closing(kind, with_usage):
            yield piece

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _hear_all(self, events: Events) -> None:
        async for event in events:
            if isinstance(event, Read):
                self._read[event.prompt] = event.said
            else:
                self._count(event)

    def _count(self, event: Heard) -> None:
        text = self.texts[event.choice]
        text.said += event.said
        if self.first is None and event.said:
            self.first = time.monotonic() - self.began
        if event.finish is not None:
            text.finish = event.finish
            self.made += event.made

    def _before(self, choice: int) -> tuple[str, tuple[Said, ...]]:
        """The prompt of a text as it is echoed, and its tokens if they were read."""
        prompt = choice // self.order.n
        given = self._echoed[prompt] if self._echoed else None
        if given is None:
            given = text_of(self._voice.tokenizer, [], self.order.prompts[prompt])
        return given, self._read.get(prompt, ()) if self.order.logprobs is not None else ()

    def _chat_logprobs(self, said: Any) -> Any:
        return None if self.order.logprobs is None else chat_logprobs(self._table, said)

    def _whole(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        about = {"id": self.id, "object": kind, "created": self._created, "model": self.order.model}
        return about | {"choices": choices, "usage": usage(self.order.prompts, self.made).model_dump()}

    def _piece(self, kind: str, choices: list[dict[str, Any]], with_usage: bool) -> bytes:
        document = {
            "id": self.id, "object": kind, "created": self._created, "model": self.order.model, "choices": choices,
        }  # fmt: skip
        return _event(document | {"usage": None} if with_usage else document)

    def _closing(self, kind: str, with_usage: bool) -> list[bytes]:
        closing = [b"data: [DONE]\n\n"]
        if with_usage:
            told = usage(self.order.prompts, self.made).model_dump()
            last = {
                "id": self.id, "object": kind, "created": self._created, "model": self.order.model, "choices": [], "usage": told,
            }  # fmt: skip
            closing.insert(0, _event(last))
        return closing


def _delta(number: int, delta: dict[str, Any], logprobs: Any = None, finish: Finish | None = None) -> dict[str, Any]:
    return {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _text(number: int, text: str, logprobs: Any, finish: Finish | None) -> dict[str, Any]:
    return {"index": number, "text": text, "logprobs": logprobs, "finish_reason": finish}


def _event(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
