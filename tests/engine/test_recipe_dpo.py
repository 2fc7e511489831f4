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

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.dpo import DpoSpec
from workbench.engine.batches import collate, micro_batches
from workbench.engine.data import split_holdout
from workbench.engine.device import prepare
from workbench.engine.forward import completion_logprobs
from workbench.engine.models import load_policy
from workbench.engine.pair_forward import PairForward
from workbench.engine.preferences import Preference, encode_preferences
from workbench.engine.recipes.dpo import Task, added, log_ratio_of_strangers, part_loss, with_strangers
from workbench.engine.reference import Reference
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
    names |= {"logps/chosen_change", "logps/rejected_change", "length/difference", "reference/accuracy"}
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
    for name in ("rewards/chosen", "rewards/rejected", "rewards/margin", "kl", "logps/chosen_change"):
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


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("method", ["bottleneck", "ia3", "prompt", "prefix", "ptuning"])
def test_that_whatever_is_trained_starts_as_its_reference_and_shares_prompts(
    method: str, stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves, said: Callable[..., Rows]
) -> None:
    spec = spec_for(
        stories, method=method, learning_rate=1e-3, warmup=0.0, holdout=0.0, batch_size=4, micro_batch_size=3
    )
    folder = make_run(spec, comparisons[:8])
    here(folder)
    first, second = curves(folder)[1], curves(folder)[2]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert first["kl"] == pytest.approx(0.0, abs=1e-6)
    assert second["kl"] > 0
    assert "each prompt is computed once for both completions" in said(folder, "planned")[0]["notes"]


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_plain_libraries_score_held_out_pairs_as_the_run_did(
    method: str, stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, method=method, learning_rate=1e-3, holdout=0.15)
    folder = make_run(spec, comparisons)
    here(folder)
    model = AutoModelForCausalLM.from_pretrained(folder.model if method == "full" else stories, dtype=torch.float32)
    if method == "lora":
        model = PeftModel.from_pretrained(model, folder.model)
    model.eval()
    _, held = split_holdout(comparisons, 0.15, spec.seed)
    pairs = encode_preferences(held, load_policy(stories).tokenizer, "auto", 160, shorten=True).pairs
    sums: list[list[float]] = [[], []]
    for pair in pairs:
        for side, completion in enumerate((pair.chosen, pair.rejected)):
            ids = torch.tensor([pair.prompt + completion])
            with torch.no_grad():
                logprobs = model(input_ids=ids).logits[0, len(pair.prompt) - 1 : -1].log_softmax(-1)
            sums[side].append(float(logprobs.gather(1, torch.tensor(completion)[:, None]).sum()))
    found = curves(folder)[2]
    assert found["eval/logps/chosen"] == pytest.approx(sum(sums[0]) / len(pairs), rel=1e-5)
    assert found["eval/logps/rejected"] == pytest.approx(sum(sums[1]) / len(pairs), rel=1e-5)


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
                assert other[step][name] == pytest.approx(found[0][step][name], rel=1e-5, abs=1e-7)


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


LOSSES: list[tuple[str, dict[str, Any]]] = [
    ("sigmoid", {"label_smoothing": 0.1, "margin_scale": 0.5, "sft_weight": 0.3}),
    ("robust", {"label_smoothing": 0.1}),
    ("hinge", {"margin_scale": 0.5}),
    ("ipo", {}),
    ("ipo", {"ipo_length_average": False}),
    ("orpo", {}),
    ("simpo", {"beta": 2.0}),
    ("kto", {"kto_chosen_weight": 1.5}),
]


class Step:
    """One step's loss, metrics and gradient norm on the stories model, away from its reference, split in some way."""

    def __init__(self, stories: Path, comparisons: Rows, loss: str, more: dict[str, Any]) -> None:
        self.spec = DpoSpec.model_validate({"loss": loss, "batch_size": 6, "base": str(stories), **more})
        loaded = load_policy(stories)
        self.model = loaded.model
        usable = encode_preferences(comparisons[:9], loaded.tokenizer, "auto", 160, shorten=True).pairs
        pairs = with_strangers(usable, 7, 160)
        forward = PairForward(self.model, 3, prepare(self.spec), shared=True)
        generator = torch.Generator().manual_seed(1)
        away = {
            row: (
                torch.randn(len(pair.chosen), generator=generator) * 0.1 - 2,
                torch.randn(len(pair.rejected), generator=generator) * 0.1 - 3,
            )
            for row, pair in enumerate(pairs)
        }
        reference = Reference(away) if self.spec.needs_reference else None
        self.task = Task(forward, pairs, [forward.tokens(pair) for pair in pairs], len(usable), reference)

    def split(self, size: int) -> dict[str, float]:
        spec = self.spec.model_copy(update={"micro_batch_size": size})
        rows, parts = [4, 0, 6, 2, 5, 0], []  # one row twice, as when an epoch ends within a step
        zero = log_ratio_of_strangers(self.task, rows, spec)
        for part in micro_batches(rows, self.task.lengths, size):
            loss, measured = part_loss(self.task, part, rows, spec, zero)
            loss.backward()
            parts.append(measured)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
        self.model.zero_grad()
        return added(parts) | {"grad_norm": float(norm)}


@pytest.mark.parametrize(("loss", "more"), LOSSES, ids=lambda value: str(value))
def test_that_no_loss_depends_on_how_a_step_is_split(
    loss: str, more: dict[str, Any], stories: Path, comparisons: Rows
) -> None:
    step = Step(stories, comparisons, loss, more)
    whole = step.split(0)
    assert whole["grad_norm"] > 1e-3
    for size in (4, 1):
        parts = step.split(size)
        assert parts.keys() == whole.keys()
        for name, value in whole.items():
            assert parts[name] == pytest.approx(value, rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize(("loss", "more"), LOSSES, ids=lambda value: str(value))
def test_that_sharing_prompts_changes_no_loss(
    loss: str, more: dict[str, Any], stories: Path, comparisons: Rows
) -> None:
    step = Step(stories, comparisons, loss, more)
    shared = step.split(0)
    step.task = step.task._replace(forward=step.task.forward._replace(shared=False))
    for name, value in step.split(0).items():
        assert shared[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name


def test_that_ktos_zero_is_the_mean_log_ratio_of_mismatched_completions(stories: Path, comparisons: Rows) -> None:
    step = Step(stories, comparisons, "kto", {})
    rows = [4, 0]
    zero = log_ratio_of_strangers(step.task, rows, step.spec)
    total = 0.0
    for row in rows:
        prompt = step.task.pairs[row].prompt
        partner = next(p for p in [*step.task.pairs[row + 1 : 7], *step.task.pairs[:7]] if p.prompt != prompt)
        stranger = step.task.pairs[row + step.task.real]
        assert (stranger.prompt, stranger.chosen, stranger.rejected) == (prompt, partner.chosen, partner.rejected)
        with torch.no_grad():
            batch = collate([prompt] * 2, [partner.chosen, partner.rejected], 0)
            logprobs = completion_logprobs(step.model, batch)
        assert step.task.reference is not None
        total += float(logprobs.sum() - step.task.reference.batch([row + step.task.real], logprobs.shape[1]).sum())
    assert zero is not None
    assert float(zero) == pytest.approx(total / 4, rel=1e-5)
    assert log_ratio_of_strangers(step.task, rows, DpoSpec()) is None


def test_that_held_out_prompts_are_compared_among_themselves() -> None:
    pairs = [Preference([n], [10 + n, 2], [20 + n, 2], 0.0) for n in range(5)]
    found = [pair.chosen[0] - 10 for pair in with_strangers(pairs, 3, 50)[5:]]
    assert found == [1, 2, 0, 4, 0]  # the last one held out has only those that are trained on left


@pytest.mark.parametrize("loss", ["orpo", "simpo"])
def test_that_a_loss_without_a_reference_computes_none_and_learns(
    loss: str, stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, loss=loss, max_steps=6, learning_rate=1e-3, beta=1.0, holdout=0.2, eval_every=6)
    folder = make_run(spec, comparisons)
    events = here(folder)
    steps = curves(folder)
    assert not (folder.path / "reference").exists()
    assert not any("reference" in name or name.endswith("kl") for name in steps[6])
    assert not [e for e in events if e["kind"] == "phase" and e["name"].startswith("reference")]
    assert steps[6]["loss"] < steps[1]["loss"]
    assert steps[6]["eval/rewards/margin"] > steps[1]["rewards/margin"]


def test_that_kto_starts_at_one_half_and_learns(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, loss="kto", max_steps=6, learning_rate=1e-3, micro_batch_size=3, holdout=0.2, eval_every=6)
    folder = make_run(spec, comparisons)
    here(folder)
    steps = curves(folder)
    assert steps[1]["loss"] == pytest.approx(0.5, abs=1e-6)
    assert steps[6]["eval/loss"] < 0.49
    assert steps[6]["eval/rewards/margin"] > 0


def test_that_kto_on_a_single_prompt_ends_with_what_to_do(
    stories: Path, comparisons: Rows, make_run: Make, here: Here
) -> None:
    same = [{**row, "prompt": comparisons[0]["prompt"]} for row in comparisons]
    with pytest.raises(BadInput, match="All pairs have the same prompt") as caught:
        here(make_run(spec_for(stories, loss="kto"), same))
    assert "another loss" in caught.value.hint


def test_that_a_margin_without_strengths_is_told(stories: Path, comparisons: Rows, make_run: Make, here: Here) -> None:
    unknown = [{**row, "margin": None} for row in comparisons]
    events = here(make_run(spec_for(stories, margin_scale=1.0, max_steps=1), unknown))
    assert any("margin_scale changes nothing" in event.get("what", "") for event in events)


def test_that_a_pause_during_the_reference_pass_is_heard_and_the_run_goes_on_from_there(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(stories, max_steps=1, batch_size=4, learning_rate=1e-3, warmup=0.0)
    straight, halting = make_run(spec, comparisons, "straight"), make_run(spec, comparisons, "halting")
    here(straight)
    halting.want("pause")
    events = here(halting)
    assert (events[-1]["kind"], events[-1]["step"]) == ("halted", 0)
    assert not [event for event in events if event["kind"] == "metrics"]
    halting.want("run")
    here(halting)
    assert curves(halting) == curves(straight)


def test_that_only_the_pairs_of_the_steps_and_the_held_out_ones_are_compared_with_the_reference(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, said: Callable[..., Rows]
) -> None:
    folder = make_run(spec_for(stories, batch_size=4, max_steps=2, holdout=0.1), comparisons)
    here(folder)
    held = int(next(n for n in said(folder, "planned")[0]["notes"] if "held out" in n).split()[0])
    done = [e["name"] for e in said(folder, "phase") if e["name"].startswith("reference:")][-1]
    assert done == f"reference: {8 + held} of {8 + held} pairs"
