from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from workbench.domain.errors import RunFailed
from workbench.domain.specs.dpo import DpoSpec
from workbench.engine.device import prepare
from workbench.engine.forward import completion_logprobs
from workbench.engine.models import load_policy
from workbench.engine.preferences import encode_preferences, pair_batch
from workbench.engine.reference import agree, reference_of
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Curves = Callable[[RunFolder], dict[int, dict[str, float]]]


def spec_for(base: Path, **more: Any) -> DpoSpec:
    given = {"batch_size": 8, "max_steps": 2, "max_length": 160, "sample_count": 0, "checkpoint_every": 0, **more}
    return DpoSpec(base=str(base), **given)


def test_that_dpo_learns_reports_and_leaves_a_model_that_transformers_loads(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, max_steps=15, learning_rate=5e-4, eval_every=5, sample_count=1, holdout=0.2)
    folder = make_run(spec, comparisons)
    events = here(folder)
    assert events[-1]["kind"] == "finished"
    steps = curves(folder)
    names = {"loss", "kl", "entropy", "logps/chosen", "logps/rejected"}
    names |= {f"rewards/{name}" for name in ("chosen", "rejected", "margin", "accuracy")}
    assert names | {"learning_rate", "grad_norm", "epoch"} <= set(steps[1])
    assert {f"eval/{name}" for name in names} <= set(steps[5]) & set(steps[15])
    assert steps[15]["loss"] < steps[1]["loss"] - 0.2
    assert steps[15]["eval/rewards/accuracy"] >= 0.8
    assert steps[15]["kl"] > 0
    assert [event["step"] for event in events if event["kind"] == "sample"] == [15]
    AutoModelForCausalLM.from_pretrained(folder.model)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_at_the_first_step_the_policy_is_its_reference(
    method: str, stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    folder = make_run(spec_for(stories, method=method, max_steps=1), comparisons)
    here(folder)
    first = curves(folder)[1]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margin", "kl"):
        assert first[name] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
def test_that_an_adapter_loads_onto_its_base_and_its_reference_is_that_base(
    stories: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    folder = make_run(spec_for(stories, method="lora", learning_rate=1e-2), comparisons)
    here(folder)
    base = AutoModelForCausalLM.from_pretrained(stories, dtype=torch.float32).eval()
    ids = torch.tensor([[1, 403, 407, 261]])
    with torch.no_grad():
        plain = base(ids).logits
        adapted = PeftModel.from_pretrained(base, folder.model)
        assert not torch.allclose(adapted(ids).logits, plain, atol=1e-3)


def test_that_an_adapter_trained_before_is_part_of_the_reference(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    first = make_run(spec_for(stories, method="lora", learning_rate=1e-2), comparisons, "first")
    here(first)
    second = make_run(spec_for(first.model, method="lora", max_steps=1), comparisons, "second")
    here(second)
    found = curves(second)[1]
    assert found["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert found["logps/chosen"] != pytest.approx(curves(first)[1]["logps/chosen"], abs=1e-2)
    assert (second.path / "base" / "model.safetensors").exists()


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_the_split_into_micro_batches_changes_neither_loss_nor_gradient_norm(
    method: str, stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    found = []
    for size in (8, 4, 1):
        spec = spec_for(
            stories, micro_batch_size=size, method=method, learning_rate=1e-5, warmup=0.0, sft_weight=0.3, holdout=0.0
        )
        folder = make_run(spec, comparisons, f"split{size}")
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for step in (1, 2):
            for name in ("loss", "grad_norm", "logps/chosen", "logps/rejected", "entropy"):
                assert other[step][name] == pytest.approx(found[0][step][name], rel=2e-5, abs=1e-5)


def test_that_smoothing_and_imitation_take_part_in_the_loss(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    found = {}
    for name, more in (("plain", {}), ("smooth", {"label_smoothing": 0.4}), ("imitate", {"sft_weight": 1.0})):
        folder = make_run(spec_for(stories, learning_rate=1e-3, warmup=0.0, **more), comparisons, name)
        here(folder)
        found[name] = curves(folder)
    assert found["imitate"][1]["loss"] > math.log(2) + 1
    assert found["smooth"][1]["grad_norm"] == pytest.approx(0.2 * found["plain"][1]["grad_norm"], rel=1e-3)


def test_that_reference_logprobs_are_kept_and_read_back_only_for_the_same_data_and_model(
    stories: Path, comparisons: Rows, make_run: Make
) -> None:
    spec = spec_for(stories)
    folder, setup = make_run(spec, comparisons), prepare(spec)
    loaded = load_policy(stories)
    pairs = encode_preferences(comparisons[:12], loaded.tokenizer, "auto", 160, shorten=True).pairs
    first = reference_of(loaded.model, pairs, spec, folder, loaded.pad, setup)
    batch = pair_batch([pairs[3], pairs[7]], loaded.pad)
    width = batch.completion_mask.shape[1]
    with torch.no_grad():
        fresh = completion_logprobs(loaded.model, batch)
    torch.testing.assert_close(first.batch([3, 7], width), fresh, atol=1e-5, rtol=0)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.mul_(1.1)
    again = reference_of(loaded.model, pairs, spec, folder, loaded.pad, setup)
    assert torch.equal(again.batch([3], width), first.batch([3], width))
    other = reference_of(loaded.model, pairs[:8], spec, folder, loaded.pad, setup)
    assert not torch.equal(other.batch([3], width), first.batch([3], width))
    (folder.path / "reference.safetensors").write_bytes(b"torn")
    assert torch.equal(
        reference_of(loaded.model, pairs[:8], spec, folder, loaded.pad, setup).batch([3], width),
        other.batch([3], width),
    )


def test_that_a_policy_that_differs_from_its_reference_at_the_start_ends_the_run(stories: Path) -> None:
    setup = prepare(spec_for(stories, device="cpu"))
    agree(torch.zeros(3), torch.zeros(3), "the ratio", setup)
    for difference in (1e-6, torch.nan):
        with pytest.raises(RunFailed, match="Before the first step the ratio differs"):
            agree(torch.zeros(3), torch.tensor([0.0, 0.0, difference]), "the ratio", setup)
    agree(torch.zeros(3), torch.full((3,), 1e-3), "the ratio", setup._replace(compute=torch.bfloat16))


def test_that_pairs_without_a_difference_end_the_run_with_a_reason(
    stories: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    same = [{**row, "rejected": row["chosen"]} for row in comparisons]
    with pytest.raises(RunFailed, match="No row of the dataset is usable"):
        here(make_run(spec_for(stories), same))


def test_that_weights_that_are_no_numbers_end_the_run(
    stories: Path, tmp_path: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(stories, broken, copy_function=shutil.copyfile)
    weights = load_file(stories / "model.safetensors")
    weights["model.norm.weight"][:] = torch.nan
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(RunFailed, match="nan"):
        here(make_run(spec_for(broken), comparisons))
