"""Writers of one file: who has waited long is served next, whoever dies keeps nobody waiting, and nobody waits for ever."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from workbench.store import turns
from workbench.store.store import open_store
from workbench.store.turns import Turns

pytestmark = pytest.mark.skipif(not turns.NUMBERS, reason="this system has no locks of open files")


@pytest.fixture
def hungry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody who has to wait draws a number at once."""
    monkeypatch.setattr(turns, "HUNGRY", 0.0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "turns"


def drawn(place: Path) -> int:
    """The number that was drawn last."""
    return int.from_bytes(place.read_bytes()[:8], "little") if place.exists() else 0


def test_that_who_comes_alone_is_served_at_once_and_draws_no_number(tmp_path: Path) -> None:
    alone = Turns(tmp_path / "turns")
    assert alone.take(lambda: True, 1.0)
    assert (tmp_path / "turns").stat().st_size == 0
    alone.close()
    assert alone.take(lambda: True, 1.0)
    alone.close()


def test_that_an_attempt_is_repeated_until_it_succeeds(place: Path, hungry: None) -> None:
    answers = iter([False] * 20 + [True])
    assert Turns(place).take(lambda: next(answers), 10.0)


@pytest.mark.parametrize("after", [0.0, 99.0])
def test_that_nobody_waits_for_ever(place: Path, monkeypatch: pytest.MonkeyPatch, after: float) -> None:
    monkeypatch.setattr(turns, "HUNGRY", after)
    now, asked = [0.0], []
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds))
    monkeypatch.setattr(turns, "time", clock)
    assert not Turns(place).take(lambda: bool(asked.append(now[0])), 0.1)
    assert 0.1 <= now[0] < 0.2 and asked[0] == 0.0 and asked[-1] > 0.05
    monkeypatch.setattr(turns, "time", time)
    assert Turns(place).take(lambda: True, 1.0)


def test_that_the_hungry_are_served_in_the_order_in_which_they_came(place: Path, hungry: None) -> None:
    gate, served = threading.Event(), []
    threads = []
    for n in range(5):
        writer = Turns(place)
        threads.append(threading.Thread(target=lambda n=n, w=writer: w.take(gate.is_set, 30.0) and served.append(n)))
        threads[-1].start()
        deadline = time.monotonic() + 30
        while drawn(place) < n + 1 and time.monotonic() < deadline:
            time.sleep(0.002)
    late = Turns(place)
    assert not late.take(lambda: True, 0.05)
    gate.set()
    for thread in threads:
        thread.join()
    assert served == sorted(served) == list(range(5))
    assert late.take(lambda: True, 1.0)


def test_that_the_number_of_a_process_that_dies_is_taken_back(place: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.store import turns; turns.HUNGRY = 0.0; "
        "turns.Turns(Path(sys.argv[1])).take(lambda: False, 60.0)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(place)])
    deadline = time.monotonic() + 30
    while drawn(place) < 1 and time.monotonic() < deadline:
        time.sleep(0.002)
    behind = Turns(place)
    assert not behind.take(lambda: True, 0.0)
    child.kill()
    child.wait()
    assert behind.take(lambda: True, 10.0)


def test_that_a_writer_is_served_where_no_numbers_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, True])
    assert Turns(tmp_path / "absent" / "turns").take(lambda: next(answers), 10.0)
    monkeypatch.setattr(turns, "NUMBERS", False)
    answers = iter([False, True])
    assert Turns(tmp_path / "turns").take(lambda: next(answers), 10.0)
    assert not list(tmp_path.iterdir())


def test_that_a_store_gives_back_its_file(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    for n in range(3):
        store = open_store(tmp_path)
        store.settings.set(n=n)
        store.close()
    assert psutil.Process().num_fds() <= before
