"""Masked language modelling and span corruption: what is hidden, and that tiny BERT, RoBERTa and T5 learn by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    T5Config,
)

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.engine.corruption import corrupt_spans, count_spans, mask_tokens, visit_rng
from workbench.engine.models import family_in, load_policy
from workbench.engine.objectives import GapBatch, prepare_objective, score
from workbench.protocol.run_folder import RunFolder

Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Curves = Callable[[RunFolder], dict[int, dict[str, float]]]
QUICK = settings(max_examples=40, deadline=None)
WORDS = [f"w{number}" for number in range(40)]
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>", "<mask>", *[f"<extra_id_{number}>" for number in range(12)]]
CONFIGS: dict[str, Callable[[], Any]] = {
    "bert": lambda: BertConfig(
        vocab_size=57, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=32, pad_token_id=0,
    ),
    "roberta": lambda: RobertaConfig(
        vocab_size=57, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=33, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    ),
    "t5": lambda: T5Config(
        vocab_size=57, d_model=32, d_kv=16, d_ff=48, num_layers=1, num_heads=2, pad_token_id=0, eos_token_id=3,
        decoder_start_token_id=0,
    ),
}  # fmt: skip


def tokenizer(**without: None) -> Any:
    """Whole words, a start and an end around a text, a mask and sentinels."""
    core = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate([*SPECIAL, *WORDS])}, unk_token="<unk>")
    )
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    named: dict[str, Any] = {
        "pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>",
    }  # fmt: skip
    return PreTrainedTokenizerFast(tokenizer_object=core, **{**named, **without})


def texts(count: int = 40) -> list[str]:
    """Documents of one word said again and again: what is hidden stands beside it."""
    rng = np.random.default_rng(0)
    return [" ".join([WORDS[number % 8]] * int(rng.integers(6, 24))) for number in range(count)]


@pytest.fixture
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with config and tokenizer and no weights, of the architecture that the test names."""
    folder = tmp_path / "base"
    CONFIGS[request.param]().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def spec_for(base: Path, **more: Any) -> PretrainSpec:
    given = {"batch_size": 8, "max_steps": 2, "max_length": 30, "sample_count": 0, "checkpoint_every": 0, **more}
    return PretrainSpec(base=str(base), device="cpu", warmup=0.0, **given)


def documents(count: int = 40) -> list[dict[str, Any]]:
    return [{"text": text} for text in texts(count)]


@QUICK
@given(length=st.integers(1, 80), share=st.floats(0.05, 0.9), seed=st.integers(0, 99))
def test_that_masking_chooses_the_share_and_changes_nothing_else(length: int, share: float, seed: int) -> None:
    ids = np.arange(10, 10 + length)
    maskable = np.arange(length) % 5 != 0 if length > 1 else np.array([True])
    shown, wanted = mask_tokens(ids, maskable, visit_rng(seed, 0, 0), share, 4, np.arange(100, 120))
    assert wanted.sum() == max(1, round(share * maskable.sum()))
    assert not wanted[~maskable].any()
    assert (shown[~wanted] == ids[~wanted]).all()
    assert all(new in {4, old} or new >= 100 for new, old in zip(shown[wanted], ids[wanted], strict=True))


def test_that_of_chosen_tokens_four_in_five_are_masked_and_one_in_ten_replaced() -> None:
    ids = np.full(20000, 9)
    shown, wanted = mask_tokens(ids, ids > 0, visit_rng(1, 2, 3), 0.5, 4, np.array([50, 51]))
    chosen = shown[wanted]
    assert (chosen == 4).mean() == pytest.approx(0.8, abs=0.02)
    assert (chosen >= 50).mean() == pytest.approx(0.1, abs=0.01)
    assert (chosen == 9).mean() == pytest.approx(0.1, abs=0.01)


@QUICK
@given(length=st.integers(2, 90), density=st.floats(0.05, 0.9), mean=st.floats(1, 6), seed=st.integers(0, 99))
def test_that_shown_and_target_together_are_the_text(length: int, density: float, mean: float, seed: int) -> None:
    ids, sentinels = np.arange(1000, 1000 + length), list(range(100))
    shown, target = corrupt_spans(ids, visit_rng(seed, 0, 0), density, mean, sentinels, [7])
    hidden, spans = count_spans(length, density, mean)
    assert shown[-1] == target[-1] == 7
    assert sum(i >= 1000 for i in target) == hidden
    pieces = {s: [] for s in range(spans)}  # type: dict[int, list[int]]
    for token in target[:-1]:
        if token < 1000:
            current = token
        else:
            pieces[current].append(token)
    assert all(pieces.values())
    restored = [part for token in shown[:-1] for part in (pieces[token] if token < 1000 else [token])]
    assert restored == ids.tolist()


def test_that_what_is_hidden_depends_on_seed_row_and_epoch_alone() -> None:
    def shown(seed: int, row: int, epoch: int) -> list[int]:
        found, _ = mask_tokens(
            np.arange(9, 59), np.ones(50, bool), visit_rng(seed, row, epoch), 0.3, 4, np.arange(5, 9)
        )
        return [int(token) for token in found]

    assert shown(1, 2, 3) == shown(1, 2, 3)
    assert len({tuple(shown(*key)) for key in ((1, 2, 3), (0, 2, 3), (1, 0, 3), (1, 2, 0))}) == 4


@pytest.mark.parametrize("base", sorted(CONFIGS), indirect=True)
def test_that_each_architecture_gets_its_objective_learns_and_loads_in_plain_transformers(
    base: Path, make_run: Make, here: Here, curves: Curves
) -> None:
    family = family_in(base)
    assert family == ("span" if base_type(base) == "t5" else "masked")
    folder = make_run(spec_for(base, max_steps=40, learning_rate=1e-2, eval_every=0, sample_count=2), documents())
    events = here(folder)
    steps = curves(folder)
    assert steps[1]["loss"] == pytest.approx(np.log(57), abs=1.0) or family == "span"  # T5's head starts wide
    assert steps[40]["loss"] < 0.8 * steps[1]["loss"]
    assert steps[40]["eval/loss"] < steps[1]["loss"]
    assert any(f"objective {family}" in note for e in events if e["kind"] == "planned" for note in e["notes"])
    shown = [event for event in events if event["kind"] == "sample"]
    assert [event["index"] for event in shown] == [0, 1]
    gap = "<extra_id_0>" if family == "span" else "<mask>"
    assert all(gap in event["prompt"] and "<mask>" not in event["completion"] for event in shown)
    auto = AutoModelForSeq2SeqLM if family == "span" else AutoModelForMaskedLM
    auto.from_pretrained(folder.model, dtype=torch.float32)
    with pytest.raises(BadInput, match=r"can't continue a text"):
        load_policy(folder.model)
    again = make_run(spec_for(folder.model, max_steps=1, eval_every=0), documents(), "again")
    here(again)
    assert curves(again)[1]["loss"] < 0.9 * steps[1]["loss"]


def base_type(base: Path) -> str:
    import json

    kind: str = json.loads((base / "config.json").read_text())["model_type"]
    return kind


@pytest.mark.parametrize("base", sorted(CONFIGS), indirect=True)
def test_that_the_loss_is_the_models_own_and_padding_neighbours_change_nothing(base: Path) -> None:
    config = CONFIGS[base_type(base)]()
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForMaskedLM
    torch.manual_seed(0)
    model = auto.from_config(config, dtype=torch.float32).eval()
    rows, _ = prepare_objective(family_in(base), texts(6), spec_for(base, max_steps=0), tokenizer(), config, 30, 0)
    drawn = rows.draw([(row, 3) for row in range(len(rows))])
    assert len(set(drawn.lengths)) > 1
    with torch.no_grad():
        for place in range(len(rows)):
            batch = drawn.batch([place])
            assert isinstance(batch, GapBatch)
            labels = torch.full(
                (batch.decoder_input_ids if batch.decoder_input_ids is not None else batch.input_ids).shape, -100
            )
            labels.flatten()[batch.places] = batch.labels
            theirs = model(input_ids=batch.input_ids, labels=labels).loss
            assert -score(model, batch).logprobs.mean().item() == pytest.approx(theirs.item(), rel=1e-5)
        together = score(model, drawn.batch(range(len(rows)))).logprobs
        alone = torch.cat([score(model, drawn.batch([place])).logprobs for place in range(len(rows))])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert len(together) == drawn.targets


@pytest.mark.parametrize("base", ["bert", "t5"], indirect=True)
def test_that_a_split_step_and_a_paused_run_are_the_run_that_was_not(
    base: Path, make_run: Make, here: Here, curves: Curves
) -> None:
    import json

    config = json.loads((base / "config.json").read_text())
    config |= {name: 0.0 for name in config if "dropout" in name and isinstance(config[name], float)}
    (base / "config.json").write_text(json.dumps(config))
    found = {}
    for size in (0, 3):
        folder = make_run(spec_for(base, micro_batch_size=size, max_steps=7), documents(12), f"by{size}")
        here(folder)
        found[size] = curves(folder)
    for step in (1, 7):  # in step 7, rows come back with other tokens hidden
        for name in ("loss", "grad_norm"):
            assert found[3][step][name] == pytest.approx(found[0][step][name], rel=1e-5)
    spec = spec_for(base, max_steps=7, checkpoint_every=3)
    halting = make_run(spec, documents(12), "halting")
    halting.want("pause")
    here(halting)
    halting.want("run")
    from workbench.engine.report import Report

    told = Report.checkpointed

    def then_pause(self: Report, step: int) -> None:
        told(self, step)
        self.folder.want("pause")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Report, "checkpointed", then_pause)
        here(halting)
    halting.want("run")
    here(halting)
    assert curves(halting) == found[0]


@pytest.mark.parametrize(
    ("base", "more", "without", "word"),
    [
        ("bert", {}, {"mask_token": None}, "no mask token"),
        ("t5", {"noise_density": 0.9, "mean_span_length": 1.0}, {}, "sentinel tokens"),
        ("t5", {"objective": "masked"}, {}, "can't be made|AutoModelForMaskedLM|No model"),
        ("bert", {"method": "lora"}, {}, "whole models only"),
    ],
    indirect=["base"],
    ids=["no mask", "few sentinels", "another objective", "adapter"],
)
def test_that_what_an_objective_needs_and_lacks_is_said_before_training(
    base: Path, make_run: Make, here: Here, more: dict[str, Any], without: dict[str, None], word: str
) -> None:
    tokenizer(**without).save_pretrained(base)
    if "noise_density" in more:
        more = {**more, "noise_density": 0.5}
    with pytest.raises((BadInput, RunFailed), match=word) as caught:
        here(make_run(spec_for(base, **more), documents()))
    assert caught.value.hint


def test_that_chosen_tokens_are_replaced_by_tokens_that_the_model_knows_alone() -> None:
    config = BertConfig(vocab_size=30)
    spec = PretrainSpec(objective="masked", mask_share=0.5, seed=3)
    rows, _ = prepare_objective("masked", ["w1 w2 w3 w4 w5 w6 w7 w8"] * 200, spec, tokenizer(), config, 16, 0)
    shown = torch.cat([rows.draw([(row, 0)]).batch([0]).input_ids.flatten() for row in range(200)])
    assert int(shown.max()) < 30
    assert len(shown.unique()) > 15  # and by many of them


@pytest.mark.parametrize("known", [4, 30])
def test_that_a_mask_beyond_the_models_vocabulary_is_none(known: int) -> None:
    given = ("masked", ["w1 w2"], PretrainSpec(objective="masked"), tokenizer(), BertConfig(vocab_size=known), 16, 0)
    assert tokenizer().mask_token_id == 4
    if known > 4:
        assert len(prepare_objective(*given)[0]) == 1
    else:
        with pytest.raises(BadInput, match="no mask token that the model knows"):
            prepare_objective(*given)
