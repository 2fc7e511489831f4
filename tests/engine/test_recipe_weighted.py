from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from workbench.domain.errors import RunFailed
from workbench.domain.specs.online import RewardPart
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.weighted import WeightedSpec
from workbench.engine.candidates import encode_candidates
from workbench.engine.models import load_tokenizer
from workbench.engine.text import encode_completion
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Curves = Callable[[RunFolder], dict[int, dict[str, float]]]
BACKWARDS = RewardPart(pattern="and so on$", pattern_weight=-1.0)  # the rejected completions of the fixture end so


def spec_for(base: Path, **more: Any) -> WeightedSpec:
    given = {
        "batch_size": 4, "group_size": 3, "max_steps": 2, "max_new_tokens": 10, "max_length": 128, "sample_count": 0,
        "checkpoint_every": 0, "eval_every": 0, "learning_rate": 1e-4, "rewards": BACKWARDS, "holdout": 0.1,
    }  # fmt: skip
    return WeightedSpec(base=str(base), **{**given, **more})


def offline(base: Path, **more: Any) -> WeightedSpec:
    return spec_for(base, completions="dataset", **more)


def distinct(comparisons: Rows) -> Rows:
    """A comparison for each prompt, so that every group is a pair."""
    return list({row["prompt"][0]["content"]: row for row in comparisons}.values())


def as_demonstrations(rows: Rows, *sides: str) -> Rows:
    return [{"prompt": row["prompt"], "raw": False, "completion": row[side]} for row in rows for side in sides]


@pytest.mark.slow
def test_that_imitating_better_samples_more_raises_the_reward(
    stories: Path, openings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(
        stories, rewards=RewardPart(length_target=4), batch_size=6, group_size=6, max_steps=14, learning_rate=2e-3, eval_every=7,
        sample_count=1, holdout=0.2, beta=0.3, schedule="constant", max_new_tokens=16,
    )  # fmt: skip
    folder = make_run(spec, openings)
    events = here(folder)
    steps = curves(folder)
    assert {"reward/score", "effective_sample_size", "reward/length", "loss", "grad_norm", "length/mean"} <= set(
        steps[1]
    )
    assert 1 < steps[1]["effective_sample_size"] < 6
    assert steps[14]["eval/reward/score"] > steps[0]["eval/reward/score"]
    assert [event["step"] for event in events if event["kind"] == "sample"] == [7, 14]
    AutoModelForCausalLM.from_pretrained(folder.model)


def test_that_a_large_beta_is_plain_fine_tuning_and_a_small_one_that_of_the_best(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    rows = distinct(comparisons)
    common = {"batch_size": len(rows), "holdout": 0.0, "max_steps": 1, "max_length": 400}
    found = {}
    for name, beta, average in (("all", 1e9, "token"), ("best", 1e-3, "token"), ("each", 1e-3, "completion")):
        folder = make_run(offline(stories, beta=beta, average=average, **common), rows, name)
        here(folder)
        found[name] = curves(folder)[1]
    tuned = {}
    for name, sides in (("all", ("chosen", "rejected")), ("best", ("chosen",))):
        plain = as_demonstrations(rows, *sides)
        spec = SftSpec(
            base=str(stories),
            **(common | {"batch_size": len(plain)}),
            sample_count=0,
            checkpoint_every=0,
        )
        folder = make_run(spec, plain, f"sft-{name}")
        here(folder)
        tuned[name] = curves(folder)[1]
    assert found["all"]["loss"] == pytest.approx(tuned["all"]["loss"], rel=1e-5)
    assert found["all"]["grad_norm"] == pytest.approx(tuned["all"]["grad_norm"], rel=1e-4)
    assert found["all"]["effective_sample_size"] == pytest.approx(2.0)
    assert found["best"]["effective_sample_size"] == pytest.approx(1.0)
    # Two completions to a prompt: the best has weight two, and the tokens of both are what is divided by.
    tokenizer = load_tokenizer(stories)
    sizes = {side: sum(len(encode_completion(tokenizer, row[side])) for row in rows) for side in ("chosen", "rejected")}
    share = 2 * sizes["chosen"] / sum(sizes.values())
    assert found["best"]["loss"] == pytest.approx(tuned["best"]["loss"] * share, rel=1e-5)
    assert found["best"]["grad_norm"] == pytest.approx(tuned["best"]["grad_norm"] * share, rel=1e-4)
    assert found["each"]["loss"] != pytest.approx(found["best"]["loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("completions", "more"),
    [
        ("sampled", {"average": "completion", "method": "lora"}),
        ("dataset", {"beta": 0.5}),
        ("sampled", {"temperature": 0.7}),
    ],
)
def test_that_the_split_into_micro_batches_changes_neither_loss_nor_gradient_norm(
    completions: str, more: dict[str, Any], stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    found = []
    for size in (0, 5, 1):
        more = {**more, "rewards": RewardPart(length_target=6), "learning_rate": 1e-6}
        folder = make_run(
            spec_for(stories, completions=completions, micro_batch_size=size, **more), comparisons, f"by{size}"
        )
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for step in (1, 2):
            assert other[step] == pytest.approx(found[0][step], rel=1e-5, abs=1e-7)


def test_that_a_constant_or_a_scale_on_all_rewards_changes_nothing(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    found = []
    for name, part in (
        ("once", BACKWARDS),
        ("scaled", RewardPart(pattern="and so on$", pattern_weight=-7.0)),
        ("shifted", RewardPart(pattern="and so on$", pattern_weight=-1.0, length_target=10**6, length_weight=1e-9)),
    ):
        folder = make_run(offline(stories, rewards=part), comparisons, name)
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for name in ("loss", "grad_norm", "effective_sample_size"):
            assert other[2][name] == pytest.approx(found[0][2][name], rel=1e-5)


def test_that_held_out_candidates_are_scored_and_scores_are_kept(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = offline(stories, eval_every=2, sample_count=1, holdout=0.3)
    folder = make_run(spec, comparisons)
    events = here(folder)
    steps = curves(folder)
    assert {"eval/reward/score", "eval/loss"} <= set(steps[2])
    assert "eval/loss" not in steps[0]
    assert any(event["kind"] == "sample" for event in events)
    kept = json.loads((folder.path / "scores.json").read_text())
    assert {value for group in kept["scores"] for value in group} == {0.0, -1.0}


def test_that_a_paused_run_goes_on_with_the_scores_it_had(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves, tmp_path: Path
) -> None:
    file = tmp_path / "moody.py"
    file.write_text("import random\ndef score(p, c, r):\n    return [random.random() for _ in c]\n")
    for name in ("dataset", "sampled"):
        spec = spec_for(
            stories, completions=name, rewards=RewardPart(function=f"{file}:score"), max_steps=4, checkpoint_every=2
        )
        straight, broken = (
            make_run(spec, comparisons, f"{name}-straight"),
            make_run(spec, comparisons, f"{name}-broken"),
        )
        here(straight)
        halfway(broken, here)
        assert [path.name for path in broken.complete_checkpoints()] == ["2"]
        broken.want("run")
        here(broken)
        assert curves(broken) == curves(straight)
        ours, theirs = (load_file(f.model / "model.safetensors") for f in (broken, straight))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def halfway(folder: RunFolder, here: Here) -> None:
    """Let a run go on until its next checkpoint, by asking for a pause as soon as that is told."""
    from workbench.engine.report import Report

    told = Report.checkpointed

    def then_pause(self: Report, step: int) -> None:
        told(self, step)
        self.folder.want("pause")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Report, "checkpointed", then_pause)
        here(folder)


def test_that_candidates_of_a_prompt_are_put_together_once(stories: Path) -> None:
    prompt = [{"role": "user", "content": "Say it."}]
    rows = [
        {"prompt": prompt, "raw": False, "chosen": "good", "rejected": "bad"},
        {"prompt": prompt, "raw": False, "chosen": "good", "rejected": "word " * 60},
        {"prompt": [{"role": "user", "content": "Other."}], "raw": False, "chosen": "one", "rejected": "one"},
        {"prompt": prompt, "raw": False, "chosen": "better", "rejected": "bad"},
    ]
    tokenizer = load_tokenizer(stories)
    groups, left_out = encode_candidates(rows, tokenizer, "auto", 64)
    (group,) = groups
    assert group.completions == [encode_completion(tokenizer, text) for text in ("good", "bad", "better")]
    assert sorted(left_out.values()) == [1, 1]
    ranked = [{"prompt": prompt, "raw": False, "completions": ["good", "bad", "better"]}]
    assert encode_candidates(ranked, tokenizer, "auto", 64)[0][0].completions == group.completions


def test_that_prompts_alone_have_no_candidates(stories: Path, openings: Rows, make_run: Make, here: Here) -> None:
    with pytest.raises(RunFailed, match="no column chosen, rejected"):
        here(make_run(offline(stories), openings))
