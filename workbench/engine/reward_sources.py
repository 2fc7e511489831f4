"""Where rewards come from: a reward model, a Python function, rules, or a weighted sum of several.

A function is `score(prompts, completions, rows) -> list[float]`. `prompts` holds for each completion a text, or a list of turns
{"role", "content"}; `completions` holds texts without special tokens; `rows` holds the rows of the data as dicts. It returns one
finite number for each completion. Only what the spec names is ever executed, from a copy in the run folder, so that a run stands
alone and a resumed run scores as before.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from workbench.analysis.reward_rules import has_pattern, near_length, right_answer
from workbench.analysis.story_rule import score_story
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.online import OnlineSpec
from workbench.engine.batches import buckets, collate
from workbench.engine.data import Row, prompt_of
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import core, rewards
from workbench.engine.reward_settings import RewardStatistics, reward_statistics
from workbench.engine.roles import Roles
from workbench.engine.text import decode
from workbench.protocol.run_folder import RunFolder

SCORED_TOGETHER = 32  # rows, sorted by length, that are looked at at once when the spec sets no micro-batch
TextScore = Callable[[list[Any], list[str], list[Row]], list[float]]


class Scores(NamedTuple):
    """What B completions get: the weighted sum [B] in float32, and what each source gives, unweighted."""

    total: Tensor
    each: dict[str, Tensor]

    def means(self) -> dict[str, float]:
        """`reward/SOURCE` metrics."""
        return {f"reward/{name}": float(values.mean()) for name, values in self.each.items()}


class Sources(NamedTuple):
    """The sources of a run. `texts` are those that read text, by name; "model" has a weight too if there is a reward model.

    `scaled` are the mean and deviation by which the reward model's scores are centred and scaled, if they are.
    """

    roles: Roles
    weights: dict[str, float]
    texts: dict[str, TextScore]
    size: int
    note: str
    scaled: RewardStatistics | None = None

    def score(
        self, prompts: Sequence[list[int]], completions: Sequence[list[int]], rows: Sequence[Row], setup: Setup
    ) -> Scores:
        """Score each completion of each prompt (ids), as it was sampled; raises RunFailed when a source gives no number."""
        each: dict[str, Tensor] = {}
        if "model" in self.weights:
            found = _by_model(self.roles, prompts, completions, self.size, setup)
            each["model"] = found if self.scaled is None else self.scaled.standardise(found)
        if self.texts:
            asked = [as_text(row) for row in rows]
            said = [decode(self.roles.policy.tokenizer, ids) for ids in completions]
            for name, score in self.texts.items():
                numbers = checked(score(asked, said, list(rows)), said, name)
                each[name] = torch.tensor(numbers, dtype=torch.float32, device=setup.device)
        total = torch.zeros(len(completions), device=setup.device)
        for name, values in each.items():
            total = total + self.weights[name] * values
        return Scores(total, each)


def load_sources(spec: OnlineSpec, roles: Roles, folder: RunFolder) -> Sources:
    """The sources that a spec names; raises BadInput when there is none, or when its function can't be loaded."""
    part = spec.rewards
    weights: dict[str, float] = {"model": part.model_weight} if roles.scorer is not None else {}
    texts: dict[str, TextScore] = {}
    notes = ["the reward model"] if weights else []
    if part.function:
        function, what = load_function(part.function, folder)
        texts["function"], weights["function"] = guarded(function, part.function), part.function_weight
        notes.append(what)
    rules: tuple[tuple[str, float, TextScore], ...] = (
        ("answer", part.answer_weight, answers),
        ("pattern", part.pattern_weight if part.pattern else 0.0, lambda _, said, __: [has_pattern(text, part.pattern) for text in said]),
        ("length", part.length_weight if part.length_target else 0.0, lambda _, said, __: [near_length(text, part.length_target) for text in said]),
        ("story", part.story_weight, stories),
    )  # fmt: skip
    for name, weight, rule in rules:
        if weight:
            texts[name], weights[name] = rule, weight
            notes.append(f"the rule “{name}”")
    if not weights:
        raise BadInput(
            "Nothing gives rewards: neither a reward model nor a function nor a rule was chosen.",
            "Choose a reward model, name a function in rewards.function, or give a rule a weight.",
        )
    scaled = _saved_scale(roles) if part.model_normalize and roles.scorer is not None else None
    return Sources(
        roles, weights, texts, spec.micro_batch_size or SCORED_TOGETHER, f"rewards: {', '.join(notes)}", scaled
    )


def _saved_scale(roles: Roles) -> RewardStatistics:
    with roles.scoring() as scorer:
        found = reward_statistics(core(scorer).config)
    if found is None:
        raise BadInput(
            "The reward model's folder doesn't say how its scores are spread.",
            "Train it with normalize on, or turn rewards.model_normalize off.",
        )
    return found


def answers(_: list[Any], said: list[str], rows: list[Row]) -> list[float]:
    """The rule about answers: a row's `answer`, or the `completion` of a demonstration, is what is right."""
    wanted = [row.get("answer") or row.get("completion") for row in rows]
    if missing := sum(1 for answer in wanted if not answer):
        raise RunFailed(
            f"{missing} of {len(rows)} prompts have no answer to compare with.",
            "Use demonstrations, whose completions are the answers, or set answer_weight to 0.",
        )
    return [right_answer(text, str(answer)) for text, answer in zip(said, wanted, strict=True)]


def stories(asked: list[Any], said: list[str], _: list[Row]) -> list[float]:
    """The starter kit's rule: a request is the last turn of a prompt, or its text."""
    requests = [prompt if isinstance(prompt, str) else prompt[-1]["content"] for prompt in asked]
    return [score_story(request, text).total for request, text in zip(requests, said, strict=True)]


def as_text(row: Row) -> str | list[dict[str, str]]:
    """A row's prompt as functions get it: raw text as it stands, else its turns."""
    prompt = prompt_of(row)
    return prompt.text if prompt.raw else [{"role": turn.role, "content": turn.content} for turn in prompt.turns]


def load_function(place: str, folder: RunFolder) -> tuple[Callable[..., Any], str]:
    """(the function, what it is for a person) of FILE.py:NAME or MODULE:NAME.

    A file is copied into the run folder when the run doesn't have its copy yet; the copy is what is executed. Raises BadInput
    when there is no such file, module or function, or when importing it fails.
    """
    source, _, name = place.rpartition(":")
    about = f"function {name} of {source}"
    try:
        if source.endswith(".py"):
            content = _copy(Path(source).expanduser(), folder.function).read_bytes()
            about = f"function {name} of {Path(source).name} (sha256 {hashlib.sha256(content).hexdigest()[:12]})"
            module = ModuleType("reward_function")
            module.__file__ = str(folder.function)
            sys.modules[module.__name__] = module  # dataclasses and the like look their module up
            exec(compile(content, str(folder.function), "exec"), module.__dict__)
        else:
            module = importlib.import_module(source)
        function = getattr(module, name)
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(
            f"The reward function {place} can't be loaded: {type(error).__name__}: {error}",
            "Mend the file: it has to define that function, and may import only what is installed.",
            traceback.format_exc(),
        ) from error
    if not callable(function):
        raise BadInput(f"{name} in {source} is no function.", "Name a function score(prompts, completions, rows).")
    return function, about


def guarded(function: Callable[..., Any], place: str) -> TextScore:
    """The function, with whatever it raises made a RunFailed that says so."""

    def score(asked: list[Any], said: list[str], rows: list[Row]) -> list[float]:
        try:
            result: list[float] = function(asked, said, rows)
        except (Exception, SystemExit) as error:
            raise RunFailed(
                f"The reward function {place} raised {type(error).__name__}: {error}",
                "The run's last checkpoint is complete. Mend the function's copy in the run's folder and resume.",
                traceback.format_exc(),
            ) from error
        return result

    return score


def checked(found: Any, said: Sequence[str], name: str) -> list[float]:
    """The rewards as floats; raises RunFailed unless there is one finite number for each completion."""
    hint = f"The source “{name}” has to give one finite number for each completion; mend it and resume from the last checkpoint."
    if hasattr(found, "tolist"):  # an array or a tensor
        found = found.tolist()
    if not isinstance(found, Sequence) or isinstance(found, str | bytes):
        raise RunFailed(f"The rewards of “{name}” are no list but {type(found).__name__}.", hint)
    if len(found) != len(said):
        raise RunFailed(f"“{name}” gave {len(found)} rewards for {len(said)} completions.", hint)
    numbers: list[float] = []
    for value, text in zip(found, said, strict=True):
        if hasattr(value, "item") and not isinstance(value, str | bytes) and getattr(value, "ndim", 0) == 0:
            value = value.item()
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise RunFailed(f"“{name}” gave {value!r:.80} for the completion {text[:80]!r}.", hint)
        numbers.append(float(value))
    return numbers


def _by_model(
    roles: Roles, prompts: Sequence[list[int]], completions: Sequence[list[int]], size: int, setup: Setup
) -> Tensor:
    found = torch.zeros(len(prompts), device=setup.device)
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    with roles.scoring() as scorer, evaluating(scorer), setup.autocast():
        for part in buckets(range(len(prompts)), lengths, size, setup.start_cost):
            batch = collate([prompts[row] for row in part], [completions[row] for row in part], roles.policy.pad)
            found[part] = rewards(scorer, batch.to(setup.device))
    if not bool(found.isfinite().all()):
        raise RunFailed(
            f"The reward model's score became {float(found[~found.isfinite()][0])}.",
            "The reward model is damaged or doesn't fit this precision: train it anew, or choose precision float32.",
        )
    return found


def _copy(source: Path, target: Path) -> Path:
    if target.exists():
        return target
    if not source.is_file():
        raise BadInput(f"There is no file {source} with a reward function.", "Check the path in rewards.function.")
    beside = target.with_name(f".{target.name}.tmp")  # a copy that a kill has cut short would be executed on resume
    shutil.copyfile(source, beside)
    return beside.replace(target)
