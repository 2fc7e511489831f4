"""Conversations in which every turn of the assistant is learned, rendered so that training sees what inference will see.

Where a turn begins and ends is found by rendering the conversation turn by turn, never by searching for tokens.
"""

from __future__ import annotations

import re
from typing import Any

from workbench.domain.errors import BadInput
from workbench.domain.text import Prompt, Turn
from workbench.engine.batches import Example
from workbench.engine.text import encode_completion, encode_prompt, encode_text, one_bos, plain_lines, uses_template

_MARKS = re.compile(r"{%-?\s*generation\s*-?%}")


def completion_example(tokenizer: Any, prompt: Prompt, completion: str, chat_format: str) -> Example:
    """Only the completion is learned, its EOS included; prompt and completion are tokenised apart."""
    before, said = encode_prompt(tokenizer, prompt, chat_format), encode_completion(tokenizer, completion)
    return Example(before + said, (range(len(before), len(before) + len(said)),))


def assistant_example(tokenizer: Any, prompt: Prompt, completion: str, chat_format: str) -> Example:
    """Every turn of the assistant is learned, the completion being the last; a raw prompt has no turns but that.

    The ids are those of the whole conversation rendered at once. What stands before each answer in them is exactly what the model
    is given when it has to write that answer; BadInput where the template or the tokenizer doesn't allow that. Where the template
    marks what the assistant says ({% generation %}), such a conversation is learned by those marks instead.
    """
    if prompt.raw:
        return completion_example(tokenizer, prompt, completion, chat_format)
    if not uses_template(tokenizer, chat_format):
        return _plain_example(tokenizer, prompt, completion)
    turns = (*prompt.turns, Turn(role="assistant", content=completion))
    whole = _render(tokenizer, turns)
    learned = _by_prefix(tokenizer, turns, whole)
    if learned is None:
        learned = _by_marks(tokenizer, turns)
    eos = tokenizer.eos_token_id
    learned = tuple(_up_to_end(whole, places, eos) for places in learned if len(places))
    if not learned:
        raise BadInput("The model's chat template leaves out what the assistant says.", "Set chat_format to plain.")
    last = learned[-1]
    if eos is not None and eos not in whole[last.start :]:
        # The template leaves the end to its reader; without one the model would never stop.
        whole = [*whole, eos]
        learned = (*learned[:-1], range(last.start, len(whole)))
    return Example(whole, learned)


def _render(tokenizer: Any, turns: tuple[Turn, ...], answer: bool = False) -> list[int]:
    """Ids of turns through the template; with `answer`, ready for the assistant to speak."""
    said = [{"role": turn.role, "content": turn.content} for turn in turns]
    try:
        ids = tokenizer.apply_chat_template(said, add_generation_prompt=answer, tokenize=True, return_dict=False)
    except Exception as error:  # templates raise what they like
        raise BadInput(
            f"The model's chat template refuses a conversation: {error}",
            "Set chat_format to plain, or leave such rows out.",
        ) from error
    return one_bos(tokenizer, list(ids))


def _by_prefix(tokenizer: Any, turns: tuple[Turn, ...], whole: list[int]) -> tuple[range, ...] | None:
    """Where each answer stands in the whole; None where what was said changes by what is said later."""
    learned = []
    for place, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        before = _render(tokenizer, turns[:place], answer=True)
        after = _render(tokenizer, turns[: place + 1])
        if not before or whole[: len(before)] != before or whole[: len(after)] != after:
            return None
        learned.append(range(len(before), len(after)))
    return tuple(learned)


def _by_marks(tokenizer: Any, turns: tuple[Turn, ...]) -> tuple[range, ...]:
    """Where the template itself says that the assistant speaks."""
    if not _MARKS.search(tokenizer.chat_template):
        raise BadInput(
            "The model's chat template writes earlier turns in another way once later ones follow, so that what the model saw "
            "before each answer can't be rendered",
            "Set loss_on to completion, or give the template {% generation %} marks.",
        )
    said = [{"role": turn.role, "content": turn.content} for turn in turns]
    found = tokenizer.apply_chat_template(said, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    ids, marks = list(found["input_ids"]), [*found["assistant_masks"], 0]
    shift = len(ids) - len(one_bos(tokenizer, ids))
    learned, start = [], None
    for place, marked in enumerate(marks):
        if marked and start is None:
            start = place - shift
        elif not marked and start is not None:
            learned.append(range(start, place - shift))
            start = None
    return tuple(learned)


def _up_to_end(whole: list[int], places: range, eos: int | None) -> range:
    """An answer without what the template puts behind its end token, usually a line break: the model never writes that."""
    for place in reversed(places):
        if whole[place] == eos:
            return range(places.start, place + 1)
    return places


def _plain_example(tokenizer: Any, prompt: Prompt, completion: str) -> Example:
    """Turns as plain lines; earlier answers end where the next line begins, the last one with EOS."""
    last = completion_example(tokenizer, prompt, completion, "plain")
    learned = []
    for place, turn in enumerate(prompt.turns):
        if turn.role != "assistant":
            continue
        before = encode_text(tokenizer, plain_lines(prompt.turns[:place], answer=True))
        after = encode_text(tokenizer, plain_lines(prompt.turns[: place + 1]))
        if last.ids[: len(before)] != before or last.ids[: len(after)] != after:
            raise BadInput(
                "The tokenizer joins the end of an answer with what follows it in plain lines",
                "Set loss_on to completion, or give the model a chat template.",
            )
        learned.append(range(len(before), len(after)))
    return Example(last.ids, (*learned, *last.learned))
