"""Text to token ids and back, in one place, so that training and inference see the same tokens.

Prompt and completion are tokenised apart and concatenated. A prompt has at most one BOS, a completion exactly one EOS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.text import Prompt, Turn

GAP = "<extra_id_0>"  # the first sentinel of span corruption
_SPEAKER = {"system": "", "user": "Human: ", "assistant": "Assistant: ", "tool": "Tool: "}


def encode_prompt(tokenizer: Any, prompt: Prompt, chat_format: str = "auto") -> list[int]:
    """Ids of a prompt, ready to be continued: raw text as it stands, turns through the template or as plain lines.

    `chat_format` is auto (the tokenizer's template if it has one), template or plain. Never empty.
    """
    if not prompt.raw and uses_template(tokenizer, chat_format):
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt.turns]
        try:
            ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
        except Exception as error:  # templates raise what they like
            raise BadInput(
                f"The model's chat template refuses a conversation: {error}",
                "Set chat_format to plain, or leave such rows out.",
            ) from error
        return one_bos(tokenizer, list(ids)) or [_start(tokenizer)]
    if (
        prompt.raw and GAP in prompt.text and GAP in tokenizer.get_vocab()
    ):  # gaps to be filled by a model of the kind of T5
        return _started(tokenizer, list(tokenizer(prompt.text)["input_ids"]))
    return encode_text(tokenizer, prompt.text if prompt.raw else plain(prompt))


def encode_opening(tokenizer: Any, prompt: Prompt, prefill: str, chat_format: str = "auto") -> list[int]:
    """Ids of a prompt and of how its answer begins, ready to be continued; the answer is tokenised as a completion is."""
    ids = encode_prompt(tokenizer, prompt, chat_format)
    if not prefill:
        return ids
    return [*ids, *tokenizer(prefill, add_special_tokens=False, split_special_tokens=True)["input_ids"]]


def with_end(tokenizer: Any, ids: list[int]) -> list[int]:
    """A prompt as encoders read it: with one end token behind it, if there is such a token."""
    end = tokenizer.eos_token_id
    return ids if end is None or (ids and ids[-1] == end) else [*ids, end]


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Ids of a text that starts a sequence: BOS if that is the tokenizer's custom, no EOS; never empty."""
    ids = _started(tokenizer, list(tokenizer(text, split_special_tokens=True)["input_ids"]))
    return ids or [_start(tokenizer)]


def _start(tokenizer: Any) -> int:
    start: int | None = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise BadInput("A prompt is empty, and the tokenizer has no token to start with.", "Leave empty prompts out.")
    return start


def encode_documents(tokenizer: Any, texts: Sequence[str], slice_size: int = 1000) -> list[list[int]]:
    """Ids of whole documents: BOS if that is the tokenizer's custom, EOS once at the end if there is such a token."""
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    documents: list[list[int]] = []
    for start in range(0, len(texts), slice_size):
        part = [strip_eos(tokenizer, text) for text in texts[start : start + slice_size]]
        encoded = tokenizer(part, split_special_tokens=True, return_attention_mask=False)["input_ids"]
        documents += [_started(tokenizer, list(ids)) + end for ids in encoded]
    return documents


def _started(tokenizer: Any, ids: list[int]) -> list[int]:
    while len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids.pop()
    return one_bos(tokenizer, ids)


def encode_completion(tokenizer: Any, text: str) -> list[int]:
    """Ids of a completion with EOS once at its end. Special tokens spelled out in the text stay plain text."""
    eos = tokenizer.eos_token_id
    if eos is None:
        raise BadInput(
            "The tokenizer has no end-of-text token.", "Give the tokenizer an eos_token; the model can't stop."
        )
    ids = list(tokenizer(strip_eos(tokenizer, text), add_special_tokens=False, split_special_tokens=True)["input_ids"])
    return [*ids, eos]


def strip_eos(tokenizer: Any, text: str) -> str:
    """The text without end-of-text tokens spelled out at its end, as some datasets have them."""
    while tokenizer.eos_token and text.endswith(tokenizer.eos_token):
        text = text.removesuffix(tokenizer.eos_token)
    return text


def one_bos(tokenizer: Any, ids: list[int]) -> list[int]:
    """The ids with a doubled BOS made single; a BOS that is also EOS counts as a separator and stays."""
    bos = tokenizer.bos_token_id
    if bos is not None and bos != tokenizer.eos_token_id:
        while len(ids) > 1 and ids[0] == bos == ids[1]:
            ids = ids[1:]
    return ids


def plain(prompt: Prompt) -> str:
    """Turns as plain lines that end where the assistant speaks: "Human: …", blank line, "Assistant:"."""
    return plain_lines(prompt.turns, answer=True)


def plain_lines(turns: Sequence[Turn], answer: bool = False) -> str:
    """Turns as plain lines; with `answer`, they end where the assistant speaks."""
    lines = [f"{_SPEAKER[turn.role]}{turn.content.strip()}" for turn in turns]
    return "\n\n".join([*lines, "Assistant:"] if answer else lines)


def uses_template(tokenizer: Any, chat_format: str) -> bool:
    """Whether turns go through the chat template; raises RunFailed when one is demanded and there is none."""
    has = bool(getattr(tokenizer, "chat_template", None))
    if chat_format == "template" and not has:
        raise RunFailed("The model's tokenizer has no chat template.", "Set chat_format to auto or plain.")
    return has and chat_format != "plain"


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Text of ids, without special tokens."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text
