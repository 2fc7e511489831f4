"""The shelf: a budget in bytes, the least recently used go, adapters stand on one base, trouble is a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.domain.errors import BadInput, RunFailed
from workbench.engine import model_shelf
from workbench.engine.decoding.fast import Fast
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.model_shelf import Shelf, size_on_disk
from workbench.engine.models import load_policy

# peft asks transformers by names that transformers has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
ROWS = [[1, 5, 9, 30], [1, 7]]


@pytest.fixture(scope="module")
def stories(shared: Path) -> str:
    return str(shared / "models" / "stories260K")


@pytest.fixture(scope="module")
def copies(stories: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three models of the same size."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(stories), AutoTokenizer.from_pretrained(stories)
    made = []
    for name in "abc":
        folder = tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        made.append(str(folder))
    return made


@pytest.fixture(scope="module")
def adapters(stories: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two LoRA adapters on the stories."""
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(stories)
        config = LoraConfig(task_type=TaskType.CAUSAL_LM, r=4, target_modules=["q_proj", "v_proj", "down_proj"])
        model: Any = get_peft_model(base, config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.3)
        model.peft_config["default"].base_model_name_or_path = stories
        folder = tmp_path_factory.mktemp(f"adapter{seed}")
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(stories).save_pretrained(folder)
        made.append(str(folder))
    return made


def held(shelf: Shelf) -> list[str]:
    return [place.path for place in shelf.places()]


def weights_of(folder: str) -> int:
    model = AutoModelForCausalLM.from_pretrained(folder)
    return sum(p.nbytes for p in model.parameters())


def test_that_the_least_recently_used_go_when_the_budget_is_full(copies: list[str]) -> None:
    a, b, c = copies
    one = Shelf()
    one.take(a)
    shelf = Shelf(budget=int(2.2 * one.used))
    for path in (a, b, a, c):
        shelf.take(path)
        shelf.release()
    assert held(shelf) == [a, c], "b was used longest ago"
    assert shelf.used <= shelf.budget
    shelf.set_budget(int(1.1 * one.used))
    assert held(shelf) == [c]
    shelf.free(c)
    assert held(shelf) == [] and shelf.used == 0


def test_that_models_in_use_stay_until_they_are_released(copies: list[str]) -> None:
    shelf = Shelf(budget=1)
    for path in copies:
        shelf.take(path)
    assert held(shelf) == copies, "a comparison needs all of them"
    shelf.release()
    assert held(shelf) == []


def test_that_bytes_are_those_of_weights_and_plan(stories: str) -> None:
    shelf = Shelf()
    voice = shelf.policy(stories)[1]
    assert voice.plan is not None and isinstance(stepper_for(voice), Fast)
    extra = shelf.used - weights_of(stories) - voice.plan.bytes
    assert 0 <= extra < 4096, "buffers are small"
    assert size_on_disk(Path(stories), torch.float32) == pytest.approx(weights_of(stories), rel=0.2)


def test_that_a_plan_is_read_only_where_there_is_room_for_it(stories: str) -> None:
    shelf = Shelf(budget=int(1.5 * weights_of(stories)))
    voice = shelf.policy(stories)[1]
    assert voice.plan is None and not isinstance(stepper_for(voice), Fast)
    assert shelf.used < shelf.budget


def test_that_adapters_stand_on_one_base_and_say_what_they_say_merged(stories: str, adapters: list[str]) -> None:
    shelf = Shelf()
    base = shelf.policy(stories)[1]
    alone = stepper_for(base).prefill(ROWS)
    before = shelf.used
    voices = [shelf.policy(folder)[1] for folder in adapters]
    plans = sum(voice.plan_bytes for voice in voices)
    assert shelf.used - before - plans < 0.2 * weights_of(stories), "the base is there once"
    pointer = base.model.model.embed_tokens.weight.data_ptr()
    for folder, voice in zip(adapters, voices, strict=True):
        assert voice.model.get_base_model().model.embed_tokens.weight.data_ptr() == pointer
        merged = load_policy(folder).model
        for fast in (True, False):
            with torch.inference_mode():
                expected = torch.stack([merged(torch.tensor([row])).logits[0, -1] for row in ROWS])
            found = stepper_for(voice, fast=fast).prefill(ROWS)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
            assert not torch.allclose(found, alone, atol=1e-2), "an adapter says something else"
    torch.testing.assert_close(stepper_for(base, fast=False).prefill(ROWS), alone, atol=1e-4, rtol=1e-4)


def test_that_an_adapter_outlives_its_base_on_the_shelf(stories: str, adapters: list[str]) -> None:
    shelf = Shelf()
    voice = shelf.policy(adapters[0])[1]
    assert set(held(shelf)) == {stories, adapters[0]}
    expected = stepper_for(voice).prefill(ROWS)
    shelf.free(stories)
    assert shelf.used > weights_of(stories), "the adapter still holds the tensors"
    torch.testing.assert_close(stepper_for(shelf.policy(adapters[0])[1]).prefill(ROWS), expected)


def test_that_loading_tells_how_far_it_is(stories: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_shelf, "_TELL_EVERY", 0.0)
    shares: list[float] = []
    Shelf().take(stories, loading=shares.append)
    assert shares == sorted(shares) and len(shares) > 10
    assert 0 < shares[0] < shares[-1] == 1.0


def test_that_every_change_is_told(stories: str, copies: list[str]) -> None:
    shelf, told = Shelf(), []
    shelf.changed = lambda: told.append(held(shelf))
    shelf.take(stories)
    shelf.take(stories)
    shelf.take(copies[0])
    shelf.free(stories)
    shelf.clear()
    assert told == [[stories], [stories, copies[0]], [copies[0]], []]


def test_that_a_model_that_was_replaced_is_loaded_anew(copies: list[str]) -> None:
    shelf = Shelf()
    first = shelf.take(copies[1])
    (Path(copies[1]) / "note.txt").write_text("new", encoding="utf-8")
    assert not shelf.holds(copies[1], "policy")
    assert shelf.take(copies[1]) is not first


def test_that_too_little_memory_lets_everything_go_and_tries_once_more(
    stories: str, copies: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    shelf.take(copies[0])
    tries: list[list[str]] = []

    def short(path: Any, device: Any, dtype: Any) -> Any:
        tries.append(held(shelf))
        if len(tries) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return load_policy(path, device, dtype)

    monkeypatch.setattr(model_shelf, "load_language_model", short)
    shelf.take(stories)
    assert tries == [[copies[0]], []]
    monkeypatch.setattr(
        model_shelf, "load_language_model", lambda *args: (_ for _ in ()).throw(torch.OutOfMemoryError("no"))
    )
    with pytest.raises(RunFailed, match="isn't enough memory"):
        Shelf().take(stories)


def test_that_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    shelf = Shelf()
    with pytest.raises(BadInput):
        shelf.take(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "/nowhere"}')
    with pytest.raises(BadInput, match="base model is missing"):
        shelf.take(str(tmp_path))
    (tmp_path / "x.safetensors").write_bytes(b"\x05\x00\x00\x00\x00\x00\x00\x00nonsense")
    assert size_on_disk(tmp_path, torch.float32) == 0
    assert held(shelf) == []


def test_that_a_damaged_file_has_no_size_and_costs_no_memory(tmp_path: Path) -> None:
    for number, content in enumerate(
        (b"no weights", b"", (2**62).to_bytes(8, "little"), (2).to_bytes(8, "little") + b"[]")
    ):
        (tmp_path / f"{number}.safetensors").write_bytes(content)
    assert size_on_disk(tmp_path, torch.float32) == 0, "whoever loads it will say what is wrong"
