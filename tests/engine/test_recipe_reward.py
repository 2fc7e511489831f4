from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from workbench.domain.errors import RunFailed
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.text import Prompt
from workbench.engine.batches import collate
from workbench.engine.forward import rewards
from workbench.engine.models import load_reward
from workbench.engine.text import encode_completion, encode_prompt
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
PAIRS = [("What does First Citizen say?", "Speak, speak."), ("Hello", "A much longer answer than the other one has.")]


def spec_for(base: Path, **more: Any) -> RewardSpec:
    given = {"batch_size": 8, "max_steps": 2, "max_length": 200, "sample_count": 0, "checkpoint_every": 0, **more}
    return RewardSpec(base=str(base), **given)


def our_scores(folder: Path) -> list[float]:
    loaded = load_reward(folder)
    prompts = [encode_prompt(loaded.tokenizer, Prompt.from_text(prompt)) for prompt, _ in PAIRS]
    completions = [encode_completion(loaded.tokenizer, text) for _, text in PAIRS]
    with torch.no_grad():
        return rewards(loaded.model, collate(prompts, completions, loaded.pad)).tolist()


def padded(folder: Path) -> dict[str, torch.Tensor]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [
        encode_prompt(tokenizer, Prompt.from_text(prompt)) + encode_completion(tokenizer, text)
        for prompt, text in PAIRS
    ]
    return dict(tokenizer.pad({"input_ids": texts}, return_tensors="pt", padding=True))


def test_that_a_reward_model_learns_to_tell_sense_from_nonsense(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    spec = spec_for(
        stories, max_steps=30, batch_size=12, learning_rate=2e-3, eval_every=15, sample_count=2, holdout=0.2
    )
    folder = make_run(spec, comparisons)
    events = here(folder)
    assert events[-1]["kind"] == "finished"
    steps = curves(folder)
    names = {"loss", "accuracy", "margin", "chosen_reward", "rejected_reward", "calibration_error", "length_bias"}
    assert names | {"learning_rate", "grad_norm", "epoch"} <= set(steps[1])
    assert {f"eval/{name}" for name in names} <= set(steps[15]) & set(steps[30])
    assert steps[30]["eval/accuracy"] >= 0.8
    assert steps[30]["eval/margin"] > 0.5
    samples = [event for event in events if event["kind"] == "sample"]
    assert [event["index"] for event in samples] == [0, 1]
    assert {"chosen_reward", "rejected_reward"} == set(samples[0]["numbers"])


def test_that_plain_transformers_loads_the_result_and_scores_a_padded_batch_the_same(
    stories: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    folder = make_run(spec_for(stories, learning_rate=1e-3), comparisons)
    here(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder.model, dtype=torch.float32).eval()
    with torch.no_grad():
        theirs = model(**padded(folder.model)).logits.squeeze(-1).tolist()
    assert theirs == pytest.approx(our_scores(folder.model), abs=1e-5)
    assert model.config.num_labels == 1
    assert model.config.pad_token_id not in {1, 2}


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
def test_that_an_adapter_keeps_its_trained_head_and_plain_peft_scores_the_same(
    stories: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    folder = make_run(spec_for(stories, method="lora", learning_rate=1e-2), comparisons)
    here(folder)
    assert any("score" in name for name in load_file(folder.model / "adapter_model.safetensors"))
    base = AutoModelForSequenceClassification.from_pretrained(stories, num_labels=1, dtype=torch.float32)
    base.config.pad_token_id = AutoTokenizer.from_pretrained(folder.model).pad_token_id
    model = PeftModel.from_pretrained(base, folder.model).eval()
    with torch.no_grad():
        theirs = model(**padded(folder.model)).logits.squeeze(-1).tolist()
    assert theirs == pytest.approx(our_scores(folder.model), abs=1e-5)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_the_split_into_micro_batches_changes_neither_loss_nor_gradient_norm(
    method: str, stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Callable[..., Any], exact: None
) -> None:
    found = []
    for size in (8, 4, 1):
        spec = spec_for(stories, micro_batch_size=size, method=method, learning_rate=1e-4, margin=True, warmup=0.0)
        folder = make_run(spec, comparisons, f"split{size}")
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for step in (1, 2):
            for name in ("loss", "grad_norm"):
                assert other[step][name] == pytest.approx(found[0][step][name], rel=1e-5)
            # Scores are float32 always, and correlations divide differences of them by their small spread.
            assert other[step] == pytest.approx(found[0][step], rel=1e-5, abs=5e-6)


def test_that_the_margin_of_the_data_takes_part_only_when_asked_for(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    losses = []
    for margin in (False, True):
        folder = make_run(spec_for(stories, margin=margin, max_steps=1), comparisons, f"margin{margin}")
        here(folder)
        losses.append(curves(folder)[1]["loss"])
    assert losses[1] > losses[0]


def test_that_pairs_without_a_difference_end_the_run_with_a_reason(
    stories: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    same = [{**row, "rejected": row["chosen"]} for row in comparisons]
    with pytest.raises(RunFailed, match=r"No row of the dataset is usable.*are the same") as caught:
        here(make_run(spec_for(stories), same))
    assert caught.value.hint


def test_that_data_of_another_kind_is_refused(stories: Path, demonstrations: Rows, make_run: Make, here: Here) -> None:
    with pytest.raises(RunFailed, match="no column completions, tiers"):
        here(make_run(spec_for(stories), demonstrations))


def test_that_a_loss_that_is_no_number_ends_the_run(
    stories: Path, tmp_path: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(stories, broken, copy_function=shutil.copyfile)
    weights = load_file(stories / "model.safetensors")
    weights["model.norm.weight"][:] = torch.nan
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(RunFailed, match="loss became nan"):
        here(make_run(spec_for(broken), comparisons))
