"""SFT and pretraining on models unlike the stories model: EOS as padding, dropout, adapters, other attention."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, OPTConfig

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine.models import load_tokenizer, save_model
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Curves = Callable[[RunFolder], dict[int, dict[str, float]]]
ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
KINDS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: GPT2Config(vocab_size=512, n_embd=32, n_layer=2, n_head=2, n_positions=256, **ENDS),
    "opt": lambda: OPTConfig(
        vocab_size=512,
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        **ENDS,
    ),
}


@pytest.fixture(scope="module", params=sorted(KINDS))
def base(request: pytest.FixtureRequest, stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model with dropout of 0.1, whose padding is its EOS."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp(request.param) / "model"
    model = AutoModelForCausalLM.from_config(KINDS[request.param](), dtype=torch.float32)
    tokenizer = load_tokenizer(stories)
    tokenizer.pad_token = tokenizer.eos_token
    save_model(model, tokenizer, folder)
    return folder


def sft(base: Path, **more: Any) -> SftSpec:
    given = {"batch_size": 6, "max_steps": 2, "max_length": 128, "sample_count": 0, "checkpoint_every": 0, **more}
    return SftSpec(base=str(base), device="cpu", warmup=0.0, **given)


def brief(demonstrations: Rows) -> Rows:
    return [{**row, "completion": row["completion"][:40]} for row in demonstrations[:24]]


def test_that_a_model_whose_padding_is_its_end_learns_to_stop(
    base: Path, make_run: Make, here: Here, demonstrations: Rows
) -> None:
    rows = [{**row, "completion": "a"} for row in brief(demonstrations)]
    folder = make_run(sft(base, max_steps=40, learning_rate=1e-2, holdout=0.1, sample_count=2), rows)
    events = here(folder)
    samples = [event for event in events if event["kind"] == "sample"]
    assert len(samples) == 2
    assert all(event["numbers"]["ended"] == 1.0 for event in samples)


def test_that_dropout_takes_part_in_imitation_and_not_in_its_evaluation(
    base: Path, make_run: Make, here: Here, curves: Curves, demonstrations: Rows
) -> None:
    found = []
    for seed in (1, 2):
        spec = sft(base, seed=seed, batch_size=24, max_steps=1, learning_rate=1e-12, holdout=0)
        folder = make_run(spec, brief(demonstrations), f"seed{seed}")
        here(folder)
        found.append(curves(folder)[1]["loss"])
    assert found[0] != found[1]  # the same rows in one batch: only dropout differs
    assert found[0] == pytest.approx(found[1], rel=0.05)
    measured = []
    for name, eval_batch in (("one", 1), ("all", 24)):
        spec = sft(base, micro_batch_size=eval_batch, max_steps=1, learning_rate=1e-12, holdout=0.4)
        folder = make_run(spec, brief(demonstrations), name)
        here(folder)
        measured.append(curves(folder)[1]["eval/loss"])
    assert measured[0] == pytest.approx(measured[1], rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_a_run_paused_at_every_step_is_the_run_that_was_not(
    base: Path, make_run: Make, here: Here, curves: Curves, demonstrations: Rows, method: str
) -> None:
    spec = sft(base, max_steps=3, method=method, learning_rate=1e-2, lora=LoraPart(rank=2, dropout=0.2), eval_every=2)
    straight = make_run(spec, brief(demonstrations), "straight")
    here(straight)
    halting = make_run(spec.model_copy(update={"checkpoint_every": 1}), brief(demonstrations), "halting")
    for step in range(3):
        halting.want("pause")
        assert here(halting)[-1]["step"] == step
        halting.want("run")
        if step < 2:
            _one_step(halting, here)
    here(halting)
    assert curves(halting) == curves(straight)
    (ours,), (theirs,) = (list(folder.model.glob("*.safetensors")) for folder in (halting, straight))
    first, second = load_file(ours), load_file(theirs)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def _one_step(folder: RunFolder, here: Here) -> None:
    """Let a run go on until its next checkpoint, by asking for a pause as soon as that is told."""
    from workbench.engine.report import Report

    told = Report.checkpointed

    def then_pause(self: Report, step: int) -> None:
        told(self, step)
        self.folder.want("pause")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Report, "checkpointed", then_pause)
        here(folder)


@pytest.mark.parametrize("split", [6, 4, 1])
def test_that_splitting_a_step_changes_nothing_when_nothing_is_random(
    base: Path, make_run: Make, here: Here, curves: Curves, demonstrations: Rows, split: int, tmp_path: Path
) -> None:
    still = tmp_path / "still"
    still.mkdir()
    for file in base.iterdir():
        (still / file.name).write_bytes(file.read_bytes())
    config = json.loads((still / "config.json").read_text())
    config |= {name: 0.0 for name in config if "drop" in name}
    (still / "config.json").write_text(json.dumps(config))
    found = []
    for size in (0, split):
        folder = make_run(sft(still, micro_batch_size=size, learning_rate=1e-2), brief(demonstrations), f"by{size}")
        here(folder)
        found.append(curves(folder))
    for step in (1, 2):
        for name in ("loss", "grad_norm", "token_accuracy", "eval/loss"):
            if name in found[0][step]:
                assert found[1][step][name] == pytest.approx(found[0][step][name], rel=2e-5)


def test_that_an_adapter_run_leaves_its_base_byte_for_byte_and_only_names_it(
    base: Path, make_run: Make, here: Here, demonstrations: Rows
) -> None:
    before = {file.name: file.read_bytes() for file in base.iterdir()}
    folder = make_run(sft(base, method="lora", lora=LoraPart(rank=2)), brief(demonstrations))
    here(folder)
    assert {file.name: file.read_bytes() for file in base.iterdir()} == before
    settings = json.loads((folder.model / "adapter_config.json").read_text())
    assert Path(settings["base_model_name_or_path"]) == base.resolve()
    assert sorted(file.name for file in folder.model.glob("*.safetensors")) == ["adapter_model.safetensors"]


def test_that_an_adapter_with_targets_that_the_model_lacks_trains_nothing_silently(
    base: Path, make_run: Make, here: Here, demonstrations: Rows
) -> None:
    folder = make_run(sft(base, method="lora", lora=LoraPart(targets="no_such_projection")), brief(demonstrations))
    with pytest.raises(BadInput, match="No adapter fits the model"):
        here(folder)
    assert not folder.model.exists()


def test_that_documents_are_pretrained_from_an_empty_body_of_another_architecture(
    stories: Path, texts: list[str], tmp_path: Path, make_run: Make, here: Here, curves: Curves
) -> None:
    empty = tmp_path / "empty"
    load_tokenizer(stories).save_pretrained(empty)
    LlamaConfig(
        vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, **ENDS
    ).save_pretrained(empty)
    spec = PretrainSpec(
        base=str(empty), device="cpu", max_steps=8, batch_size=4, max_length=64, sample_count=0, learning_rate=1e-2
    )
    folder = make_run(spec, [{"text": text} for text in texts[:60]])
    here(folder)
    found = curves(folder)
    assert found[8]["loss"] < found[1]["loss"] - 0.3


def test_that_a_resumed_run_with_another_rank_is_refused(
    base: Path, make_run: Make, here: Here, demonstrations: Rows
) -> None:
    spec = sft(base, method="lora", lora=LoraPart(rank=2))
    folder = make_run(spec, brief(demonstrations))
    folder.want("pause")
    here(folder)
    folder.want("run")
    folder.spec.write_text(spec.model_copy(update={"lora": LoraPart(rank=4)}).model_dump_json())
    with pytest.raises(RunFailed, match="belongs to another model") as caught:
        here(folder)
    assert "spec" in caught.value.hint
