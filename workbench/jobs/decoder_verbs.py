"""What can be asked of the decoding worker by those who wait for the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.domain.choices import Aligned, Distribution, LosslessReport
from workbench.domain.decoding import DecodingSettings, Speculative
from workbench.domain.errors import RunFailed
from workbench.domain.text import Prompt
from workbench.protocol import decode_wire as wire

Progress = Callable[[int, int], object]


class Verbs(ABC):
    """Blocking requests. `progress(done, total)` may say False to stop, which raises Conflict."""

    @abstractmethod
    def _ask(self, make: Callable[[int], wire.Request], progress: Progress | None = None) -> wire.Done:
        """Send the request that `make` makes for a job number, and wait for its end; raises what the worker tells."""

    def generate_many(
        self, model: Path, prompts: Sequence[Prompt], settings: DecodingSettings, progress: Progress | None = None
    ) -> list[str]:
        """One completion for each prompt."""
        done = self._ask(
            lambda job: wire.GenerateMany(job=job, model=str(model), prompts=tuple(prompts), settings=settings),
            progress,
        )
        return list(done.texts)

    def score(self, model: Path, pairs: Sequence[tuple[Prompt, str]]) -> list[tuple[float, ...]]:
        """Log-probability of each token of each completion, its end token included."""
        return list(self._ask(lambda job: wire.Score(job=job, model=str(model), pairs=tuple(pairs))).logprobs)

    def reward(self, model: Path, pairs: Sequence[tuple[Prompt, str]]) -> list[float]:
        """A reward model's score of each completion."""
        return list(self._ask(lambda job: wire.Reward(job=job, model=str(model), pairs=tuple(pairs))).rewards)

    def lossless(
        self, model: Path, prompt: Prompt, settings: Speculative, samples: int, progress: Progress | None = None
    ) -> LosslessReport:
        """Test on so many drawn texts whether drafts leave the model's distribution as it was."""
        done = self._ask(
            lambda job: wire.Lossless(job=job, model=str(model), prompt=prompt, settings=settings, samples=samples),
            progress,
        )
        if done.lossless is None:
            raise _nothing("report")
        return done.lossless

    def distribute(
        self, generation: int, column: int, position: int, settings: DecodingSettings, top: int = 40
    ) -> Distribution:
        """What the rules of these settings do at a position of a column of job `generation`; the model isn't run for it."""
        done = self._ask(
            lambda job: wire.Distribute(
                job=job, generation=generation, column=column, position=position, settings=settings, top=top
            )
        )
        if done.distribution is None:
            raise _nothing("distribution")
        return done.distribution

    def align(
        self, model: Path, reference: Path, pairs: Sequence[tuple[Prompt, str]], progress: Progress | None = None
    ) -> list[tuple[Aligned, ...]]:
        """Each completion under two models, token by token, its end token included."""
        done = self._ask(
            lambda job: wire.Align(job=job, model=str(model), reference=str(reference), pairs=tuple(pairs)), progress
        )
        return list(done.aligned)

    def read(self, model: Path, prompt: Prompt, prefill: str) -> list[tuple[int, str]]:
        """The tokens, with their pieces, that a model is given."""
        done = self._ask(lambda job: wire.Read(job=job, model=str(model), prompt=prompt, prefill=prefill))
        return list(done.pieces)


def _nothing(what: str) -> RunFailed:
    return RunFailed(f"The decoder gave no {what}.", "Try again; its log has the details.")
