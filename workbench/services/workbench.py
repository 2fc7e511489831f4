"""`Workbench` opens a workspace and holds the services; `new_workspace` makes one; the last one is remembered."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
from pathlib import Path

from workbench.domain.errors import BadInput, Conflict, NotFound, StorageFailed, WorkbenchError
from workbench.services.aftercare import AftercareService
from workbench.services.column_numbers import ColumnNumbersService
from workbench.services.datasets import DatasetsService
from workbench.services.drafts import DraftService
from workbench.services.guidelines import GuidelinesService
from workbench.services.hardware import HardwareService
from workbench.services.labelling import LabellingService
from workbench.services.lane import Lane
from workbench.services.merging import MergeService
from workbench.services.model_export import ModelExportService
from workbench.services.models import ModelsService
from workbench.services.playground import PlaygroundService
from workbench.services.profiles import ProfileService
from workbench.services.queues import QueueService
from workbench.services.repairs import RepairService
from workbench.services.rounds import RoundsService
from workbench.services.runs import RunsService
from workbench.services.serving import ServingService
from workbench.services.settings import SettingsService
from workbench.services.starter import fill_with_starter, kit_folder
from workbench.services.statistics import StatisticsService
from workbench.services.studies import StudiesService
from workbench.services.training import TrainingService
from workbench.services.workspace import Workspace
from workbench.store.server import ServerAddress, new_address, read_address, write_address
from workbench.store.store import is_workspace as is_workspace
from workbench.store.store import open_store


class Workbench:
    """An open workspace with everything the app can do in it. Close it, or use it in a `with` statement."""

    def __init__(self, workspace: Workspace) -> None:
        self._closed = False
        self.workspace = workspace
        self.path = workspace.path
        self.server = workspace.store.server  # "" where the database is a file
        self.settings = SettingsService(workspace)
        self.models = ModelsService(workspace)
        self.datasets = DatasetsService(workspace)
        self.guidelines = GuidelinesService(workspace, self.settings)
        self.drafts = DraftService(workspace, self.settings)
        self.profiles = ProfileService(workspace, self.settings)
        self.merging = MergeService(workspace, self.settings)
        self.repairs = RepairService(workspace, self.settings)
        self.labelling = LabellingService(workspace, self.settings)
        self.queues = QueueService(workspace, self.settings)
        self.statistics = StatisticsService(workspace)
        self.playground = PlaygroundService(workspace, self.models, self.settings, self.labelling)
        self.rounds = RoundsService(workspace)
        self.exports = ModelExportService(workspace, self.models, self.playground)
        self.column_numbers = ColumnNumbersService(workspace, self.playground)
        self.serving = ServingService(workspace, self.models, self.settings)
        self.hardware = HardwareService(workspace)
        self.runs = RunsService(workspace, self.models, self.settings)
        self.training = TrainingService(workspace, self.datasets, self.models, self.runs)
        self.studies = StudiesService(workspace)
        self.aftercare = AftercareService(workspace, self.training)

    @classmethod
    def open(cls, path: Path, create: bool = False, password: str = "") -> Workbench:
        """Open a workspace; NotFound when there is none here and `create` is False.

        A password is for the server that the workspace is on; it is kept in memory only.
        """
        path = Path(path).expanduser().absolute()
        if not is_workspace(path) and not create:
            raise NotFound(f"There is no workspace in {path}.", f"Make one with: workbench new {path}")
        lane = Lane()
        try:
            store = lane.do(open_store, path, password)
        except BaseException:
            lane.close()
            raise
        bench = cls(Workspace(path, store, lane))
        try:
            bench.models.find_bases_again()
        except BaseException:
            bench.close()
            raise
        bench.runs.begin()
        return bench

    def close(self) -> None:
        """Close every service that has something to close, newest first, then the store; once is enough, twice no error."""
        if self._closed:
            return
        self._closed = True
        for service in reversed(list(vars(self).values())):
            if service not in (self.workspace, self.queues) and callable(getattr(service, "close", None)):
                service.close()
        self.workspace.lane.close(self.workspace.store.close)

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def new_workspace(path: Path, starter: bool = False, server: str = "") -> Path:
    """Make a workspace in a new or empty folder, with the starter kit if asked; returns its absolute path.

    With the address of a PostgreSQL server, datasets and labels are there, shared with every folder made with the same address;
    this folder signs with the name of the account until somebody chooses another.
    """
    return _make(Path(path).expanduser().absolute(), starter, new_address(server) if server else None)


def join_server(path: Path, server: str, password: str = "") -> tuple[Path, str]:
    """A folder over the workspace on a server: made, or looked at if it is there already; returns its absolute path and the password.

    The password is used to look, and isn't written down, also when it stands in the address.
    """
    path = Path(path).expanduser().absolute()
    address, inside = new_address(server).parted()
    password = password or inside
    if not is_workspace(path):
        return _make(path, False, address, password), password
    known = read_address(path)
    if known is None or not known.same(address):
        raise Conflict(f"{path} is another workspace.", "Choose a new folder, or open that one as it is.")
    open_store(path, password).close()
    return path, password


def _make(path: Path, starter: bool, address: ServerAddress | None, password: str = "") -> Path:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise Conflict(f"{path} exists and isn't an empty folder.", "Choose another place for the workspace.")
    if starter:
        kit_folder()  # a kit that is missing must not leave half a workspace
    present = path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        written = None if address is None else write_address(path, address)
    except OSError as error:
        raise StorageFailed(
            f"{path} can't be made: {error.strerror}.", "Check the place and its permissions.", str(error)
        ) from error
    try:
        with Workbench.open(path, create=True, password=password) as bench:
            _furnish(bench, starter)
    except WorkbenchError:
        if written is not None and set(path.iterdir()) == {written}:  # the server let nobody in: nothing is left of it
            written.unlink()
            if not present:
                path.rmdir()
        raise
    return path


def _furnish(bench: Workbench, starter: bool) -> None:
    for folder in (bench.workspace.runs, bench.workspace.snapshots, bench.workspace.models):
        folder.mkdir(exist_ok=True)
    if bench.workspace.store.server:
        with contextlib.suppress(OSError, KeyError, BadInput):  # no name of an account that could sign
            bench.settings.change(annotator=getpass.getuser())
    if starter:
        fill_with_starter(bench.workspace, bench.models, bench.datasets)


def server_of(path: Path) -> ServerAddress | None:
    """The server that a workspace shares; None when its database is a file."""
    return read_address(path)


def last_workspace() -> Path | None:
    """The workspace that was open last, if it is still there."""
    try:
        path = Path(json.loads(_memory().read_text(encoding="utf-8"))["workspace"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if is_workspace(path) else None


def remember_workspace(path: Path) -> None:
    """Remember which workspace to open next time; a config folder that can't be written is no reason to fail."""
    memory = _memory()
    beside = memory.with_name(f".{memory.name}.{os.getpid()}.tmp")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps({"workspace": str(Path(path).absolute())}) + "\n", encoding="utf-8")
        beside.replace(memory)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()


def _memory() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "rlhf-workbench" / "state.json"
