"""Two steps of each recipe on every architecture, full and with an adapter: no step may fail, drift at the start, or change nothing.

Experts are trained by the task's own loss; no router's balancing loss is added, since it would make losses incomparable.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.architectures import make_model
from workbench.domain.specs.kinds import SPECS
from workbench.engine.models import load_policy, load_tokenizer, make_reward_head, save_model
from workbench.protocol.run_folder import RunFolder

NAMES = ("gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi", "neox", "opt", "falcon")
NAMES += ("mixtral", "qwen3moe")
ROWS = [
    {
        "prompt": [{"role": "user", "content": prompt}],
        "raw": True,
        "completion": best,
        "chosen": best,
        "rejected": worst,
        "margin": None,
        "item": str(number),
        "annotator": "Ada",
        "synthetic": False,
    }
    for number, (prompt, best, worst) in enumerate(
        [("The cat", " sat", " sat on a mat"), ("A dog saw", " a big red ball", " it"), ("Tom", " ran", " was sad")] * 2
    )
]
COLUMNS = {
    "sft": ("prompt", "raw", "completion"),
    "reward": ("prompt", "raw", "chosen", "rejected", "margin", "item", "annotator", "synthetic"),
    "dpo": ("prompt", "raw", "chosen", "rejected", "margin", "item", "annotator", "synthetic"),
    "ppo": ("prompt", "raw"),
}


@pytest.fixture(scope="module", params=NAMES)
def bases(request: pytest.FixtureRequest, stories: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a policy and of a reward model of one architecture."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    tokenizer = load_tokenizer(stories)
    save_model(make_model(name, vocab=512, scale=2.0), tokenizer, folder / "policy")
    judge = make_reward_head(folder / "policy")
    save_model(judge.model, judge.tokenizer, folder / "judge")
    return {"policy": folder / "policy", "judge": folder / "judge"}


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("kind", ["sft", "reward", "dpo", "ppo"])
def test_that_a_recipe_takes_two_steps(
    kind: str,
    method: str,
    bases: dict[str, Path],
    make_run: Callable[..., RunFolder],
    here: Callable[[RunFolder], list[dict[str, Any]]],
    curves: Callable[[RunFolder], dict[int, dict[str, float]]],
) -> None:
    given: dict[str, Any] = {"base": str(bases["policy"]), "device": "cpu", "method": method, "learning_rate": 1e-3}
    given |= {"max_steps": 2, "batch_size": 3, "max_length": 48, "holdout": 0.0, "warmup": 0.0}
    given |= {"checkpoint_every": 0, "eval_every": 0, "sample_count": 0}
    if kind == "ppo":
        given |= {"reward_model": str(bases["judge"]), "max_new_tokens": 8, "ppo_epochs": 1, "minibatches": 1}
    spec = SPECS[kind](**given)
    folder = make_run(spec, [{name: row[name] for name in COLUMNS[kind]} for row in ROWS])
    events = here(folder)
    assert events[-1]["kind"] == "finished", events[-1]
    steps = curves(folder)
    assert all(math.isfinite(value) for values in steps.values() for value in values.values())
    assert steps[2]["grad_norm"] > 0
    if kind == "dpo":
        assert steps[1]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    if kind == "ppo":
        assert steps[1]["kl/k1"] == 0.0
        assert steps[1]["policy/ratio_max"] == pytest.approx(1.0, abs=1e-5)
    if kind == "reward":
        return
    before = load_policy(bases["policy"]).model
    after = load_policy(folder.model).model
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs)
