"""What a request asks of the inference thread, and what it hears back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from workbench.domain.decoding import DecodingSettings
from workbench.domain.errors import WorkbenchError

Finish = Literal["stop", "length"]


class Said(NamedTuple):
    """A token of a text: what it adds to it, ln of its probability and the most probable tokens with theirs (if asked for).

    `cut` says that a stop text took the end of what the token would have added.
    """

    id: int
    text: str = ""
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    cut: bool = False


class Heard(NamedTuple):
    """What became known of a text: tokens that are sure to belong to it, and at its end why it ended and how many were made.

    `fresh` is how many were made just now, those held back or cut off included.
    """

    choice: int
    said: tuple[Said, ...]
    finish: Finish | None = None
    made: int = 0
    fresh: int = 1


class Read(NamedTuple):
    """The tokens of a prompt under the model; the first has no probability."""

    prompt: int
    said: tuple[Said, ...]


class Broken(NamedTuple):
    """The order can't be done."""

    error: WorkbenchError


Event = Heard | Read | Broken


@dataclass(eq=False)
class Order:
    """Prompts to continue, `n` texts for each: text i of prompt p is choice p·n + i and draws from the settings' seed + p·n + i.

    `logprobs` is how many alternatives are told of each token (None: no probabilities at all), of the model, or with `processed` of
    the distribution after all rules. `read` asks for the probabilities of the prompts themselves. `inbox` is the receiver's own.
    """

    model: str
    prompts: list[list[int]]
    limits: list[int]
    settings: DecodingSettings
    n: int = 1
    logprobs: int | None = None
    processed: bool = False
    read: bool = False
    inbox: Any = None
    cancelled: bool = field(default=False, init=False)

    @property
    def texts(self) -> int:
        """How many texts it makes."""
        return len(self.prompts) * self.n
