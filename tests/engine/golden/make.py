"""Makes golden.json: what other projects' own code says to fixed numbers, for `tests/engine/test_golden.py`.

Run it in an environment that has the project, for each of them in turn: `python tests/engine/golden/make.py trl | trl_ppo | torchtune | verl`
(TRL 1.16; TRL 1.12, the last with PPO; torchtune; verl). Each run replaces its own section; nothing of theirs is copied, only called.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import Tensor

FILE = Path(__file__).with_name("golden.json")
LENGTHS = (6, 1, 4, 3, 2, 5)
ROWS, WIDTH = len(LENGTHS), max(LENGTHS)
Found = dict[str, Any]


def inputs() -> dict[str, Any]:
    """Ragged rows: log-probabilities, values, rewards and advantages of each token; scores of each row."""
    draw = random.Random(20261121)

    def table(mean: float, spread: float) -> list[list[float]]:
        return [[round(draw.gauss(mean, spread), 3) for _ in range(WIDTH)] for _ in range(ROWS)]

    return {
        "lengths": LENGTHS,
        "logprobs": table(-2.0, 0.4),
        "old": table(-2.0, 0.4),
        "ref": table(-2.0, 0.4),
        "values": table(0.0, 0.5),
        "old_values": table(0.0, 0.5),
        "returns": table(0.2, 0.7),
        "rewards": table(0.1, 0.5),
        "advantages": table(0.0, 1.0),
        "scores": [round(draw.gauss(0.0, 1.0), 3) for _ in range(ROWS)],
        "margins": [round(draw.uniform(0.0, 1.0), 3) for _ in range(ROWS // 2)],
    }


def tensors() -> SimpleNamespace:
    """The inputs in float64, with the mask of completion tokens as int64."""
    given = {name: torch.tensor(value, dtype=torch.float64) for name, value in inputs().items()}
    mask = (torch.arange(WIDTH)[None] < torch.tensor(LENGTHS)[:, None]).long()
    return SimpleNamespace(**given, mask=mask)


def plain(value: Any) -> Any:
    """Tensors as lists."""
    return value.detach().tolist() if isinstance(value, Tensor) else float(value)


def from_trl() -> Found:
    """TRL's trainers, asked for the loss of a model that says what the inputs say."""
    from trl import DPOTrainer, GRPOTrainer, RewardTrainer, SFTTrainer

    x, found = tensors(), Found()
    mask = x.mask

    def trainer(**settings: Any) -> MagicMock:
        fake = MagicMock(**settings)
        fake.model.training = False
        fake.accelerator.num_processes = 1
        fake.accelerator.gather = fake.accelerator.gather_for_metrics = lambda tensor: tensor
        fake.aux_loss_enabled = False
        return fake

    def outputs(*_: Any, **__: Any) -> SimpleNamespace:
        zeros = torch.zeros_like(x.logprobs)
        return SimpleNamespace(
            log_probs=x.logprobs * mask, label_mask=mask.bool(), entropy=zeros, is_top1=mask.bool(), mean_logits=zeros
        )

    arguments = SimpleNamespace(loss_type="nll", average_tokens_across_devices=False)
    fake = trainer(compute_loss_func=None, label_smoother=None, args=arguments, _total_train_tokens=0)
    fake.accelerator.parallelism_config = None
    found["sft"] = SFTTrainer.compute_loss(fake, outputs, {"attention_mask": mask, "labels": mask})
    for name, more, center in (("plain", {}, None), ("margin", {"margin": x.margins}, None), ("center", {}, 0.1)):
        fake = trainer(args=SimpleNamespace(center_rewards_coefficient=center))

        def scores(**_: Any) -> SimpleNamespace:
            return SimpleNamespace(logits=x.scores[:, None])

        found[f"reward/{name}"] = RewardTrainer.compute_loss(fake, scores, {"attention_mask": mask, **more})
    shown = torch.cat([torch.zeros(ROWS, 1, dtype=torch.long), mask], dim=1)
    sums = (x.ref * mask).sum(1)
    for name, smoothing in (("sigmoid", 0.0), ("sigmoid", 0.1), ("robust", 0.1), ("hinge", 0.0), ("ipo", 0.0)):
        fake = trainer(
            ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl", loss_types=[name], loss_weights=[1.0],
            beta=0.3, label_smoothing=smoothing, use_weighting=False,
        )  # fmt: skip
        given = {"input_ids": shown, "completion_mask": shown, "attention_mask": shown}
        given |= {"ref_chosen_logps": sums[: ROWS // 2], "ref_rejected_logps": sums[ROWS // 2 :]}
        found[f"dpo/{name}/{smoothing}"] = DPOTrainer._compute_loss(fake, outputs, given, False)
    for name in ("grpo", "dapo", "dr_grpo"):
        for beta, corrected in ((0.0, False), (0.1, False), (0.1, True)):
            fake = trainer(
                beta=beta, loss_type=name, top_entropy_quantile=1.0, off_policy_mask_threshold=None, epsilon_low=0.2,
                importance_sampling_level="token", epsilon_high=0.28, use_vllm=False, max_completion_length=WIDTH,
                _entropy_bonus_enabled=False,
                args=SimpleNamespace(use_bias_correction_kl=corrected, delta=None, steps_per_generation=1),
                _get_per_token_logps_and_entropies=lambda *_, **__: (x.logprobs, torch.zeros_like(x.logprobs), None),
            )  # fmt: skip
            given = {
                "prompt_ids": mask, "prompt_mask": mask, "completion_ids": mask, "completion_mask": mask,
                "advantages": x.scores, "old_per_token_logps": x.old, "ref_per_token_logps": x.ref,
                "num_items_in_batch": mask.sum(),
            }  # fmt: skip
            kl = "/corrected" if corrected else ""
            found[f"grpo/{name}/{beta}{kl}"] = GRPOTrainer._compute_loss(fake, MagicMock(), given)
    return found


def from_trl_ppo() -> Found:
    """The functions of TRL's last PPO; its losses stand inside of its training loop."""
    from trl.experimental.ppo import ppo_trainer as ppo

    x = tensors()
    kept = x.mask.bool()
    return {
        "whiten": ppo.masked_whiten(x.advantages, x.mask) * kept,
        "whiten/shift_mean_false": ppo.masked_whiten(x.advantages, x.mask, shift_mean=False) * kept,
        "masked_mean": ppo.masked_mean(x.advantages, x.mask),
    }


def from_torchtune() -> Found:
    """torchtune.rlhf."""
    from torchtune import rlhf
    from torchtune.rlhf.loss import DPOLoss, PPOLoss

    x = tensors()
    kept = x.mask.bool()
    values, rewards = x.values * kept, x.rewards * kept
    advantages, returns = rlhf.estimate_advantages(values, rewards, 0.97, 0.9, masks=kept)
    _, policy, value, _, clipped = PPOLoss(epsilon=0.2, value_clip_range=0.2)(
        x.old, x.logprobs, x.advantages, x.old_values, x.values, x.returns, kept, kept
    )
    half, found = ROWS // 2, Found()
    sums, refs = (x.logprobs * kept).sum(1), (x.ref * kept).sum(1)
    for smoothing in (0.0, 0.1):
        loss = DPOLoss(beta=0.3, label_smoothing=smoothing)(sums[:half], sums[half:], refs[:half], refs[half:])[0]
        found[f"dpo/sigmoid/{smoothing}"] = loss.mean()
    shaped = rlhf.get_rewards_ppo(x.scores, x.old, x.ref, 0.1, torch.tensor(LENGTHS) - 1)[0]
    return found | {
        "gae/returns": returns * kept,
        "gae/advantages_with_their_mean_added": advantages * kept,
        "ppo/policy": policy,
        "ppo/clip_fraction": clipped,
        "ppo/value": value,
        "shaped_rewards": shaped * kept,
    }


def from_verl() -> Found:
    """verl.trainer.ppo.core_algos."""
    import numpy as np
    from verl.trainer.ppo import core_algos as verl

    x = tensors()
    mask = x.mask.double()
    white, returns = verl.compute_gae_advantage_return(x.rewards, x.values, mask, 0.97, 0.9)
    found = {"gae/returns": returns * mask, "gae/whitened": white * mask}
    for name, kind in (("k1", "kl"), ("k2", "mse"), ("k3", "low_var_kl")):
        found[f"kl/{name}"] = verl.kl_penalty(x.old, x.ref, kind) * mask
    for name, dual in (("plain", 1e9), ("dual_clip", 1.5)):
        loss, clipped, _, _ = verl.compute_policy_loss(x.old, x.logprobs, x.advantages, mask, 0.2, clip_ratio_c=dual)
        found |= {f"ppo/policy/{name}": loss, f"ppo/clip_fraction/{name}": clipped}
    found["ppo/value"], _ = verl.compute_value_loss(x.values, x.returns, x.old_values, mask, 0.2)
    for mode in ("token-mean", "seq-mean-token-mean", "seq-mean-token-sum-norm"):
        found[f"aggregate/{mode}"] = verl.agg_loss(-x.scores[:, None].expand_as(mask), mask, mode)
    last = torch.zeros_like(x.rewards)
    last[:, 0] = x.scores
    groups = np.array([0, 0, 0, 1, 1, 1])
    found["group_relative"] = verl.compute_grpo_outcome_advantage(last, mask, groups)[0][:, 0]
    found["group_relative/no_std"] = verl.compute_grpo_outcome_advantage(
        last, mask, groups, norm_adv_by_std_in_grpo=False
    )[0][:, 0]
    return found


SOURCES: dict[str, tuple[str, Callable[[], Found]]] = {
    "trl": ("trl", from_trl),
    "trl_ppo": ("trl", from_trl_ppo),
    "torchtune": ("torchtune", from_torchtune),
    "verl": ("verl", from_verl),
}


def main(name: str) -> None:
    package, compute = SOURCES[name]
    stored = json.loads(FILE.read_text()) if FILE.exists() else {}
    versions = f"{package} {metadata.version(package)}, torch {torch.__version__}"
    section = {"versions": versions} | {key: plain(value) for key, value in compute().items()}
    stored = {"inputs": inputs()} | {key: value for key, value in stored.items() if key != "inputs"} | {name: section}
    FILE.write_text(legible(stored) + "\n")


def legible(stored: dict[str, Any]) -> str:
    """JSON with a line for each value."""
    sections = []
    for name, section in stored.items():
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in section.items())
        sections.append(f"{json.dumps(name)}: {{\n{lines}\n}}")
    return "{\n" + ",\n".join(sections) + "\n}"


if __name__ == "__main__":
    main(sys.argv[1])
