"""TRL's formats, standard (texts) and conversational (messages): preferences, prompt and completion, messages, prompts, text.

A standard prompt is continued as it stands, so it becomes a raw prompt; spaces at the border are kept.
"""

from __future__ import annotations

import math
from typing import Any

from workbench.domain.judgement import AnnotatorKind
from workbench.domain.text import Demonstration, Prompt, Turn
from workbench.formats.messages import answer_of, check_prompt, is_messages, turns_of
from workbench.formats.rows import PreferenceRow, Record, RowTrouble, kind_of, pair, sound, text_of
from workbench.formats.spec import Columns, Field, Format

PROMPT = ("prompt", "conversations", "messages", "context", "history")
CHOSEN = ("chosen", "chosen_response", "accepted", "preferred", "chosen_answer")
REJECTED = ("rejected", "rejected_response", "dispreferred", "rejected_answer")
SYSTEM = Field("system", "A system turn put before the prompt.", ("system", "system_prompt"), required=False)
SIDES = (
    Field("chosen", "The better response: text, one message, or messages.", CHOSEN),
    Field("rejected", "The worse response, in the same form.", REJECTED),
)
ABOUT = (
    Field("margin", "How much better: 2 and more is read as much better.", ("margin",), required=False),
    Field("annotator", "Who said so.", ("annotator", "annotator_id"), required=False),
    Field("annotator_kind", "person, rule or model.", ("annotator_kind",), required=False),
)
_ANSWERS = ("response", "completion", "answer", "chosen", "rejected", "output", "winner", "kto_tag", "label")


def about(record: Record, columns: Columns) -> dict[str, Any]:
    """Strength, annotator and kind of annotator of a preference record."""
    margin = record.get(columns.get("margin", ""))
    if margin is not None and margin != "":
        try:
            margin = float(margin)
        except OverflowError:  # a whole number beyond what a float holds
            margin = math.inf if margin > 0 else -math.inf
        except (TypeError, ValueError) as error:
            raise RowTrouble(f"The field '{columns['margin']}' should be a number but is {kind_of(margin)}.") from error
    name = record.get(columns.get("annotator", "")) or ""
    kind: AnnotatorKind = "person"
    said = record.get(columns.get("annotator_kind", ""))
    if said == "rule" or said == "model":
        kind = said
    return {
        "strength": 2 if margin and margin >= 2 else 1,
        "annotator": sound(str(name), f"The field '{columns.get('annotator')}'"),
        "annotator_kind": kind,
    }


def system_of(record: Record, columns: Columns) -> str:
    """What the column of system turns says; "" where there is none."""
    column = columns.get("system", "")
    return text_of(record, column, "the system turn") if record.get(column) else ""


def prompt_of(value: Any, column: str, system: str = "") -> Prompt:
    """A prompt from a text (raw) or from messages; a system text makes it a conversation."""
    if isinstance(value, str):
        content = text_of({column: value}, column, "the prompt")
        if not system:
            return Prompt.from_text(content, raw=True)
        turns: tuple[Turn, ...] = (Turn(role="user", content=content),)
    else:
        turns = turns_of(value, column)
    return _asked(turns, system)


def _asked(turns: tuple[Turn, ...], system: str) -> Prompt:
    """A prompt of turns, with a system turn in front when a column gives one and the turns don't."""
    if system and turns[0].role != "system":
        turns = (Turn(role="system", content=system), *turns)
    check_prompt(turns)
    return Prompt(turns=turns)


def read_preference(record: Record, columns: Columns) -> PreferenceRow:
    """Explicit (with a prompt) or implicit (both sides begin with it)."""
    chosen, rejected = (_side(record, columns[name], name) for name in ("chosen", "rejected"))
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise RowTrouble("The chosen and the rejected response have different forms: one is text, the other messages.")
    column = columns.get("prompt", "")
    given = record.get(column)
    system = system_of(record, columns)
    more = about(record, columns)
    if isinstance(chosen, str) or isinstance(rejected, str):
        prompt = prompt_of("" if given is None else given, column or "prompt", system)
        return pair(prompt, str(chosen), str(rejected), **more)
    if given is None and chosen[:-1] != rejected[:-1]:
        raise RowTrouble(
            "The chosen and the rejected conversation do not share a prompt: they part before the last turn."
        )
    prompt = prompt_of(given, column, system) if given is not None else _implied(chosen, system)
    for side, name in ((chosen, "chosen"), (rejected, "rejected")):
        if len(side) > 1 and given is not None:
            prompt = _same_prompt(prompt, side, columns[name])
    return pair(prompt, answer_of(chosen, columns["chosen"]), answer_of(rejected, columns["rejected"]), **more)


def _side(record: Record, column: str, name: str) -> str | tuple[Turn, ...]:
    value = record.get(column)
    if value is None or isinstance(value, str):
        return text_of(record, column, f"the {name} response")
    if value == []:
        raise RowTrouble(f"The {name} response is empty.")
    return turns_of(value, column)


def _implied(side: tuple[Turn, ...], system: str) -> Prompt:
    turns = side[:-1]
    if not turns:
        raise RowTrouble("There is no prompt: the field is missing, and the chosen conversation has one turn only.")
    return _asked(turns, system)


def _same_prompt(prompt: Prompt, side: tuple[Turn, ...], column: str) -> Prompt:
    """Some files repeat the prompt inside each side; it must be the same one."""
    spoken = tuple(t for t in side[:-1] if t.role != "system")
    if spoken != tuple(t for t in prompt.turns if t.role != "system"):
        raise RowTrouble(f"The conversation in '{column}' does not begin with the prompt.")
    turns = side[:-1] if side[0].role == "system" or prompt.raw else prompt.turns
    return Prompt(turns=turns)


def read_completion(record: Record, columns: Columns) -> Demonstration:
    """Prompt and completion, each as text or as messages."""
    column = columns["prompt"]
    if record.get(column) is None:
        raise RowTrouble(f"The field '{column}' (the prompt) is missing.")
    side = _side(record, columns["completion"], "completion")
    if not isinstance(side, str) and len(side) > 1:
        raise RowTrouble(f"The completion in '{columns['completion']}' has {len(side)} turns; one answer is expected.")
    completion = side if isinstance(side, str) else answer_of(side, columns["completion"])
    return demonstration(prompt_of(record[column], column, system_of(record, columns)), completion)


def demonstration(prompt: Prompt, completion: str) -> Demonstration:
    """A demonstration that says something."""
    if not completion.strip():
        raise RowTrouble("The completion is empty.")
    return Demonstration(prompt=prompt, completion=completion)


def read_messages(record: Record, columns: Columns) -> Demonstration:
    """A whole conversation: everything before the last turn is the prompt."""
    column = columns["messages"]
    turns = turns_of(record.get(column), column)
    answer = answer_of(turns, column)
    return demonstration(_implied(turns, system_of(record, columns)), answer)


def read_prompt(record: Record, columns: Columns) -> Prompt:
    """A prompt alone; an instruction or question is for a chat model, so it becomes a user's turn."""
    column = columns["prompt"]
    if record.get(column) is None:
        raise RowTrouble(f"The field '{column}' (the prompt) is missing.")
    prompt = prompt_of(record[column], column, system_of(record, columns))
    if not prompt.text.strip():
        raise RowTrouble("The prompt is empty.")
    return prompt if column == "prompt" else Prompt(turns=prompt.turns)


def read_text(record: Record, columns: Columns) -> str:
    """A document."""
    document = text_of(record, columns["text"], "the document")
    if not document.strip():
        raise RowTrouble("The document is empty.")
    return document


def paired(record: Record, _columns: Columns) -> bool:
    """Not a row with a thumb up or down (KTO): its completions are no demonstrations."""
    return not {"label", "kto_tag", "rejected_response", "rejected_text", "chosen", "rejected"} & record.keys()


def _conversation(record: Record, columns: Columns) -> bool:
    return paired(record, columns) and is_messages(record[columns["messages"]])


def _alone(record: Record, columns: Columns) -> bool:
    value = record[columns["prompt"]]
    if not isinstance(value, str) and not is_messages(value):
        return False
    return not any(word in name.lower() for name in record for word in _ANSWERS)


_PROMPT = Field("prompt", "What is answered: text, or messages.", PROMPT)
PREFERENCE = Format(
    "trl-preference",
    "TRL preference",
    "preferences",
    "chosen and rejected, as text or messages, with the prompt beside them or at the start of both",
    (
        Field("prompt", "What is answered; without it both sides begin with it.", PROMPT, required=False),
        *SIDES,
        SYSTEM,
        *ABOUT,
    ),
    read_preference,
)
COMPLETION = Format(
    "trl-prompt-completion",
    "TRL prompt and completion",
    "demonstrations",
    "prompt and completion, as text or messages",
    (_PROMPT, Field("completion", "The ideal answer.", ("completion", "response")), SYSTEM),
    read_completion,
    paired,
)
MESSAGES = Format(
    "trl-messages",
    "Conversations (messages)",
    "demonstrations",
    "messages with role and content (or from and value); the last answer is the completion",
    (Field("messages", "The conversation.", ("messages", "conversations", "conversation")), SYSTEM),
    read_messages,
    _conversation,
)
PROMPTS = Format(
    "trl-prompts",
    "TRL prompts only",
    "prompts",
    "prompt alone, as text or messages",
    (Field("prompt", "The prompt.", ("prompt", "instruction", "question", "query")), SYSTEM),
    read_prompt,
    _alone,
)
TEXT = Format(
    "trl-text",
    "TRL text",
    "documents",
    "text, one document in each row",
    (Field("text", "The document.", ("text", "content", "document")),),
    read_text,
    paired,
)
