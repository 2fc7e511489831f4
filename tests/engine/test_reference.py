"""The reference: computed once for the pairs that are used, kept slice by slice, found again by later runs on the same weights."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.adapting import attach_lora
from workbench.domain.errors import RunFailed
from workbench.domain.specs.dpo import DpoSpec
from workbench.engine import reference
from workbench.engine.device import Setup
from workbench.engine.forward import completion_logprobs
from workbench.engine.models import load_policy, save_model
from workbench.engine.pair_forward import PairForward
from workbench.engine.preferences import Preference, pair_batch
from workbench.engine.reference import Reference, agree, reference_of
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder

CPU = Setup(torch.device("cpu"), torch.float32)
PAIRS = [
    Preference([1, 403], [410, 2], [411, 261, 2], 0.0),
    Preference([1, 261, 378], [5, 6, 7, 8, 2], [9, 2], 0.0),
    Preference([1], [300, 2], [301, 2], 0.0),
    Preference([1, 7, 9, 11], [3, 2], [4, 4, 2], 0.0),
]
EVERY = range(len(PAIRS))


class Bench:
    """Takes the reference of the stories model, in run folders of one workspace, and counts how many pairs were computed."""

    def __init__(self, base: Path, workspace: Path) -> None:
        self.base = base
        self.workspace = workspace
        self.computed: list[int] = []
        self.shared = True
        self.setup = CPU
        self.method = "full"
        self.begin: Callable[[Any], None] = lambda model: None

    def take(
        self, name: str = "one", rows: Any = EVERY, pairs: list[Preference] = PAIRS, **more: Any
    ) -> Reference | None:
        """The reference for a run of that name; `more` are fields of the spec."""
        folder = RunFolder(self.workspace / "runs" / name)
        spec = DpoSpec(**{"base": str(self.base), "batch_size": 2, **more})
        if not folder.path.exists():
            folder.create(spec)
        spec = spec.model_copy(update={"method": self.method})
        model = load_policy(spec.base).model
        self.begin(model)
        self.computed = []
        forward = PairForward(model, 0, self.setup, self.shared)

        class Counting(PairForward):
            def __call__(this, some: Any, with_entropy: bool = False) -> Any:
                if torch.is_inference_mode_enabled():
                    self.computed.append(len(some))
                return forward(some, with_entropy)

        report = Report(folder)
        try:
            return reference_of(Counting(*forward), pairs, rows, spec, folder, report)
        finally:
            report.close()

    def slices(self, name: str = "one") -> list[Path]:
        return sorted((self.workspace / "runs" / name / "reference").glob("*.safetensors"))

    def cached(self) -> list[Path]:
        return sorted((self.workspace / "cache").rglob("*.safetensors"))


@pytest.fixture
def bench(stories: Path, tmp_path: Path) -> Bench:
    return Bench(stories, tmp_path)


def table(found: Reference | None, rows: Any = EVERY) -> torch.Tensor:
    assert found is not None
    return found.batch(list(rows), 5)


def test_that_the_reference_is_the_models_own_words_in_the_order_of_a_batch(bench: Bench, stories: Path) -> None:
    found = bench.take()
    for rows in ([0, 1, 2], [2, 0], [1]):
        batch = pair_batch([PAIRS[row] for row in rows], 0)
        with torch.no_grad():
            expected = completion_logprobs(load_policy(stories).model, batch)
        assert found is not None
        torch.testing.assert_close(found.batch(rows, expected.shape[1]), expected, atol=1e-5, rtol=1e-5)


def test_that_only_the_rows_that_are_used_are_computed(bench: Bench) -> None:
    found = bench.take(rows=[1, 3])
    assert sum(bench.computed) == 2
    assert found is not None
    with pytest.raises(KeyError):
        found.batch([0], 5)


def test_that_equal_pairs_are_computed_once(bench: Bench) -> None:
    found = table(bench.take(rows=range(6), pairs=[*PAIRS, PAIRS[1], PAIRS[1]]), range(6))
    assert sum(bench.computed) == len(PAIRS)
    assert torch.equal(found[1], found[4])


def test_that_a_run_reads_what_it_kept_to_the_last_bit(bench: Bench) -> None:
    first = table(bench.take())
    shutil.rmtree(bench.workspace / "cache")
    assert torch.equal(table(bench.take()), first)
    assert sum(bench.computed) == 2  # a batch, to see that the kept values are the policy's


def test_that_another_run_on_the_same_weights_takes_what_is_cached_and_computes_what_is_new(bench: Bench) -> None:
    first = table(bench.take("one", rows=[0, 1]), [0, 1])
    second = bench.take("two", beta=0.7, learning_rate=1e-3, seed=5)
    assert torch.equal(table(second, [0, 1]), first)
    assert sum(bench.computed) == 2
    again = table(second)
    shutil.rmtree(bench.workspace / "cache")
    assert torch.equal(table(bench.take("two")), again)


def test_that_a_run_that_goes_on_is_not_changed_by_what_others_cached_meanwhile(bench: Bench) -> None:
    bench.take("one", rows=[0])
    for path in bench.cached():
        path.unlink()
    bench.take("other")
    bench.take("one")
    assert sum(bench.computed) == len(PAIRS) - 1


def test_that_a_run_outside_of_a_workspace_keeps_to_its_own_folder(bench: Bench, tmp_path: Path) -> None:
    bench.workspace = tmp_path / "elsewhere"
    (bench.workspace / "runs").mkdir(parents=True)
    folder = RunFolder(tmp_path / "alone" / "run")
    spec = DpoSpec(base=str(bench.base))
    folder.create(spec)
    report = Report(folder)
    forward = PairForward(load_policy(bench.base).model, 0, CPU, shared=True)
    assert reference_of(forward, PAIRS, EVERY, spec, folder, report) is not None
    report.close()
    assert list((folder.path / "reference").iterdir())
    assert not list(tmp_path.rglob("cache"))


@pytest.mark.parametrize("change", ["weights", "config", "adapter", "layout", "precision"])
def test_that_another_model_takes_nothing_from_the_cache(change: str, bench: Bench, tmp_path: Path) -> None:
    first = table(bench.take("one"))
    other = tmp_path / "other"
    shutil.copytree(bench.base, other, copy_function=shutil.copyfile)
    if change == "weights":
        weights = load_file(other / "model.safetensors")
        weights["model.norm.weight"] *= 1.5
        save_file(weights, other / "model.safetensors", {"format": "pt"})
    elif change == "config":
        config = json.loads((other / "config.json").read_text())
        (other / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.5}))
    elif change == "adapter":
        loaded = load_policy(bench.base)
        model = attach_lora(loaded, DpoSpec().lora, tmp_path / "unused")
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.03)
        shutil.rmtree(other)
        save_model(model, loaded.tokenizer, other)
    elif change == "layout":
        bench.shared = False
    else:
        bench.setup = Setup(torch.device("cpu"), torch.bfloat16)
    second = table(bench.take("two", base=str(other)))
    assert sum(bench.computed) == len(PAIRS)
    assert torch.allclose(first, second, atol=1e-4) == (change == "layout")


def test_that_what_begins_at_random_is_part_of_what_the_reference_is_known_by(bench: Bench) -> None:
    def begin(model: Any) -> None:
        with torch.no_grad():
            model.model.norm.weight.add_(0.1)

    bench.method = "prompt"
    first = table(bench.take("one"))
    bench.begin = begin
    second = table(bench.take("two"))
    assert sum(bench.computed) == len(PAIRS)
    assert not torch.allclose(first, second, atol=1e-2)
    bench.take("three")
    assert sum(bench.computed) == 2


def test_that_the_same_weights_in_another_folder_are_the_same_reference(bench: Bench, tmp_path: Path) -> None:
    bench.take("one")
    shutil.copytree(bench.base, tmp_path / "moved", copy_function=shutil.copyfile)
    bench.take("two", base=str(tmp_path / "moved"))
    assert sum(bench.computed) == 2


@pytest.mark.parametrize("how", ["cut", "empty", "nonsense"])
def test_that_a_damaged_slice_is_computed_anew(bench: Bench, how: str) -> None:
    first = table(bench.take())
    for path in (*bench.slices(), *bench.cached()):
        content = path.read_bytes()
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "nonsense": bytes(50)}[how])
    assert torch.equal(table(bench.take()), first)
    assert sum(bench.computed) == len(PAIRS)
    bench.take()
    assert sum(bench.computed) == 2


def test_that_a_kept_reference_that_is_not_the_policys_ends_the_run(bench: Bench) -> None:
    bench.take()
    (path,) = bench.slices()
    tensors = load_file(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reference._Store, "read", lambda self: {} if "cache" in str(self.folder) else _shifted(tensors))
        with pytest.raises(RunFailed, match=r"differs from the policy at the start by 0\.01") as caught:
            bench.take()
    assert "Delete the folder reference" in caught.value.hint


def _shifted(tensors: dict[str, torch.Tensor]) -> dict[bytes, Any]:
    sides = (tensors["logprobs"] + 0.01).split(tensors["sizes"].flatten().tolist())
    return {name.tobytes(): (sides[2 * at], sides[2 * at + 1]) for at, name in enumerate(tensors["names"].numpy())}


def test_that_a_pause_takes_effect_within_the_pass_and_nothing_computed_is_lost(bench: Bench) -> None:
    straight = table(bench.take("straight"))
    shutil.rmtree(bench.workspace / "cache")
    folder = RunFolder(bench.workspace / "runs" / "one")
    folder.create(DpoSpec(base=str(bench.base), batch_size=2))
    folder.want("pause")
    assert bench.take("one") is None
    assert bench.computed == [2]
    folder.want("run")
    shutil.rmtree(bench.workspace / "cache")
    assert torch.equal(table(bench.take("one")), straight)
    assert bench.computed == [2]


def test_that_a_kill_loses_no_slice_that_was_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = table(bench.take("straight", batch_size=1))
    shutil.rmtree(bench.workspace / "cache")
    monkeypatch.setattr(reference, "SLICE_SECONDS", 0.0)
    write = reference._Store.write
    written: list[int] = []

    def killed(self: Any, rows: dict[bytes, Any]) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        write(self, rows)
        written.append(len(rows))

    with monkeypatch.context() as patched:
        patched.setattr(reference, "_in_workspace", lambda folder: False)
        patched.setattr(reference._Store, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            bench.take("one", batch_size=1)
    assert (len(bench.slices()), bench.computed) == (2, [1, 1, 1])
    assert torch.equal(table(bench.take("one", batch_size=1)), straight)
    assert bench.computed == [1, 1]


def test_that_progress_is_told_with_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, said: Callable[[RunFolder, str], list[dict[str, Any]]]
) -> None:
    monkeypatch.setattr(reference, "SLICE_SECONDS", 0.0)
    bench.take()
    phases = [event["name"] for event in said(RunFolder(bench.workspace / "runs" / "one"), "phase")]
    assert phases == ["reference", "reference: 2 of 4 pairs", "reference: 4 of 4 pairs"]
    bench.take("two", rows=[2])
    shutil.rmtree(bench.workspace / "cache")
    bench.take("two")
    phases = [event["name"] for event in said(RunFolder(bench.workspace / "runs" / "two"), "phase")]
    assert phases[-2:] == ["reference: 3 of 4 pairs", "reference: 4 of 4 pairs"], "one was known"


def test_that_the_cache_stays_within_its_size_and_the_oldest_go_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take("one", rows=[0])
    (oldest,) = bench.cached()
    os.utime(oldest, (1, 1))
    bench.take("two", rows=[1])
    assert len(bench.cached()) == 2
    monkeypatch.setattr(reference, "CACHE_BYTES", sum(path.stat().st_size for path in bench.cached()))
    bench.take("three", rows=[2])
    assert oldest not in bench.cached()
    assert len(bench.cached()) == 2


def test_that_a_run_does_without_a_cache_that_can_not_be_written(bench: Bench) -> None:
    first = table(bench.take("one"))
    shutil.rmtree(bench.workspace / "cache")
    (bench.workspace / "cache").write_text("in the way")
    assert torch.equal(table(bench.take("two")), first)
    assert len(bench.slices("two")) == 1


def test_that_a_policy_that_differs_from_its_reference_at_the_start_ends_the_run() -> None:
    agree(torch.zeros(3), torch.zeros(3), "the ratio", CPU)
    for difference in (1e-6, torch.nan):
        with pytest.raises(RunFailed, match="Before the first step the ratio differs"):
            agree(torch.zeros(3), torch.tensor([0.0, 0.0, difference]), "the ratio", CPU)
    agree(torch.zeros(3), torch.full((3,), 1e-3), "the ratio", CPU._replace(compute=torch.bfloat16))
