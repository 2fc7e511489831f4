"""Sources of rewards: what they give, what functions are given, and what happens when they misbehave."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workbench.analysis.story_rule import score_story
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.online import RewardPart
from workbench.engine.batches import collate
from workbench.engine.data import prompt_of
from workbench.engine.device import Setup, prepare
from workbench.engine.forward import rewards
from workbench.engine.reward_sources import Sources, checked, load_function, load_sources
from workbench.engine.roles import load_roles
from workbench.engine.text import encode_completion, encode_prompt
from workbench.protocol.run_folder import RunFolder

ROWS: list[dict[str, Any]] = [
    {
        "prompt": [{"role": "user", "content": "Tell me a story about Mia and a lantern."}],
        "raw": False,
        "completion": "7",
    },
    {"prompt": [{"role": "user", "content": "Once upon a time"}], "raw": True, "completion": "#### 12"},
]
SAID = ["Mia saw a lantern. She took it. It was 7. All were happy. The end.", "so it is 11"]
SCORE = '''
"""A function of a person's own."""
seen = []

def score(prompts, completions, rows):
    seen.append((prompts, completions, rows))
    return [float(len(text)) for text in completions]

def broken(prompts, completions, rows):
    raise KeyError("no such thing")

def leaves(prompts, completions, rows):
    raise SystemExit("enough")

NUMBER = 3
'''

Made = tuple[Sources, Setup, RunFolder]


@pytest.fixture
def made(stories: Path, tmp_path: Path) -> Callable[..., Made]:
    def make(reward_model: str = "", **fields: Any) -> Made:
        spec = GrpoSpec(base=str(stories), reward_model=reward_model, rewards=RewardPart(**fields))
        setup = prepare(spec)
        folder = RunFolder(tmp_path)
        return load_sources(spec, load_roles(spec, tmp_path, setup, reference=False), folder), setup, folder

    return make


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "mine" / "my rewards.py"
    file.parent.mkdir()
    file.write_text(SCORE)
    return file


def ids(sources: Sources) -> tuple[list[list[int]], list[list[int]]]:
    tokenizer = sources.roles.policy.tokenizer
    return [encode_prompt(tokenizer, prompt_of(r)) for r in ROWS], [encode_completion(tokenizer, s) for s in SAID]


def test_that_a_mix_is_the_weighted_sum_of_its_sources(
    made: Callable[..., Made], judge_folder: Path, own: Path
) -> None:
    sources, setup, _ = made(
        str(judge_folder), model_weight=2.0, function=f"{own}:score", function_weight=-0.5, answer_weight=3.0,
        pattern="happy", length_target=10, length_weight=0.25, story_weight=1.5,
    )  # fmt: skip
    prompts, completions = ids(sources)
    found = sources.score(prompts, completions, ROWS, setup)
    assert list(found.each) == ["model", "function", "answer", "pattern", "length", "story"]
    with torch.no_grad():
        model = torch.stack([
            rewards(sources.roles.scorer, collate([p], [c], 0))[0] for p, c in zip(prompts, completions, strict=True)
        ])  # fmt: skip
    torch.testing.assert_close(found.each["model"], model, atol=1e-5, rtol=1e-5)
    assert found.each["function"].tolist() == [float(len(text)) for text in SAID]
    assert found.each["answer"].tolist() == [1.0, 0.0]
    assert found.each["pattern"].tolist() == [1.0, 0.0]
    assert found.each["length"].tolist() == pytest.approx(
        [max(0.0, 1 - abs(len(text.split()) - 10) / 10) for text in SAID]
    )
    assert found.each["story"].tolist() == [
        score_story(row["prompt"][0]["content"], text).total for row, text in zip(ROWS, SAID, strict=True)
    ]
    weights = {"model": 2.0, "function": -0.5, "answer": 3.0, "pattern": 1.0, "length": 0.25, "story": 1.5}
    torch.testing.assert_close(found.total, torch.stack([weights[n] * v for n, v in found.each.items()]).sum(0))
    assert found.means()["reward/function"] == pytest.approx(sum(map(len, SAID)) / 2)
    assert "the reward model" in sources.note
    assert "function score of my rewards.py (sha256 " in sources.note


def test_that_a_function_gets_texts_turns_and_rows(made: Callable[..., Made], own: Path) -> None:
    sources, setup, _ = made(function=f"{own}:score")
    sources.score(*ids(sources), ROWS, setup)
    ((asked, said, rows),) = sys.modules["reward_function"].seen
    assert asked == [ROWS[0]["prompt"], "Once upon a time"]
    assert said == SAID
    assert rows == ROWS


def test_that_the_copy_in_the_run_folder_is_what_is_executed(made: Callable[..., Made], own: Path) -> None:
    sources, setup, folder = made(function=f"{own}:score")
    assert folder.function.read_text() == SCORE
    shutil.rmtree(own.parent)
    folder.function.write_text(SCORE.replace("len(text)", "-1"))
    again, setup, _ = made(function=f"{own}:score")
    found = again.score(*ids(again), ROWS, setup)
    assert found.total.tolist() == [-1.0, -1.0]
    assert again.note != sources.note


def test_that_a_function_of_an_installed_module_is_taken(made: Callable[..., Made]) -> None:
    sources, _, folder = made(function="tests.engine.test_reward_sources:brief")
    assert not folder.function.exists()
    assert "function brief of tests.engine.test_reward_sources" in sources.note


def brief(prompts: list[Any], completions: list[str], rows: list[Any]) -> list[float]:
    return [-float(len(text)) for text in completions]


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("nowhere.py:score", "There is no file"),
        ("OWN:missing", "can't be loaded: AttributeError"),
        ("OWN:NUMBER", "is no function"),
        ("no_such_module_at_all:score", "can't be loaded: ModuleNotFoundError"),
        ("BAD:score", "can't be loaded: SyntaxError"),
        ("EXIT:score", "can't be loaded: SystemExit"),
    ],
)
def test_that_a_function_that_cannot_be_loaded_is_explained(place: str, word: str, own: Path, tmp_path: Path) -> None:
    for name, content in (("bad", "def score(:"), ("exit", "raise SystemExit(3)")):
        (own.parent / f"{name}.py").write_text(content)
    place = place.replace("OWN", str(own)).replace("BAD", str(own.parent / "bad.py"))
    with pytest.raises(BadInput, match=word) as caught:
        load_function(place.replace("EXIT", str(own.parent / "exit.py")), RunFolder(tmp_path))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "word"), [("broken", "raised KeyError: 'no such thing'"), ("leaves", "SystemExit: enough")]
)
def test_that_a_function_that_raises_ends_the_run_with_its_words(
    name: str, word: str, made: Callable[..., Made], own: Path
) -> None:
    sources, setup, _ = made(function=f"{own}:{name}")
    with pytest.raises(RunFailed, match=word) as caught:
        sources.score(*ids(sources), ROWS, setup)
    assert "resume" in caught.value.hint
    assert "Traceback" in caught.value.details


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([1.0], "gave 1 rewards for 2 completions"),
        (None, "no list but NoneType"),
        (3.0, "no list but float"),
        ("ab", "no list but str"),
        ([1.0, None], "gave None for the completion 'two'"),
        ([1.0, float("nan")], "gave nan"),
        ([float("inf"), 1.0], "gave inf for the completion 'one'"),
        (["1", "2"], "gave '1'"),
        (torch.tensor(1.0), "no list but float"),
        (np.zeros((2, 1)), "gave \\[0.0\\]"),
    ],
)
def test_that_rewards_that_are_no_numbers_are_named(found: Any, word: str) -> None:
    with pytest.raises(RunFailed, match=word) as caught:
        checked(found, ["one", "two"], "function")
    assert "one finite number" in caught.value.hint


@pytest.mark.parametrize(
    "found", [[1, 0], (True, False), np.array([1.0, 0.0]), torch.tensor([1, 0]), [np.float32(1), torch.tensor(0.0)]]
)
def test_that_any_row_of_numbers_will_do(found: Any) -> None:
    assert checked(found, ["one", "two"], "function") == [1.0, 0.0]


def test_that_the_answer_rule_needs_answers(made: Callable[..., Made]) -> None:
    sources, setup, _ = made(answer_weight=1.0)
    rows = [{key: value for key, value in row.items() if key != "completion"} for row in ROWS]
    with pytest.raises(RunFailed, match="2 of 2 prompts have no answer"):
        sources.score(*ids(sources), rows, setup)
    assert sources.score(*ids(sources), [row | {"answer": "11"} for row in rows], setup).total.tolist() == [0.0, 1.0]


def test_that_a_reward_model_s_scores_are_scaled_by_what_was_saved_with_it(
    made: Callable[..., Made], judge_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="how its scores are spread"):
        made(str(judge_folder), model_normalize=True)
    folder = shutil.copytree(judge_folder, tmp_path / "scaled")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"reward_mean": 0.5, "reward_std": 4.0}))
    raw, scaled = (
        sources.score(*ids(sources), ROWS, setup).total
        for sources, setup, _ in (made(str(folder)), made(str(folder), model_normalize=True))
    )
    torch.testing.assert_close(scaled, (raw - 0.5) / 4)


def test_that_a_spec_without_any_source_is_refused(made: Callable[..., Made]) -> None:
    with pytest.raises(BadInput, match="Nothing gives rewards") as caught:
        made()
    assert "rewards.function" in caught.value.hint


def test_that_a_function_whose_copy_was_cut_short_is_copied_anew(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, really = RunFolder(tmp_path / "run"), shutil.copyfile
    folder.path.mkdir()

    def cut(source: Path, target: Path) -> None:
        target.write_text("def score(prompts, completions, rows):\n    return [0.0 for _ in completions]\n")
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", cut)
    with pytest.raises(KeyboardInterrupt):
        load_function(f"{own}:score", folder)
    assert not folder.function.exists()
    monkeypatch.setattr(shutil, "copyfile", really)
    function, _ = load_function(f"{own}:score", folder)
    assert function([], ["four"], []) == [4.0]
    assert [path.name for path in folder.path.iterdir()] == [folder.function.name]
