"""What judges and revisers report, put where people's labels and rows are, in the transaction that books their events.

Since the events' numbers are booked in the same transaction, each verdict and each revision is kept exactly once, whoever reads
the run's folder and however often an application dies over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from workbench.domain.errors import NotFound
from workbench.domain.events import Event, Judged, Revised, Scored
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.rows import DatasetKind
from workbench.domain.text import Candidate, Demonstration
from workbench.store import schema as t
from workbench.store.answers import DONE, KEYS_AT_ONCE
from workbench.store.datasets import DatasetRecord, get_dataset, insert_dataset
from workbench.store.filling import NewRow, fill
from workbench.store.judging import insert_judgements
from workbench.store.scores import keep_scores, rows_and_sizes

Notices = Iterator[tuple[str, str]]


class Source(NamedTuple):
    """The run that reports: its id and its spec as JSON."""

    run: str
    spec: dict[str, Any]


def book_feedback(connection: Connection, source: Source, events: Sequence[Event]) -> list[tuple[str, str]]:
    """Keep the judgements and revisions among some events; returns (what, hint) of whatever could not be kept."""
    judged = [event.judgement for event in events if isinstance(event, Judged) and event.judgement is not None]
    revised = [event for event in events if isinstance(event, Revised) and not event.why]
    scored = [event for event in events if isinstance(event, Scored) and event.scores]
    notices: list[tuple[str, str]] = []
    if judged:
        notices += _keep_judgements(connection, source, judged)
    if revised:
        notices += _keep_revisions(connection, source, revised)
    if scored:
        notices += _keep_scores(connection, source, scored)
    return notices


def signed_by_person(connection: Connection, dataset: int, annotator: str) -> bool:
    """Whether a person has judged items of this dataset under a name."""
    j = t.judgements.c
    theirs = (j.dataset_id == dataset) & (j.annotator == annotator) & (j.annotator_kind == "person")
    return connection.execute(select(j.id).where(theirs).limit(1)).first() is not None


def _keep_judgements(connection: Connection, source: Source, said: Sequence[Judgement]) -> Notices:
    """Append them to the log; what this judge has judged meanwhile stays, unless the run is to judge again."""
    name = str(source.spec.get("data", ""))
    dataset = _ready(connection, name, "preferences")
    if dataset is None:
        yield (
            f"{len(said)} judgements could not be kept: the dataset {name} is gone.",
            "They stand in the run's events.jsonl.",
        )
        return
    if signed_by_person(connection, dataset.id, said[0].annotator):
        yield (
            f"{len(said)} judgements could not be kept: a person has judged {name} as {said[0].annotator}.",
            "Let the judge sign with another name (annotator) and start it again.",
        )
        return
    rows = rows_and_sizes(connection, dataset.id, [judgement.item for judgement in said])
    before = (
        set() if source.spec.get("again") else _judged(connection, [row for row, _ in rows.values()], said[0].annotator)
    )
    placed = [(rows.get(judgement.item, (0, 0)), judgement) for judgement in said]
    kept = [(row, judgement) for (row, size), judgement in placed if size == len(judgement.shown)]
    if len(kept) < len(said):
        yield f"{len(said) - len(kept)} judgements could not be kept: their items are gone from {name}.", ""
    if fresh := [(row, judgement) for row, judgement in kept if row not in before]:
        insert_judgements(connection, dataset.id, fresh)


def _judged(connection: Connection, rows: Sequence[int], annotator: str) -> set[int]:
    """Which rows have a judgement by this annotator that counts."""
    s = t.standings.c
    found: set[int] = set()
    for start in range(0, len(rows), KEYS_AT_ONCE):
        here = s.row_id.in_(rows[start : start + KEYS_AT_ONCE]) & (s.annotator == annotator) & (s.state == DONE)
        found.update(connection.execute(select(s.row_id).where(here)).scalars())
    return found


def _keep_scores(connection: Connection, source: Source, scored: Sequence[Scored]) -> Notices:
    name = str(source.spec.get("data", ""))
    dataset = _ready(connection, name, "preferences")
    if dataset is None:
        yield (
            f"{len(scored)} scores could not be kept: the dataset {name} is gone.",
            "They stand in the run's events.jsonl.",
        )
        return
    yield from keep_scores(connection, source.run, str(source.spec.get("base", "")), dataset.id, scored)


def _keep_revisions(connection: Connection, source: Source, revised: Sequence[Revised]) -> Notices:
    """Append demonstrations and pairs to the datasets that the spec names; those that aren't there are made, marked synthetic."""
    parts: tuple[tuple[str, DatasetKind, list[NewRow]], ...] = (
        ("demonstrations", "demonstrations", [_demonstration(source, event) for event in revised]),
        ("pairs", "preferences", [_pair(source, event) for event in revised]),
    )
    for field, kind, rows in parts:
        name = str(source.spec.get(field, ""))
        if not name:
            continue
        if not _exists(connection, name):
            insert_dataset(connection, name, kind, f"revisions by {_model(source)} ({source.run})", synthetic=True)
        dataset = _ready(connection, name, kind)
        if dataset is None or not dataset.synthetic:
            yield (
                f"{len(rows)} revisions could not be kept: {name} is no synthetic dataset of {kind}.",
                "They stand in the run's events.jsonl.",
            )
            continue
        fill(connection, dataset.id, kind, rows)


def _demonstration(source: Source, event: Revised) -> NewRow:
    return NewRow(Demonstration(prompt=event.prompt, completion=event.revision), raw=_facts(source, event))


def _pair(source: Source, event: Revised) -> NewRow:
    """Original and revision as candidates, with a judgement that prefers the revision; as a judge, the model may say otherwise."""
    model = _model(source)
    seed = int(source.spec.get("seed", 0))
    original = Candidate(text=event.original, model=None if event.given else model, seed=None if event.given else seed)
    item = Item(
        id=f"{source.run}-{event.row}",
        prompt=event.prompt,
        candidates=(original, Candidate(text=event.revision, model=model, seed=seed)),
    )
    judgement = Judgement(
        id=f"{source.run}-{event.row}", item=item.id, annotator=f"{model} (reviser)", annotator_kind="model", outcome="ranked",
        ranking=Ranking(tiers=((1,), (0,))), note=f"revised by: {' / '.join(event.principles)}", shown=(0, 1), shown_seed=0,
        milliseconds=event.milliseconds, created=event.time,
    )  # fmt: skip
    return NewRow((item, [judgement]), raw=_facts(source, event))


def _facts(source: Source, event: Revised) -> dict[str, Any]:
    """What a person should see beside the row."""
    steps = zip(event.principles, event.critiques, strict=False)
    told = {f"Principle {n}": f"{principle}" for n, (principle, _) in enumerate(steps, 1)}
    told |= {f"Critique {n}": critique for n, critique in enumerate(event.critiques, 1)}
    return {"Revised by": f"{_model(source)} ({source.run}, synthetic)", **told}


def _model(source: Source) -> str:
    return Path(str(source.spec.get("base") or source.run)).name


def _exists(connection: Connection, name: str) -> bool:
    return connection.execute(select(t.datasets.c.id).where(t.datasets.c.name == name)).first() is not None


def _ready(connection: Connection, name: str, kind: DatasetKind) -> DatasetRecord | None:
    try:
        dataset = get_dataset(connection, name)
    except NotFound:
        return None
    return dataset if dataset.kind == kind else None
