"""What clients may ask, field by field: OpenAI's names, and our strategies' settings beside them. Anything else is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from workbench.domain.decoding import STRATEGIES
from workbench.serving.errors import sound

# Settings that have a name of OpenAI's, or are none of the client's business.
_ELSEWHERE = {
    "strategy", "max_new_tokens", "stop", "seed", "presence_penalty", "frequency_penalty", "temperature", "top_p",
    "num_return",
}  # fmt: skip
Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class Strict(BaseModel):
    """Base: unknown fields and values of another type are refused, and so are infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _sound(cls, value: Any) -> Any:
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and sound(text) != text:
                raise ValueError("half of a surrogate pair is no character")
        return value


class StreamOptions(Strict):
    """What a stream tells besides."""

    include_usage: bool = Field(False, description="Tell the usage in a last piece.")


class TextPart(Strict):
    """A part of a message."""

    type: Literal["text"]
    text: str


class Message(Strict):
    """A turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart]
    refusal: None = Field(None, description="Answers have this field, so that they can be sent back as they came.")

    @property
    def text(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class Sampling(Strict):
    """What both kinds of completion have."""

    model: str = Field(description="Name of a served model.")
    stream: bool = Field(False, description="Send the answer piece by piece as server-sent events.")
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=4096, description="Texts for each prompt.")
    temperature: float | None = Field(None, ge=0, le=10, description="Divide logits by this; 0 is greedy.")
    top_p: float | None = Field(None, gt=0, le=1, description="Keep the smallest set of tokens with this mass.")
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = Field(
        None, description="Texts that end the answer; they are left out of it."
    )
    seed: int | None = Field(
        None, ge=-(2**63), lt=2**63, description="The same seed gives the same text; by default any."
    )
    presence_penalty: float | None = Field(
        None, ge=-2, le=2, description="Subtracted once from the logit of each token that was already generated."
    )
    frequency_penalty: float | None = Field(
        None, ge=-2, le=2, description="Subtracted from the logit of a token for each time that it was generated."
    )
    user: str | None = Field(None, max_length=256, description="A name for the log.")
    strategy: str | None = Field(
        None, description="How tokens are chosen (default: sample).", json_schema_extra={"enum": [*STRATEGIES, None]}
    )
    logprobs_mode: Literal["raw", "processed"] = Field(
        "raw", description="Probabilities of the model itself, or after all rules (sampling and greedy only)."
    )


def _extensions() -> dict[str, Any]:
    """Every setting of a strategy as a field; the strategy itself checks the value."""
    found: dict[str, Any] = {}
    for strategy, settings in STRATEGIES.items():
        schemas = settings.model_json_schema()["properties"]
        for name, info in settings.model_fields.items():
            if name in _ELSEWHERE:
                continue
            schema = {key: value for key, value in schemas[name].items() if key not in ("title", "default", "advanced")}
            if name in found:
                earlier = found[name][1]
                earlier.json_schema_extra["x-strategies"].append(strategy)
                continue
            extra: dict[str, Any] = {"x-strategies": [strategy], "anyOf": [_plain(schema), {"type": "null"}]}
            found[name] = (Any, Field(None, description=info.description, json_schema_extra=extra))
    return found


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ("description", "unit")}


_EXTENSIONS = _extensions()
EXTENSION_NAMES = frozenset(_EXTENSIONS)
_Extended: type[Sampling] = create_model("_Extended", __base__=Sampling, **_EXTENSIONS)


class ChatAsked(_Extended):
    """A conversation to be answered."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=4096)]
    max_tokens: int | None = Field(None, ge=1, description="Most new tokens (older name).")
    max_completion_tokens: int | None = Field(None, ge=1, description="Most new tokens.")
    logprobs: bool | None = Field(None, description="Tell the probability of each token.")
    top_logprobs: int | None = Field(None, ge=0, le=20, description="Tell so many probable tokens beside each.")


class CompletionAsked(_Extended):
    """Texts to be continued."""

    prompt: (
        str
        | Annotated[list[str], Field(min_length=1, max_length=4096)]
        | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
        | Annotated[
            list[Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]],
            Field(min_length=1, max_length=4096),
        ]
    ) = Field(description="A text or its token ids, or a list of texts or of lists of ids.")
    max_tokens: int | None = Field(16, ge=0, description="Most new tokens; 0 only with echo.")
    logprobs: int | None = Field(None, ge=0, le=20, description="Tell so many probable tokens beside each one.")
    echo: bool | None = Field(None, description="Give the prompt back before the answer.")


class TokenizeAsked(Strict):
    """A text or a conversation to be cut into tokens."""

    model: str
    prompt: str | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=4096)] | None = None
    add_special_tokens: bool = Field(True, description="With the token that starts a text, if the model knows one.")


class DetokenizeAsked(Strict):
    """Token ids to be joined to a text."""

    model: str
    tokens: list[Annotated[int, Field(ge=0)]]
