from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from workbench.domain.errors import RunFailed
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.protocol.run_folder import RunFolder

Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]


def spec_for(base: Path, **more: Any) -> PretrainSpec:
    given = {"batch_size": 8, "max_steps": 2, "max_length": 128, "sample_count": 0, "checkpoint_every": 0, **more}
    return PretrainSpec(base=str(base), **given)


def documents(texts: list[str]) -> list[dict[str, Any]]:
    return [{"text": text} for text in texts]


def test_that_a_model_without_weights_is_born_from_the_seed_and_learns(
    unborn: Path, texts: list[str], make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    folder = make_run(spec_for(unborn, max_steps=30, learning_rate=5e-3, sample_count=1), documents(texts))
    events = here(folder)
    steps = curves(folder)
    assert steps[1]["loss"] == pytest.approx(6.2, abs=0.3)  # ln 512: every token equally likely
    assert steps[30]["loss"] < 5.0
    assert steps[30]["eval/loss"] < 5.2
    assert events[-1]["kind"] == "finished"
    planned = next(event for event in events if event["kind"] == "planned")
    assert "weights start at random" in planned["notes"]
    assert any("don't see each other" in note for note in planned["notes"])
    assert len([event for event in events if event["kind"] == "sample"]) == 1
    AutoModelForCausalLM.from_pretrained(folder.model, dtype=torch.float32)


def test_that_the_seed_decides_the_weights_at_birth(
    unborn: Path, texts: list[str], make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    losses = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        folder = make_run(spec_for(unborn, max_steps=1, seed=seed, holdout=0), documents(texts), name)
        here(folder)
        losses.append(curves(folder)[1]["loss"])
    assert losses[0] == losses[1] != losses[2]


def test_that_pretraining_goes_on_from_weights_when_there_are_some(
    stories: Path, texts: list[str], make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    folder = make_run(spec_for(stories), documents(texts))
    events = here(folder)
    assert curves(folder)[1]["loss"] < 5.8  # far from the ln 512 of random weights
    assert "weights start from the base" in next(event for event in events if event["kind"] == "planned")["notes"]


def test_that_the_split_into_micro_batches_changes_neither_loss_nor_gradient_norm(
    stories: Path, texts: list[str], make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    found = []
    for size in (8, 4, 2, 1):
        folder = make_run(spec_for(stories, micro_batch_size=size, warmup=0.0), documents(texts), f"split{size}")
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for name in ("loss", "grad_norm"):
            assert [other[step][name] for step in (1, 2)] == pytest.approx(
                [found[0][step][name] for step in (1, 2)], rel=1e-5
            )


def test_that_a_paused_run_goes_on_as_if_nothing_had_been(
    unborn: Path, texts: list[str], make_run: Make, here: Here, curves: Callable[..., Any]
) -> None:
    spec = spec_for(unborn, max_steps=6, checkpoint_every=3, eval_every=2)
    straight = make_run(spec, documents(texts), "straight")
    here(straight)
    short = make_run(spec, documents(texts), "short")
    short.want("pause")
    here(short)
    short.want("run")
    here(short)
    assert curves(short) == curves(straight)
    assert (short.model / "model.safetensors").read_bytes() == (straight.model / "model.safetensors").read_bytes()


def test_that_empty_documents_are_left_out_and_counted(
    stories: Path, texts: list[str], make_run: Make, here: Here
) -> None:
    events = here(make_run(spec_for(stories), [{"text": " "}, {"text": ""}, *documents(texts)]))
    assert next(event for event in events if event["kind"] == "planned")["rows_left_out"] == 2
    assert "2 documents were left out" in next(event for event in events if event["kind"] == "noticed")["what"]


def test_that_data_without_text_ends_the_run_with_a_reason(stories: Path, make_run: Make, here: Here) -> None:
    with pytest.raises(RunFailed, match="No document"):
        here(make_run(spec_for(stories), [{"text": "\n"}]))


def test_that_an_adapter_on_a_model_without_weights_is_refused(
    unborn: Path, texts: list[str], make_run: Make, here: Here
) -> None:
    with pytest.raises(RunFailed, match="needs a base with weights"):
        here(make_run(spec_for(unborn, method="lora"), documents(texts)))


def test_that_rows_longer_than_the_model_reads_are_shortened_and_told(
    stories: Path, texts: list[str], make_run: Make, here: Here
) -> None:
    events = here(make_run(spec_for(stories, max_length=4096, max_steps=1, batch_size=1), documents(texts)))
    assert any("512 is used" in event["what"] for event in events if event["kind"] == "noticed")
