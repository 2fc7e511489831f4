"""Runs, models and settings belong to one folder of those that share a server; datasets and labels to all of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.postgres import PrivateServer
from workbench.domain.errors import Conflict, NotFound
from workbench.domain.events import Metrics
from workbench.domain.judgement import Item, Judgement
from workbench.domain.runs import JobState, ModelRef
from workbench.store.database import Database
from workbench.store.filling import NewRow
from workbench.store.postgres import PostgresServer
from workbench.store.schema import SCHEMA_VERSION
from workbench.store.server import new_address, write_address
from workbench.store.sqlite import SqliteFile
from workbench.store.store import DATABASE, Store, open_store
from workbench.store.upgrade import migrate

Two = tuple[Store, Store]


@pytest.fixture
def two(join: Callable[[Path], Path], tmp_path: Path) -> Iterator[Two]:
    """The stores of two folders on one server."""
    with ExitStack() as stack:
        made = [open_store(join(tmp_path / name)) for name in ("annas", "bens")]
        for store in made:
            stack.callback(store.close)
        yield made[0], made[1]


def model(name: str, folder: Path, **more: object) -> ModelRef:
    fields = {
        "name": name, "path": str(folder), "kind": "sft", "form": "full", "parameters": 7_000_000_000,
        "created": datetime.now(UTC),
    }  # fmt: skip
    return ModelRef.model_validate(fields | more)


def test_that_labels_of_one_folder_are_seen_in_the_other(
    two: Two, item: Callable[..., Item], judge: Callable[..., Judgement]
) -> None:
    anna, ben = two
    anna.datasets.create("pairs", "preferences")
    anna.datasets.append("pairs", [NewRow((item(f"i{n}"), [])) for n in range(3)])
    anna.labels.add(judge("i0", "one", "anna"), "pairs")
    ben.labels.add(judge("i0", "two", "ben"), "pairs")
    assert [j.id for j in ben.labels.current("pairs")] == [j.id for j in anna.labels.current("pairs")] == ["one", "two"]
    assert anna.labels.undo("pairs", "anna").id == "one"
    assert [j.id for j in ben.labels.current("pairs")] == ["two"]


def test_that_each_folder_has_its_own_settings(two: Two) -> None:
    anna, ben = two
    anna.settings.set(annotator="anna", theme="dark")
    ben.settings.set(annotator="ben")
    assert (anna.settings.get(), ben.settings.get()) == ({"annotator": "anna", "theme": "dark"}, {"annotator": "ben"})


def test_that_each_folder_has_its_own_models(two: Two, tmp_path: Path) -> None:
    anna, ben = two
    for store in two:
        store.models.add(model("base", tmp_path / "elsewhere"))
        store.models.add(model("child", tmp_path / "elsewhere", parents=("base",)))
    with pytest.raises(Conflict):
        ben.models.add(model("base", tmp_path))
    anna.models.rename("base", "annas")
    assert [m.parents for m in anna.models.list()] == [(), ("annas",)]
    assert [m.parents for m in ben.models.list()] == [(), ("base",)]
    anna.models.remove("child")
    assert [m.name for m in anna.models.list()] == ["annas"]
    assert [m.name for m in ben.models.list()] == ["base", "child"]
    with pytest.raises(NotFound):
        ben.models.get("annas")


def test_that_a_model_in_a_folder_is_found_there(two: Two, tmp_path: Path) -> None:
    two[1].models.add(model("mine", tmp_path / "bens" / "models" / "mine"))
    assert two[1].models.get("mine").path == str(tmp_path / "bens" / "models" / "mine")
    assert two[0].models.list() == []


def test_that_each_folder_has_its_own_runs_under_ids_of_their_own(two: Two) -> None:
    anna, ben = two
    runs = [store.runs.create("sft", {}) for store in (anna, ben, anna)]
    assert [r.id for r in runs] == ["sft-1", "sft-2", "sft-3"]
    assert [r.place for r in runs] == [0, 0, 1]
    assert [r.id for r in anna.runs.queue()] == ["sft-1", "sft-3"]
    assert [r.id for r in ben.runs.list()] == ["sft-2"]
    assert anna.runs.taken() == {"sft-1", "sft-2", "sft-3"}
    anna.runs.reorder("sft-3", 0)
    assert ben.runs.get("sft-2").place == 0
    for strange in (anna.runs.get, anna.runs.delete):
        with pytest.raises(NotFound):
            strange("sft-2")
    with pytest.raises(NotFound):
        anna.runs.move("sft-2", JobState.STARTING)
    with pytest.raises(NotFound):
        anna.runs.absorb("sft-2", [Metrics(seq=1, step=1, values={"loss": 1.0})])
    with pytest.raises(Conflict):
        anna.runs.create("sft", {}, run="sft-2")


def test_that_each_folder_supervises_its_own_queue(two: Two) -> None:
    anna, ben = two
    assert anna.runs.lease_acquire("a window", 60)
    assert ben.runs.lease_acquire("another window", 60)
    assert not anna.runs.lease_acquire("a third", 60)
    anna.runs.lease_release("a window")
    assert not ben.runs.lease_acquire("a third", 60)


def test_that_a_dead_import_is_swept_by_whoever_opens_next_and_a_living_one_by_nobody(two: Two, tmp_path: Path) -> None:
    anna, ben = two
    living = anna.datasets.begin("documents")
    anna.datasets.append(living, ["kept"])
    dead = ben.datasets.begin("documents")
    ben.datasets.append(dead, ["lost"])
    ben.leases.release(dead, ben.datasets._owner)
    open_store(tmp_path / "annas").close()
    with pytest.raises(NotFound):
        ben.datasets.publish(dead, "lost")
    assert anna.datasets.publish(living, "texts").rows == 1


def test_that_a_team_brings_the_labels_of_its_files_and_takes_them_away_again(
    two: Two, tmp_path: Path, item: Callable[..., Item], judge: Callable[..., Judgement]
) -> None:
    alone = open_store(tmp_path / "alone")
    alone.datasets.create("pairs", "preferences")
    alone.datasets.append("pairs", [NewRow((item(f"i{n}\x00"), [])) for n in range(3)])
    for n in range(3):
        alone.labels.add(judge(f"i{n}\x00", f"said {n}", "anna"), "pairs")
    alone.labels.undo("pairs", "anna")
    alone.close()
    for store in two:  # what one has brought is not brought again by the other
        store.merging.merge(tmp_path / "alone", {})
    assert [j.id for j in two[1].labels.current("pairs")] == ["said 0", "said 1"]
    taken = open_store(tmp_path / "taken")
    taken.merging.merge(tmp_path / "annas", {})
    assert [j.item for j in taken.labels.current("pairs")] == ["i0\x00", "i1\x00"]
    taken.close()


def before_homes(connection: Connection) -> None:
    """What a workspace of the schema before holds: models with parents, a run and settings."""
    columns = "id, name, path, kind, form, run, parameters, created, synthetic"
    for number, name in ((3, "base"), (5, "child")):
        connection.execute(
            text(
                f"INSERT INTO models ({columns}) VALUES ({number}, '{name}', '/m', 'sft', 'full', NULL, 1, 0.0, false)"
            )
        )
    connection.execute(text("INSERT INTO model_parents VALUES (5, 0, 'base'), (5, 1, 'gone')"))
    connection.execute(text("INSERT INTO settings VALUES ('theme', '\"dark\"')"))


def test_that_models_settings_and_parents_of_an_older_workspace_stay(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = tmp_path / "old"
    place.mkdir()
    dialect: SqliteFile | PostgresServer = SqliteFile(place / DATABASE)
    if kind == "postgresql":
        server: PrivateServer = request.getfixturevalue("server")
        address = new_address(server.url(server.fresh("template0")))
        write_address(place, address)
        dialect = PostgresServer(address.url, address.schema)
    database = Database(dialect)
    with database.write() as connection:
        migrate(dialect, connection, "0002")
        before_homes(connection)
    database.close()
    with ExitStack() as stack:
        store = open_store(place)
        stack.callback(store.close)
        with store._database.read() as connection:
            assert store._database.dialect.version(connection) == SCHEMA_VERSION
            old = {"home": ""}
            found = connection.execute(text("SELECT name FROM models WHERE home = :home ORDER BY id"), old)
            assert list(found.scalars()) == ["base", "child"]
            parents = connection.execute(text("SELECT model_id, place, parent FROM model_parents ORDER BY place"))
            assert [tuple(row) for row in parents] == [(5, 0, "base"), (5, 1, "gone")]
            assert connection.execute(text("SELECT key FROM settings WHERE home = :home"), old).scalar_one() == "theme"
        if kind == "sqlite":
            assert store.settings.get() == {"theme": "dark"}
            assert store.models.get("child").parents == ("base", "gone")
        store.models.add(model("base" if kind == "postgresql" else "new", tmp_path))
