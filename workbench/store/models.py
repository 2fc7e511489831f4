"""Models and their parents."""

from __future__ import annotations

import builtins
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from workbench.domain.errors import Conflict, NotFound
from workbench.domain.runs import ModelRef
from workbench.store import schema as t
from workbench.store.database import Database


class Models:
    """The models of a workspace. Folders inside it are kept relative, so that the workspace can be moved.

    On a server each folder has models of its own (`home`).
    """

    def __init__(self, database: Database, workspace: Path, home: str = "") -> None:
        self._database = database
        self._workspace = workspace
        self._home = home

    def add(self, model: ModelRef) -> None:
        """Register a model; Conflict when the name is taken."""
        fields = model.model_dump(exclude={"parents", "path"})
        with self._database.write() as connection:
            if connection.execute(select(t.models.c.id).where(self._called(model.name))).first():
                raise _taken(model.name)
            values = {"path": self._kept(model.path), "home": self._home, **fields}
            number = connection.execute(insert(t.models).values(values).returning(t.models.c.id)).scalar_one()
            for place, parent in enumerate(model.parents):
                row = {"model_id": number, "place": place, "parent": parent}
                connection.execute(insert(t.parents).values(row))

    def list(self) -> builtins.list[ModelRef]:
        """Every model, oldest first."""
        with self._database.read() as connection:
            found = connection.execute(select(t.models).where(self._mine).order_by(t.models.c.id)).all()
            return [self._ref(connection, row) for row in found]

    def get(self, name: str) -> ModelRef:
        """One model by name; NotFound."""
        with self._database.read() as connection:
            row = connection.execute(select(t.models).where(self._called(name))).one_or_none()
            if row is None:
                raise _missing(name)
            return self._ref(connection, row)

    def rename(self, name: str, new: str) -> None:
        """Give a model another name; its children's parents follow."""
        with self._database.write() as connection:
            if new != name and connection.execute(select(t.models.c.id).where(self._called(new))).first():
                raise _taken(new)
            if not connection.execute(update(t.models).where(self._called(name)).values(name=new)).rowcount:
                raise _missing(name)
            mine = t.parents.c.model_id.in_(select(t.models.c.id).where(self._mine))
            connection.execute(update(t.parents).where(t.parents.c.parent == name, mine).values(parent=new))
            made = (t.runs.c.model == name) & (t.runs.c.home == self._home)
            connection.execute(update(t.runs).where(made).values(model=new))

    def remove(self, name: str) -> None:
        """Forget a model; its files stay. Children keep its name as their parent."""
        with self._database.write() as connection:
            if not connection.execute(delete(t.models).where(self._called(name))).rowcount:
                raise _missing(name)

    @property
    def _mine(self) -> ColumnElement[bool]:
        return t.models.c.home == self._home

    def _called(self, name: str) -> ColumnElement[bool]:
        return self._mine & (t.models.c.name == name)

    def _ref(self, connection: Connection, row: Row[tuple[object, ...]]) -> ModelRef:
        lineage = select(t.parents.c.parent).where(t.parents.c.model_id == row.id).order_by(t.parents.c.place)
        fields = {k: v for k, v in row._mapping.items() if k not in {"id", "home", "path"}}
        return ModelRef(
            path=str(self._workspace / row.path), parents=tuple(connection.execute(lineage).scalars()), **fields
        )

    def _kept(self, path: str) -> str:
        place = Path(path)
        for inside, here in ((place, self._workspace), (place.resolve(), self._workspace.resolve())):
            if ".." not in inside.parts and inside.is_relative_to(here):
                return str(inside.relative_to(here))
        return path


def _missing(name: str) -> NotFound:
    return NotFound(f"There is no model called {name!r}.", "See the Models page or `workbench models list`.")


def _taken(name: str) -> Conflict:
    return Conflict(f"There is already a model called {name!r}.", "Choose another name.")
