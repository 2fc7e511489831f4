"""The server as a process of its own, over real sockets: as the service and the command start it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import psutil
import pytest
import torch
from safetensors.torch import save_file

from workbench.cli.main import main
from workbench.domain.errors import BadInput, Conflict, NotFound, WorkbenchError
from workbench.domain.serving import ServeSettings, Serving
from workbench.services.serving import ServingService, settings_for
from workbench.services.workbench import Workbench, new_workspace
from workbench.serving.log import Record
from workbench.serving.main import bind, check_tls

PATIENCE = 120


@pytest.fixture
def bench(tmp_path: Path, stories: Path) -> Iterator[Workbench]:
    with Workbench.open(new_workspace(tmp_path / "w")) as opened:
        opened.models.add_folder(stories, "stories")
        opened.settings.change(threads=1)
        yield opened


def until(service: ServingService, wanted: Callable[[Serving], bool]) -> Serving:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        state = service.state()
        if wanted(state):
            return state
        time.sleep(0.02)
    raise AssertionError(f"{service.state()}: {service.log_end()}")


def ready(service: ServingService) -> Serving:
    state = until(service, lambda s: s.state not in ("loading",))
    assert state.state == "ready", service.log_end()
    return state


def client(service: ServingService, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=service.state().address, api_key=service.key, max_retries=0, timeout=60, **more)


def test_that_a_served_model_answers_over_a_socket_and_ends_in_order(bench: Workbench, tmp_path: Path) -> None:
    record = tmp_path / "prompts.jsonl"
    [key] = bench.serving.start(["stories"], settings_for(record=str(record), grace_seconds=60))
    assert key.startswith("sk-") and bench.serving.key == key
    state = ready(bench.serving)
    assert state.address.startswith("http://127.0.0.1:") and state.models == ("stories",)
    with pytest.raises(Conflict):
        bench.serving.start(["stories"])
    asking = client(bench.serving)
    assert [model.id for model in asking.models.list()] == ["stories"]
    asking.chat.completions.create(model="stories", messages=[{"role": "user", "content": "Hello"}], max_tokens=3)
    _check_that_only_this_machine_is_reached(state)
    _check_that_leaving_a_stream_stops_it(bench.serving, asking)
    # Stopped while a text is under way: it is finished, and nothing new begins.
    stream = asking.completions.create(
        model="stories", prompt="The dog", max_tokens=300, stream=True, extra_body={"min_new_tokens": 300}
    )
    next(iter(stream))
    bench.serving.ask_to_stop()
    pieces = list(stream)
    assert pieces[-1].choices[0].finish_reason == "length"
    until(bench.serving, lambda s: s.state == "stopped")
    assert bench.serving.key == ""
    with pytest.raises(openai.APIConnectionError):
        asking.models.list()
    lines = [json.loads(line) for line in bench.serving.log_end().splitlines()]
    assert [line["event"] for line in lines][:2] == ["start", "recording"]
    assert lines[-1]["event"] == "stop"
    assert "Hello" not in bench.serving.log_end()
    # What was recorded can be imported as a dataset of prompts.
    done = bench.datasets.import_files([record], "asked")
    assert (done.format, done.imported) == ("workbench-prompts", 3)
    assert bench.datasets.get("asked").kind == "prompts"


def _check_that_only_this_machine_is_reached(state: Serving) -> None:
    port = int(state.address.rpartition(":")[2].removesuffix("/v1"))
    bound = [c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port]
    assert bound == ["127.0.0.1"]


def _check_that_leaving_a_stream_stops_it(service: ServingService, asking: openai.OpenAI) -> None:
    stream = asking.completions.create(
        model="stories", prompt="The dog", max_tokens=500, n=64, stream=True, extra_body={"min_new_tokens": 500}
    )
    next(iter(stream))
    stream.close()
    state = until(service, lambda s: s.live == 0 and s.rows == 0 and s.requests >= 3)
    assert state.tokens < 64 * 500


@pytest.mark.usefixtures("warm")
def test_that_requests_whose_head_or_body_never_comes_are_given_up(bench: Workbench) -> None:
    bench.serving.start(["stories"], settings_for(body_seconds=2))
    port = int(ready(bench.serving).address.rpartition(":")[2].removesuffix("/v1"))
    key = bench.serving.key
    for sent, wanted in (
        (b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthor", b""),
        (f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 9\r\n\r\n{{".encode(), b"408"),
        (b"\x00\x01nonsense\r\n\r\n", b"400"),
    ):  # fmt: skip
        with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
            line.sendall(sent)
            answer = b""
            while piece := line.recv(4096):
                answer += piece
        assert wanted in answer.split(b"\r\n")[0]
    assert client(bench.serving).models.list().data


@pytest.mark.usefixtures("warm")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")
def test_that_it_speaks_tls_with_a_certificate(bench: Workbench, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    bench.serving.start(["stories"], settings_for(cert=str(cert), key=str(key)))
    state = ready(bench.serving)
    assert state.address.startswith("https://")
    import ssl

    with httpx2.Client(verify=ssl.create_default_context(cafile=str(cert))) as http:
        assert client(bench.serving, http_client=http).models.list().data[0].id == "stories"
    with pytest.raises(openai.APIConnectionError):
        client(bench.serving).models.list()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"cert": "/nowhere/cert.pem"}, "certificate"),
        ({"key": "/nowhere/key.pem"}, "certificate"),
        ({"host": "no such host"}, "address"),
        ({"host": "203.0.113.7"}, "listen"),
        ({"record": "/nowhere/prompts.jsonl"}, "written"),
    ],
    ids=str,
)
def test_that_what_can_not_be_served_is_told(settings: dict[str, Any], word: str) -> None:
    wrong = ServeSettings(**settings)
    with pytest.raises(WorkbenchError, match=word) as told:
        check_tls(wrong)
        bind(wrong).close()
        Record(Path(wrong.record))
    assert told.value.hint


@pytest.mark.usefixtures("warm")
def test_that_a_taken_port_and_a_killed_server_are_told(bench: Workbench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bench.serving.start(["stories"], settings_for(port=taken.getsockname()[1]))
        told = until(bench.serving, lambda s: s.state == "failed")
        assert "listen" in told.what and told.hint
        assert bench.serving.key == ""
    bench.serving.start(["stories"])
    ready(bench.serving)
    os.kill(bench.serving._process.pid or 0, signal.SIGKILL)
    assert "SIGKILL" in until(bench.serving, lambda s: s.state == "failed").what
    bench.serving.start(["stories"])
    bench.serving.stop(30)  # while it loads
    assert bench.serving.state().state == "stopped"


def test_that_wrong_models_keys_and_settings_are_refused_before_anything_starts(bench: Workbench) -> None:
    with pytest.raises(NotFound):
        bench.serving.start(["nobody"])
    with pytest.raises(BadInput):
        bench.serving.start([])
    with pytest.raises(BadInput):
        bench.serving.start(["stories"], keys=["short"])
    with pytest.raises(BadInput, match="port"):
        settings_for(port=70000)
    assert bench.serving.state() == Serving()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"is_encoder_decoder": True, "architectures": ["T5ForConditionalGeneration"]}, "is an encoder-decoder"),
        ({"architectures": ["BertForMaskedLM"]}, "is a masked language model"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "is a reward model: it scores texts"),
    ],
)
def test_that_the_command_refuses_what_can_not_continue_a_text_in_one_line(
    config: dict[str, Any], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text(json.dumps(config))
    (tmp_path / "odd" / "tokenizer.json").write_text("{}")
    save_file({"weight": torch.zeros(2)}, tmp_path / "odd" / "model.safetensors")
    with Workbench.open(new_workspace(tmp_path / "w")) as opened:
        opened.models.add_folder(tmp_path / "odd", "odd")
    assert main(["serve", str(tmp_path / "w"), "odd"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"workbench: odd {sentence}") and len(err.splitlines()) == 1
    assert not (tmp_path / "w" / "server.log").exists(), "nothing was started"


@pytest.mark.usefixtures("warm")
def test_that_the_command_prints_address_and_key_and_ends_with_the_terminal(bench: Workbench, tmp_path: Path) -> None:
    record = tmp_path / "asked.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "serve", str(bench.path), "stories", "--record", str(record), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    told = json.loads(process.stdout.readline())
    assert told["models"] == ["stories"] and told["record"] == str(record)
    asking = openai.OpenAI(base_url=told["address"], api_key=told["key"], max_retries=0, timeout=60)
    assert asking.completions.create(model="stories", prompt="Once", max_tokens=2).choices
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "RECORDING" in err and "Stopping" in err
    assert len(record.read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.usefixtures("warm")
def test_that_the_commands_help_has_an_option_for_every_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "serve", "--help"], capture_output=True, text=True, check=True
    )
    for name in ServeSettings.model_fields:
        assert f"--{name.replace('_', '-')}" in done.stdout
    assert "Example: workbench serve" in done.stdout
