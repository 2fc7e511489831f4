"""A server that is restarted or killed: what was confirmed is there, nothing is half-written, and work goes on afterwards."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.postgres import PrivateServer
from workbench.domain.errors import StorageFailed
from workbench.domain.judgement import Item, Judgement
from workbench.store.filling import NewRow
from workbench.store.store import Store

LABELLER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from workbench.domain.errors import StorageFailed
from workbench.domain.judgement import Judgement, Ranking
from workbench.store.store import open_store
store = open_store(Path(sys.argv[1]))
who = sys.argv[2]
try:
    for n in range(100_000):
        said = Judgement(
            id=f"{who}-{n}", item=f"i{n % 10}", annotator=who, outcome="ranked", ranking=Ranking(tiers=((0,), (1,))),
            shown=(0, 1), shown_seed=1, milliseconds=1, created=datetime.now(UTC))
        store.labels.add(said, "pairs")
        print(said.id, flush=True)
except StorageFailed as error:
    print(error.what, file=sys.stderr)
"""


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.fixture
def mortal(server: PrivateServer) -> Iterator[PrivateServer]:
    """The session's server; it runs again when the test is over."""
    yield server
    if not (server.data / "postmaster.pid").exists():
        server.start()


def test_that_a_restart_between_two_calls_is_not_felt(
    ten: Store, mortal: PrivateServer, judge: Callable[..., Judgement]
) -> None:
    ten.labels.add(judge("i0", "before"), "pairs")
    mortal.stop("fast")
    mortal.start()
    ten.labels.add(judge("i1", "after"), "pairs")
    mortal.stop("immediate")
    mortal.start()
    assert [j.id for j in ten.labels.current("pairs")] == ["before", "after"]


def test_that_a_server_that_stops_is_told_and_heals(
    ten: Store, mortal: PrivateServer, judge: Callable[..., Judgement]
) -> None:
    mortal.stop("fast")
    for _ in range(2):
        with pytest.raises(StorageFailed, match="doesn't answer") as caught:
            ten.labels.add(judge("i0", "while away"), "pairs")
    assert caught.value.hint
    mortal.start()
    ten.labels.add(judge("i0", "again"), "pairs")
    assert [j.id for j in ten.labels.all("pairs")] == ["again"]


def test_that_a_server_killed_within_a_change_has_kept_nothing_of_it(
    ten: Store, mortal: PrivateServer, item: Callable[..., Item], judge: Callable[..., Judgement]
) -> None:
    ten.labels.add(judge("i0", "confirmed"), "pairs")
    with pytest.raises(StorageFailed, match=r"was lost.*Nothing was changed"), ten._database.write() as connection:
        connection.execute(text("DELETE FROM standings"))
        connection.execute(text("UPDATE datasets SET judged = 99, rows = 99"))
        mortal.stop("immediate")
        connection.execute(text("DELETE FROM rows"))
    mortal.start()
    assert [j.id for j in ten.labels.current("pairs")] == ["confirmed"]
    assert (ten.datasets.get("pairs").judged, ten.datasets.get("pairs").rows) == (1, 10)
    ten.datasets.append("pairs", [NewRow((item("later"), []))])
    assert ten.datasets.count("pairs") == 11


def test_that_a_connection_lost_in_the_moment_of_saving_leaves_a_doubt_that_is_said(
    ten: Store, mortal: PrivateServer
) -> None:
    with pytest.raises(StorageFailed, match="isn't known whether"), ten._database.write() as connection:
        connection.execute(text("UPDATE datasets SET rows = 99"))
        mortal.stop("immediate")
    mortal.start()
    assert ten.datasets.count("pairs") == 10


def test_that_every_label_confirmed_before_the_server_was_killed_is_there(
    ten: Store, workspace: Path, mortal: PrivateServer, judge: Callable[..., Judgement]
) -> None:
    who = ["anna", "ben", "eve"]
    ran = [
        subprocess.Popen(
            [sys.executable, "-c", LABELLER, str(workspace), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in who
    ]
    confirmed: list[str] = []
    told: list[str] = []

    def listen(process: subprocess.Popen[str]) -> None:
        out, err = process.communicate()
        confirmed.extend(out.split())
        told.append(err)

    listeners = [threading.Thread(target=listen, args=(process,)) for process in ran]
    for listener in listeners:
        listener.start()
    deadline = time.monotonic() + 60
    while min(ten.labels.progress("pairs", name).judged for name in who) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    mortal.stop("immediate")
    for listener in listeners:
        listener.join()
    mortal.start()
    kept = [j.id for j in ten.labels.all("pairs")]
    assert len(confirmed) >= 15
    assert set(confirmed) <= set(kept)
    assert len(kept) == len(set(kept)) <= len(confirmed) + len(who)  # one of each may have been saved and not confirmed
    assert all("lost" in error or "doesn't answer" in error or "starting or stopping" in error for error in told)
    for name in who:
        mine = [j.id for j in ten.labels.all("pairs") if j.annotator == name]
        assert mine == [f"{name}-{n}" for n in range(len(mine))]
        for said in reversed(mine):
            assert ten.labels.undo("pairs", name).id == said
    assert ten.datasets.get("pairs").judged == 0
