"""The server's own process without being one: what it tells, how it ends, where it listens, what it writes down."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.errors import BadInput
from workbench.domain.serving import ServeSettings, Serving
from workbench.domain.text import Prompt, Turn
from workbench.formats.detection import detect
from workbench.protocol.serve_wire import Stop, read_up, to_line
from workbench.serving import main as serving_main
from workbench.serving.inference import Fares
from workbench.serving.log import Log, Notes, Record
from workbench.serving.main import Server, Teller, _config, _Ending, address_of, bind, check_tls, main
from workbench.serving.metrics import Metrics
from workbench.serving.patient import patient_protocol


class Door:
    closing = False


def server() -> tuple[Server, Door]:
    door = Door()
    return Server(_config(ServeSettings(grace_seconds=2.5), door), door), door  # type: ignore[arg-type]


def test_that_only_what_has_changed_is_told() -> None:
    out = io.BytesIO()
    teller = Teller(out)
    teller.tell(state="ready", rows=1)
    teller.tell(state="ready", rows=1)
    teller.tell(rows=2)
    told = [read_up(line).serving for line in out.getvalue().splitlines(keepends=True)]
    assert [(news.state, news.rows) for news in told] == [("ready", 1), ("ready", 2)]


def test_that_an_application_that_is_gone_is_no_trouble() -> None:
    class Gone(io.BytesIO):
        def write(self, _: Any) -> int:
            raise BrokenPipeError

    teller = Teller(Gone())
    teller.tell(state="ready")
    assert teller.serving == Serving(state="ready")


def test_that_a_second_signal_does_not_wait() -> None:
    found, door = server()
    assert (door.closing, found.should_exit, found.force_exit) == (False, False, False)
    found.handle_exit(15, None)
    assert (door.closing, found.should_exit, found.force_exit) == (True, True, False)
    found.handle_exit(15, None)
    assert found.force_exit
    found.stop()
    assert found.force_exit, "a gentle word afterwards takes nothing back"


@pytest.mark.parametrize("now", [False, True])
def test_that_a_stop_at_once_is_one_and_a_gentle_one_is_not(now: bool) -> None:
    found, door = server()
    found.stop(now)
    assert (door.closing, found.should_exit, found.force_exit) == (True, True, now)


def test_that_signals_are_left_alone_outside_the_main_thread() -> None:
    seen: list[str] = []

    def elsewhere() -> None:
        with server()[0].capture_signals():
            seen.append("in")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(30)
    assert seen == ["in"]


def test_that_every_word_about_the_end_is_passed_on_nonsense_is_not_and_a_closed_pipe_is_one() -> None:
    heard: list[bool] = []
    ended = threading.Event()

    class Pipe(io.BytesIO):
        def __iter__(self) -> Any:
            assert ready.wait(30)
            yield from [b"nonsense\n", to_line(Stop()), to_line(Stop(now=True))]

    ready = threading.Event()

    def stop(now: bool) -> None:
        heard.append(now)
        if len(heard) == 3:
            ended.set()

    _Ending(Pipe()).call(stop)
    ready.set()
    assert ended.wait(30)
    assert heard == [False, True, False]


def test_that_a_pipe_that_closes_while_models_are_loaded_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    left = threading.Event()
    monkeypatch.setattr(serving_main.os, "_exit", lambda code: left.set() if code == 0 else None)
    _Ending(io.BytesIO(b""))
    assert left.wait(30)


def test_that_uvicorn_says_nothing_of_itself_and_trusts_no_proxy() -> None:
    config = _config(ServeSettings(grace_seconds=2.5, body_seconds=3), Door())  # type: ignore[arg-type]
    assert (config.server_header, config.proxy_headers, config.ws, config.access_log) == (False, False, "none", False)
    assert config.timeout_graceful_shutdown == 3, "at least the grace that was asked for"
    assert (config.ssl_certfile, config.ssl_keyfile) == (None, None)
    told = _config(ServeSettings(cert="c.pem", key="k.pem"), Door())  # type: ignore[arg-type]
    assert (told.ssl_certfile, told.ssl_keyfile) == ("c.pem", "k.pem")


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "http://127.0.0.1:{port}/v1"),
        ({"cert": "c.pem"}, "https://127.0.0.1:{port}/v1"),
        ({"host": "::1"}, "http://[::1]:{port}/v1"),
        ({"host": "localhost"}, "http://localhost:{port}/v1"),
    ],
    ids=str,
)
def test_that_the_address_is_what_clients_can_use(settings: dict[str, Any], address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert address_of(ServeSettings(**settings), listening) == address.format(port=port)


def test_that_nothing_but_this_machine_is_bound_unless_asked() -> None:
    with bind(ServeSettings()) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert listening.getsockname()[1] > 0
    assert [ServeSettings(host=host).only_here for host in ("127.0.0.1", "::1", "localhost", "127.0.0.9")] == [True] * 4
    assert not any(ServeSettings(host=host).only_here for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"))


def test_that_a_private_key_needs_its_certificate_and_no_tls_needs_nothing(tmp_path: Path) -> None:
    check_tls(ServeSettings())
    with pytest.raises(BadInput, match="without a certificate"):
        check_tls(ServeSettings(key=str(tmp_path / "key.pem")))
    (tmp_path / "cert.pem").write_text("no certificate")
    with pytest.raises(BadInput, match="can't be used"):
        check_tls(ServeSettings(cert=str(tmp_path / "cert.pem")))


def test_that_arguments_are_no_way_to_start_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "1"]) == 2
    assert "takes no arguments" in capsys.readouterr().err


def test_that_a_line_of_the_log_is_ascii_with_a_time_and_without_what_is_unknown() -> None:
    out = io.StringIO()
    Log(out).say("request", path="/ü\n", user=None, seconds=0.0, who=Path("x"))
    assert out.getvalue().isascii() and out.getvalue().count("\n") == 1
    line = json.loads(out.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {"event": "request", "path": "/ü\n", "seconds": 0.0, "who": "x"}


def test_that_what_libraries_warn_of_is_in_the_log_and_their_chatter_is_not() -> None:
    out = io.StringIO()
    logger = logging.Logger("uvicorn.error")
    logger.addHandler(Notes(Log(out)))
    logger.info("chatter")
    logger.warning("odd %s", "thing")
    line = json.loads(out.getvalue())
    assert {k: line[k] for k in ("event", "logger", "level", "what")} == {
        "event": "note", "logger": "uvicorn.error", "level": "warning", "what": "odd thing",
    }  # fmt: skip


def test_that_recorded_requests_are_added_to_what_is_there_and_read_as_prompts(tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    for text in ("one", "zwei ü"):
        record = Record(file)
        record.add(Prompt(turns=(Turn(role="system", content="Be kind."), Turn(role="user", content=text))), "tour")
        record.close()
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["prompt"]["turns"][1]["content"] for line in lines] == ["one", "zwei ü"]
    assert all(line["model"] == "tour" and line["time"].endswith("+00:00") for line in lines)
    assert "zwei ü" in file.read_text(encoding="utf-8")
    assert detect([file]).kind == "prompts"


def test_that_gauges_tell_how_it_fares_at_the_moment_of_asking() -> None:
    fares = [Fares(3, 7, 12.5, 99)]
    metrics = Metrics(lambda: fares[-1])
    assert {"workbench_rows 3.0", "workbench_waiting 7.0", "workbench_tokens_per_second 12.5"} <= set(
        metrics.page().decode().splitlines()
    )
    fares.append(Fares(0, 1, 0.0, 99))
    assert {"workbench_rows 0.0", "workbench_waiting 1.0"} <= set(metrics.page().decode().splitlines())
    metrics.seconds.labels("/v1/completions").observe(0.2)
    assert 'workbench_request_seconds_bucket{le="0.25",path="/v1/completions"} 1.0' in metrics.page().decode()


class Transport:
    closed = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("came", "closes"), [(False, True), (True, False)])
def test_that_a_connection_is_given_up_only_while_its_head_has_not_come(came: bool, closes: bool) -> None:
    """The protocol's timer as it strikes; the sockets are those of test_process."""
    protocol: Any = patient_protocol(5.0).__new__(patient_protocol(5.0))
    protocol.transport, protocol.scope = Transport(), {"type": "http"} if came else None
    protocol._give_up(None)
    assert protocol.transport.closed is closes
