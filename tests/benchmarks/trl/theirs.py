"""TRL's side of a case: `python theirs.py CASE FOLDER` trains with TRL's trainer and prints what it took as JSON.

Runs in an environment of its own, which has TRL and not the workbench. TRL gets what serves it best here: no gradient checkpointing,
fused AdamW, the reference computed once, no progress bars; it logs each step, as we do.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.update(
    HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRL_EXPERIMENTAL_SILENCE="1", OMP_WAIT_POLICY="PASSIVE"
)
warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).parents[3]))

import torch  # noqa: E402
import transformers  # noqa: E402
from datasets import Dataset  # noqa: E402
from datasets.utils.logging import disable_progress_bar  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torch.utils.data import SequentialSampler  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PrinterCallback,
    TrainerCallback,
)

import trl  # noqa: E402
from tests.benchmarks.trl.work import (  # noqa: E402
    BETA,
    GROUP,
    RATE,
    WARM,
    Case,
    case_of,
    peak_mib,
    read_rows,
    share_of_even,
)

Times = tuple[float, float]


def now() -> Times:
    return time.perf_counter(), time.process_time()


class Clock(TrainerCallback):  # type: ignore[misc]
    """Notes when each optimizer step ended."""

    def __init__(self) -> None:
        self.steps: list[Times] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.append(now())


def common(case: Case, folder: Path) -> dict[str, Any]:
    """Arguments of every trainer."""
    return {
        "output_dir": str(folder / "theirs"), "max_steps": case.steps, "per_device_train_batch_size": case.rows,
        "gradient_accumulation_steps": 1, "learning_rate": RATE, "lr_scheduler_type": "constant", "warmup_steps": 0,
        "weight_decay": 0.0, "adam_epsilon": 1e-8, "max_grad_norm": 1.0, "optim": "adamw_torch_fused", "seed": 0,
        "use_cpu": True, "bf16": False, "fp16": False, "gradient_checkpointing": False, "logging_strategy": "steps",
        "logging_steps": 1, "save_strategy": "no", "report_to": "none", "disable_tqdm": True, "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
    }  # fmt: skip


def in_order(kind: Any) -> Any:
    """The trainer with rows in the order of the file, and its losses kept in full precision."""

    class Ordered(kind):  # type: ignore[misc]
        losses: list[float]

        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return SequentialSampler(dataset if dataset is not None else self.train_dataset)

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            self.__dict__.setdefault("losses", []).append(float(loss.detach()))
            return loss

    return Ordered


def trainer_of(case: Case, folder: Path, tokenizer: Any) -> tuple[Any, Times]:
    """(trainer, seconds that the reference took) of the cases whose trainers are transformers' own."""
    rows, told = Dataset.from_list(read_rows(folder)), common(case, folder)
    before = (0.0, 0.0)
    if case.recipe == "sft":
        model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float32")
        config = trl.SFTConfig(**told, max_length=512)
        trainer = in_order(trl.SFTTrainer)(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
    elif case.recipe == "reward":
        model = AutoModelForSequenceClassification.from_pretrained(folder / "model", dtype="float32", num_labels=1)
        with torch.no_grad():
            model.score.weight.copy_(load_file(folder / "head.safetensors")["head"])
        config = trl.RewardConfig(**told, max_length=512)
        trainer = in_order(trl.RewardTrainer)(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
    elif case.recipe == "dpo":
        model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float32")
        config = trl.DPOConfig(**told, max_length=512, beta=BETA, precompute_ref_log_probs=True)
        kind = in_order(trl.DPOTrainer)
        compute, spent = kind._precompute_ref_logps, [0.0, 0.0]

        def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
            began = now()
            result = compute(self, *args, **kwargs)
            spent[:] = [end - start for start, end in zip(began, now(), strict=True)]
            return result

        kind._precompute_ref_logps = timed
        trainer = kind(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
        before = (spent[0], spent[1])
    elif case.recipe == "grpo":
        model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float32")
        batch = {"per_device_train_batch_size": case.rows * GROUP, "num_generations": GROUP}
        sampling = {"max_completion_length": case.completion, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "beta": 0.0}
        config = trl.GRPOConfig(**told | batch, **sampling, loss_type="grpo", num_iterations=1)
        trainer = trl.GRPOTrainer(
            model=model, reward_funcs=even_words, args=config, train_dataset=rows, processing_class=tokenizer
        )
    else:
        trainer = ppo_trainer(case, folder, tokenizer, rows, told)
    return trainer, before


def even_words(completions: list[str], **_: Any) -> list[float]:
    """The reward of both sides: the share of words with an even number."""
    return [share_of_even(text) for text in completions]


def ppo_trainer(case: Case, folder: Path, tokenizer: Any, rows: Any, told: dict[str, Any]) -> Any:
    """The trainer of TRL 1.12, the last that had one: four minibatches, four passes, as our spec says."""
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    def judge() -> Any:
        return AutoModelForSequenceClassification.from_pretrained(folder / "judge", dtype="float32", num_labels=1)

    def policy() -> Any:
        return AutoModelForCausalLM.from_pretrained(folder / "model", dtype="float32")

    del told["max_steps"]
    config = PPOConfig(
        **told, total_episodes=case.rows * case.steps, num_mini_batches=4, num_ppo_epochs=4, response_length=case.completion,
        temperature=1.0, kl_coef=0.05, num_sample_generations=0, local_rollout_forward_batch_size=case.rows,
    )  # fmt: skip
    data = rows.map(lambda row: {"input_ids": tokenizer(row["prompt"])["input_ids"]}, remove_columns=rows.column_names)
    return PPOTrainer(
        args=config,
        processing_class=tokenizer,
        model=policy(),
        ref_model=policy(),
        reward_model=judge(),
        value_model=judge(),
        train_dataset=data,
    )


def main(name: str, folder: Path) -> None:
    case = case_of(name)
    for logger in ("transformers", "trl", "accelerate", "datasets"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    trainer, before = trainer_of(case, folder, tokenizer)
    clock = Clock()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    trainer.train()
    share = (case.steps - WARM) / case.steps
    wall, cpu = (clock.steps[-1][i] - clock.steps[WARM - 1][i] + before[i] * share for i in (0, 1))
    found = {
        "wall": wall, "cpu": cpu, "before": before[1] * share, "peak": peak_mib(), "loss": getattr(trainer, "losses", []),
        "versions": {"trl": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__},
        "threads": torch.get_num_threads(),
    }  # fmt: skip
    print("RESULT " + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
