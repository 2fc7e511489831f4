"""Every way of training a part of a model: what starts as nothing, what is trained, what is saved, who can read it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.engine.adapting import shake, tiny
from workbench.domain.errors import BadInput
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.methods import LEARNED_PROMPT, METHODS, WHOLE_RESULT, BottleneckPart, PrefixPart, PromptPart
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine import forward
from workbench.engine.adapters import Start, adapted, quantise, what_is_trained
from workbench.engine.batches import Batch, collate
from workbench.engine.decoding.general import General
from workbench.engine.decoding.voice import context_length
from workbench.engine.models import (
    context,
    count_parameters,
    load_policy,
    load_reward,
    load_tokenizer,
    make_reward_head,
    make_trainable,
    save_model,
)
from workbench.engine.packing import pack
from workbench.engine.report import Report
from workbench.engine.rollout import sample_batch
from workbench.protocol.run_folder import RunFolder
from workbench.services.fit import shape_of, trained_parameters

pytestmark = [  # what plain peft says to plain transformers
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out"),
]
PROMPTS = [[1, 403, 407], [1, 270]]
COMPLETIONS = [[410, 261, 2], [417, 2]]
FRESH_IS_NOTHING = ("lora", "bottleneck", "ia3", "bitfit")
# GPT-2 has biases, a Llama has none; qlora needs a GPU and is looked at apart.
CASES = [
    (kind, method)
    for method in METHODS
    for kind in ("llama", "gpt2")
    if method != "qlora" and (kind, method) != ("llama", "bitfit")
]
every_case = pytest.mark.parametrize(("kind", "method"), CASES)


@pytest.fixture(scope="module")
def folders(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a tiny Llama and a tiny GPT-2, both with the tokenizer of the stories model."""
    made = {}
    for kind in ("llama", "gpt2"):
        torch.manual_seed(7)
        made[kind] = tmp_path_factory.mktemp(kind) / "model"
        model = AutoModelForCausalLM.from_config(tiny(kind), dtype=torch.float32)
        shake(model, 0.2)
        save_model(model, load_tokenizer(stories), made[kind])
    return made


@pytest.fixture
def batch() -> Batch:
    return collate(PROMPTS, COMPLETIONS, pad=0)


def spec_of(method: Any, **more: Any) -> SftSpec:
    return SftSpec(
        method=method,
        lora=LoraPart(rank=2),
        bottleneck=BottleneckPart(width=4, placement="both"),
        prompt=PromptPart(tokens=3),
        prefix=PrefixPart(tokens=3),
        ptuning={"tokens": 3, "width": 8},  # type: ignore[arg-type]
        **more,
    )


def trained(folder: Path, method: str, base: Path, *, head: bool = False, **more: Any) -> Any:
    """A model whose method's weights were moved."""
    torch.manual_seed(3)
    loaded = make_reward_head(folder) if head else load_policy(folder)
    model = make_trainable(loaded, spec_of(method, **more), base, head=head)
    shake(model)
    return model.eval()


def logprobs(model: Any, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return forward.completion_logprobs(model, batch)


@every_case
def test_that_a_saved_result_scores_the_same_here_and_in_plain_peft_or_transformers(
    folders: dict[str, Path], batch: Batch, tmp_path: Path, kind: str, method: str
) -> None:
    model = trained(folders[kind], method, tmp_path / "base")
    expected = logprobs(model, batch)
    save_model(model, load_tokenizer(folders[kind]), tmp_path / "model", "# card\n")
    again = load_policy(tmp_path / "model")
    torch.testing.assert_close(logprobs(again.model, batch), expected, atol=2e-5, rtol=1e-4)
    assert not torch.allclose(expected, logprobs(load_policy(folders[kind]).model, batch), atol=1e-3)
    if method == "bottleneck":
        assert adapted(again.model)
        return
    if method in WHOLE_RESULT:
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    else:
        base = AutoModelForCausalLM.from_pretrained(folders[kind], dtype=torch.float32)
        plain = PeftModel.from_pretrained(base, tmp_path / "model")
    for row, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        with torch.no_grad():
            logs = plain.eval()(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        logs = logs[-len(prompt + completion) :]  # prompt tuning gives logits of its virtual tokens too
        found = [logs[len(prompt) - 1 + place, token].item() for place, token in enumerate(completion)]
        assert expected[row, : len(found)].tolist() == pytest.approx(found, abs=2e-4)


@every_case
def test_that_a_reward_model_of_every_method_keeps_its_head_here_and_in_plain_libraries(
    folders: dict[str, Path], batch: Batch, tmp_path: Path, kind: str, method: str
) -> None:
    model = trained(folders[kind], method, tmp_path / "base", head=True)
    with torch.no_grad():
        expected = forward.rewards(model, batch)
    save_model(model, load_tokenizer(folders[kind]), tmp_path / "model")
    again = load_reward(tmp_path / "model").model
    with torch.no_grad():
        torch.testing.assert_close(forward.rewards(again, batch), expected, atol=2e-5, rtol=1e-4)
    assert expected[0] != expected[1]
    if method == "bottleneck":
        return
    kinds: Any = AutoModelForSequenceClassification
    source = tmp_path / "model" if method in WHOLE_RESULT else folders[kind]
    plain = kinds.from_pretrained(source, num_labels=1, dtype=torch.float32)
    plain.config.pad_token_id = 0
    if method not in WHOLE_RESULT:
        plain = PeftModel.from_pretrained(plain, tmp_path / "model")
    with torch.no_grad():
        scores = [plain.eval()(torch.tensor([p + c])).logits.item() for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert expected.tolist() == pytest.approx(scores, abs=2e-4)


@pytest.mark.parametrize(("kind", "method"), [case for case in CASES if case[1] in FRESH_IS_NOTHING])
def test_that_what_starts_at_nothing_changes_nothing(
    folders: dict[str, Path], batch: Batch, tmp_path: Path, kind: str, method: str
) -> None:
    loaded = load_policy(folders[kind])
    before = logprobs(loaded.model, batch)
    model = make_trainable(loaded, spec_of(method), tmp_path)
    after = logprobs(model.eval(), batch)
    if method == "bottleneck":  # its hooks keep a model to its own layers, which round in another order
        torch.testing.assert_close(after, before, atol=2e-6, rtol=1e-6)
    else:
        assert torch.equal(after, before)


@every_case
def test_that_only_what_the_method_trains_gets_gradients_in_float32(
    folders: dict[str, Path], batch: Batch, tmp_path: Path, kind: str, method: str
) -> None:
    loaded = load_policy(folders[kind], "cpu", torch.bfloat16 if method not in WHOLE_RESULT else torch.float32)
    spec = spec_of(method)
    model = make_trainable(loaded, spec, tmp_path)
    with torch.autocast("cpu", torch.bfloat16, enabled=method not in WHOLE_RESULT):
        (-forward.completion_logprobs(model, batch).sum()).backward()
    named = dict(model.named_parameters())
    wanted = {name for name, p in named.items() if p.requires_grad}
    words = {"lora": "lora_", "bottleneck": ".bottleneck.", "ia3": "ia3_", "bitfit": ".bias", "full": ""}
    assert wanted == {name for name in named if words.get(method, "prompt_encoder") in name}
    assert {named[name].dtype for name in wanted} == {torch.float32}
    assert any(named[name].grad is not None and named[name].grad.any() for name in wanted)
    assert all(named[name].grad is None for name in named.keys() - wanted)
    total = sum(p.numel() for p in named.values())
    count = sum(named[name].numel() for name in wanted)
    assert f"{count:,} of {total:,} parameters" in what_is_trained(model, spec)


@every_case
def test_that_the_fit_check_estimates_what_is_trained(
    folders: dict[str, Path], tmp_path: Path, kind: str, method: str
) -> None:
    spec = spec_of(method)
    everything, found = count_parameters(make_trainable(load_policy(folders[kind]), spec, tmp_path))
    estimated = trained_parameters(spec, everything if method == "full" else 0, shape_of(folders[kind]))
    assert estimated / 3 < found < 3 * estimated


def test_that_biases_where_there_are_none_are_refused_with_a_way_out(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no biases") as caught:
        make_trainable(load_policy(folders["llama"]), spec_of("bitfit"), tmp_path)
    assert "lora" in caught.value.hint


@pytest.mark.parametrize("option", ["rslora", "dora"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_that_the_variants_of_low_rank_adapters_are_merged_exactly(
    folders: dict[str, Path], batch: Batch, tmp_path: Path, kind: str, option: str
) -> None:
    torch.manual_seed(0)
    part = LoraPart(rank=4, alpha=8, **{option: True})  # type: ignore[arg-type]
    model = make_trainable(load_policy(folders[kind]), SftSpec(method="lora", lora=part), tmp_path)
    assert any("magnitude" in name for name, _ in model.named_parameters()) == (option == "dora")
    shake(model)
    scalings = {s for m in model.modules() if hasattr(m, "lora_A") for s in m.scaling.values()}
    assert scalings == {4.0 if option == "rslora" else 2.0}
    save_model(model, load_tokenizer(folders[kind]), tmp_path / "model")
    again = load_policy(tmp_path / "model")
    assert again.merged
    torch.testing.assert_close(logprobs(again.model, batch), logprobs(model.eval(), batch), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("method", LEARNED_PROMPT)
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_that_texts_behind_virtual_tokens_dont_depend_on_their_neighbours(
    folders: dict[str, Path], tmp_path: Path, kind: str, method: str
) -> None:
    model = trained(folders[kind], method, tmp_path)
    together = logprobs(model, collate([*PROMPTS, [1] * 9], [*COMPLETIONS, [5, 6]], pad=0))
    for row in range(2):
        alone = logprobs(model, collate([PROMPTS[row]], [COMPLETIONS[row]], pad=0))[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", LEARNED_PROMPT)
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_that_packed_documents_all_see_the_virtual_tokens_and_not_each_other(
    folders: dict[str, Path], tmp_path: Path, kind: str, method: str, attention: str
) -> None:
    model = trained(folders[kind], method, tmp_path)
    model.get_base_model().set_attn_implementation(attention)
    documents = [[1, 403, 407, 410], [1, 261, 270], [1, 5]]
    packed = pack(documents, 9, 0, 0).batch([0])
    with torch.no_grad():
        hidden = forward.hidden_states(model, packed.input_ids, packed.attention, packed.position_ids)[0]
        start = 0
        for ids in sorted(documents, key=lambda ids: packed.input_ids[0].tolist().index(ids[1])):
            places = torch.arange(len(ids))[None]
            alone = forward.hidden_states(model, torch.tensor([ids]), None, places)[0]
            torch.testing.assert_close(hidden[start : start + len(ids)], alone, atol=1e-5, rtol=1e-4)
            start += len(ids)


@every_case
def test_that_what_is_sampled_has_the_probability_that_a_fresh_pass_gives(
    folders: dict[str, Path], tmp_path: Path, kind: str, method: str
) -> None:
    model = trained(folders[kind], method, tmp_path)
    prompts = [[1, 403, 407], [1, 270], [1, 5, 6, 7, 8, 9]]
    said = sample_batch(model, prompts, max_new_tokens=9, temperature=0.7, eos=[2], seed=4)
    with torch.no_grad():
        again = forward.completion_logprobs(model, collate(prompts, said.completions, 0), temperature=0.7)
    torch.testing.assert_close(said.logprobs, again, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", [*LEARNED_PROMPT, "bottleneck"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_that_decoding_step_by_step_stands_behind_the_virtual_tokens(
    folders: dict[str, Path], tmp_path: Path, kind: str, method: str
) -> None:
    model = trained(folders[kind], method, tmp_path)
    rows = [[1, 403, 407], [1, 270]]
    stepper = General(model)
    found = [stepper.prefill(rows), stepper.step([5, 6])]
    stepper.crop(1)
    stepper.reorder([1, 0])
    found.append(stepper.step([6, 5])[[1, 0]])
    for step, tails in enumerate(([[], []], [[5], [6]], [[5], [6]])):
        for row, (ids, tail) in enumerate(zip(rows, tails, strict=True)):
            text = torch.tensor([ids + tail])
            with torch.no_grad():
                hidden = forward.hidden_states(model, text, None, torch.arange(text.shape[1])[None])
                expected = forward.project(model, hidden[0, -1:])[0]
            torch.testing.assert_close(found[step][row], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", ["prompt", "bottleneck"])
def test_that_what_cannot_be_merged_is_not_trained_further(
    folders: dict[str, Path], tmp_path: Path, method: str
) -> None:
    save_model(trained(folders["llama"], method, tmp_path), load_tokenizer(folders["llama"]), tmp_path / "model")
    with pytest.raises(BadInput, match="can't be merged into weights") as caught:
        make_trainable(load_policy(tmp_path / "model"), spec_of("lora"), tmp_path / "base")
    assert str(folders["llama"]) in caught.value.hint
    with pytest.raises(BadInput, match="can't be merged into weights"):
        make_reward_head(tmp_path / "model")


def test_that_scales_that_were_learned_are_merged_before_training_goes_on(
    folders: dict[str, Path], batch: Batch, tmp_path: Path
) -> None:
    first = trained(folders["gpt2"], "ia3", tmp_path / "unused")
    save_model(first, load_tokenizer(folders["gpt2"]), tmp_path / "one")
    second = make_trainable(load_policy(tmp_path / "one"), spec_of("ia3"), tmp_path / "base")
    torch.testing.assert_close(logprobs(second.eval(), batch), logprobs(first, batch), atol=2e-5, rtol=1e-4)
    assert (tmp_path / "base" / "model.safetensors").exists()


@pytest.mark.parametrize("method", ["prompt", "ia3", "bitfit", "lora"])
def test_that_a_model_can_be_looked_at_as_it_started(
    folders: dict[str, Path], batch: Batch, tmp_path: Path, method: str
) -> None:
    torch.manual_seed(2)
    model = make_trainable(load_policy(folders["gpt2"]), spec_of(method), tmp_path).eval()
    before, start = logprobs(model, batch), Start(model)
    shake(model)
    after = logprobs(model, batch)
    assert not torch.equal(after, before)
    with start.back():
        assert torch.equal(logprobs(model, batch), before)
    assert torch.equal(logprobs(model, batch), after)


def test_that_virtual_tokens_start_as_the_words_of_a_text(folders: dict[str, Path], tmp_path: Path) -> None:
    loaded = load_policy(folders["llama"])
    ids = loaded.tokenizer("Once upon", add_special_tokens=False)["input_ids"]
    spec = SftSpec(method="prompt", prompt=PromptPart(tokens=len(ids) + 1, text="Once upon"))
    table = loaded.model.get_input_embeddings().weight.detach().clone()
    model = make_trainable(loaded, spec, tmp_path)
    assert torch.equal(model.get_prompt(1)[0], table[[*ids, ids[0]]])


def test_that_virtual_tokens_take_their_share_of_the_positions(folders: dict[str, Path], tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(SftSpec())
    report = Report(run)
    model = trained(folders["gpt2"], "prompt", tmp_path)
    assert context(model, 125, report) == 125
    assert context(model, 126, report) == 125
    assert context_length(model) == 125
    report.close()
    assert "beside 3 virtual tokens" in run.events.read_text()


def test_that_a_prefix_and_recomputed_activations_exclude_each_other(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="gradient checkpointing"):
        make_trainable(load_policy(folders["llama"]), spec_of("prefix", gradient_checkpointing=True), tmp_path)


@pytest.mark.parametrize("method", ["prompt", "ptuning", "bottleneck", "ia3", "lora", "bitfit"])
def test_that_recomputed_activations_give_the_same_gradient(
    folders: dict[str, Path], batch: Batch, tmp_path: Path, method: str
) -> None:
    found = []
    for again in (False, True):
        torch.manual_seed(3)
        model = make_trainable(load_policy(folders["gpt2"]), spec_of(method, gradient_checkpointing=again), tmp_path)
        shake(model)
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        (-forward.completion_logprobs(model, batch).sum()).backward()
        found.append([p.grad for p in model.parameters() if p.requires_grad])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)


def test_that_a_damaged_bottleneck_folder_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    save_model(trained(folders["llama"], "bottleneck", tmp_path), load_tokenizer(folders["llama"]), tmp_path / "model")
    config = tmp_path / "model" / "adapter_config.json"
    said = json.loads(config.read_text())
    config.write_text(json.dumps({**said, "width": 5}))
    with pytest.raises(BadInput, match="can't be loaded"):
        load_policy(tmp_path / "model")


def test_that_modules_that_are_not_there_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    spec = SftSpec(method="ia3", ia3={"targets": "nothing"})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="No adapter fits"):
        make_trainable(load_policy(folders["llama"]), spec, tmp_path)


def test_that_a_base_of_four_bits_trains_an_adapter_that_fits_the_base_of_sixteen(
    stories: Path, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    monkeypatch.setattr("workbench.engine.adapters.quantise", lambda model: quantise(model, "cpu"))
    before = logprobs(load_policy(stories).model, batch)
    model = make_trainable(load_policy(stories), SftSpec(method="qlora", lora=LoraPart(rank=2)), tmp_path)
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    kept = [p for p in model.parameters() if p.dtype == torch.uint8]
    assert len(kept) == 7 * 5  # every projection of five layers, and not the head
    found = logprobs(model, batch)
    assert not torch.equal(found, before)
    assert (found - before).abs().max() < 1.5
    (-forward.completion_logprobs(model, batch).sum()).backward()
    shake(model, 0.01)
    save_model(model, load_tokenizer(stories), tmp_path / "model")
    assert (logprobs(load_policy(tmp_path / "model").model, batch) - logprobs(model, batch)).abs().max() < 1.5


@pytest.mark.parametrize("method", ["prefix", "bottleneck", "ia3", "ptuning"])
def test_that_a_run_of_every_method_learns_and_goes_on_bit_for_bit(
    method: str,
    stories: Path,
    demonstrations: list[dict[str, Any]],
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    curves: Callable[..., Any],
) -> None:
    settings: dict[str, Any] = {"batch_size": 4, "max_steps": 6, "max_length": 64, "holdout": 0.0, "warmup": 0.0}
    spec = spec_of(
        method, base=str(stories), learning_rate=0.03, sample_count=1, eval_every=0, checkpoint_every=0, **settings
    )
    straight, halted = make_run(spec, demonstrations[:4], "straight"), make_run(spec, demonstrations[:4], "halted")
    assert here(straight)[-1]["kind"] == "finished"
    told = curves(straight)
    assert told[6]["loss"] < told[1]["loss"]
    halted.want("pause")
    assert here(halted)[-1]["kind"] == "halted"
    halted.want("run")
    here(halted)
    assert curves(halted) == told
    (ours,), (theirs,) = (list(folder.model.glob("*.safetensors")) for folder in (halted, straight))
    assert ours.read_bytes() == theirs.read_bytes()


LONG: dict[str, Any] = {
    "batch_size": 4,
    "max_steps": 2,
    "max_length": 64,
    "holdout": 0.0,
    "warmup": 0.0,
    "eval_every": 0,
}


@pytest.mark.parametrize("method", ["prompt", "prefix", "bottleneck", "ia3"])
def test_that_preference_optimisation_starts_at_its_own_reference(
    method: str,
    stories: Path,
    comparisons: list[dict[str, Any]],
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    curves: Callable[..., Any],
) -> None:
    rows = [{**row, "chosen": row["chosen"][:30], "rejected": row["rejected"][:30]} for row in comparisons[:8]]
    for seed in (0, 1):  # the second must not take the first one's reference out of the workspace's cache
        settings = spec_of(method, base=str(stories), learning_rate=0.01, sample_count=0, seed=seed, **LONG)
        spec = DpoSpec(
            **{
                name: value
                for name, value in settings.model_dump().items()
                if name in DpoSpec.model_fields and name != "kind"
            }
        )
        folder = make_run(spec, rows, f"runs/{method}-{seed}")
        assert here(folder)[-1]["kind"] == "finished"
        assert curves(folder)[1]["rewards/margin"] == pytest.approx(0.0, abs=1e-5)
        assert curves(folder)[2]["rewards/margin"] != 0.0


@pytest.mark.parametrize("method", ["prefix", "ptuning", "bottleneck", "ia3"])
def test_that_ppo_starts_at_ratio_one_and_kl_zero_with_every_method(
    method: str,
    stories: Path,
    judge_folder: Path,
    comparisons: list[dict[str, Any]],
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    curves: Callable[..., Any],
) -> None:
    settings = spec_of(method, base=str(stories), learning_rate=0.01, sample_count=0, **LONG).model_dump()
    common = {name: value for name, value in settings.items() if name in PpoSpec.model_fields and name != "kind"}
    folder = make_run(PpoSpec(**common, reward_model=str(judge_folder), max_new_tokens=6), comparisons[:8])
    assert here(folder)[-1]["kind"] == "finished"
    told = curves(folder)
    assert told[1]["kl/k1"] == 0.0
    assert told[2]["kl/k3"] > 0.0
