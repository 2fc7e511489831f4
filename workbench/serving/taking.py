"""From what a client asked to an order for the inference thread; every wrong value is refused here, with its field's name."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from workbench.domain.decoding import STRATEGIES, Beam, Contrastive, DecodingSettings, Greedy, Sample, other_model
from workbench.domain.errors import WorkbenchError
from workbench.domain.serving import ServeSettings
from workbench.domain.text import Prompt, Turn
from workbench.engine.decoding.voice import Voice, context_length
from workbench.engine.text import encode_prompt, encode_text
from workbench.serving.asked import EXTENSION_NAMES, ChatAsked, CompletionAsked, Message, Sampling
from workbench.serving.errors import Refused, explained
from workbench.serving.order import Order

_NAMES = {"max_new_tokens": "max_tokens"}


class Taking:
    """Makes orders for the models that are served, within the server's limits."""

    def __init__(self, voices: Mapping[str, Voice], settings: ServeSettings) -> None:
        self._voices = voices
        self._limits = settings

    def voice(self, model: str) -> Voice:
        """The voice of a served model; 404 for any other."""
        if model not in self._voices:
            known = ", ".join(self._voices)
            raise Refused(
                404, f"There is no model {model!r} here; there is: {known}.", param="model", code="model_not_found"
            )
        return self._voices[model]

    def chat(self, asked: ChatAsked) -> tuple[Order, Prompt]:
        """The order for a conversation, and the conversation."""
        voice = self.voice(asked.model)
        prompt = conversation(asked.messages)
        ids = _encoded(lambda: encode_prompt(voice.tokenizer, prompt), "messages")
        if asked.max_tokens is not None and asked.max_completion_tokens is not None:
            raise Refused(
                400, "Give max_tokens or max_completion_tokens, not both.", param="max_tokens", code="invalid_value"
            )
        wanted = asked.max_completion_tokens if asked.max_tokens is None else asked.max_tokens
        field = "max_completion_tokens" if asked.max_tokens is None else "max_tokens"
        if asked.top_logprobs and not asked.logprobs:
            raise Refused(400, "top_logprobs needs logprobs to be true.", param="top_logprobs", code="invalid_value")
        logprobs = (asked.top_logprobs or 0) if asked.logprobs else None
        return self._order(asked, voice, [ids], wanted, field, logprobs=logprobs), prompt

    def completion(self, asked: CompletionAsked) -> tuple[Order, list[str | None]]:
        """The order for texts to be continued, and the prompts where they were given as text."""
        voice = self.voice(asked.model)
        prompts = _prompts(asked.prompt)
        ids = [_ids_of(voice, prompt) for prompt in prompts]
        if asked.max_tokens == 0 and not asked.echo:
            raise Refused(
                400, "max_tokens 0 asks for nothing, unless with echo.", param="max_tokens", code="invalid_value"
            )
        wanted = self._limits.max_tokens if asked.max_tokens is None else asked.max_tokens
        read = bool(asked.echo) and (asked.logprobs is not None or wanted == 0)
        order = self._order(asked, voice, ids, wanted, "max_tokens", logprobs=asked.logprobs, read=read)
        return order, [prompt if isinstance(prompt, str) else None for prompt in prompts]

    def _order(
        self, asked: Sampling, voice: Voice, ids: list[list[int]], wanted: int | None, field: str,
        *, logprobs: int | None, read: bool = False,
    ) -> Order:  # fmt: skip
        if asked.stream_options is not None and not asked.stream:
            raise Refused(400, "stream_options needs stream to be true.", param="stream_options", code="invalid_value")
        n = 1 if asked.n is None else asked.n
        if len(ids) * n > self._limits.max_texts:
            raise Refused(
                400, f"{len(ids) * n} texts are asked for; this server makes at most {self._limits.max_texts} for a request.",
                param="n", code="invalid_value",
            )  # fmt: skip
        if wanted is not None and wanted > self._limits.max_tokens:
            raise Refused(
                400, f"{field} is {wanted}; this server gives at most {self._limits.max_tokens}.",
                param=field, code="invalid_value",
            )  # fmt: skip
        limits = [self._room(voice, prompt, wanted, field) for prompt in ids]
        settings = self._settings(asked, max(1, *limits), n)
        if asked.logprobs_mode == "processed" and not isinstance(settings, Greedy | Sample):
            raise Refused(
                400,
                "Processed probabilities are told of sampling and greedy only.",
                param="logprobs_mode",
                code="invalid_value",
            )
        if read and not isinstance(settings, Greedy | Sample):
            raise Refused(
                400, "echo with logprobs goes with sampling and greedy only.", param="echo", code="invalid_value"
            )
        return Order(
            asked.model, ids, limits, settings, n, logprobs, asked.logprobs_mode == "processed", read
        )  # fmt: skip

    def _room(self, voice: Voice, prompt: list[int], wanted: int | None, field: str) -> int:
        """How many new tokens a prompt may have."""
        vocabulary = int(voice.model.get_input_embeddings().weight.shape[0])
        if max(prompt) >= vocabulary:
            raise Refused(
                400, f"Token {max(prompt)} is none of the model's {vocabulary}.", param="prompt", code="invalid_value"
            )
        context = context_length(voice.model)
        if context is None:
            return self._limits.max_tokens if wanted is None else wanted
        needed = len(prompt) + (1 if wanted is None else wanted)
        if needed > context:
            asked = "" if wanted is None else f" and {wanted} new ones are asked for"
            raise Refused(
                400, f"The prompt has {len(prompt)} tokens{asked}; the model reads at most {context}.",
                param=field if wanted and len(prompt) < context else "prompt", code="context_length_exceeded",
            )  # fmt: skip
        return min(self._limits.max_tokens, context - len(prompt)) if wanted is None else wanted

    def _settings(self, asked: Sampling, limit: int, n: int) -> DecodingSettings:
        """The strategy's settings, as the strategy itself checks them."""
        strategy = asked.strategy or "sample"
        if strategy not in STRATEGIES:
            raise Refused(
                400,
                f"There is no strategy {strategy!r}; there is: {', '.join(STRATEGIES)}.",
                param="strategy",
                code="invalid_value",
            )
        kind = STRATEGIES[strategy]
        names = {*EXTENSION_NAMES, "temperature", "top_p", "presence_penalty", "frequency_penalty"}
        given = {name: value for name in sorted(names) if (value := getattr(asked, name)) is not None}
        for name in given:
            if name not in kind.model_fields:
                raise Refused(
                    400, f"The strategy {strategy} has no setting {name}.", param=name, code="unknown_parameter"
                )
        if kind is Beam and n > 1:
            raise Refused(400, "Beam search gives one text; n must be 1.", param="n", code="invalid_value")
        stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
        seed = secrets.randbits(62) if asked.seed is None else asked.seed % 2**63
        values: dict[str, Any] = {**given, "max_new_tokens": limit, "stop": tuple(stop), "seed": seed}
        try:
            settings: DecodingSettings = kind.model_validate(values)
        except ValidationError as error:
            raise explained([dict(problem) for problem in error.errors()], _NAMES) from error
        self._need_other(settings)
        return settings

    def _need_other(self, settings: DecodingSettings) -> None:
        """Refuse a second model that isn't served."""
        if isinstance(settings, Contrastive) and not settings.amateur:
            raise Refused(400, "The strategy contrastive needs an amateur.", param="amateur", code="invalid_value")
        other = other_model(settings)
        if other is not None and other not in self._voices:
            field = "amateur" if isinstance(settings, Contrastive) else "draft"
            raise Refused(
                404, f"The model {other!r} isn't served here; serve it too.", param=field, code="model_not_found"
            )


def conversation(messages: list[Message]) -> Prompt:
    """Messages as a prompt; what OpenAI calls developer is the system."""
    turns = tuple(
        Turn(role="system" if message.role == "developer" else message.role, content=message.text)
        for message in messages
    )
    return Prompt(turns=turns)


def _prompts(given: Any) -> list[str | list[int]]:
    """One entry for each prompt."""
    if isinstance(given, str):
        return [given]
    return [given] if isinstance(given[0], int) else list(given)


def _ids_of(voice: Voice, prompt: str | list[int]) -> list[int]:
    if isinstance(prompt, list):
        return prompt
    return _encoded(lambda: encode_text(voice.tokenizer, prompt), "prompt")


def _encoded(encode: Any, field: str) -> list[int]:
    try:
        ids: list[int] = encode()
    except WorkbenchError as error:
        raise Refused(400, f"{error.what} {error.hint}".strip(), param=field, code="invalid_value") from error
    return ids
