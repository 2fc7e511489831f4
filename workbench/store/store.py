"""`open_store`: a workspace's database, ready, with one repository for each kind of thing."""

from __future__ import annotations

from pathlib import Path

from workbench.domain.errors import StorageFailed
from workbench.store.database import Database, explained
from workbench.store.datasets import Datasets
from workbench.store.drafts import Drafts
from workbench.store.golds import Golds
from workbench.store.guidelines import GuidelineVersions
from workbench.store.labels import Labels
from workbench.store.merging import Merging
from workbench.store.models import Models
from workbench.store.profiles import Profiles
from workbench.store.queues import Queues
from workbench.store.repairs import Repairs
from workbench.store.runs import Runs
from workbench.store.scores import Scores
from workbench.store.server import SERVER, ServerAddress, read_address
from workbench.store.small import Leases, SettingValues, Snapshots
from workbench.store.sqlite import DATABASE as DATABASE
from workbench.store.statistics import Statistics
from workbench.store.upgrade import backup, bring_up_to_date


class Store:
    """The repositories over one database; each method of theirs is one short transaction. Use it on one lane.

    Where several folders share a server, `server` says which, and this folder's runs, models and settings are kept by its
    name among them (`home`).
    """

    def __init__(self, database: Database, workspace: Path, address: ServerAddress | None = None) -> None:
        self._database = database
        self._workspace = workspace
        self.server = "" if address is None else str(address)
        home = "" if address is None else address.home
        self.leases = Leases(database)
        self.datasets = Datasets(database, self.leases)
        self.labels = Labels(database)
        self.scores = Scores(database)
        self.guidelines = GuidelineVersions(database)
        self.drafts = Drafts(database)
        self.profiles = Profiles(database)
        self.repairs = Repairs(database)
        self.queues = Queues(database)
        self.statistics = Statistics(database)
        self.merging = Merging(database, workspace)
        self.golds = Golds(database)
        self.snapshots = Snapshots(database)
        self.runs = Runs(database, workspace, self.leases, home)
        self.models = Models(database, workspace, home)
        self.settings = SettingValues(database, home)

    def backup(self, label: str = "by-hand") -> Path:
        """Copy the database into the workspace's backups folder; returns the copy. A server makes its own: BadInput."""
        return backup(self._database, self._workspace / "backups", label)

    def check(self) -> list[str]:
        """What the database's own quick check finds wrong; empty when it is sound."""
        with self._database.read() as connection:
            return self._database.dialect.trouble(connection)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def is_workspace(folder: Path) -> bool:
    """Whether a folder holds a workspace: its database, or the address of the server that has it."""
    return (folder / DATABASE).exists() or (folder / SERVER).exists()


def open_store(workspace: Path, password: str = "", *, settle: bool = True) -> Store:
    """Open (or make) the workspace's database; migrates an older one after a backup, refuses a newer one.

    A password is for the server that the workspace is on; it is kept in memory only. Without `settle`, a merge that isn't complete
    stays so.
    """
    workspace = workspace.absolute()
    with explained():
        workspace.mkdir(parents=True, exist_ok=True)
    address = read_address(workspace)
    database = _file(workspace / DATABASE) if address is None else _server(address, password)
    try:
        bring_up_to_date(database, workspace / "backups")
        store = Store(database, workspace, address)
        store.datasets.sweep()
        if settle:
            store.merging.settle_if_possible()
    except BaseException:
        database.close()
        raise
    return store


def _file(path: Path) -> Database:
    if path.is_dir():
        raise StorageFailed(f"{path} is a folder, not a database.", "Choose another workspace or remove that folder.")
    return Database(path)


def _server(address: ServerAddress, password: str) -> Database:
    from workbench.store.postgres import PostgresServer

    url = address.url.set(password=password) if password else address.url
    return Database(PostgresServer(url, address.schema))
