"""The keeper, the kept reference, the card and the worker's outer shell, in this process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.engine.adapting import attach_lora
from workbench.domain.errors import RunFailed
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.kinds import Spec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine.batches import collate
from workbench.engine.cards import card
from workbench.engine.device import Setup
from workbench.engine.evaluate import Tally
from workbench.engine.forward import Scored, completion_logprobs
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import Loaded, load_policy, save_model
from workbench.engine.optim import make_optimizer
from workbench.engine.preferences import Preference
from workbench.engine.reference import agree
from workbench.engine.report import Report
from workbench.engine.worker import main
from workbench.protocol.run_folder import RunFolder

CPU = Setup(torch.device("cpu"), torch.float32)
PAIRS = [
    Preference([1, 403], [410, 2], [411, 261, 2], 0.0),
    Preference([1, 261, 378], [5, 6, 7, 8, 2], [9, 2], 0.0),
    Preference([1], [300, 2], [301, 2], 0.0),
]
Make = Callable[..., RunFolder]
Said = Callable[[RunFolder, str], list[dict[str, Any]]]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.create(SftSpec())
    return run


class Run:
    """A model of one layer that a keeper looks after."""

    def __init__(self, folder: RunFolder, **spec: Any) -> None:
        self.spec = SftSpec(**spec)
        self.net = nn.Linear(2, 1)
        self.optimizer = make_optimizer(self.net, self.spec)
        self.report = Report(folder)
        self.keeper = Keeper(self.spec, folder, self.report, {"net": self.net}, {"adam": self.optimizer})


@pytest.fixture
def begin(folder: RunFolder) -> Iterator[Callable[..., Run]]:
    made: list[Run] = []

    def start(**spec: Any) -> Run:
        made.append(Run(folder, **spec))
        return made[-1]

    yield start
    for run in made:
        run.report.close()


def test_that_a_first_start_goes_on_from_nothing_and_says_nothing(
    begin: Callable[..., Run], folder: RunFolder, said: Said
) -> None:
    assert begin().keeper.resume() == (0, {})
    assert said(folder, "resumed") == []


def test_that_a_restart_without_a_checkpoint_takes_back_what_was_said(
    begin: Callable[..., Run], folder: RunFolder, said: Said
) -> None:
    first = begin()
    first.report.metric(1, loss=1.0)
    assert begin().keeper.resume() == (0, {})
    assert [event["step"] for event in said(folder, "resumed")] == [0]


def test_that_a_restart_goes_on_from_the_newest_checkpoint(
    begin: Callable[..., Run], folder: RunFolder, said: Said
) -> None:
    first = begin()
    first.keeper.save(4, {"last": {"loss": 2.0}})
    with torch.no_grad():
        first.net.weight.fill_(5.0)
    first.keeper.save(8, {"last": {"loss": 1.5}})
    second = begin()
    assert second.keeper.resume() == (8, {"last": {"loss": 1.5}})
    assert second.net.weight.tolist() == [[5.0, 5.0]]
    assert [event["step"] for event in said(folder, "checkpointed")] == [4, 8]
    assert [event["step"] for event in said(folder, "resumed")] == [8]


@pytest.mark.parametrize(("every", "expected"), [(0, []), (3, [3, 6, 7]), (7, [7]), (100, [7])])
def test_that_checkpoints_come_every_so_often_and_at_the_end_unless_none_are_wanted(
    begin: Callable[..., Run], folder: RunFolder, said: Said, every: int, expected: list[int]
) -> None:
    run = begin(checkpoint_every=every, keep_checkpoints=5)
    for step in range(1, 8):
        run.keeper.save_when_due(step, 7)
    assert [event["step"] for event in said(folder, "checkpointed")] == expected
    assert [int(path.name) for path in folder.complete_checkpoints()] == expected


@pytest.mark.parametrize("wish", ["pause", "stop"])
def test_that_a_wish_to_halt_is_kept_before_it_is_told(
    begin: Callable[..., Run], folder: RunFolder, said: Said, wish: Any
) -> None:
    run = begin(checkpoint_every=0)
    assert not run.keeper.halted(2)
    folder.want(wish)
    assert run.keeper.halted(3, {"last": {}})
    kinds = [json.loads(line)["kind"] for line in folder.events.read_text().splitlines()]
    assert kinds == ["checkpointed", "halted"]
    assert said(folder, "halted")[0]["wanted"] == wish
    assert [path.name for path in folder.complete_checkpoints()] == ["3"]


def test_that_as_many_checkpoints_stay_as_the_spec_says(begin: Callable[..., Run], folder: RunFolder) -> None:
    run = begin(keep_checkpoints=3)
    for step in range(1, 7):
        run.keeper.save(step)
    assert [int(path.name) for path in folder.complete_checkpoints()] == [4, 5, 6]


def test_that_nothing_is_due_at_step_zero_but_the_end() -> None:
    assert due(0, 0, 0)
    assert not due(1, 0, 2)
    assert due(4, 2, 9)


def test_that_the_reference_of_a_fresh_adapter_is_its_base_and_that_of_a_trained_one_is_the_adapter(
    loaded: Loaded, folder: RunFolder, tmp_path: Path
) -> None:
    batch = collate([[1, 403]], [[410, 261, 2]], 0)
    spec = SftSpec(method="lora")
    with torch.no_grad():
        base = completion_logprobs(loaded.model, batch)
        first = attach_lora(loaded, spec.lora, tmp_path / "unused")
        assert torch.equal(completion_logprobs(first, batch), base)
        for parameter in first.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)
        trained = completion_logprobs(first, batch)
        save_model(first, loaded.tokenizer, tmp_path / "sft")
        second = attach_lora(load_policy(tmp_path / "sft"), spec.lora, tmp_path / "base")
        with second.disable_adapter():
            reference = completion_logprobs(second, batch)
    torch.testing.assert_close(reference, trained, atol=1e-4, rtol=0)
    assert not torch.allclose(reference, base, atol=1e-2)


@pytest.mark.parametrize(
    ("setup", "gap", "fine"),
    [
        (CPU, 0.0, True),
        (CPU, 1e-7, False),
        (Setup(torch.device("cuda"), torch.float32), 1e-3, True),
        (Setup(torch.device("cpu"), torch.bfloat16), 1e-3, True),
        (Setup(torch.device("cuda"), torch.bfloat16), 0.02, False),
        (Setup(torch.device("cuda"), torch.bfloat16), float("nan"), False),
    ],
)
def test_that_two_passes_agree_exactly_on_a_processor_and_nearly_elsewhere(
    setup: Setup, gap: float, fine: bool
) -> None:
    first = torch.zeros(2, 3, dtype=torch.float64)
    second = first.clone()
    second[1, 2] = gap
    if fine:
        agree(first, second, "a thing", setup)
    else:
        with pytest.raises(RunFailed, match="a thing differs by"):
            agree(first, second, "a thing", setup)
    agree(torch.zeros(0), torch.zeros(0), "nothing", setup)


def test_that_a_tally_of_nothing_and_of_the_impossible_stay_numbers() -> None:
    assert Tally().values()["loss"] == 0.0
    tally = Tally()
    tally.add(Scored(torch.tensor([-5000.0]), torch.tensor([False]), None))
    assert tally.values()["perplexity"] == pytest.approx(1.0142320547350045e304)


@pytest.mark.parametrize("kind", [PretrainSpec, SftSpec, RewardSpec, DpoSpec])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_that_a_card_holds_the_spec_the_numbers_and_the_way_to_load(kind: type[Spec], method: Any) -> None:
    spec = kind(method=method, base="/a/b/base-model")  # type: ignore[call-arg]
    text = card(spec, 1234, 56, {"loss": 1.23456789, "eval/loss": float("nan"), "accuracy": 0.0})
    assert json.loads(text.split("```json\n")[1].split("\n```")[0]) == {
        **spec.model_dump(mode="json"),
        "base": "base-model",
    }
    rows = [line for line in text.splitlines() if line.startswith("| ") and "|---" not in line]
    assert "| rows trained on | 1234 |" in rows
    assert "| optimizer steps | 56 |" in rows
    assert rows[-3:] == ["| accuracy | 0 |", "| eval/loss | nan |", "| loss | 1.23457 |"]
    assert ("SequenceClassification" in text) is (spec.kind == "reward")
    assert ("PeftModel" in text) is (method == "lora")


@pytest.fixture
def signals() -> Iterator[None]:
    """main() takes SIGTERM and SIGINT for itself, and settings for libraries; both come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    environment = dict(os.environ)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    os.environ.clear()
    os.environ.update(environment)


@pytest.mark.usefixtures("signals")
def test_that_a_failed_run_ends_with_one_sentence_an_event_and_the_traceback_in_the_log(
    make_run: Make, said: Said, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(SftSpec(base="/no/such/model", device="cpu"), [{"text": "x"}])
    assert main([str(folder.path)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "no model folder" in err
    (failed,) = said(folder, "failed")
    assert failed["error"] == "bad_input"
    assert failed["hint"]
    kinds = [json.loads(line)["kind"] for line in folder.events.read_text().splitlines()]
    assert kinds[0] == "started"
    assert kinds[-1] == "failed"


@pytest.mark.usefixtures("signals")
def test_that_a_signal_during_a_run_pauses_it_and_a_second_start_finishes_it(
    stories: Path, demonstrations: list[dict[str, Any]], make_run: Make, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SftSpec(base=str(stories), device="cpu", max_steps=3, batch_size=2, sample_count=0, holdout=0)
    folder = make_run(spec, demonstrations[:6])
    planned = Report.planned

    def interrupted(self: Report, *args: Any, **more: Any) -> None:
        planned(self, *args, **more)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Report, "planned", interrupted)
        assert main([str(folder.path)]) == 0
    assert [(event["wanted"], event["step"]) for event in said(folder, "halted")] == [("pause", 0)]
    assert not folder.model.exists()
    assert main([str(folder.path)]) == 0
    assert said(folder, "finished")[0]["step"] == 3
    assert (folder.model / "model.safetensors").exists()
