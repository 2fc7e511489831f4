"""Items with a known answer, which queues mix in to see how reliable annotators are."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, insert, select

from workbench.domain.errors import BadInput, NotFound
from workbench.domain.judgement import Ranking
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.labels import preferences, row_of
from workbench.store.queue_counts import places_of, queues_of, reopen

_G = t.golds.c


class Golds:
    """The known answers of a dataset's items. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, dataset: str, item: str, ranking: Ranking, author: str) -> None:
        """Say what an item's answer is, in place of what was said before; NotFound, BadInput when it ranks other candidates."""
        with self._database.write() as connection:
            row, size = row_of(connection, preferences(connection, dataset), item)
            if ranking.size != size:
                raise BadInput(
                    f"The answer ranks {ranking.size} candidates, but {item} has {size}.",
                    "Name every candidate once, best first, such as 0>1 or 2>0=1.",
                )
            connection.execute(delete(t.golds).where(_G.row_id == row))
            tiers = [list(tier) for tier in ranking.tiers]
            values = {"row_id": row, "ranking": tiers, "author": author, "created": datetime.now(UTC)}
            connection.execute(insert(t.golds).values(values))

    def clear(self, dataset: str, item: str) -> None:
        """Forget an item's answer; NotFound when it has none. Queues that passed over it ask it in their order again."""
        with self._database.write() as connection:
            record = preferences(connection, dataset)
            row, _ = row_of(connection, record, item)
            if connection.execute(delete(t.golds).where(_G.row_id == row)).rowcount == 0:
                raise NotFound(f"{item} has no known answer.", "See `workbench label gold WORKSPACE DATASET`.")
            for queue in queues_of(connection, record.id):
                for place in places_of(connection, queue, [row]).values():
                    reopen(connection, queue.id, place)

    def all(self, dataset: str) -> dict[str, Ranking]:
        """The known answers, by item, in the dataset's order."""
        with self._database.read() as connection:
            joined = select(t.rows.c.item, _G.ranking).join(t.rows, t.rows.c.id == _G.row_id)
            here = t.rows.c.dataset_id == preferences(connection, dataset).id
            found = connection.execute(joined.where(here).order_by(t.rows.c.position))
            return {item: Ranking(tiers=tiers) for item, tiers in found}
