"""`workbench serve` on a workbench that is made up: what it checks before, says while, and does at Ctrl+C."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from workbench.cli import serve
from workbench.cli.output import Output
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.serving import ServeSettings, Serving

READY = Serving(state="ready", models=("tour",), address="http://127.0.0.1:8080/v1")


class Service:
    """Gives one state after another; an exception among them is raised, the last one stays."""

    log = Path("server.log")

    def __init__(self, *states: Serving | BaseException) -> None:
        self._states, self.calls = list(states), list[Any]()

    def start(self, models: list[str], settings: ServeSettings, keys: tuple[str, ...]) -> tuple[str, ...]:
        self.calls.append(("start", tuple(models), settings, keys))
        return keys or ("sk-made-for-this",)

    def state(self) -> Serving:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if isinstance(state, BaseException):
            raise state
        return state

    def stop(self, seconds: float, *, now: bool = False) -> None:
        self.calls.append(("stop", seconds, now))
        if self.impatient and not now:
            raise KeyboardInterrupt

    impatient = False


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """Run the command with a service and options; what it said on stdout and stderr."""
    monkeypatch.setattr(serve, "LOOK", 0.0)

    def run(service: Service, *, as_json: bool = False, **options: Any) -> tuple[str, str]:
        @contextmanager
        def opened(_: argparse.Namespace) -> Iterator[Any]:
            yield argparse.Namespace(serving=service)

        monkeypatch.setattr(serve, "opened", opened)
        given = {name: field.default for name, field in ServeSettings.model_fields.items()}
        given |= {"model": ["tour"], "api_key_file": None} | options
        out, err = io.StringIO(), io.StringIO()
        assert serve.run_serve(argparse.Namespace(**given), Output(as_json, out, err)) == 0
        return out.getvalue(), err.getvalue()

    return run


def test_that_address_key_and_models_are_printed_when_it_is_ready(ask: Callable[..., tuple[str, str]]) -> None:
    service = Service(
        Serving(state="loading", loading="tour"), Serving(state="loading", loading="tour"), READY, Serving()
    )
    out, err = ask(service)
    assert out == "address   http://127.0.0.1:8080/v1\nkey       sk-made-for-this\nmodels    tour\n"
    assert err == "loading tour\n", "each model once, and no warning for this machine only"
    assert service.calls == [("start", ("tour",), ServeSettings(), ())]
    document = json.loads(ask(Service(READY, Serving()), as_json=True)[0])
    assert document == {"address": READY.address, "key": "sk-made-for-this", "models": ["tour"], "record": None}


def test_that_keys_of_a_file_are_used_and_never_printed(ask: Callable[..., tuple[str, str]], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("sk-aaaaaaaaaaaaaaaa\n\n  sk-bbbbbbbbbbbbbbbb \n")
    service = Service(READY, Serving())
    out, err = ask(service, api_key_file=tmp_path / "keys")
    assert service.calls[0][3] == ("sk-aaaaaaaaaaaaaaaa", "sk-bbbbbbbbbbbbbbbb")
    assert "sk-" not in out + err
    out, _ = ask(Service(READY, Serving()), api_key_file=tmp_path / "keys", as_json=True)
    assert json.loads(out)["key"] is None


@pytest.mark.parametrize(
    ("content", "words"), [(None, "can't be read"), (b" \n", "holds no key"), (b"\xff\xfe\xff", "can't be read")]
)
def test_that_a_file_without_keys_starts_nothing(
    content: bytes | None, words: str, ask: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    service = Service(READY)
    with pytest.raises(BadInput, match=words):
        ask(service, api_key_file=tmp_path / "keys")
    assert service.calls == []


@pytest.mark.parametrize(
    ("options", "said", "unsaid"),
    [
        ({"host": "0.0.0.0"}, ["Everybody who reaches 0.0.0.0", "isn't encrypted"], "RECORDING"),
        ({"host": "0.0.0.0", "cert": "c.pem"}, ["Everybody who reaches 0.0.0.0"], "isn't encrypted"),
        ({"record": "asked.jsonl"}, ["RECORDING: every prompt that comes in is written to", "asked.jsonl"], "Everybody"),
    ],
    ids=str,
)  # fmt: skip
def test_that_what_an_owner_should_know_is_said(
    options: dict[str, str], said: list[str], unsaid: str, ask: Callable[..., tuple[str, str]]
) -> None:
    service = Service(READY, Serving())
    _, err = ask(service, **options)
    assert all(words in err for words in said)
    assert unsaid not in err
    settings = service.calls[0][2]
    assert all(Path(path).is_absolute() for path in (settings.cert, settings.record) if path), (
        "the server stands elsewhere"
    )


def test_that_settings_out_of_bounds_are_named_before_anything_starts(ask: Callable[..., tuple[str, str]]) -> None:
    service = Service(READY)
    with pytest.raises(BadInput, match="port"):
        ask(service, port=70_000)
    assert service.calls == []


def test_that_a_failure_is_raised_with_its_hint_or_with_where_the_log_is(ask: Callable[..., tuple[str, str]]) -> None:
    for hint, expected in (("Choose another port.", "Choose another port."), ("", "Its log is server.log.")):
        with pytest.raises(RunFailed, match="Nothing can listen") as told:
            ask(Service(Serving(state="failed", what="Nothing can listen.", hint=hint)))
        assert told.value.hint == expected
    with pytest.raises(RunFailed):
        ask(Service(READY, Serving(state="failed", what="It was killed.", hint="")))


@pytest.mark.parametrize("impatient", [False, True])
def test_that_ctrl_c_stops_it_with_grace_and_a_second_one_at_once(
    impatient: bool, ask: Callable[..., tuple[str, str]]
) -> None:
    service = Service(READY, READY, KeyboardInterrupt())
    service.impatient = impatient
    _, err = ask(service, grace_seconds=7.0)
    assert "Stopping" in err
    assert service.calls[1:] == [("stop", 17.0, False), *([("stop", 5, True)] if impatient else [])]


def test_that_every_setting_is_an_option_with_its_bounds_default_and_unit() -> None:
    parser = argparse.ArgumentParser()
    serve.add(parser.add_subparsers(), "serve", "serve")
    given = parser.parse_args(
        ["serve", "work", "tour", "--port", "8080", "--body-seconds", "2.5", "--log-texts", "--max-rows", "3"]
    )
    assert (given.port, given.body_seconds, given.log_texts, given.max_rows, given.host) == (
        8080,
        2.5,
        True,
        3,
        "127.0.0.1",
    )
    assert ServeSettings(**{name: getattr(given, name) for name in ServeSettings.model_fields})
