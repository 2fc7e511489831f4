"""Every architecture that people start from, tiny and random: our forward passes against the model's own logits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tests.engine.adapting import attach_lora
from tests.engine.architectures import make_model
from workbench.domain.errors import BadInput
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.dpo import DpoSpec
from workbench.engine import forward
from workbench.engine.batches import Example, collate
from workbench.engine.device import Setup
from workbench.engine.evaluate import token_scores
from workbench.engine.models import (
    Loaded,
    context,
    eos_ids,
    load_policy,
    load_reward,
    load_tokenizer,
    make_reward_head,
    save_model,
    use_gradient_checkpointing,
    without_dropout,
)
from workbench.engine.packing import Padded, pack
from workbench.engine.pair_forward import choose_forward
from workbench.engine.preferences import encode_preferences
from workbench.engine.reference import reference_of
from workbench.engine.report import Report
from workbench.engine.rollout import sample_batch
from workbench.protocol.run_folder import RunFolder

CPU = Setup(torch.device("cpu"), torch.float32)
PROMPTS = [[1, 403, 407], [1, 261, 378, 383, 286], [1, 270]]
COMPLETIONS = [[410, 261, 2], [417, 2], [300, 301, 302, 303, 2]]
NAMES = ("gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi", "phi3", "neox", "opt")
NAMES += ("falcon", "mixtral", "qwen2moe", "qwen3moe")


@pytest.fixture(scope="module", params=NAMES)
def folder(request: pytest.FixtureRequest, stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of one architecture with the tokenizer of the stories model."""
    path = tmp_path_factory.mktemp(request.param) / "model"
    save_model(make_model(request.param, vocab=512), load_tokenizer(stories), path)
    return path


@pytest.fixture
def loaded(folder: Path) -> Loaded:
    return load_policy(folder)


def use_attention(model: Any, attention: str) -> None:
    """Switch, or skip where the architecture has no such attention."""
    if attention == "sdpa" and not model._supports_sdpa:
        pytest.skip("the architecture has no such attention")
    model.set_attn_implementation(attention)


def one_by_one(model: Any, temperature: float = 1.0) -> list[list[float]]:
    """Log-probabilities of the completions from the model's own logits, one sequence at a time, without a mask."""
    found = []
    for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True):
        with torch.no_grad():
            logs = (model(torch.tensor([prompt + completion])).logits[0] / temperature).log_softmax(-1)
        found.append([logs[len(prompt) - 1 + place, token].item() for place, token in enumerate(completion)])
    return found


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_that_a_padded_batch_scores_as_the_models_own_logits_do(loaded: Loaded, temperature: float) -> None:
    with torch.no_grad():
        found = forward.completion_logprobs(loaded.model, collate(PROMPTS, COMPLETIONS, pad=2), temperature)
    for row, expected in zip(found, one_by_one(loaded.model, temperature), strict=True):
        assert row[: len(expected)].tolist() == pytest.approx(expected, abs=2e-4)
        assert not row[len(expected) :].any()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_that_padded_rows_score_without_a_mask_as_they_do_alone(folder: Path, attention: str) -> None:
    model = load_policy(folder).model
    use_attention(model, attention)
    pairs = zip(PROMPTS, COMPLETIONS, strict=True)
    rows = Padded([Example(p + c, (range(len(p), len(p) + len(c)),)) for p, c in pairs], pad=2)
    with torch.no_grad():
        found = token_scores(model, rows.batch([0, 1, 2])).logprobs
    expected = [value for row in one_by_one(model) for value in row]
    assert found.tolist() == pytest.approx(expected, abs=2e-4)


def test_that_gradients_of_padded_rows_are_those_of_plain_cross_entropy(loaded: Loaded) -> None:
    model = loaded.model
    pairs = list(zip(PROMPTS, COMPLETIONS, strict=True))
    rows = Padded([Example(p + c, (range(len(p), len(p) + len(c)),)) for p, c in pairs], pad=2)
    (-token_scores(model, rows.batch([0, 1, 2])).logprobs.sum()).backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for prompt, completion in pairs:
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        torch.nn.functional.cross_entropy(logits, torch.tensor(completion), reduction="sum").backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, atol=2e-3, rtol=2e-3)


def test_that_the_pad_id_changes_nothing(loaded: Loaded) -> None:
    with torch.no_grad():
        found = [forward.completion_logprobs(loaded.model, collate(PROMPTS, COMPLETIONS, pad)) for pad in (0, 2, 300)]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_that_no_token_sees_what_comes_after_it(loaded: Loaded) -> None:
    with torch.no_grad():
        found, other = (
            forward.completion_logprobs(loaded.model, collate([PROMPTS[0]], [ids], 0))
            for ids in ([410, 261, 2], [410, 261, 300])
        )
    assert found[0, :2].tolist() == pytest.approx(other[0, :2].tolist(), abs=1e-5)
    assert found[0, 2] != other[0, 2]


def test_that_gradients_are_those_of_plain_cross_entropy(loaded: Loaded) -> None:
    model = loaded.model
    (-forward.completion_logprobs(model, collate(PROMPTS, COMPLETIONS, 2)).sum()).backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True):
        ids = torch.tensor([prompt + completion])
        logits = model(ids).logits[0, len(prompt) - 1 : -1]
        torch.nn.functional.cross_entropy(logits, ids[0, len(prompt) :], reduction="sum").backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, atol=2e-3, rtol=2e-3)


def test_that_recomputed_activations_give_the_same_gradient(loaded: Loaded) -> None:
    without_dropout(loaded.model.train())
    norms = []
    for again in (False, True):
        if again:
            use_gradient_checkpointing(loaded.model)
        forward.completion_logprobs(loaded.model, collate(PROMPTS, COMPLETIONS, 2)).sum().backward()
        norms.append(torch.nn.utils.get_total_norm([p.grad for p in loaded.model.parameters() if p.grad is not None]))
        loaded.model.zero_grad()
    assert norms[1].item() == pytest.approx(norms[0].item(), rel=1e-5)


def test_that_training_mode_without_dropout_computes_what_evaluation_does(loaded: Loaded) -> None:
    batch = collate(PROMPTS, COMPLETIONS, 2)
    with torch.no_grad():
        expected = forward.completion_logprobs(loaded.model.eval(), batch)
        without_dropout(loaded.model.train())
        for _ in range(3):
            assert torch.equal(forward.completion_logprobs(loaded.model, batch), expected)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_that_documents_packed_into_one_row_score_as_they_do_alone(folder: Path, attention: str) -> None:
    model = load_policy(folder).model
    use_attention(model, attention)
    long = [1, *range(310, 322), 2]  # longer than the window of those that have one
    documents = [long, [1, 300, 301, 2], [1, 270, 417, 286, 2]]
    together = pack(documents, 32, pad=2, seed=0)
    assert len(together) == 1
    order = sorted(
        range(3), key=lambda number: together.ids[0, together.positions[0] == 1].tolist().index(documents[number][1])
    )
    with torch.no_grad():
        found = token_scores(model, together.batch([0])).logprobs
        alone = [token_scores(model, pack([documents[number]], 32, 2, 0).batch([0])).logprobs for number in order]
    torch.testing.assert_close(found, torch.cat(alone), atol=2e-4, rtol=0)


def test_that_what_is_sampled_has_the_logprob_of_a_fresh_pass(loaded: Loaded) -> None:
    rollout = sample_batch(loaded.model, PROMPTS, max_new_tokens=12, eos=eos_ids(loaded), seed=1)
    with torch.no_grad():
        fresh = forward.completion_logprobs(loaded.model, collate(PROMPTS, rollout.completions, 2))
    torch.testing.assert_close(rollout.logprobs, fresh, atol=3e-4, rtol=0)


def test_that_a_reward_head_scores_the_last_token_as_plain_transformers_does(folder: Path) -> None:
    judge = make_reward_head(folder)
    with torch.no_grad():
        found = forward.rewards(judge.model, collate(PROMPTS, COMPLETIONS, pad=2))
        theirs = [
            judge.model(torch.tensor([[*p, *c]])).logits.item() for p, c in zip(PROMPTS, COMPLETIONS, strict=True)
        ]
    assert found.tolist() == pytest.approx(theirs, abs=2e-4)
    assert len({round(score, 4) for score in theirs}) == 3


def test_that_a_saved_reward_model_scores_a_padded_batch_the_same_in_plain_transformers(
    folder: Path, tmp_path: Path
) -> None:
    judge = make_reward_head(folder)
    save_model(judge.model, judge.tokenizer, tmp_path / "judge")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "judge", dtype=torch.float32).eval()
    batch = collate(PROMPTS, COMPLETIONS, pad=judge.tokenizer.pad_token_id)
    with torch.no_grad():
        ours = forward.rewards(load_reward(tmp_path / "judge").model, batch)
        theirs = plain(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.squeeze(-1)
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=0)


@pytest.mark.parametrize("head", [False, True], ids=["policy", "reward"])
def test_that_an_adapter_starts_at_zero_and_comes_back_from_disk(folder: Path, tmp_path: Path, head: bool) -> None:
    loaded = make_reward_head(folder) if head else load_policy(folder)
    score = forward.rewards if head else forward.completion_logprobs
    batch = collate(PROMPTS, COMPLETIONS, 2)
    with torch.no_grad():
        before = score(loaded.model, batch)
        model = attach_lora(loaded, LoraPart(rank=4), tmp_path / "base", head=head)
        assert torch.equal(score(model, batch), before)
        torch.manual_seed(3)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
        after = score(model, batch)
        assert not torch.allclose(after, before, atol=1e-3)
        save_model(model, loaded.tokenizer, tmp_path / "adapter")
        again = (load_reward if head else load_policy)(tmp_path / "adapter")
        torch.testing.assert_close(score(again.model, batch), after, atol=2e-3, rtol=1e-3)


def test_that_an_adapter_leaves_the_head_of_the_vocabulary_alone(folder: Path, tmp_path: Path) -> None:
    model = attach_lora(load_policy(folder), LoraPart(rank=4), tmp_path)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained
    assert not [name for name in trained if "lm_head" in name or "embed_out" in name]


def test_that_the_reference_of_a_policy_in_training_mode_is_the_policy(loaded: Loaded, tmp_path: Path) -> None:
    rows = [
        {"prompt": [{"role": "user", "content": "Hi"}], "raw": False, "chosen": chosen, "rejected": "No"}
        for chosen in ("Yes of course", "A dog")
    ]
    pairs = encode_preferences(rows, loaded.tokenizer, "auto", 64, shorten=True).pairs
    spec = DpoSpec(base=str(loaded.path))
    run = RunFolder(tmp_path / "run")
    run.create(spec)
    without_dropout(loaded.model.train())
    forward_of_pairs = choose_forward(loaded.model, pairs, loaded.pad, CPU)
    report = Report(run)
    found = reference_of(forward_of_pairs, pairs, [0, 1], spec, run, report)  # would refuse two passes that differ
    report.close()
    assert found is not None
    assert found.batch([0, 1], 30).shape == (4, 30)
    assert loaded.model.training


def test_that_the_longest_sequence_follows_the_models_positions(loaded: Loaded, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(DpoSpec())
    report = Report(run)
    assert [context(loaded.model, wanted, report) for wanted in (63, 64, 65)] == [63, 64, 64]
    report.close()
    assert run.events.read_text().count("65 is more than the model's 64 positions") == 1


def test_that_a_folder_without_weights_is_no_policy(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(BadInput, match="no weights"):
        load_policy(tmp_path / "bare")
