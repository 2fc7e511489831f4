from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]


def spec_for(base: Path, **more: Any) -> SftSpec:
    given = {"batch_size": 8, "max_steps": 3, "max_length": 160, "sample_count": 0, "checkpoint_every": 0, **more}
    return SftSpec(base=str(base), **given)


def test_that_sft_learns_reports_and_leaves_a_model_that_transformers_loads(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    spec = spec_for(stories, max_steps=25, learning_rate=3e-3, sample_count=2, eval_every=10)
    folder = make_run(spec, demonstrations)
    events = here(folder)
    assert events[-1]["kind"] == "finished"
    steps = curves(folder)
    assert steps[25]["loss"] < steps[1]["loss"] - 0.3
    expected = {"loss", "learning_rate", "grad_norm", "epoch", "perplexity", "token_accuracy"}
    assert expected <= set(steps[1])
    assert {"eval/loss", "eval/perplexity", "eval/token_accuracy"} <= set(steps[10]) & set(steps[25])
    assert steps[25]["epoch"] == pytest.approx(25 * 8 / next(e for e in events if e["kind"] == "planned")["rows"])
    samples = [event for event in events if event["kind"] == "sample"]
    assert [(event["step"], event["index"]) for event in samples] == [(25, 0), (25, 1)]
    model = AutoModelForCausalLM.from_pretrained(folder.model, dtype=torch.float32)
    assert AutoTokenizer.from_pretrained(folder.model).eos_token == "</s>"
    before = AutoModelForCausalLM.from_pretrained(stories, dtype=torch.float32)
    assert not torch.equal(model.lm_head.weight, before.lm_head.weight)
    assert "```json" in (folder.model / "README.md").read_text()


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
def test_that_an_adapter_loads_onto_its_base_with_peft_and_the_base_is_untouched(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here
) -> None:
    folder = make_run(spec_for(stories, method="lora", learning_rate=1e-2), demonstrations)
    events = here(folder)
    planned = next(event for event in events if event["kind"] == "planned")
    assert 0 < planned["trainable_parameters"] < planned["parameters"]
    base = AutoModelForCausalLM.from_pretrained(stories, dtype=torch.float32).eval()
    ids = torch.tensor([[1, 403, 407, 261]])
    with torch.no_grad():
        plain = base(ids).logits
        adapted = PeftModel.from_pretrained(base, folder.model)
        assert not torch.allclose(adapted(ids).logits, plain, atol=1e-3)
        with adapted.disable_adapter():
            assert torch.equal(adapted(ids).logits, plain)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_the_split_into_micro_batches_changes_neither_loss_nor_gradient_norm(
    method: str, stories: Path, demonstrations: Rows, make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    found = []
    for size in (8, 4, 2, 1):
        spec = spec_for(stories, micro_batch_size=size, max_steps=2, method=method, learning_rate=1e-3, warmup=0.0)
        folder = make_run(spec, demonstrations, f"split{size}")
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for step in (1, 2):
            for name in ("loss", "grad_norm", "token_accuracy"):
                assert other[step][name] == pytest.approx(found[0][step][name], rel=1e-5, abs=1e-5)


def test_that_recomputing_activations_changes_nothing(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    found = []
    for again in (False, True):
        spec = spec_for(stories, gradient_checkpointing=again, method="lora")
        folder = make_run(spec, demonstrations, f"again{again}")
        here(folder)
        found.append(curves(folder)[3])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_that_a_prompt_is_either_trained_on_or_held_out(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here
) -> None:
    events = here(make_run(spec_for(stories, holdout=0.3, max_steps=0, epochs=0.2), demonstrations))
    planned = next(event for event in events if event["kind"] == "planned")
    assert 0 < planned["rows"] < len(demonstrations)
    assert f"{len(demonstrations) - planned['rows']} rows are held out" in planned["notes"]


def test_that_rows_that_cannot_be_used_are_counted_and_told(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here
) -> None:
    long = {"prompt": [{"role": "user", "content": "word " * 300}], "raw": True, "completion": "x"}
    empty = {**demonstrations[0], "completion": "  "}
    events = here(make_run(spec_for(stories, max_steps=0, epochs=0.1), [*demonstrations, long, empty, empty]))
    assert next(event for event in events if event["kind"] == "planned")["rows_left_out"] == 3
    notices = " ".join(event["what"] for event in events if event["kind"] == "noticed")
    assert "3 rows were left out" in notices
    assert "2 because the completion is empty" in notices


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (None, "missing"),
        ([{"text": "a document"}], "no column"),
        ([{"prompt": [{"role": "user", "content": "a"}], "raw": True, "completion": ""}], "No row"),
    ],
    ids=["missing", "another kind", "all empty"],
)
def test_that_data_that_cannot_be_trained_on_ends_the_run_with_a_reason(
    rows: Rows | None, word: str, stories: Path, make_run: Make, here: Here
) -> None:
    with pytest.raises(RunFailed, match=word) as caught:
        here(make_run(spec_for(stories), rows))
    assert caught.value.hint


def test_that_a_model_folder_without_weights_is_refused(
    unborn: Path, demonstrations: Rows, make_run: Make, here: Here
) -> None:
    with pytest.raises(BadInput, match="has no weights"):
        here(make_run(spec_for(unborn), demonstrations))


def test_that_a_loss_that_is_no_number_ends_the_run_before_anything_is_written(
    stories: Path, tmp_path: Path, demonstrations: Rows, make_run: Make, here: Here, said: Callable[..., Any]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(stories, broken, copy_function=shutil.copyfile)
    weights = load_file(stories / "model.safetensors")
    next(value for name, value in weights.items() if "layers.2" in name)[:] = torch.nan
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    folder = make_run(spec_for(broken, checkpoint_every=1), demonstrations)
    with pytest.raises(RunFailed, match="loss became nan") as caught:
        here(folder)
    assert "learning rate" in caught.value.hint
    assert folder.complete_checkpoints() == []
    assert {event["step"] for event in said(folder, "metrics")} <= {0}  # the evaluation of the base


def test_that_a_run_that_is_asked_to_stop_before_its_first_step_leaves_a_checkpoint_and_no_model(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here
) -> None:
    folder = make_run(spec_for(stories), demonstrations)
    folder.want("stop")
    events = here(folder)
    assert (events[-1]["kind"], events[-1]["wanted"], events[-1]["step"]) == ("halted", "stop", 0)
    assert [path.name for path in folder.complete_checkpoints()] == ["0"]
    assert not folder.model.exists()
    folder.want("run")
    events = here(folder)
    assert [event["step"] for event in events if event["kind"] == "resumed"] == [0]
    assert events[-1]["kind"] == "finished"
