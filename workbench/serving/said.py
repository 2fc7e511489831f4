"""What the server answers: OpenAI's documents, made from what the inference thread tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from workbench.serving.order import Finish, Said
from workbench.serving.token_bytes import TokenBytes

VERY_UNLIKELY = -9999.0  # what OpenAI writes for ln 0


class Usage(BaseModel):
    """How many tokens were read and made."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TokenLogprob(BaseModel):
    """A token with ln of its probability; `bytes` are what it adds to the text, None for a token without text."""

    token: str
    logprob: float
    bytes: list[int] | None


class ContentLogprob(TokenLogprob):
    """A chosen token, and the most probable ones in its place."""

    top_logprobs: list[TokenLogprob]


class ChatLogprobs(BaseModel):
    """The tokens of an answer."""

    content: list[ContentLogprob]
    refusal: None = None


class Answer(BaseModel):
    """What the model says."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    """One answer of several."""

    index: int
    message: Answer
    logprobs: ChatLogprobs | None
    finish_reason: Finish


class ChatReply(BaseModel):
    """The answers to a conversation."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class TextLogprobs(BaseModel):
    """The tokens of a text as parallel lists; what was not computed is null."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(BaseModel):
    """One text of several."""

    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Finish


class CompletionReply(BaseModel):
    """The continuations of texts."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage


class ModelReply(BaseModel):
    """A served model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["workbench"] = "workbench"
    max_model_len: int | None


class ModelsReply(BaseModel):
    """All served models."""

    object: Literal["list"] = "list"
    data: list[ModelReply]


class TokenizeReply(BaseModel):
    """A text's tokens."""

    count: int
    max_model_len: int | None
    tokens: list[int]
    token_strs: list[str]


class DetokenizeReply(BaseModel):
    """The tokens' text."""

    prompt: str


class HealthReply(BaseModel):
    """That the server is well, and what it does."""

    status: Literal["ok"] = "ok"
    rows: int
    waiting: int
    tokens_per_second: float


def usage(prompts: Sequence[Sequence[int]], made: int) -> Usage:
    """Every prompt counts once, however many texts it has."""
    read = sum(map(len, prompts))
    return Usage(prompt_tokens=read, completion_tokens=made, total_tokens=read + made)


def chat_logprobs(table: TokenBytes, said: Sequence[Said]) -> dict[str, Any]:
    """The tokens of an answer with their probabilities."""
    return {"content": [_content(table, one) for one in said], "refusal": None}


def text_logprobs(table: TokenBytes, said: Sequence[Said], offset: int) -> dict[str, Any]:
    """The tokens of a text from character `offset` on. Of tokens that look alike, the most probable one is told."""
    found: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for one in said:
        found["tokens"].append(one.text if one.cut else table.text(one.id))
        found["text_offset"].append(offset)
        offset += len(one.text)
        if one.logprob is None:
            found["token_logprobs"].append(None)
            found["top_logprobs"].append(None)
            continue
        found["token_logprobs"].append(_finite(one.logprob))
        others: dict[str, float] = {}
        for token, logprob in one.top:
            others.setdefault(table.text(token), _finite(logprob))
        others.setdefault(found["tokens"][-1], _finite(one.logprob))
        found["top_logprobs"].append(others)
    return found


def _content(table: TokenBytes, one: Said) -> dict[str, Any]:
    chosen = _token(table, one.id, one.logprob or 0.0)
    if one.cut:
        chosen |= {"token": one.text, "bytes": list(one.text.encode())}
    return {**chosen, "top_logprobs": [_token(table, token, logprob) for token, logprob in one.top]}


def _token(table: TokenBytes, token: int, logprob: float) -> dict[str, Any]:
    raw = table.raw(token)
    return {
        "token": table.text(token),
        "logprob": _finite(logprob),
        "bytes": None if raw is None else list(raw),
    }


def _finite(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else VERY_UNLIKELY
