"""The small tables: settings, snapshots and leases."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, update

from workbench.domain.rows import SnapshotKind
from workbench.store import schema as t
from workbench.store.database import Database
from workbench.store.dialect import upsert


class SettingValues:
    """Settings that differ from their defaults, by name; on a server each folder has its own (`home`)."""

    def __init__(self, database: Database, home: str = "") -> None:
        self._database = database
        self._home = home

    def get(self) -> dict[str, Any]:
        """Every stored value."""
        mine = select(t.settings).where(t.settings.c.home == self._home)
        with self._database.read() as connection:
            return {r.key: r.value for r in connection.execute(mine)}

    def set(self, **values: Any) -> None:
        """Store some values; others stay."""
        with self._database.write() as connection:
            for key, value in values.items():
                statement = upsert(connection, t.settings).values(home=self._home, key=key, value=value)
                change = {"value": statement.excluded.value}
                connection.execute(statement.on_conflict_do_update(index_elements=["home", "key"], set_=change))


class SnapshotRecord(NamedTuple):
    """Frozen rows of a dataset: the file's name is its hash."""

    sha: str
    dataset: str
    kind: SnapshotKind
    rows: int
    created: datetime


class Snapshots:
    """Which snapshots exist and what they were made from."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, sha: str, dataset: str, kind: SnapshotKind, rows: int) -> None:
        """Remember a snapshot; the same one twice is one."""
        with self._database.write() as connection:
            connection.execute(
                upsert(connection, t.snapshots)
                .values(sha=sha, dataset=dataset, kind=kind, rows=rows, created=datetime.now(UTC))
                .on_conflict_do_nothing()
            )

    def list(self) -> builtins.list[SnapshotRecord]:
        """Every snapshot, newest first."""
        with self._database.read() as connection:
            found = connection.execute(select(t.snapshots).order_by(t.snapshots.c.created.desc()))
            return [SnapshotRecord(r.sha, r.dataset, r.kind, r.rows, r.created) for r in found]


class Leases:
    """Who does what now, so that two processes don't both do it; a lease expires when its owner dies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew a lease; False while another owner holds it."""
        now = datetime.now(UTC)
        with self._database.write() as connection:
            held = connection.execute(select(t.leases).where(t.leases.c.name == name)).one_or_none()
            until = now + timedelta(seconds=seconds)
            if held is None:
                connection.execute(insert(t.leases).values(name=name, owner=owner, expires=until))
            elif held.owner == owner or held.expires < now:
                connection.execute(update(t.leases).where(t.leases.c.name == name).values(owner=owner, expires=until))
            else:
                return False
        return True

    def release(self, name: str, owner: str) -> None:
        """Give a lease back; nothing happens when another owner has it."""
        with self._database.write() as connection:
            connection.execute(delete(t.leases).where(t.leases.c.name == name, t.leases.c.owner == owner))

    def held(self, name: str) -> bool:
        """Whether anybody holds this lease now."""
        with self._database.read() as connection:
            held = connection.execute(select(t.leases.c.expires).where(t.leases.c.name == name)).scalar_one_or_none()
        return held is not None and held >= datetime.now(UTC)
