from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.online import RewardPart
from workbench.domain.specs.ppo import PpoSpec
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Curves = Callable[[RunFolder], dict[int, dict[str, float]]]
# Sums of what nearly cancels; of the log-probabilities in them some are kept in float32 by the sampler.
NEARLY_CANCEL = ("kl/k1", "kl/k3", "eval/kl", "policy/loss")
NAMES = {
    "reward/score reward/total reward/std kl/k1 kl/k3 kl/beta policy/loss policy/entropy policy/clip_fraction",
    "policy/approx_kl policy/ratio_max value/loss value/clip_fraction value/explained_variance advantage/mean",
    "advantage/std length/mean length/eos_rate loss learning_rate grad_norm epoch",
}


def spec_for(base: Path, reward_model: Path, **more: Any) -> PpoSpec:
    given = {
        "batch_size": 12,
        "max_steps": 2,
        "max_new_tokens": 12,
        "minibatches": 2,
        "ppo_epochs": 2,
        "sample_count": 0,
        "checkpoint_every": 0,
        "eval_every": 0,
        **more,
    }
    return PpoSpec(base=str(base), reward_model=str(reward_model), **given)


@pytest.mark.slow
def test_that_ppo_raises_the_reward_and_leaves_a_policy_that_transformers_loads(
    stories: Path, brevity: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(
        stories,
        brevity,
        batch_size=32,
        max_steps=12,
        learning_rate=1e-3,
        critic_learning_rate=3e-3,
        schedule="constant",
        kl_coefficient=0.0,
        eval_every=6,
        sample_count=2,
        holdout=0.2,
    )
    folder = make_run(spec, openings)
    events = here(folder)
    assert events[-1]["kind"] == "finished"
    steps = curves(folder)
    assert set(" ".join(NAMES).split()) <= set(steps[1])
    for step in (0, 6, 12):
        assert {"eval/kl", "eval/reward/score", "eval/length/mean", "eval/length/eos_rate"} <= set(steps[step])
    assert steps[0]["eval/kl"] == 0.0
    assert steps[12]["eval/kl"] > 0.0
    assert steps[12]["reward/score"] > steps[1]["reward/score"] + 0.5 * steps[1]["reward/std"]
    assert steps[12]["eval/reward/score"] > steps[0]["eval/reward/score"]
    samples = [event for event in events if event["kind"] == "sample"]
    assert [(event["step"], event["index"]) for event in samples] == [(6, 0), (6, 1), (12, 0), (12, 1)]
    assert {"reward", "kl", "length", "ended"} == set(samples[0]["numbers"])
    AutoModelForCausalLM.from_pretrained(folder.model)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_at_the_first_rollout_the_kl_is_exactly_zero(
    method: str, stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, judge_folder, method=method, max_steps=1, ppo_epochs=1, minibatches=1)
    folder = make_run(spec, openings)
    here(folder)
    first = curves(folder)[1]
    assert first["kl/k1"] == first["kl/k3"] == 0.0
    assert first["policy/ratio_max"] == pytest.approx(1.0, abs=1e-5)
    assert first["policy/approx_kl"] == pytest.approx(0.0, abs=1e-9)
    assert first["policy/clip_fraction"] == first["value/clip_fraction"] == 0.0


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
def test_that_an_adapter_policy_loads_onto_its_base(
    stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here
) -> None:
    folder = make_run(spec_for(stories, judge_folder, method="lora", learning_rate=1e-2), openings)
    here(folder)
    base = AutoModelForCausalLM.from_pretrained(stories, dtype=torch.float32).eval()
    ids = torch.tensor([[1, 403, 407, 261]])
    with torch.no_grad():
        plain = base(ids).logits
        assert not torch.allclose(PeftModel.from_pretrained(base, folder.model)(ids).logits, plain, atol=1e-3)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_the_split_into_micro_batches_changes_neither_loss_nor_gradient_norm(
    method: str,
    stories: Path,
    judge_folder: Path,
    openings: Rows,
    make_run: Make,
    here: Here,
    curves: Curves,
    exact: None,
) -> None:
    found = []
    for size in (6, 3, 1):
        spec = spec_for(
            stories,
            judge_folder,
            method=method,
            micro_batch_size=size,
            learning_rate=1e-6,
            entropy_bonus=0.01,
            value_weight=0.5,
            seed=1,  # with seed 0, a random number of the second rollout falls within rounding of two tokens' border
        )
        folder = make_run(spec, openings, f"split{size}")
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for step in (1, 2):
            one, two = dict(other[step]), dict(found[0][step])
            for name in NEARLY_CANCEL:
                assert one.pop(name, 0.0) == pytest.approx(two.pop(name, 0.0), rel=1e-5, abs=1e-6)
            assert one == pytest.approx(two, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("gradient", [True, False])
def test_that_a_critic_on_the_policys_body_teaches_it_only_when_asked_to(
    gradient: bool, stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    found = []
    for weight in (0.0, 50.0):
        spec = spec_for(
            stories, judge_folder, critic="shared", critic_gradient=gradient, value_weight=weight, max_steps=2
        )
        folder = make_run(spec, openings, f"weight{weight}")
        here(folder)
        found.append(curves(folder))
    assert found[0][1]["reward/score"] == found[1][1]["reward/score"]
    # What was learned in the first step shows in what is sampled in the second.
    assert (found[0][2]["kl/k1"] == found[1][2]["kl/k1"]) == (not gradient)
    assert found[1][1]["value/loss"] > 0


def test_that_a_truncated_rollout_is_warned_about(
    stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here
) -> None:
    events = here(make_run(spec_for(stories, judge_folder, max_steps=1, top_k=5), openings))
    assert any("may become negative" in event["what"] for event in events if event["kind"] == "noticed")


def test_that_a_function_rewards_without_a_reward_model(
    stories: Path, openings: Rows, make_run: Make, here: Here, curves: Curves, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def score(prompts, completions, rows):\n    return [float(len(text)) for text in completions]\n")
    rewards = RewardPart(function=f"{file}:score", function_weight=0.5, pattern="e", pattern_weight=2.0)
    spec = spec_for(
        stories, "", rewards=rewards, normalize_scores=True, score_clip=1.0, dual_clip=3.0, eval_every=1, holdout=0.2
    )
    folder = make_run(spec, openings)
    events = here(folder)
    steps = curves(folder)
    planned = next(event for event in events if event["kind"] == "planned")
    assert any("function score of mine.py" in note and "“pattern”" in note for note in planned["notes"])
    first = steps[1]
    assert first["reward/score"] == pytest.approx(0.5 * first["reward/function"] + 2 * first["reward/pattern"])
    assert abs(first["reward/total"]) <= 2.0
    assert {"eval/reward/function", "eval/reward/pattern", "eval/kl"} <= set(steps[2])
    assert first["value/loss"] > 0


@pytest.mark.parametrize("kind", ["loss_k2", "loss_k3"])
def test_that_kl_in_the_loss_holds_the_policy_back_and_leaves_the_reward_alone(
    kind: str, stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    found = []
    for beta in (0.0, 50.0):
        spec = spec_for(
            stories,
            judge_folder,
            kl_penalty=kind,
            kl_coefficient=beta,
            learning_rate=1e-3,
            max_steps=3,
            missing_eos_penalty=0.0,
        )
        folder = make_run(spec, openings, f"beta{beta}")
        here(folder)
        found.append(curves(folder))
    for steps in found:
        assert all(steps[n]["reward/total"] == pytest.approx(steps[n]["reward/score"], abs=1e-5) for n in (1, 2, 3))
    assert found[1][3]["kl/k3"] < 0.9 * found[0][3]["kl/k3"]


def test_that_passes_over_a_rollout_end_where_the_policy_has_gone_too_far(
    stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, judge_folder, stop_kl=1e-3, learning_rate=3e-3, ppo_epochs=4, max_steps=1)
    folder = make_run(spec, openings)
    here(folder)
    assert 1 <= curves(folder)[1]["policy/updates"] < 8
    assert curves(folder)[1]["policy/approx_kl"] <= 1e-3


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_a_paused_run_goes_on_bit_for_bit_with_its_critic_and_running_moments(
    method: str, stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(
        stories, judge_folder, method=method, critic="shared" if method == "full" else "policy", normalize_scores=True,
        kl_target=2.0, kl_horizon=50, max_steps=3, checkpoint_every=2, learning_rate=1e-3,
    )  # fmt: skip
    straight, broken = make_run(spec, openings, "straight"), make_run(spec, openings, "broken")
    here(straight)
    told = Report.checkpointed

    def then_pause(self: Report, step: int) -> None:
        told(self, step)
        self.folder.want("pause")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Report, "checkpointed", then_pause)
        here(broken)
    assert [path.name for path in broken.complete_checkpoints()] == ["2"]
    broken.want("run")
    here(broken)
    assert curves(broken) == curves(straight)
    (ours,), (theirs,) = (list(folder.model.glob("*.safetensors")) for folder in (broken, straight))
    first, second = load_file(ours), load_file(theirs)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_that_the_kl_weight_follows_its_target(
    stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, judge_folder, kl_target=5.0, kl_horizon=100, kl_coefficient=0.1)
    folder = make_run(spec, openings)
    here(folder)
    steps = curves(folder)
    assert steps[1]["kl/beta"] == pytest.approx(0.1)
    assert steps[2]["kl/beta"] == pytest.approx(0.1 * (1 - 0.2 * 12 / 100))


def test_that_repeated_prompts_count_once_and_long_ones_are_left_out(
    stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here
) -> None:
    long = {"prompt": [{"role": "user", "content": "word " * 200}], "raw": True}
    events = here(make_run(spec_for(stories, judge_folder, max_length=100, max_steps=1), [*openings, long]))
    planned = next(event for event in events if event["kind"] == "planned")
    distinct = len({row["prompt"][0]["content"] for row in openings})
    assert planned["rows"] + round(0.1 * distinct) == distinct
    assert planned["rows_left_out"] == 1
    assert "more than 88 tokens" in next(event["what"] for event in events if event["kind"] == "noticed")


def test_that_preferences_serve_as_prompts(
    stories: Path, judge_folder: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    events = here(make_run(spec_for(stories, judge_folder, max_steps=1), comparisons))
    assert events[-1]["kind"] == "finished"


def test_that_a_limit_without_room_for_a_prompt_is_refused(
    stories: Path, judge_folder: Path, openings: Rows, make_run: Make, here: Here
) -> None:
    with pytest.raises(BadInput, match="no room for a prompt"):
        here(make_run(spec_for(stories, judge_folder, max_length=12), openings))


def test_that_a_policy_is_no_reward_model(stories: Path, openings: Rows, make_run: Make, here: Here) -> None:
    with pytest.raises(BadInput, match="is not a reward model") as caught:
        here(make_run(spec_for(stories, stories), openings))
    assert "reward recipe" in caught.value.hint


def test_that_a_score_that_is_no_number_ends_the_run_before_the_policy_is_touched(
    stories: Path, judge_folder: Path, tmp_path: Path, openings: Rows, make_run: Make, here: Here
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(judge_folder, broken)
    weights = load_file(broken / "model.safetensors")
    weights["score.weight"][:] = torch.nan
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    folder = make_run(spec_for(stories, broken), openings)
    with pytest.raises(RunFailed, match="score became nan"):
        here(folder)
    assert not folder.model.exists()
