"""Options of supervised fine-tuning: all turns learned, packing, generated answers, and rows that aren't needed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.test_conversation import TEMPLATE
from workbench.domain.errors import RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Curves = Callable[[RunFolder], dict[int, dict[str, float]]]


def spec_for(base: Path, **more: Any) -> SftSpec:
    given = {"batch_size": 4, "max_steps": 1, "max_length": 160, "sample_count": 0, "checkpoint_every": 0, **more}
    return SftSpec(base=str(base), device="cpu", warmup=0.0, **given)


def planned(events: list[dict[str, Any]]) -> dict[str, Any]:
    return next(event for event in events if event["kind"] == "planned")


@pytest.fixture
def chatty(stories: Path, tmp_path: Path) -> Path:
    """The stories model with a chat template."""
    folder = tmp_path / "chatty"
    shutil.copytree(stories, folder, copy_function=shutil.copyfile)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": TEMPLATE}))
    return folder


@pytest.fixture
def talks(demonstrations: Rows) -> Rows:
    """Conversations of two answers each."""
    rows = []
    for first, second in zip(demonstrations[:24:2], demonstrations[1:24:2], strict=True):
        answered = {"role": "assistant", "content": first["completion"][:30]}
        prompt = [*first["prompt"], answered, *second["prompt"]]
        rows.append({"prompt": prompt, "raw": False, "completion": second["completion"][:30]})
    return rows


def test_that_all_turns_of_the_assistant_are_learned_in_one_pass(
    chatty: Path, talks: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    found = {}
    for which in ("completion", "assistant"):
        for size in (0, 1):
            spec = spec_for(chatty, loss_on=which, micro_batch_size=size, holdout=0, batch_size=12)
            folder = make_run(spec, talks, f"{which}{size}")
            found[which, size] = planned(here(folder))["notes"], curves(folder)[1]
    for which in ("completion", "assistant"):
        for name in ("loss", "grad_norm", "token_accuracy"):
            assert found[which, 1][1][name] == pytest.approx(found[which, 0][1][name], rel=1e-5)
    assert found["completion", 0][1]["loss"] != pytest.approx(found["assistant", 0][1]["loss"], rel=1e-3)
    told = [next(n for n in found[which, 0][0] if "only: " in n) for which in ("completion", "assistant")]
    shares = [int(note.split("only: ")[1].split("%")[0]) for note in told]
    assert shares[1] > 1.5 * shares[0]


@pytest.mark.parametrize("which", ["completion", "assistant"])
def test_that_packed_demonstrations_learn_exactly_what_padded_ones_do(
    chatty: Path, talks: Rows, make_run: Make, here: Here, curves: Curves, which: str
) -> None:
    spec = spec_for(chatty, loss_on=which, holdout=0, batch_size=12, max_length=400)
    padded = make_run(spec, talks, "padded")
    here(padded)
    packed = make_run(spec.model_copy(update={"packing": True, "max_steps": 0}), talks, "packed")
    notes = planned(here(packed))["notes"]
    rows = int(next(note for note in notes if "are packed into" in note).split("into ")[1].split()[0])
    assert rows < len(talks)
    # A batch of packed rows that holds every demonstration once.
    packed = make_run(spec.model_copy(update={"packing": True, "batch_size": rows}), talks, "whole")
    here(packed)
    for name in ("loss", "grad_norm", "token_accuracy"):
        assert curves(packed)[1][name] == pytest.approx(curves(padded)[1][name], rel=1e-5)


def test_that_generated_answers_are_measured_on_held_out_prompts(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    rows = [{**row, "completion": "a"} for row in demonstrations]
    spec = spec_for(
        stories,
        max_steps=30,
        batch_size=8,
        learning_rate=1e-2,
        eval_generation=4,
        eval_max_new_tokens=8,
        holdout=0.2,
        eval_every=0,
    )
    folder = make_run(spec, rows)
    here(folder)
    measured = curves(folder)[30]
    assert {"eval/bleu", "eval/rouge_l", "eval/exact_match", "eval/f1", "eval/loss"} <= set(measured)
    assert measured["eval/rouge_l"] == 1.0  # every answer is learned to be the one letter
    assert "eval/bleu" not in curves(folder)[29]


def test_that_only_rows_that_the_run_uses_are_tokenised(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.engine import examples

    read: list[Any] = []
    encode = examples.completion_example

    def counting(*given: Any) -> Any:
        read.append(given)
        return encode(*given)

    monkeypatch.setattr(examples, "completion_example", counting)
    events = here(make_run(spec_for(stories, max_steps=2, batch_size=5, holdout=0), demonstrations))
    assert len(read) == planned(events)["rows"] == 10
    assert f"{len(demonstrations) - 10} more rows aren't needed for 2 steps" in planned(events)["notes"]


def test_that_no_row_with_an_answer_that_can_be_told_apart_ends_the_run_with_its_reason(
    stories: Path, talks: Rows, make_run: Make, here: Here
) -> None:
    rows = [{**row, "prompt": [{"role": "user", "content": "word " * 300}]} for row in talks]
    with pytest.raises(RunFailed, match="prompt alone has 160 tokens") as caught:
        here(make_run(spec_for(stories, loss_on="assistant"), rows))
    assert "max_length" in caught.value.hint


def test_that_conversations_without_a_template_become_plain_lines_and_that_is_said(
    stories: Path, chatty: Path, talks: Rows, make_run: Make, here: Here
) -> None:
    said = [
        any("plain lines" in note for note in planned(here(make_run(spec_for(base), talks, name)))["notes"])
        for name, base in (("without", stories), ("with", chatty))
    ]
    assert said == [True, False]


def test_that_a_loss_that_breaks_down_later_leaves_the_last_good_checkpoint_to_resume_from(
    stories: Path, demonstrations: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    passes = 0

    def breaks_down(module: Any, _given: Any, result: Any) -> Any:
        nonlocal passes
        if type(module).__name__ != "LlamaRMSNorm" or not module.training:
            return None
        passes += 1
        return result * float("nan") if passes > 40 else None

    spec = spec_for(stories, max_steps=6, checkpoint_every=1, keep_checkpoints=1, holdout=0)
    straight = make_run(spec, demonstrations, "straight")
    here(straight)
    folder = make_run(spec, demonstrations, "broken")
    hook = torch.nn.modules.module.register_module_forward_hook(breaks_down)
    try:
        with pytest.raises(RunFailed, match="loss became nan") as caught:
            here(folder)
    finally:
        hook.remove()
    assert "last checkpoint" in caught.value.hint
    (kept,) = folder.complete_checkpoints()
    assert 1 <= int(kept.name) < 6
    assert not folder.model.exists()
    here(folder)
    assert curves(folder) == curves(straight)
