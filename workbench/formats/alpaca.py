"""Alpaca: instruction, input and output, with system and history; and its preference variant with chosen and rejected."""

from __future__ import annotations

from workbench.domain.text import Demonstration, Prompt, Turn
from workbench.formats.messages import check_prompt
from workbench.formats.rows import PreferenceRow, Record, RowTrouble, kind_of, pair, sound, text_of
from workbench.formats.spec import Columns, Field, Format
from workbench.formats.trl import ABOUT, SIDES, SYSTEM, about, demonstration, paired, system_of

ASK = (
    Field("instruction", "What is asked.", ("instruction", "question", "query")),
    Field("input", "Material for the instruction, put on the line after it.", ("input",), required=False),
    Field("history", "Earlier turns as a list of [question, answer].", ("history",), required=False),
    SYSTEM,
)


def prompt_of(record: Record, columns: Columns) -> Prompt:
    """System, history, then the instruction with its input on the next line."""
    instruction = text_of(record, columns["instruction"], "the instruction")
    column = columns.get("input", "")
    material = text_of(record, column, "the input") if record.get(column) is not None else ""
    question = f"{instruction}\n{material}" if material else instruction
    if not question.strip():
        raise RowTrouble("The instruction is empty.")
    system = system_of(record, columns)
    first = (Turn(role="system", content=system),) if system else ()
    turns = (*first, *_history(record, columns), Turn(role="user", content=question))
    check_prompt(turns)
    return Prompt(turns=turns)


def _history(record: Record, columns: Columns) -> list[Turn]:
    column = columns.get("history", "")
    value = record.get(column) or []
    turns: list[Turn] = []
    for pair_ in value if isinstance(value, list) else [value]:
        if not (isinstance(pair_, list) and len(pair_) == 2 and all(isinstance(t, str) for t in pair_)):
            raise RowTrouble(
                f"The field '{column}' should be a list of [question, answer] but has {kind_of(pair_)} in it."
            )
        asked, answered = (sound(said, f"The field '{column}'") for said in pair_)
        turns += [Turn(role="user", content=asked), Turn(role="assistant", content=answered)]
    return turns


def read(record: Record, columns: Columns) -> Demonstration:
    """An instruction with its ideal output."""
    return demonstration(prompt_of(record, columns), text_of(record, columns["output"], "the output"))


def read_preference(record: Record, columns: Columns) -> PreferenceRow:
    """An instruction with a better and a worse response."""
    chosen = text_of(record, columns["chosen"], "the chosen response")
    rejected = text_of(record, columns["rejected"], "the rejected response")
    return pair(prompt_of(record, columns), chosen, rejected, **about(record, columns))


def _texts(record: Record, columns: Columns) -> bool:
    return all(isinstance(record[columns[name]], str) for name in ("instruction", "chosen", "rejected"))


ALPACA = Format(
    "alpaca",
    "Alpaca",
    "demonstrations",
    "instruction, input and output",
    (*ASK, Field("output", "The ideal answer.", ("output", "response", "answer", "completion"))),
    read,
    paired,
)
ALPACA_PREFERENCE = Format(
    "alpaca-preference",
    "Alpaca preference",
    "preferences",
    "instruction and input with chosen and rejected texts",
    (*ASK, *SIDES, *ABOUT),
    read_preference,
    _texts,
)
