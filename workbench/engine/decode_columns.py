"""Columns under way in the decoding worker, and what is kept of them when they have ended."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workbench.domain.choices import Aside
from workbench.domain.errors import BadInput
from workbench.engine.decoding.distribution import Said
from workbench.engine.decoding.measure import Noted
from workbench.engine.decoding.measures import Tally
from workbench.engine.decoding.naming import fields
from workbench.engine.decoding.pieces import Pieces, completion_of, text_of
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.telling import Ending, Told
from workbench.engine.decoding.voice import Voice
from workbench.protocol.decode_wire import Asides, ColumnDone, PlainTokens

CHUNK = 64  # tokens that are read at once when logits are reckoned anew
KEPT_BYTES = 2**28  # of logits, for all columns together
KEPT_COLUMNS = 64


@dataclass(frozen=True)
class Opening:
    """What a column goes on from: the prompt's ids with the prefilled text behind them, and tokens said before.

    `behind` is what text and rules stand behind: the same ids, or what a decoder begins with whose encoder reads the prompt.
    """

    context: list[int]
    start: tuple[int, ...] = ()
    prefill: str = ""
    decoder: list[int] | None = None

    @property
    def behind(self) -> list[int]:
        """The ids before the answer's first."""
        return self.context if self.decoder is None else self.decoder


class Column:
    """One column under way."""

    def __init__(
        self, job: int, number: int, told: Told, voice: Voice, opening: Opening, together: Callable[[], float] | None
    ) -> None:
        self.job, self.number = job, number
        self._told = told
        self._tokenizer, self._pieces = voice.tokenizer, voice.pieces
        self._opening = opening
        self._tally = Tally(together) if together is not None else Tally()

    def step(self) -> PlainTokens | Asides | ColumnDone | None:
        """Do one step; what there is to tell of it."""
        self._tally.start()
        try:
            told = next(self._told)
        except StopIteration as finished:
            self._tally.stop()
            return self._done(finished.value)
        if isinstance(told, Aside):
            self._tally.stop()
            self._tally.note(told)
            return Asides(job=self.job, column=self.number, asides=(told,))
        self._tally.stop(*(told or ()))
        if not told:
            return None
        choices = [fields(self._pieces, one) for one in told]
        return PlainTokens.model_construct(kind="tokens", job=self.job, column=self.number, choices=choices)

    def stopped(self) -> ColumnDone:
        """End it where it is."""
        self._told.close()
        before = text_of(self._tokenizer, self._opening.behind, list(self._opening.start))
        completion = completion_of(self._tokenizer, [*self._opening.start, *self._tally.ids])
        return self._done(Ending("stopped", before + self._tally.text, completion))

    @property
    def ids(self) -> list[int]:
        """All tokens that were told, those from before included."""
        return [*self._opening.start, *self._tally.ids]

    def _done(self, ending: Ending) -> ColumnDone:
        completion = self._opening.prefill + ending.text if self._opening.prefill else ending.completion
        return ColumnDone(
            job=self.job, column=self.number, text=ending.text, completion=completion, reason=ending.reason,
            others=ending.others, numbers=self._tally.numbers(),
        )  # fmt: skip


@dataclass(eq=False)
class Kept:
    """A column of the last round: how to read it again, and the logits [V] that its tokens were chosen from, by position."""

    model: str
    opening: Opening
    eos: frozenset[int]
    pieces: Pieces
    ids: list[int]
    logits: dict[int, Tensor] = field(default_factory=dict)


class Ledger:
    """Columns that were decoded lately, with at most `budget` bytes of logits; the oldest lose theirs first."""

    def __init__(self, budget: int = KEPT_BYTES) -> None:
        self._budget, self._held = budget, 0
        self._columns: OrderedDict[tuple[int, int], Kept] = OrderedDict()

    def open(self, job: int, number: int, model: str, opening: Opening, voice: Voice) -> Callable[[Noted], None]:
        """Keep a column; what is returned takes its tokens as they are chosen."""
        kept = Kept(model, opening, voice.eos, voice.pieces, list(opening.start))
        self._columns[job, number] = kept
        while len(self._columns) > KEPT_COLUMNS:
            self._drop(self._columns.popitem(last=False)[1])
        place = len(opening.start)

        def take(noted: Noted) -> None:
            nonlocal place
            self._put(kept, place, noted.logits)
            place += 1

        return take

    def close(self, column: Column) -> None:
        """What the column has told in the end."""
        if kept := self._columns.get((column.job, column.number)):
            kept.ids = column.ids

    def column(self, job: int, number: int, position: int) -> Kept:
        """A column that was kept; BadInput where it isn't there any more, or has no such position."""
        kept = self._columns.get((job, number))
        if kept is None:
            raise BadInput("This column is no longer in the decoder's memory.", "Start it again to look into it.")
        if position >= len(kept.ids):
            raise BadInput(
                f"The column has {len(kept.ids)} tokens; there is none at position {position}.", "Choose one of them."
            )
        self._columns.move_to_end((job, number))
        return kept

    @torch.inference_mode()
    def said(self, kept: Kept, voice: Callable[[], Voice]) -> Said:
        """The column with all its logits; the model is run only for those that were never kept."""
        wanted = range(len(kept.ids))
        if any(place not in kept.logits for place in wanted):
            found = read_again(voice(), kept.opening.context, kept.ids)
            for place, row in enumerate(found):
                if place not in kept.logits:
                    self._put(kept, place, row)
        return Said(kept.opening.behind, kept.ids, [kept.logits[place] for place in wanted], kept.eos)

    def _put(self, kept: Kept, place: int, row: Tensor) -> None:
        """Keep a row; the oldest other columns give way. The column itself is kept whole, however long it is."""
        row = row.clone()
        kept.logits[place] = row
        self._held += row.nbytes
        for other in self._columns.values():
            if self._held <= self._budget:
                break
            if other is not kept:
                self._drop(other)

    def _drop(self, kept: Kept) -> None:
        self._held -= sum(row.nbytes for row in kept.logits.values())
        kept.logits.clear()


def read_again(voice: Voice, context: Sequence[int], ids: Sequence[int]) -> list[Tensor]:
    """The logits [V] behind a context and behind each of the ids but the last, by reading them in one go."""
    stepper = stepper_for(voice)
    rows = [stepper.prefill([list(context)])[0]]
    for first in range(0, len(ids) - 1, CHUNK):
        rows += stepper.extend([list(ids[first : min(first + CHUNK, len(ids) - 1)])])[0]
    return rows
