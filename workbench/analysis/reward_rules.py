"""Rewards that a rule can give: the right answer, a pattern, a length. Each is between 0 and 1."""

from __future__ import annotations

import re

_MARKED = re.compile(r"####\s*(.+)")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_NUMBER = re.compile(r"[-+−]?(?:\d[\d,]*\.?\d*|\.\d+)")
_AROUND = " \t\n\r.,;:!?\"'`*$()[]"


def final_answer(text: str, like: str = "") -> str:
    r"""The answer that a text ends with, in the form of the answer `like`.

    It stands behind the last "####" (as in GSM8K), else in the last \boxed{}; else it is the last number, if a number is asked
    for; else the last line that isn't empty.
    """
    for pattern in (_MARKED, _BOXED):
        if found := pattern.findall(text):
            return str(found[-1]).strip()
    if as_number(like) is not None and (numbers := _NUMBER.findall(text)):
        return str(numbers[-1])
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def as_number(text: str) -> float | None:
    """The number that a text is, with signs of currency, percent and thousands left out; None when it is none."""
    bare = text.rstrip(_AROUND + "%€£").lstrip(_AROUND.replace(".", "") + "€£").replace(",", "").replace("−", "-")
    try:
        return float(bare) if _NUMBER.fullmatch(bare) else None
    except ValueError:
        return None


def right_answer(completion: str, answer: str) -> float:
    """1 if the completion ends with the answer: as numbers if both are, else as words, case and marks around them aside."""
    wanted = final_answer(answer)
    given = final_answer(completion, like=wanted)
    first, second = as_number(wanted), as_number(given)
    if first is not None and second is not None:
        return float(first == second)
    return float(bool(given) and _words(given) == _words(wanted))


def has_pattern(completion: str, pattern: str) -> float:
    """1 if a match of the regular expression is found; the dot stands for a new line too."""
    return float(re.search(pattern, completion, re.DOTALL) is not None)


def near_length(completion: str, words: int) -> float:
    """1 for exactly so many words, falling evenly to 0 at none and at twice as many."""
    return max(0.0, 1.0 - abs(len(completion.split()) - words) / words)


def _words(text: str) -> str:
    return " ".join(text.strip(_AROUND).casefold().split())
