"""Labelling: one item after another, blind, in an order drawn from a recorded seed; every label is committed at once."""

from __future__ import annotations

import contextlib
import random
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import ValidationError

from workbench.analysis.label_stats import agreement_of
from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Aspect, Item, Judgement, Outcome, Ranking, SkipReason, Span
from workbench.domain.rows import DatasetKind
from workbench.domain.specs.kinds import explain
from workbench.domain.text import Demonstration
from workbench.services.ahead import Ahead
from workbench.services.datasets import checked_name
from workbench.services.settings import SettingsService
from workbench.services.views import LabelProgress, Presentation, Recorded, Said
from workbench.services.workspace import Workspace
from workbench.store.asking import Asked
from workbench.store.filling import NewRow
from workbench.store.labels import PlacedItem
from workbench.store.queues import Turn

PROMPT_SHOWN = 200
SEED_BITS = 31


def order_shown(candidates: int, seed: int) -> tuple[int, ...]:
    """The order that a seed stands for: place 0 (the left) shows candidate `order_shown(...)[0]`.

    A negative seed stands for the mirror image: `~seed` shows what `seed` shows from right to left.
    """
    order = list(range(candidates))
    random.Random(max(seed, ~seed)).shuffle(order)
    return tuple(order if seed >= 0 else reversed(order))


def _bare(placed: PlacedItem, total: int) -> Presentation:
    """An item with its candidates in an order drawn now."""
    seed = secrets.randbits(SEED_BITS)
    return Presentation(placed.item, order_shown(len(placed.item.candidates), seed), seed, placed.position, total)


def _arranged(asked: Asked) -> tuple[tuple[int, ...], int]:
    """The order of candidates and its seed: drawn now, as it was for what is taken back, mirrored for what is shown again."""
    before = asked.again
    if before is not None and asked.taken_back:
        return before.shown, before.shown_seed
    if before is not None and asked.purpose == "repeat":
        return before.shown[::-1], ~before.shown_seed
    seed = secrets.randbits(SEED_BITS)
    return order_shown(len(asked.placed.item.candidates), seed), seed


class LabellingService:
    """Judging the items of preference datasets, signed with the annotator's name from the settings."""

    def __init__(self, workspace: Workspace, settings: SettingsService) -> None:
        self._store = workspace.store
        self._lane = workspace.lane
        self._settings = settings
        self._ahead = Ahead(workspace.store.labels, workspace.lane)
        self._agreed: tuple[tuple[int, int, int], float | None] | None = None

    def start(self, dataset: str, queue: str = "") -> tuple[Presentation | None, LabelProgress]:
        """The first item for you in a queue (or that you haven't judged), None when there is none, and how far you are."""
        return self._lane.do(self._start, dataset, queue)

    def record(
        self,
        dataset: str,
        presentation: Presentation,
        *,
        outcome: Outcome,
        ranking: Ranking | None = None,
        strength: int = 1,
        skip_reason: SkipReason | None = None,
        note: str = "",
        milliseconds: int,
        aspects: Sequence[Aspect] = (),
        spans: Sequence[Span] = (),
    ) -> Recorded:
        """Commit a judgement of what was presented, then return the next item of its queue. Nothing is kept when this raises."""
        try:
            judgement = Judgement(
                id=uuid.uuid4().hex,
                item=presentation.item.id,
                annotator=self._settings.known().annotator,
                outcome=outcome,
                ranking=ranking,
                strength=strength,
                skip_reason=skip_reason,
                note=note,
                shown=presentation.shown,
                shown_seed=presentation.seed,
                milliseconds=milliseconds,
                created=datetime.now(UTC),
                purpose=presentation.purpose,
                queue=presentation.queue or None,
                guideline=presentation.guidelines.version if presentation.guidelines else 0,
                aspects=tuple(aspects),
                spans=tuple(spans),
            )
        except ValidationError as error:
            raise BadInput(*explain(error)) from error
        return self._lane.do(self._record, dataset, judgement)

    def undo(self, dataset: str, queue: str = "") -> Recorded:
        """Take your newest judgement in the dataset back, wherever it was asked for.

        Its item comes back as `next`, arranged as it was, with `previous`, and belongs to the queue that asked for it.
        """
        return self._lane.do(self._undo, dataset, queue)

    def redo(self, dataset: str, queue: str = "") -> Recorded:
        """Let the judgement that was undone last count again; `next` is the next item of the queue."""
        return self._lane.do(self._redo, dataset, queue)

    def revise(self, dataset: str, item: str) -> Presentation:
        """An item that you have judged, arranged as it was, to judge it again; Conflict when you haven't."""
        return self._lane.do(self._revise, dataset, item)

    def bring(self, dataset: str, item: str) -> Presentation:
        """One item to judge, whichever it is: arranged as it was when you have judged it, else anew."""
        return self._lane.do(self._bring, dataset, item)

    def history(self, dataset: str, item: str) -> list[Judgement]:
        """Every judgement of an item by anybody, newest last, also those that were taken back."""
        return self._lane.do(self._store.labels.of_item, dataset, item)

    def add_judgement(self, dataset: str, judgement: Judgement) -> None:
        """Commit a judgement by a rule or a model; it stays marked as such wherever it is shown."""
        self._lane.do(self._store.labels.add, judgement, dataset)

    def judgements(self, dataset: str) -> list[Judgement]:
        """The judgements that count in a dataset, by item."""
        return self._lane.do(self._store.labels.current, dataset)

    def agreement(self) -> float | None:
        """How often annotators agree over all datasets (raw share), None when no item was judged by two.

        It is asked for every few seconds: reckoned again only when labels have changed.
        """
        mark = self._lane.do(self._store.labels.mark)
        if self._agreed is None or self._agreed[0] != mark:
            records = self._lane.do(self._store.datasets.list)
            judged = [r.name for r in records if r.kind == "preferences" and r.judged]
            share = agreement_of([self._lane.beside(self._store.labels.overlapping, name) for name in judged])
            self._agreed = mark, share
        return self._agreed[1]

    def write_demonstration(self, dataset: str, presentation: Presentation, text: str) -> str:
        """Keep a better response as a row of the dataset "<name>-demonstrations"; returns that name."""
        if not text.strip():
            raise BadInput("A demonstration can't be empty.", "Write the response that you would have liked to see.")
        name = f"{dataset}-demonstrations"
        row = Demonstration(prompt=presentation.item.prompt, completion=text)
        self._lane.do(self._append, name, "demonstrations", f"written while judging {dataset}", NewRow(row))
        return name

    def add_item(self, dataset: str, item: Item) -> None:
        """Append an item to rank; the dataset is made when there is none of this name."""
        name = checked_name(dataset)
        self._lane.do(self._append, name, "preferences", "collected in the playground", NewRow((item, [])))

    def reveal(self, presentation: Presentation) -> tuple[str, ...]:
        """The model of each candidate, by candidate index; Conflict before you have judged the item."""
        me = self._settings.get().annotator
        said = self._lane.do(self._store.labels.for_item, presentation.item.id)
        if not any(j.annotator == me for j in said):
            raise Conflict("Which model wrote what is shown after you have judged.", "Judge the item first.")
        return tuple(c.model or "unknown" for c in presentation.item.candidates)

    def last_presentation(self, dataset: str) -> Presentation | None:
        """What you judged last in a dataset, arranged as it was; None before the first judgement. It outlives a restart."""
        return self._lane.do(self._last, dataset)

    def recent(self, dataset: str, limit: int = 50) -> list[Said]:
        """What you judged last in a dataset and haven't taken back, newest first."""
        return self._lane.do(self._recent, dataset, limit)

    def counts(self) -> tuple[int, int]:
        """How many labels persons gave today (local time), and in all."""
        today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        return self._lane.do(self._store.labels.counts, today)

    def _start(self, dataset: str, queue: str) -> tuple[Presentation | None, LabelProgress]:
        me = self._settings.get().annotator
        self._ahead.forget(dataset, me)
        if queue:
            turn = self._store.queues.begin(dataset, queue, me)
            return self._asked(turn, dataset, queue), LabelProgress(*turn.progress)
        progress = self._progress(dataset, me)
        return self._next(dataset, me, progress), progress

    def _record(self, dataset: str, judgement: Judgement) -> Recorded:
        if judgement.queue:
            turn = self._store.queues.answer(dataset, judgement)
            return self._turned(turn, dataset, judgement.queue)
        me = judgement.annotator
        upcoming = self._ahead.upcoming(dataset, me, judgement.item)
        found = self._store.labels.answer(judgement, dataset, upcoming.item.id if upcoming else None)
        progress = LabelProgress(*found.progress)
        placed = self._ahead.take(dataset, me)
        if placed is None:
            return Recorded(judgement, progress, None)
        bare = _bare(placed, progress.total)
        if placed is not upcoming:
            return Recorded(judgement, progress, self._presented(bare, dataset))
        return Recorded(judgement, progress, replace(bare, guidelines=found.guidelines, draft=found.draft))

    def _undo(self, dataset: str, queue: str) -> Recorded:
        me = self._settings.get().annotator
        self._ahead.forget(dataset, me)
        turn = self._store.queues.undo(dataset, queue, me)
        assert turn.judgement is not None
        return self._turned(turn, dataset, turn.judgement.queue or "")

    def _redo(self, dataset: str, queue: str) -> Recorded:
        me = self._settings.get().annotator
        self._ahead.forget(dataset, me)
        turn = self._store.queues.redo(dataset, queue, me)
        if queue:
            return self._turned(turn, dataset, queue)
        assert turn.judgement is not None
        progress = LabelProgress(*turn.progress)
        return Recorded(turn.judgement, progress, self._next(dataset, me, progress), turn.notice)

    def _turned(self, turn: Turn, dataset: str, queue: str) -> Recorded:
        assert turn.judgement is not None
        return Recorded(turn.judgement, LabelProgress(*turn.progress), self._asked(turn, dataset, queue), turn.notice)

    def _asked(self, turn: Turn, dataset: str, queue: str) -> Presentation | None:
        """What a queue asks next, in an order of candidates drawn now; what is shown again, in the mirrored order."""
        asked, progress = turn.next, turn.progress
        if asked is None:
            return None
        item, before = asked.placed.item, asked.again
        position = progress.judged if queue else asked.placed.position
        shown, seed = _arranged(asked)
        before = None if asked.purpose == "repeat" and not asked.taken_back else before
        return self._presented(
            Presentation(item, shown, seed, position, progress.total, before, queue, asked.purpose), dataset
        )

    def _presented(self, bare: Presentation, dataset: str) -> Presentation:
        """With the dataset's guidelines, and what you had begun to say."""
        me = self._settings.get().annotator
        draft = self._store.drafts.get(dataset, bare.item.id, me)
        return replace(bare, guidelines=self._store.guidelines.get(dataset), draft=draft)

    def _revise(self, dataset: str, item: str) -> Presentation:
        me = self._settings.get().annotator
        said = [j for j in self._store.labels.for_item(item, dataset) if j.annotator == me]
        if not said:
            raise Conflict("You haven't judged this item.", "Judge it first.")
        self._ahead.forget(dataset, me)  # what is on screen hasn't been judged, and comes again after this one
        before, placed = said[-1], self._store.labels.item(dataset, item)
        total = self._progress(dataset, me).total
        again = Presentation(
            placed.item, before.shown, before.shown_seed, placed.position, total, before, before.queue or "", before.purpose
        )  # fmt: skip
        return self._presented(again, dataset)

    def _bring(self, dataset: str, item: str) -> Presentation:
        me = self._settings.get().annotator
        with contextlib.suppress(Conflict):
            return self._revise(dataset, item)
        self._ahead.forget(dataset, me)
        return self._fresh(self._store.labels.item(dataset, item), self._progress(dataset, me).total, dataset)

    def _fresh(self, placed: PlacedItem, total: int, dataset: str) -> Presentation:
        return self._presented(_bare(placed, total), dataset)

    def _recent(self, dataset: str, limit: int) -> list[Said]:
        found = self._store.labels.recent(dataset, self._settings.get().annotator, limit)
        return [Said(judgement, prompt.text[:PROMPT_SHOWN]) for judgement, prompt in found]

    def _last(self, dataset: str) -> Presentation | None:
        progress = self._progress(dataset, self._settings.get().annotator)
        said = progress.last
        if said is None:
            return None
        placed = self._store.labels.item(dataset, said.item)
        return Presentation(placed.item, said.shown, said.shown_seed, placed.position, progress.total, said)

    def _next(self, dataset: str, annotator: str, progress: LabelProgress) -> Presentation | None:
        placed = self._ahead.take(dataset, annotator)
        return None if placed is None else self._fresh(placed, progress.total, dataset)

    def _progress(self, dataset: str, annotator: str) -> LabelProgress:
        return LabelProgress(*self._store.labels.progress(dataset, annotator))

    def _append(self, name: str, kind: DatasetKind, source: str, row: NewRow) -> None:
        try:
            self._store.datasets.get(name)
        except NotFound:
            with contextlib.suppress(Conflict):  # another process has made it meanwhile
                self._store.datasets.create(name, kind, source=source)
        self._store.datasets.append(name, [row])
        self._ahead.clear()
