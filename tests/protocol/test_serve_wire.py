"""Messages between an application and the server that it started."""

from __future__ import annotations

import pytest

from workbench.domain.errors import BadInput
from workbench.domain.serving import Offered, ServeSettings, Serving
from workbench.protocol import serve_wire as wire

SETUP = wire.Setup(
    models=(Offered(name="tale", path="/models/tale ü"),),
    settings=ServeSettings(port=8080, record="prompts.jsonl", grace_seconds=0.5),
    keys=("sk-one", "sk-two"),
)
NEWS = wire.News(serving=Serving(state="ready", models=("tale",), address="http://127.0.0.1:8080", rows=3, speed=99.5))


@pytest.mark.parametrize("message", [SETUP, wire.Stop(), wire.Stop(now=True)], ids=["setup", "stop", "now"])
def test_that_what_the_application_says_survives_the_pipe(message: wire.Down) -> None:
    assert wire.read_down(wire.to_line(message)) == message


def test_that_what_the_server_says_survives_the_pipe() -> None:
    assert wire.read_up(wire.to_line(NEWS)) == NEWS


def test_that_neither_side_takes_what_the_other_says() -> None:
    with pytest.raises(BadInput):
        wire.read_down(wire.to_line(NEWS))
    with pytest.raises(BadInput) as caught:
        wire.read_up(wire.to_line(wire.Stop()))
    assert caught.value.hint == "The server's pipe is damaged."


@pytest.mark.parametrize("missing", ["models", "keys"])
def test_that_a_server_is_never_set_up_without_a_model_or_a_key(missing: str) -> None:
    line = wire.to_line(SETUP.model_copy(update={missing: ()}))
    with pytest.raises(BadInput) as caught:
        wire.read_down(line)
    assert missing in caught.value.details and "sk-one" not in caught.value.details


def test_that_a_key_is_not_shown_when_a_setup_can_not_be_read() -> None:
    with pytest.raises(BadInput) as caught:
        wire.read_down(wire.to_line(SETUP).replace(b'"port":8080', b'"port":80800'))
    assert "port" in caught.value.details and "sk-" not in caught.value.details
