from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from workbench.domain.errors import RunFailed
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.online import RewardPart
from workbench.engine.groups import compare
from workbench.engine.recipes import grpo
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Curves = Callable[[RunFolder], dict[int, dict[str, float]]]
NAMES = (
    "reward/score reward/std reward/zero_std_groups reward/length policy/loss policy/entropy policy/clip_fraction "
    "policy/approx_kl policy/ratio_max length/mean length/eos_rate loss grad_norm learning_rate epoch"
)
BRIEF = RewardPart(length_target=14)  # of 10 tokens about 6 words are made, of 24 about 15
LETTERS = """
def score(prompts, completions, rows):
    return [text.count("e") / (len(text) + 1) for text in completions]

def constant(prompts, completions, rows):
    return [1.5] * len(completions)

def shifted(prompts, completions, rows):
    return [100 + 64 * round(value * 64) / 64 for value in score(prompts, completions, rows)]

def plain(prompts, completions, rows):
    return [value - 100 for value in shifted(prompts, completions, rows)]

def later(prompts, completions, rows):
    raise OSError("the judge has gone home")
"""


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("letters") / "letters.py"
    file.write_text(LETTERS)
    return file


def spec_for(base: Path, **more: Any) -> GrpoSpec:
    given = {
        "batch_size": 3, "group_size": 4, "max_steps": 2, "max_new_tokens": 10, "sample_count": 0, "checkpoint_every": 0,
        "eval_every": 0, "learning_rate": 1e-4, "holdout": 0.1, "rewards": BRIEF,
    }  # fmt: skip
    return GrpoSpec(base=str(base), **{**given, **more})


@pytest.mark.slow
def test_that_grpo_raises_the_reward_and_leaves_a_policy_that_transformers_loads(
    stories: Path, openings: Rows, letters: Path, make_run: Make, here: Here, curves: Curves
) -> None:
    rewards = RewardPart(function=f"{letters}:score", function_weight=10.0)
    spec = spec_for(
        stories, rewards=rewards, batch_size=6, group_size=6, max_steps=14, learning_rate=1e-3, eval_every=7, sample_count=2,
        holdout=0.2, schedule="constant",
    )  # fmt: skip
    folder = make_run(spec, openings)
    events = here(folder)
    steps = curves(folder)
    assert events[-1]["kind"] == "finished"
    assert set(NAMES.replace("reward/length ", "").split()) <= set(steps[1])
    assert {"eval/reward/score", "eval/length/mean", "eval/reward/function"} <= set(steps[0])
    assert "eval/kl" not in steps[7]
    assert steps[14]["eval/reward/score"] > steps[0]["eval/reward/score"] + 0.5 * steps[0]["eval/reward/std"]
    samples = [event for event in events if event["kind"] == "sample"]
    assert [(event["step"], event["index"]) for event in samples] == [(7, 0), (7, 1), (14, 0), (14, 1)]
    AutoModelForCausalLM.from_pretrained(folder.model)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("variant", ["grpo", "dapo", "dr_grpo", "rloo"])
def test_that_at_the_first_step_ratio_is_one_and_kl_is_zero(
    variant: str, method: str, stories: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    folder = make_run(spec_for(stories, variant=variant, method=method, beta=0.1, max_steps=1), openings)
    here(folder)
    first = curves(folder)[1]
    assert set(NAMES.split()) <= set(first)
    assert (first["kl/k3"], first["policy/ratio_max"], first["policy/approx_kl"]) == (0.0, 1.0, 0.0)
    # With every ratio one, the surrogate is the mean advantage, zero where completions weigh alike.
    if variant == "grpo":
        assert first["policy/loss"] == pytest.approx(0.0, abs=1e-6)
    assert first["grad_norm"] > 0


@pytest.mark.parametrize(
    "more",
    [
        {"variant": "grpo", "beta": 0.1, "method": "lora"},
        {"variant": "dapo", "iterations": 2, "minibatches": 2},
        {"variant": "dr_grpo"},
        {"variant": "rloo", "beta": 0.1},
    ],
)
def test_that_the_split_into_micro_batches_changes_neither_loss_nor_gradient_norm(
    more: dict[str, Any], stories: Path, openings: Rows, make_run: Make, here: Here, curves: Curves, exact: None
) -> None:
    found = []
    for size in (0, 5, 1):
        spec = spec_for(stories, micro_batch_size=size, learning_rate=1e-6, max_new_tokens=24, **more)
        folder = make_run(spec, openings, f"split{size}")
        here(folder)
        found.append(curves(folder))
    assert found[0][1]["grad_norm"] > 1e-3
    for other in found[1:]:
        for step in (1, 2):
            one, two = dict(other[step]), dict(found[0][step])
            # A sum that nearly cancels, of log-probabilities that the sampler keeps in float32.
            assert one.pop("eval/kl", 0.0) == pytest.approx(two.pop("eval/kl", 0.0), rel=1e-5, abs=1e-6)
            assert one == pytest.approx(two, rel=1e-5, abs=1e-9)


def test_that_rewards_without_spread_teach_nothing(
    stories: Path, openings: Rows, letters: Path, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, rewards=RewardPart(function=f"{letters}:constant"), learning_rate=0.1, weight_decay=0.1)
    folder = make_run(spec, openings)
    here(folder)
    steps = curves(folder)
    assert [steps[n]["reward/zero_std_groups"] for n in (1, 2)] == [1.0, 1.0]
    assert [steps[n]["loss"] for n in (1, 2)] == [0.0, 0.0]
    ours, theirs = load_file(folder.model / "model.safetensors"), load_file(stories / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name].float()) for name in ours)


def test_that_a_constant_added_to_all_rewards_changes_nothing(
    stories: Path, openings: Rows, letters: Path, make_run: Make, here: Here, curves: Curves
) -> None:
    found = []
    for name in ("plain", "shifted"):
        rewards = RewardPart(function=f"{letters}:{name}")
        folder = make_run(spec_for(stories, rewards=rewards, scale="none", max_new_tokens=24), openings, name)
        here(folder)
        found.append(curves(folder))
    assert found[0][1]["grad_norm"] > 0
    for step in (1, 2):
        for name in set(found[0][step]) - {
            f"{where}reward/{name}" for where in ("", "eval/") for name in ("score", "function")
        }:
            assert found[1][step][name] == pytest.approx(found[0][step][name], rel=1e-4, abs=1e-6), name


def test_that_skipping_groups_without_spread_changes_no_gradient(
    stories: Path,
    openings: Rows,
    letters: Path,
    make_run: Make,
    here: Here,
    curves: Curves,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for skipped in (True, False):
        rewards = RewardPart(pattern="a boy|e e|big dog|the park|was very")
        folder = make_run(spec_for(stories, rewards=rewards, batch_size=8, max_steps=1), openings, f"skip{skipped}")
        if not skipped:
            monkeypatch.setattr(
                grpo, "compare", lambda *a: compare(*a)._replace(learned=torch.ones(len(a[0]), dtype=torch.bool))
            )
        here(folder)
        found.append(curves(folder)[1])
    assert 0 < found[0]["reward/zero_std_groups"] < 1
    assert found[0]["grad_norm"] == pytest.approx(found[1]["grad_norm"], rel=1e-5)
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-5, abs=1e-8)


def test_that_a_function_that_fails_later_leaves_a_checkpoint_from_which_the_run_goes_on(
    stories: Path, openings: Rows, letters: Path, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, rewards=RewardPart(function=f"{letters}:score"), max_steps=4, holdout=0.0)
    straight = make_run(spec, openings, "straight")
    here(straight)
    folder = make_run(spec, openings)
    source = folder.function.parent / "unused"
    good = letters.read_text()
    folder.function.write_text(good + "\ncalls = 0\nright = score\ndef score(p, c, r):\n    global calls\n    calls += 1\n"
                               "    return right(p, c, r) if calls < 3 else None\n")  # fmt: skip
    with pytest.raises(RunFailed, match="no list but NoneType"):
        here(folder)
    assert [path.name for path in folder.complete_checkpoints()] == ["2"]
    assert not folder.model.exists() and not source.exists()
    folder.function.write_text(good)
    here(folder)
    assert curves(folder) == curves(straight)
    ours, theirs = (load_file(f.model / "model.safetensors") for f in (folder, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
def test_that_an_adapter_loads_onto_its_base(stories: Path, openings: Rows, make_run: Make, here: Here) -> None:
    folder = make_run(spec_for(stories, method="lora", learning_rate=1e-2), openings)
    here(folder)
    base = AutoModelForCausalLM.from_pretrained(stories, dtype=torch.float32).eval()
    ids = torch.tensor([[1, 403, 407, 261]])
    with torch.no_grad():
        plain = base(ids).logits
        assert not torch.allclose(PeftModel.from_pretrained(base, folder.model)(ids).logits, plain, atol=1e-3)


def test_that_the_best_of_the_evaluations_is_kept_and_unfinished_completions_may_teach_nothing(
    stories: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(
        stories, mask_unfinished=True, eval_every=1, keep_best=True, patience=1, max_steps=5, learning_rate=0.1
    )
    folder = make_run(spec, openings)
    events = here(folder)
    steps = curves(folder)
    # In ten tokens no story ends: nothing is learned, so no evaluation is better than the first.
    assert [steps[n]["loss"] for n in (1, 2)] == [0.0, 0.0]
    assert steps[1]["length/eos_rate"] == 0.0
    notices = " ".join(event["what"] for event in events if event["kind"] == "noticed")
    assert "Stopped early at step 2" in notices and "the model of step 1" in notices
    ours, theirs = load_file(folder.model / "model.safetensors"), load_file(stories / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name].float()) for name in ours)


def test_that_every_pass_deals_the_rows_out_anew_and_none_twice() -> None:
    spec = GrpoSpec(iterations=2, minibatches=3)
    found = grpo.minibatches(10, spec, 5)
    assert [len(part) for part in found] == [4, 3, 3] * 2
    for start in (0, 3):
        assert sorted(row for part in found[start : start + 3] for row in part) == list(range(10))
    assert found[:3] != found[3:]
    assert found == grpo.minibatches(10, spec, 5) != grpo.minibatches(10, spec, 6)
