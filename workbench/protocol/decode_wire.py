"""What a person's window and the decoding worker say to each other over a pipe: one message, one JSON line.

Requests carry a growing job number; `Stop(upto)` ends every job up to that number, the running one before its next token.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from workbench.domain.choices import Aligned, Aside, Distribution, LosslessReport, TokenChoice
from workbench.domain.decoding import DecodingSettings, Speculative
from workbench.domain.text import Prompt
from workbench.protocol.envelope import Envelope, Message

_ENVELOPE = Envelope("decoder", version=1)


class ColumnAsked(Message):
    """A model folder with the settings to decode with; `start` are tokens that the answer already has."""

    model: str
    settings: DecodingSettings
    start: tuple[int, ...] = ()


class Load(Message):
    """Load a model ahead of its use."""

    kind: Literal["load"] = "load"
    job: int
    model: str
    role: Literal["policy", "reward"] = "policy"


class Generate(Message):
    """Continue one prompt in several columns, side by side, token by token; every answer begins with `prefill`."""

    kind: Literal["generate"] = "generate"
    job: int
    prompt: Prompt
    columns: tuple[ColumnAsked, ...] = Field(min_length=1, max_length=16)
    prefill: str = ""
    chat_format: str = "auto"


class GenerateMany(Message):
    """One completion for each prompt, in batches; prompt i draws from the settings' seed + i."""

    kind: Literal["generate_many"] = "generate_many"
    job: int
    model: str
    prompts: tuple[Prompt, ...]
    settings: DecodingSettings
    chat_format: str = "auto"


class Score(Message):
    """Log-probabilities of completions under a model."""

    kind: Literal["score"] = "score"
    job: int
    model: str
    pairs: tuple[tuple[Prompt, str], ...]
    chat_format: str = "auto"


class Reward(Message):
    """A reward model's score of completions."""

    kind: Literal["reward"] = "reward"
    job: int
    model: str
    pairs: tuple[tuple[Prompt, str], ...]
    chat_format: str = "auto"


class Read(Message):
    """How a model reads a prompt with the start of its answer: token after token, template included."""

    kind: Literal["read"] = "read"
    job: int
    model: str
    prompt: Prompt
    prefill: str = ""
    chat_format: str = "auto"


class Lossless(Message):
    """Test whether drafts leave the model's distribution as it was; `settings.draft` is a folder, or ngram."""

    kind: Literal["lossless"] = "lossless"
    job: int
    model: str
    prompt: Prompt
    settings: Speculative
    samples: int = Field(2000, ge=50, le=1_000_000)
    chat_format: str = "auto"


class Export(Message):
    """Write a model for use elsewhere into a new folder, with its card."""

    kind: Literal["export"] = "export"
    job: int
    model: str
    out: str
    form: Literal["safetensors", "gguf", "onnx"]
    card: str = ""
    licence: str = ""
    precision: Literal["f32", "f16", "q8_0"] = "f32"


class Distribute(Message):
    """What a chain of rules does at a position of a column of the last round (the job `generation`); the model isn't run.

    Positions count the column's tokens from 0, those of its `start` included.
    """

    kind: Literal["distribute"] = "distribute"
    job: int
    generation: int
    column: int
    position: int = Field(ge=0)
    settings: DecodingSettings
    top: int = Field(40, ge=1, le=1000)


class Align(Message):
    """Completions under two models of one vocabulary, token by token."""

    kind: Literal["align"] = "align"
    job: int
    model: str
    reference: str
    pairs: tuple[tuple[Prompt, str], ...]
    chat_format: str = "auto"


class Free(Message):
    """Let a model go, in all its roles."""

    kind: Literal["free"] = "free"
    job: int
    model: str


class Budget(Message):
    """How many bytes models may hold together; 0 leaves it to the worker."""

    kind: Literal["budget"] = "budget"
    job: int
    bytes: int = Field(ge=0)


class Stop(Message):
    """End every job with a number up to this one."""

    kind: Literal["stop"] = "stop"
    upto: int


class Quit(Message):
    """End the worker; a closed pipe says the same."""

    kind: Literal["quit"] = "quit"


class Ready(Message):
    """The worker has started."""

    kind: Literal["ready"] = "ready"
    device: str


class OnShelf(Message):
    """A loaded model with the bytes that it holds, those included that it shares with others."""

    model: str
    role: Literal["policy", "reward"]
    bytes: int


class Shelved(Message):
    """What is in memory, least recently used first; told after every load and unload. `used` counts what is shared once."""

    kind: Literal["shelved"] = "shelved"
    models: tuple[OnShelf, ...]
    used: int
    budget: int


class Phase(Message):
    """What the worker is doing for a job; "" when tokens flow."""

    kind: Literal["phase"] = "phase"
    job: int
    column: int
    phase: str


class Tokens(Message):
    """New tokens of a column."""

    kind: Literal["tokens"] = "tokens"
    job: int
    column: int
    choices: tuple[TokenChoice, ...]


class PlainTokens(Message):
    """`Tokens` as the worker writes them: each choice's fields in plain values. Whoever reads the line checks them."""

    kind: Literal["tokens"] = "tokens"
    job: int
    column: int
    choices: list[dict[str, Any]]


class Asides(Message):
    """What a column's strategy looked at besides the tokens that it chose."""

    kind: Literal["asides"] = "asides"
    job: int
    column: int
    asides: tuple[Annotated[Aside, Field(discriminator="kind")], ...]


class ColumnDone(Message):
    """A column has ended. `completion` is the text as training reads it; `others` are further hypotheses with their scores."""

    kind: Literal["column_done"] = "column_done"
    job: int
    column: int
    text: str
    completion: str
    reason: Literal["end", "stop", "length", "stopped"]
    others: tuple[tuple[str, float], ...] = ()
    numbers: dict[str, float] = Field(default_factory=dict)


class ColumnFailed(Message):
    """A column can't go on; the others do."""

    kind: Literal["column_failed"] = "column_failed"
    job: int
    column: int
    what: str
    hint: str = ""
    error: str = "error"


class Progress(Message):
    """How many rows of a job are done."""

    kind: Literal["progress"] = "progress"
    job: int
    done: int
    total: int


class Done(Message):
    """A job has ended, with what it was asked for: texts, log-probabilities of tokens, scores, tokens with their pieces, a report."""

    kind: Literal["done"] = "done"
    job: int
    stopped: bool = False
    texts: tuple[str, ...] = ()
    logprobs: tuple[tuple[float, ...], ...] = ()
    rewards: tuple[float, ...] = ()
    pieces: tuple[tuple[int, str], ...] = ()
    lossless: LosslessReport | None = None
    distribution: Distribution | None = None
    aligned: tuple[tuple[Aligned, ...], ...] = ()


class Failed(Message):
    """A job can't be done; the worker goes on."""

    kind: Literal["failed"] = "failed"
    job: int
    what: str
    hint: str = ""
    error: str = "error"


Request = Annotated[
    Load | Generate | GenerateMany | Score | Reward | Read | Lossless | Distribute | Align | Export | Free | Budget | Stop
    | Quit,
    Field(discriminator="kind"),
]  # fmt: skip
Reply = Annotated[
    Ready | Shelved | Phase | Tokens | Asides | ColumnDone | ColumnFailed | Progress | Done | Failed,
    Field(discriminator="kind"),
]  # fmt: skip
_REQUESTS: TypeAdapter[Request] = TypeAdapter(Request)
_REPLIES: TypeAdapter[Reply] = TypeAdapter(Reply)


def to_line(message: Message) -> bytes:
    """One message as a line with its newline."""
    return _ENVELOPE.to_line(message)


def read_request(line: bytes) -> Request:
    """The request of a line; BadInput for what is not one, TooNew for a later version."""
    return _ENVELOPE.read(_REQUESTS, line)


def read_reply(line: bytes) -> Reply:
    """The reply of a line; BadInput for what is not one, TooNew for a later version."""
    return _ENVELOPE.read(_REPLIES, line)
