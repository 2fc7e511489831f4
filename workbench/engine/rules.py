"""Rules that score a response: built-in ones by name, or a function of a Python file that a person names."""

from __future__ import annotations

import math
import runpy
from collections.abc import Callable
from pathlib import Path

from workbench.analysis.story_rule import score_story
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.judge import rule_file

Rule = Callable[[str, str], float]
BUILT_IN: dict[str, Rule] = {
    "story_rule": lambda prompt, completion: score_story(prompt, completion).total,
    "longer": lambda prompt, completion: float(len(completion.split())),
    "shorter": lambda prompt, completion: -float(len(completion.split())),
}


def load_rule(name: str, folder: Path) -> Rule:
    """The rule of a name, or `FILE.py:FUNCTION` (a relative file lies in the folder); raises BadInput when there is none.

    The function takes prompt and completion as texts and returns a number; higher is better.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    file, function = rule_file(name) or ("", "")
    path = folder / file
    if not path.is_file():
        raise BadInput(f"The rule's file {file} is not there.", "Give a file that holds the function.")
    try:
        found = runpy.run_path(str(path)).get(function)
    except Exception as error:  # whatever a person's file raises
        raise BadInput(
            f"The rule's file {file} can't be run: {type(error).__name__}: {error}", "Correct the file."
        ) from error
    if not callable(found):
        raise BadInput(f"{file} has no function called {function}.", "Name a function of prompt and completion.")
    return _checked(found, name)


def _checked(function: Callable[[str, str], object], name: str) -> Rule:
    def rule(prompt: str, completion: str) -> float:
        try:
            score = float(function(prompt, completion))  # type: ignore[arg-type]
        except Exception as error:  # whatever a person's function raises
            raise RunFailed(
                f"The rule {name} failed: {type(error).__name__}: {error}",
                "Correct it and start the judge again; what was judged so far is kept.",
            ) from error
        if not math.isfinite(score):
            raise RunFailed(f"The rule {name} gave {score}, which ranks nothing.", "Let it return a finite number.")
        return score

    return rule
