"""What a run leaves behind says, in plain transformers and peft, exactly what the model said when the run saved it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from tests.engine.kinds import small
from workbench.engine.worker import RECIPES
from workbench.protocol.run_folder import RunFolder

IDS = torch.tensor([[1, 403, 407, 261, 378, 3], [1, 410, 285, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


def said_by(model: Any) -> torch.Tensor:
    """Logits of two rows, the second padded as the model's config says."""
    model.eval()
    ids = torch.where(MASK > 0, IDS, model.config.pad_token_id or 0)
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=MASK).logits.double().clone()


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("kind", ["pretrain", "sft", "reward", "dpo", "ppo", "grpo", "weighted"])
def test_that_plain_libraries_load_the_result_and_score_as_the_run_did(
    kind: str,
    method: str,
    request: pytest.FixtureRequest,
    make_run: Callable[..., RunFolder],
    here: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = importlib.import_module(RECIPES[kind])
    saved: list[torch.Tensor] = []

    def listen(model: Any, *more: Any) -> None:
        saved.append(said_by(model))
        save(model, *more)

    save = recipe.save_model
    monkeypatch.setattr(recipe, "save_model", listen)
    plain = {
        "max_steps": 2,
        "checkpoint_every": 0,
        "eval_every": 0,
        "sample_count": 0,
        "warmup": 0.0,
        "learning_rate": 0.01,
    }
    spec, rows = small(kind, request, method=method, **plain)
    folder = make_run(spec, rows)
    here(folder)

    auto = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
    tokenizer = AutoTokenizer.from_pretrained(folder.model)
    one_score = {"num_labels": 1, "pad_token_id": tokenizer.pad_token_id} if kind == "reward" else {}
    model = auto.from_pretrained(folder.model if method == "full" else spec.base, dtype=torch.float32, **one_score)
    base = said_by(model)
    if method == "lora":
        model = PeftModel.from_pretrained(model, folder.model)
    found = said_by(model)
    torch.testing.assert_close(found, saved[0], atol=1e-5, rtol=1e-5)
    assert (method == "full") == torch.equal(found, base)
    assert tokenizer.encode("Once upon a time") == [1, 403, 407, 261, 378]
