"""Merging what stands beside the labels: known answers, drafts, and what reward models think of items.

Of two that differ the newer one stays. A draft comes along unless its author has judged the item since. Scores come along under
their model's name, unless that name is another model's here: then they would order queues by what that one never said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, insert, select, update

from workbench.store import schema as t
from workbench.store.answers import DONE
from workbench.store.database import Database
from workbench.store.datasets import DatasetRecord
from workbench.store.merge_rows import Placed

SLICE = 100  # things in one transaction
Names = Callable[[str], str]
_G, _D, _R = t.golds.c, t.drafts.c, t.row_scores.c


class Beside:
    """Brings what stands beside the labels of one dataset. `golds`, `drafts` and `scores` count what wasn't here."""

    def __init__(
        self,
        here: Database,
        there: Connection,
        ours: DatasetRecord,
        theirs: DatasetRecord,
        placed: Mapping[int, Placed],
        person: Names,
    ) -> None:
        self._database, self._there = here, there
        self._ours, self._theirs = ours, theirs
        self._placed, self._person = placed, person
        self.golds = self.drafts = self.scores = 0
        self.notes: list[str] = []

    def bring(self) -> Iterator[int]:
        """Everything, slice by slice; yields how many were looked at."""
        strangers = self._other_models()
        for table, keep in ((t.golds, self._gold), (t.drafts, self._draft), (t.row_scores, self._score)):
            found = [row for row in self._all(table) if row.row_id in self._placed]
            if table is t.row_scores:
                found = [row for row in found if row.model not in strangers]
            for start in range(0, len(found), SLICE):
                with self._database.write() as connection:
                    for row in found[start : start + SLICE]:
                        keep(connection, row, self._placed[row.row_id])
                yield len(found[start : start + SLICE])

    def _all(self, table: Table) -> Sequence[Row[Any]]:
        mine = select(table).join(t.rows, t.rows.c.id == table.c.row_id).where(t.rows.c.dataset_id == self._theirs.id)
        return self._there.execute(mine.order_by(*table.primary_key.columns)).all()

    def _gold(self, connection: Connection, row: Row[Any], place: Placed) -> None:
        values = {
            "row_id": place.row, "ranking": place.tiers(row.ranking), "author": self._person(row.author),
            "created": row.created,
        }  # fmt: skip
        mine = connection.execute(select(t.golds).where(_G.row_id == place.row)).one_or_none()
        if mine is None:
            connection.execute(insert(t.golds).values(values))
            self.golds += 1
        elif _says(values["ranking"]) != _says(mine.ranking):
            newer = _age(row.created, values["ranking"]) > _age(mine.created, mine.ranking)
            self.notes.append(
                f"{self._ours.name}: an item has two known answers; {'theirs' if newer else 'ours'} is newer and stays."
            )
            if newer:
                connection.execute(update(t.golds).where(_G.row_id == place.row).values(values))

    def _draft(self, connection: Connection, row: Row[Any], place: Placed) -> None:
        s, j, author = t.standings.c, t.judgements.c, self._person(row.annotator)
        said = select(j.id).join(t.standings, s.judgement_id == j.id)
        said = said.where(s.row_id == place.row, s.annotator == author, s.state == DONE, j.created >= row.updated)
        mine = (_D.row_id == place.row) & (_D.annotator == author)
        kept = connection.execute(select(_D.updated).where(mine)).scalar_one_or_none()
        if connection.execute(said.limit(1)).first() is not None or (kept is not None and kept >= row.updated):
            return
        values = {"body": _body(row.body, place), "updated": row.updated}
        if kept is None:
            connection.execute(insert(t.drafts).values(row_id=place.row, annotator=author, **values))
        else:
            connection.execute(update(t.drafts).where(mine).values(values))
        self.drafts += 1

    def _score(self, connection: Connection, row: Row[Any], place: Placed) -> None:
        mine = (_R.row_id == place.row) & (_R.model == row.model)
        kept = connection.execute(select(_R.created).where(mine)).scalar_one_or_none()
        if len(row.scores) != len(place.order) or (kept is not None and kept >= row.created):
            return
        scores = [score for _, score in sorted(zip(place.order, row.scores, strict=True))]
        values = {"scores": scores, "spread": row.spread, "run": None, "created": row.created}
        if kept is None:
            connection.execute(insert(t.row_scores).values(row_id=place.row, model=row.model, **values))
        else:
            connection.execute(update(t.row_scores).where(mine).values(values))
        self.scores += 1

    def _other_models(self) -> frozenset[str]:
        """Names that mean one model there and another one here."""
        m = t.models.c
        with self._database.read() as connection:
            here, there = (_models(c.execute(select(m.name, m.created)).all()) for c in (connection, self._there))
        strangers = frozenset(name for name in here.keys() & there.keys() if not here[name] & there[name])
        scored = select(_R.model).join(t.rows, t.rows.c.id == _R.row_id).where(t.rows.c.dataset_id == self._theirs.id)
        for name in sorted(strangers & set(self._there.execute(scored.distinct()).scalars())):
            self.notes.append(f"{self._ours.name}: {name} is another model there, so its scores stay behind.")
        return strangers


def _models(rows: Sequence[Any]) -> dict[str, set[datetime]]:
    """When the models of each name were made; on a server, each folder may have one of a name."""
    found: dict[str, set[datetime]] = {}
    for name, created in rows:
        found.setdefault(name, set()).add(created)
    return found


def _body(theirs: Mapping[str, Any], place: Placed) -> dict[str, Any]:
    """A draft in the candidates here."""
    body = dict(theirs)
    if "tiers" in body:
        body["tiers"] = place.tiers(body["tiers"])
    if "aspects" in body:
        body["aspects"] = {name: place.tiers(tiers) for name, tiers in body["aspects"].items()}
    if "spans" in body:
        body["spans"] = [{**span, "candidate": place.order[span["candidate"]]} for span in body["spans"]]
    if "repairs" in body:
        body["repairs"] = place.order[body["repairs"]]
    return body


def _says(ranking: list[list[int]]) -> list[list[int]]:
    return [sorted(tier) for tier in ranking]


def _age(created: datetime, ranking: list[list[int]]) -> tuple[datetime, list[list[int]]]:
    return created, _says(ranking)
