"""What the application makes of how its server's pipe ends, without a server."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import cast

import pytest

from workbench.domain.serving import Serving
from workbench.jobs.server import ServerProcess
from workbench.protocol import serve_wire as wire

READY = Serving(state="ready", models=("tale",))


class Told:
    """A process that has said something and ended with a code."""

    def __init__(self, said: bytes, code: int) -> None:
        self.stdin, self.stdout, self.code = io.BytesIO(), io.BytesIO(said), code
        self.killed = False

    def wait(self) -> int:
        return self.code

    def kill(self) -> None:
        self.killed = True


def heard(tmp_path: Path, told: Told, *, wanted: bool = True) -> Serving:
    process = cast("subprocess.Popen[bytes]", told)
    server = ServerProcess(tmp_path / "log.txt")
    server._process, server._wanted = process, wanted
    server._serving = Serving(state="loading")
    server._read(process)
    return server.serving()


def news(serving: Serving) -> bytes:
    return wire.to_line(wire.News(serving=serving))


@pytest.mark.parametrize(("code", "how"), [(-9, "was killed by SIGKILL"), (3, "ended with code 3")])
def test_that_a_server_which_died_in_mid_line_is_told_by_how_it_ended(tmp_path: Path, code: int, how: str) -> None:
    told = Told(news(READY) + news(READY)[:20], code)
    serving = heard(tmp_path, told)
    assert (serving.state, serving.what) == ("failed", f"The server {how}.")
    assert str(tmp_path / "log.txt") in serving.hint
    assert not told.killed


def test_that_a_server_which_speaks_nonsense_is_ended_and_its_pipe_blamed(tmp_path: Path) -> None:
    told = Told(news(READY) + b"Traceback\n" + news(READY), -9)
    serving = heard(tmp_path, told)
    assert (serving.state, serving.what, serving.hint) == ("failed", "Not a message.", "The server's pipe is damaged.")
    assert told.killed


def test_that_what_a_failed_server_said_last_stands(tmp_path: Path) -> None:
    said = Serving(state="failed", what="The port is taken.", hint="Take another.")
    assert heard(tmp_path, Told(news(said), 1)) == said


def test_that_a_server_that_was_asked_to_stop_has_simply_stopped(tmp_path: Path) -> None:
    told = Told(news(READY), 0)
    assert heard(tmp_path, told, wanted=False) == Serving()
    assert told.stdin.closed


def test_that_what_an_earlier_server_says_is_of_no_interest(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "log.txt")
    server._serving = READY
    server._read(cast("subprocess.Popen[bytes]", Told(news(Serving(state="failed")), 1)))
    assert server.serving() == READY
