"""The envelope that all pipes share: one line, a version, and nothing of a damaged line repeated."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter

from workbench.domain.errors import BadInput, TooNew
from workbench.protocol.envelope import Envelope, Message


class Ask(Message):
    kind: Literal["ask"] = "ask"
    text: str
    key: str = ""


class End(Message):
    kind: Literal["end"] = "end"


Said = Annotated[Ask | End, Field(discriminator="kind")]
SAID: TypeAdapter[Said] = TypeAdapter(Said)
OURS = Envelope("oracle", version=3)


@pytest.mark.parametrize(
    "text", ["", "plain", "two\nlines\r\n", "\u2028 and \u0085", '"quoted" \\ {"v": 9}', "\x00", "😀"]
)
def test_that_any_text_stays_in_one_line_and_comes_back(text: str) -> None:
    line = OURS.to_line(Ask(text=text))
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert json.loads(line)["v"] == 3
    assert OURS.read(SAID, line) == Ask(text=text)


def test_that_an_earlier_version_is_still_read() -> None:
    assert OURS.read(SAID, b'{"v": 1, "m": {"kind": "end"}}\n') == End()


def test_that_a_later_version_is_told_apart_from_damage_before_its_message_is_looked_at() -> None:
    with pytest.raises(TooNew) as caught:
        OURS.read(SAID, b'{"v": 4, "m": {"kind": "fly", "how": "high"}}\n')
    assert caught.value.what == "The oracle speaks a newer version of the protocol."
    assert caught.value.hint == "Restart the workbench."


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"nonsense\n",
        b"[]\n",
        b"null\n",
        b"7\n",
        b'"v"\n',
        b"{}\n",
        b'{"v": 1}\n',
        b'{"m": {"kind": "end"}}\n',
        b'{"v": "x", "m": {"kind": "end"}}\n',
        b'{"v": null, "m": {"kind": "end"}}\n',
        b'{"v": 1, "m": null}\n',
        b'{"v": 1, "m": [{"kind": "end"}]}\n',
        b'{"v": 1, "m": {}}\n',
        b'{"v": 1, "m": {"kind": "fly"}}\n',
        b'{"v": 1, "m": {"kind": "end", "more": 1}}\n',
        b'{"v": 1, "m": {"kind": "ask"}}\n',
        b'{"v": 1, "m": {"kind": "ask", "text": 7}}\n',
        b'{"v": 1, "m": {"kind": "end"}',
        b'{"v": 1, "m": {"kind": "end"}} {"v": 1, "m": {"kind": "end"}}\n',
        b"\xff\xfe\n",
        b'{"v": 1, "m": ' + b"[" * 200_000 + b"\n",
    ],
)
def test_that_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        OURS.read(SAID, line)
    assert caught.value.what == "Not a message."
    assert caught.value.hint == "The oracle's pipe is damaged."
    assert caught.value.details


def test_that_a_key_in_a_damaged_message_is_never_repeated() -> None:
    with pytest.raises(BadInput) as caught:
        OURS.read(SAID, b'{"v": 1, "m": {"kind": "ask", "text": 7, "key": ["sk-secret"]}}\n')
    said = f"{caught.value.what} {caught.value.hint} {caught.value.details}"
    assert "sk-secret" not in said
    assert "text" in said and "key" in said


def test_that_a_message_can_not_be_changed_or_hold_what_nobody_knows() -> None:
    with pytest.raises(ValueError, match="frozen"):
        End().kind = "end"  # type: ignore[misc]
    with pytest.raises(ValueError, match="Extra inputs"):
        End(more=1)  # type: ignore[call-arg]
