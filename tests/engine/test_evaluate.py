from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.domain.errors import RunFailed
from workbench.domain.specs.sft import SftSpec
from workbench.engine.batches import Pair
from workbench.engine.device import Setup
from workbench.engine.evaluate import Tally, evaluate_rows, evaluating, fixed_prompts, report_samples
from workbench.engine.examples import encode_demonstrations, tell
from workbench.engine.forward import Scored
from workbench.engine.models import Loaded
from workbench.engine.packing import Padded
from workbench.engine.report import Report
from workbench.protocol.event_log import EventTail
from workbench.protocol.run_folder import RunFolder

CPU = Setup(torch.device("cpu"), torch.float32)
Rows = list[dict[str, Any]]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    folder = RunFolder(tmp_path / "run")
    folder.create(SftSpec())
    return Report(folder)


def heard(report: Report) -> list[Any]:
    report.close()
    return EventTail(report.folder.events).read()


def test_that_a_tally_is_a_mean_over_tokens_not_over_batches() -> None:
    tally = Tally()
    tally.add(Scored(torch.log(torch.tensor([0.5])), torch.tensor([True]), None))
    tally.add(Scored(torch.log(torch.tensor([0.25, 0.25, 0.25])), torch.tensor([False, False, True]), None))
    values = tally.values("eval/")
    assert values["eval/loss"] == pytest.approx((math.log(2) + 3 * math.log(4)) / 4)
    assert values["eval/perplexity"] == pytest.approx(math.exp(values["eval/loss"]))
    assert values["eval/token_accuracy"] == 0.5


def test_that_evaluation_does_not_depend_on_the_batch_and_leaves_no_trace(loaded: Loaded, demonstrations: Rows) -> None:
    pairs = encode_demonstrations(demonstrations, loaded.tokenizer, "auto", 160).pairs[:12]
    loaded.model.train()
    state = torch.get_rng_state()
    by_one, by_five = (evaluate_rows(loaded.model, Padded(pairs, loaded.pad), size, CPU) for size in (1, 5))
    assert by_one == pytest.approx(by_five, rel=1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    assert loaded.model.training


def test_that_the_mode_comes_back_even_after_an_error(loaded: Loaded) -> None:
    loaded.model.train()
    with pytest.raises(ZeroDivisionError), evaluating(loaded.model):
        assert not loaded.model.training
        raise ZeroDivisionError
    assert loaded.model.training


def test_that_fixed_prompts_are_distinct_and_always_the_same(demonstrations: Rows, loaded: Loaded) -> None:
    examples = encode_demonstrations(demonstrations, loaded.tokenizer, "auto", 160)
    ids = [pair.prompt for pair in examples.pairs]
    prompts = fixed_prompts(examples.rows, ids, 3)
    assert len({text for text, _ in prompts}) == 3
    assert prompts == fixed_prompts(examples.rows, ids, 3)
    assert fixed_prompts(examples.rows, ids, 0) == []


def test_that_samples_are_repeatable_and_stay_within_the_models_reach(loaded: Loaded, report: Report) -> None:
    prompts = [("Once", [1, 403, 407]), ("too long", [1] * 30)]
    state = torch.get_rng_state()
    for step in (1, 2):
        report_samples(report, loaded, step, prompts, seed=5, longest=24, setup=CPU)
    report_samples(report, loaded, 3, prompts, seed=6, longest=24, setup=CPU)
    assert torch.equal(torch.get_rng_state(), state)
    first, again, other = heard(report)
    assert first.index == again.index == 0
    assert first.completion == again.completion != other.completion
    assert 0 < first.numbers["length"] <= 21


def test_that_demonstrations_are_cut_counted_and_left_out_for_a_reason(loaded: Loaded) -> None:
    def row(prompt: str, completion: str) -> dict[str, Any]:
        return {"prompt": [{"role": "user", "content": prompt}], "raw": True, "completion": completion}

    rows = [row("Once upon", "a time"), row("Once", "word " * 50), row("long " * 50, "x"), row("a", " ")]
    examples = encode_demonstrations(rows, loaded.tokenizer, "auto", 24)
    assert [pair.length <= 24 for pair in examples.pairs] == [True, True]
    assert [pair.completion[-1] == 2 for pair in examples.pairs] == [True, False]
    assert examples.rows == rows[:2]
    assert (examples.missing, examples.cut) == (2, 1)


def test_that_a_refused_conversation_is_a_reason_and_not_the_end(loaded: Loaded, demonstrations: Rows) -> None:
    loaded.tokenizer.chat_template = (
        "{% if 'Second' in messages[0]['content'] %}{{ raise_exception('no') }}{% endif %}{{ messages[0]['content'] }}"
    )
    examples = encode_demonstrations(demonstrations, loaded.tokenizer, "auto", 160)
    assert examples.pairs
    assert list(examples.left_out) == ["The model's chat template refuses a conversation: no"]


def test_that_what_was_left_out_is_told_and_nothing_usable_is_an_error(report: Report) -> None:
    tell(report, Counter(), 0, 5, 24)
    tell(report, Counter({"the completion is empty": 2}), 3, 5, 24)
    with pytest.raises(RunFailed, match="2 because the completion is empty"):
        tell(report, Counter({"the completion is empty": 2}), 0, 0, 24)
    assert [event.what.split()[0] for event in heard(report)] == ["2", "3"]


def test_that_a_pair_knows_its_length() -> None:
    assert Pair([1, 2], [3]).length == 3
