"""The step with fixed shapes, on the CPU without a graph; and with one where there is a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.engine.architectures import make_model
from workbench.engine import rollout
from workbench.engine.batches import collate
from workbench.engine.forward import completion_logprobs
from workbench.engine.graphs import Replay
from workbench.engine.plans import checked
from workbench.engine.rollout import sample_batch
from workbench.engine.rollout_cuda import Graphed
from workbench.engine.rollout_layers import Layers

PROMPTS = [[1, 5, 9], [1], [1, 7, 7, 8, 30, 2, 4, 11], [1, 5, 9], [40, 41, 42, 43, 44]]
EOS = [2, 3, 4, 5, 6, 7, 8]
NAMES = ("gpt2", "llama", "qwen3", "neox", "opt", "falcon")


def sample(model: Any, **more: Any) -> Any:
    return sample_batch(model, PROMPTS, **({"max_new_tokens": 20, "eos": EOS, "seed": 3} | more))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", NAMES)
def test_that_fixed_shapes_change_nothing(name: str, attention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(name)
    model.set_attn_implementation(attention)
    monkeypatch.setattr(checked, "read_plan", lambda model: None)
    expected = sample(model)
    monkeypatch.setattr(rollout, "Layers", Graphed)
    found = sample(model)
    assert found.completions == expected.completions
    assert len(set(map(len, found.completions))) > 2
    torch.testing.assert_close(found.logprobs, expected.logprobs, atol=1e-4, rtol=0)


def test_that_rows_are_dropped_once_half_have_ended() -> None:
    model = make_model("llama")
    with torch.inference_mode():
        batch, plain = (kind(model, PROMPTS, 8) for kind in (Graphed, Layers))
        for step, kept in enumerate((None, [0, 2, 3], [2, 4], None)):
            size = len(batch.logits)
            ids, places = torch.full((size,), 9), torch.full((size,), 8 + step)
            if kept and len(kept) * 2 > size:
                assert not batch.keep(torch.tensor(kept))
            elif kept:
                assert batch.keep(torch.tensor(kept))
                assert plain.keep(torch.tensor(kept))
                ids, places = ids[kept], places[kept]
            batch.step(ids, places)
            plain.step(ids, places)
            torch.testing.assert_close(batch.logits, plain.logits, atol=1e-4, rtol=0)


def test_that_a_step_that_cannot_be_captured_runs_without_a_graph(caplog: pytest.LogCaptureFixture) -> None:
    if torch.cuda.is_available():
        pytest.skip("here it can be captured")
    model = make_model("llama")
    with torch.inference_mode():
        batch, plain = (kind(model, PROMPTS, 8) for kind in (Graphed, Layers))
        batch._forward = Replay(batch._compute, capture=True)
        for step in range(3):
            for one in (batch, plain):
                one.step(torch.full((5,), 9), torch.full((5,), 8 + step))
        torch.testing.assert_close(batch.logits, plain.logits, atol=1e-4, rtol=0)
    assert caplog.text.count("without a graph") == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_that_a_captured_step_samples_with_the_models_own_logprobs(name: str) -> None:
    model = make_model(name).to("cuda")
    found = sample(model)
    with torch.no_grad():
        batch = collate(PROMPTS, found.completions, pad=0).to("cuda")
        torch.testing.assert_close(found.logprobs, completion_logprobs(model, batch), atol=1e-3, rtol=0)
