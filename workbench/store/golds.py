"""Items with a known answer, which queues mix in to see how reliable annotators are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from workbench.domain.errors import BadInput, NotFound
from workbench.domain.judgement import Ranking
from workbench.store import schema as t
from workbench.store.answers import DONE, KEYS_AT_ONCE
from workbench.store.database import Database
from workbench.store.labels import preferences, row_of
from workbench.store.queue_counts import places_of, queues_of, reopen

_G = t.golds.c
SNIPPET = 200


class KnownAnswer(NamedTuple):
    """An item's known answer, who gave it, the beginnings of its texts, and whether an annotator has judged it."""

    item: str
    prompt: str
    responses: tuple[str, ...]
    ranking: Ranking
    author: str
    created: datetime
    judged: bool


class Golds:
    """The known answers of a dataset's items. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, dataset: str, item: str, ranking: Ranking, author: str) -> Ranking | None:
        """Say what an item's answer is; returns what was said before. NotFound, BadInput when it ranks other candidates."""
        with self._database.write() as connection:
            row, size = row_of(connection, preferences(connection, dataset), item)
            if ranking.size != size:
                raise BadInput(
                    f"The answer ranks {ranking.size} candidates, but {item} has {size}.",
                    "Name every candidate once, best first, such as 0>1 or 2>0=1.",
                )
            before = _forget(connection, row)
            tiers = [list(tier) for tier in ranking.tiers]
            values = {"row_id": row, "ranking": tiers, "author": author, "created": datetime.now(UTC)}
            connection.execute(insert(t.golds).values(values))
            return before

    def clear(self, dataset: str, item: str) -> Ranking:
        """Forget an item's answer and return it; NotFound when it has none. Queues that passed over it ask it in their order again."""
        with self._database.write() as connection:
            record = preferences(connection, dataset)
            row, _ = row_of(connection, record, item)
            before = _forget(connection, row)
            if before is None:
                raise NotFound(f"{item} has no known answer.", "See `workbench label gold WORKSPACE DATASET`.")
            for queue in queues_of(connection, record.id):
                for place in places_of(connection, queue, [row]).values():
                    reopen(connection, queue.id, place)
            return before

    def all(self, dataset: str) -> dict[str, Ranking]:
        """The known answers, by item, in the dataset's order."""
        with self._database.read() as connection:
            joined = select(t.rows.c.item, _G.ranking).join(t.rows, t.rows.c.id == _G.row_id)
            here = t.rows.c.dataset_id == preferences(connection, dataset).id
            found = connection.execute(joined.where(here).order_by(t.rows.c.position))
            return {item: Ranking(tiers=tiers) for item, tiers in found}

    def known(self, dataset: str, annotator: str) -> list[KnownAnswer]:
        """The known answers with the beginnings of their texts, in the dataset's order; `judged` is said of this annotator."""
        r, p, s = t.rows.c, t.prompts.c, t.standings.c
        with self._database.read() as connection:
            mine = (s.row_id == r.id) & (s.annotator == annotator) & (s.state == DONE) & s.counts
            judged = select(s.row_id).where(mine).exists().label("judged")
            begin = func.substr(p.text, 1, SNIPPET).label("prompt")
            joined = t.golds.join(t.rows, r.id == _G.row_id).join(t.prompts, p.id == r.prompt_id)
            here = r.dataset_id == preferences(connection, dataset).id
            wanted = select(r.id, r.item, begin, _G.ranking, _G.author, _G.created, judged).select_from(joined)
            found = connection.execute(wanted.where(here).order_by(r.position)).all()
            texts = _beginnings(connection, [row.id for row in found])
            return [_known(row, texts[row.id]) for row in found]


def _forget(connection: Connection, row: int) -> Ranking | None:
    """Take a row's answer away, and return it."""
    kept = connection.execute(select(_G.ranking).where(_G.row_id == row)).scalar_one_or_none()
    connection.execute(delete(t.golds).where(_G.row_id == row))
    return None if kept is None else Ranking(tiers=kept)


def _beginnings(connection: Connection, rows: Sequence[int]) -> dict[int, list[str]]:
    c = t.candidates.c
    found: dict[int, list[str]] = {}
    for start in range(0, len(rows), KEYS_AT_ONCE):
        wanted = select(c.row_id, func.substr(c.text, 1, SNIPPET)).where(
            c.row_id.in_(rows[start : start + KEYS_AT_ONCE])
        )
        for row, words in connection.execute(wanted.order_by(c.row_id, c.place)):
            found.setdefault(row, []).append(words)
    return found


def _known(row: Any, responses: Sequence[str]) -> KnownAnswer:
    answer = Ranking(tiers=row.ranking)
    return KnownAnswer(row.item, row.prompt, tuple(responses), answer, row.author, row.created, bool(row.judged))
