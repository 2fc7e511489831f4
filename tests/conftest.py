"""Fixtures of all rooms."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.postgres import TEMPLATE, PrivateServer, programs_or_skip
from tests.schema import Replay
from tests.warm import Warm
from workbench.store.server import new_address, write_address
from workbench.store.store import open_store


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real material (data, models) that lies beside the checkout, or where WORKBENCH_SHARED says."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("WORKBENCH_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"the real material is not there: {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_worker_outlives_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers outlive their application by design; those that a test started end with the session at the latest."""
    yield
    base = str(tmp_path_factory.getbasetemp())
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "worker" in words and any(word.startswith(base) for word in words):
            process.kill()


@pytest.fixture(scope="session", autouse=True)
def new_workspaces_at_once() -> Iterator[None]:
    """Most tests begin with a new workspace: Alembic makes the first one, the others are copies of its schema (tests/schema.py)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.store.upgrade.migrate", Replay())
        yield


@pytest.fixture(scope="session")
def warm_python() -> Iterator[str]:
    """An interpreter that has imported torch and transformers already. On Linux only: elsewhere threads may not outlive a fork."""
    if sys.platform != "linux":
        yield sys.executable
        return
    warm = Warm()
    yield str(warm.python)
    warm.close()


@pytest.fixture
def warm(warm_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers, decoders, servers and commands that the test starts begin with everything imported (tests/warm.py)."""
    monkeypatch.setattr(sys, "executable", warm_python)


@pytest.fixture(scope="module")
def all_warm(warm_python: str) -> Iterator[None]:
    """The same for a whole module and its fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", warm_python)
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    """A PostgreSQL server for this session, with a database that has the store's tables."""
    opened = PrivateServer(programs_or_skip())
    opened.sql(f"CREATE DATABASE {TEMPLATE}")
    first = tmp_path_factory.mktemp("template")
    write_address(first, new_address(opened.url(TEMPLATE)))
    open_store(first).close()
    yield opened
    opened.close()


@pytest.fixture
def server_url(server: PrivateServer) -> str:
    """The address of a database on that server with the store's tables, all empty."""
    return server.emptied()


@pytest.fixture
def join(server_url: str) -> Callable[[Path], Path]:
    """Makes a folder that shares this test's database with every other folder that it makes."""

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True)
        write_address(folder, new_address(server_url))
        return folder

    return make
