"""Lists of messages as they are found in files: roles in several spellings, contents as text or as parts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from workbench.domain.text import Role, Turn
from workbench.formats.rows import RowTrouble, kind_of, sound

ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "observation": "tool",
}


def is_messages(value: Any) -> bool:
    """Whether this is a list of objects that have a role (`role` or ShareGPT's `from`)."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(v, dict) and ("role" in v or "from" in v) for v in value)
    )


def turns_of(value: Any, column: str) -> tuple[Turn, ...]:
    """The turns of one message or a list of messages; raises RowTrouble with the place of what is wrong."""
    messages = [value] if isinstance(value, dict) else value
    if not isinstance(messages, list) or not messages:
        raise RowTrouble(f"The field '{column}' should be a list of messages but is {kind_of(value)}.")
    return tuple(_turn(message, f"Message {place} of '{column}'") for place, message in enumerate(messages, 1))


def _turn(message: Any, where: str) -> Turn:
    if not isinstance(message, dict):
        raise RowTrouble(f"{where} should be an object but is {kind_of(message)}.")
    spelled = message.get("role", message.get("from"))
    if spelled is None:
        raise RowTrouble(f"{where} has no role.")
    role = ROLES.get(str(spelled).lower())
    if role is None:
        raise RowTrouble(f"{where} has the role '{spelled}'; known are {', '.join(ROLES)}.")
    if message.get("tool_calls"):
        raise RowTrouble(f"{where} calls tools, which a text model here can't do.")
    return Turn(role=role, content=_content(message.get("content", message.get("value")), where))


def _content(value: Any, where: str) -> str:
    if isinstance(value, str):
        return sound(value, where)
    if isinstance(value, list):
        texts = [
            p.get("text", p.get("value")) if isinstance(p, dict) and p.get("type", "text") == "text" else None
            for p in value
        ]
        if all(isinstance(t, str) for t in texts):
            return sound("".join(str(t) for t in texts), where)
        raise RowTrouble(f"{where} holds something other than text, such as an image.")
    raise RowTrouble(f"{where} should have text as content but has {kind_of(value)}.")


def check_prompt(turns: tuple[Turn, ...]) -> None:
    """A prompt may begin with system, alternates user and assistant, and ends where the assistant should answer."""
    roles = [t.role for t in turns]
    body = roles[1:] if roles and roles[0] == "system" else roles
    if not body:
        raise RowTrouble("The prompt has no user turn.")
    if body[0] != "user":
        raise RowTrouble(f"Wrong role order: the prompt should begin with a user turn but begins with '{body[0]}'.")
    allowed = {"user": {"assistant"}, "assistant": {"user", "tool"}, "tool": {"assistant", "tool"}}
    for place, (before, here) in enumerate(pairwise(body), 2):
        if here not in allowed[before]:
            raise RowTrouble(f"Wrong role order: turn {place} is '{here}' straight after '{before}'.")
    if body[-1] not in {"user", "tool"}:
        raise RowTrouble("Wrong role order: the prompt ends with an assistant turn, so there is nothing to answer.")


def answer_of(turns: tuple[Turn, ...], column: str) -> str:
    """The text of the last turn, which must be the assistant's."""
    if turns[-1].role != "assistant":
        raise RowTrouble(
            f"Wrong role order: '{column}' ends with a '{turns[-1].role}' turn instead of an assistant's answer."
        )
    return turns[-1].content
