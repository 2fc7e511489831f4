"""Profiles: the people who judge in this workspace, and whose names they can't take."""

from __future__ import annotations

import builtins
from typing import NamedTuple

from sqlalchemy import func, insert, select

from workbench.domain.errors import Conflict
from workbench.domain.profiles import Profile
from workbench.store import schema as t
from workbench.store.database import Database


class ProfileRecord(NamedTuple):
    """A profile, and how many items this person has judged in all datasets."""

    profile: Profile
    judged: int


class Profiles:
    """The workspace's profiles. Each method is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, profile: Profile) -> None:
        """Keep a new profile; Conflict when there is one of this name."""
        with self._database.write() as connection:
            p = t.profiles.c
            if connection.execute(select(p.name).where(p.name == profile.name)).first() is not None:
                raise Conflict(f"There is already a profile called {profile.name!r}.", "Choose it, or another name.")
            connection.execute(insert(t.profiles).values(profile.model_dump()))

    def list(self) -> builtins.list[ProfileRecord]:
        """Every profile, oldest first."""
        p, tally = t.profiles.c, t.tallies.c
        judged = (
            select(func.coalesce(func.sum(tally.judged), 0))
            .where(tally.annotator == p.name, tally.annotator_kind == "person")
            .scalar_subquery()
        )
        with self._database.read() as connection:
            found = connection.execute(select(t.profiles, judged.label("judged")).order_by(p.created, p.name))
            return [
                ProfileRecord(Profile(name=r.name, colour=r.colour, created=r.created), int(r.judged)) for r in found
            ]

    def judged(self, name: str) -> int:
        """How many items a person has judged, with a profile or without."""
        tally = t.tallies.c
        theirs = (tally.annotator == name) & (tally.annotator_kind == "person")
        with self._database.read() as connection:
            total = connection.execute(select(func.coalesce(func.sum(tally.judged), 0)).where(theirs)).scalar_one()
            return int(total)

    def signed_by_judge(self, name: str) -> bool:
        """Whether a model or a rule has signed judgements with this name anywhere in the workspace."""
        tally = t.tallies.c
        theirs = (tally.annotator == name) & (tally.annotator_kind != "person")
        with self._database.read() as connection:
            return connection.execute(select(tally.annotator).where(theirs).limit(1)).first() is not None
