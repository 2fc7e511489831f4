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
from unittest.mock import MagicMock, patch

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
    return found | rloo_of_trl()


def rloo_of_trl() -> Found:
    """TRL's RLOO: advantages of two groups of three with the KL in the reward, and the gradient of its loss on policy."""
    from trl import RLOOTrainer

    x, found = tensors(), Found()
    fake = MagicMock(
        reward_weights=torch.ones(1, dtype=torch.float64), num_generations=3, reward_clip_range=None, pad_to_multiple_of=None,
        mask_truncated_completions=False, reward_func_names=["score"], log_multimodal=False, _pending_extra_logs={},
        _pending_metrics={}, epsilon_low=0.2, epsilon_high=0.2, aux_loss_enabled=False,
        args=SimpleNamespace(per_device_train_batch_size=ROWS, gradient_checkpointing_kwargs=None),
    )  # fmt: skip
    fake.accelerator = MagicMock(device=torch.device("cpu"), process_index=0, gather=lambda tensor: tensor)
    fake._tokenizer.pad_token_id = 0
    ids = [[1] * length for length in LENGTHS]
    fake._generate.return_value = ([[1, 1]] * ROWS, ids, [""] * ROWS)
    fake._calculate_rewards.return_value = x.scores[:, None]
    for beta, normalised in ((0.0, False), (0.1, False), (0.1, True)):
        fake.beta, fake.normalize_advantages = beta, normalised
        fake._get_per_token_logps_and_entropies.side_effect = [(x.old, None, None), (x.ref, None, None)]
        given = RLOOTrainer._generate_and_score_completions(fake, [{"prompt": ""}] * ROWS)
        found[f"rloo/{beta}" + "/normalised" * normalised] = given["advantages"]
    logprobs = x.old.clone().requires_grad_()
    fake._get_per_token_logps_and_entropies.side_effect = [(logprobs, torch.zeros_like(logprobs), None)]
    RLOOTrainer._compute_loss(fake, MagicMock(), given | {"advantages": x.scores}).backward()
    return found | {"rloo/gradient": logprobs.grad}


def from_trl_ppo() -> Found:
    """TRL's last PPO: its functions, and what its training loop makes of rollouts that say what the inputs say.

    `full` are completions without padding; `ragged` have the inputs' lengths, and `ragged/pad` another value on the first padding.
    """
    from trl.experimental.ppo import ppo_trainer as ppo

    x = tensors()
    kept = x.mask.bool()
    found = {
        "whiten": ppo.masked_whiten(x.advantages, x.mask) * kept,
        "whiten/shift_mean_false": ppo.masked_whiten(x.advantages, x.mask, shift_mean=False) * kept,
        "masked_mean": ppo.masked_mean(x.advantages, x.mask),
    }
    full = torch.full((ROWS,), WIDTH)
    ragged = torch.tensor(LENGTHS)
    after = x.old_values + 5.0 * (torch.arange(WIDTH)[None] == ragged[:, None])
    for name, lengths, values, more in (
        ("full", full, x.old_values, {}),
        ("full/k3", full, x.old_values, {"kl_estimator": "k3"}),
        ("full/eos", full, x.old_values, {"missing_eos_penalty": 1.0}),
        ("full/white", full, x.old_values, {"whiten_rewards": True}),
        ("ragged", ragged, x.old_values, {}),
        ("ragged/pad", ragged, after, {}),
        ("ragged/white", ragged, x.old_values, {"whiten_rewards": True}),
        ("ragged/halves", ragged, x.old_values, {"per_device_train_batch_size": ROWS // 2}),
    ):
        found |= {f"{name}/{part}": value for part, value in trained_by_trl(ppo, x, lengths, values, **more).items()}
    return found


def trained_by_trl(ppo: Any, x: SimpleNamespace, lengths: Tensor, values: Tensor, **more: Any) -> Found:
    """One update by the loop of TRL's PPO, with the models' words put into their mouths: prompts of two tokens, EOS is 9, pad 0."""
    places = torch.arange(WIDTH)[None]
    responses = torch.where(places < lengths[:, None], 5, 0)
    responses = torch.where((places == lengths[:, None] - 1) & (lengths[:, None] < WIDTH), 9, responses)
    whole = torch.cat([torch.full((ROWS, 2), 5), responses], dim=1)
    settings = {
        "num_ppo_epochs": 1, "num_mini_batches": 1, "gradient_accumulation_steps": 1, "num_total_batches": 1, "total_episodes": 1,
        "logging_steps": None, "eval_steps": None, "save_steps": None, "response_length": WIDTH, "temperature": 1.0,
        "batch_size": ROWS, "local_batch_size": ROWS, "local_mini_batch_size": ROWS, "local_rollout_forward_batch_size": ROWS,
        "per_device_train_batch_size": ROWS, "missing_eos_penalty": None, "kl_coef": 0.1, "kl_estimator": "k1",
        "whiten_rewards": False, "gamma": 0.97, "lam": 0.9, "cliprange": 0.2, "cliprange_value": 0.2, "num_sample_generations": 0,
        "ds3_gather_for_generation": False,
    }  # fmt: skip
    settings |= more
    settings["gradient_accumulation_steps"] = ROWS // settings["per_device_train_batch_size"]
    whitened: list[Found] = []
    losses: dict[float, list[float]] = {}
    logged: Found = {}

    def whiten(given: Tensor, mask: Tensor, shift_mean: bool = True) -> Tensor:
        result = whiten_as_they_do(given, mask, shift_mean)
        whitened.append({"given": given.clone(), "mask": mask, "result": result.clone()})
        return result

    def with_prompt(numbers: Tensor) -> Tensor:
        """Value heads speak of every token of the row; [:, 1:-1] are those of the completion."""
        return torch.cat([torch.zeros(len(numbers), 1), numbers, torch.zeros(len(numbers), 1)], 1)[..., None]

    whiten_as_they_do = ppo.masked_whiten
    for weight in (0.0, 1.0):  # the loss is policy + weight · value
        part = settings["per_device_train_batch_size"]
        starts = range(0, ROWS, part)
        words = iter([x.old, x.ref, *(x.logprobs[start : start + part] for start in starts)])
        rewards = iter([(with_prompt(values), None, None), (None, x.scores.clone(), None)])
        heads = iter([None, *(x.values[start : start + part] for start in starts)])

        def forward(*_: Any, heads: Any = heads) -> Any:
            head = next(heads)
            output = SimpleNamespace(logits=torch.zeros(ROWS, WIDTH + 2, 3))
            return output if head is None else (output, with_prompt(head))

        caught: list[float] = []
        fake = MagicMock(args=SimpleNamespace(vf_coef=weight, **settings), stop_token_id=9, train_dataset_len=1)
        fake.state.episode = fake.state.global_step = 0
        fake.is_deepspeed_enabled, fake.dataloader = False, [{"input_ids": whole[:, :2]}]
        fake.processing_class.pad_token_id, fake.processing_class.eos_token_id = 0, 9
        fake.accelerator.device = torch.device("cpu")
        fake.accelerator.gather_for_metrics = lambda tensor: tensor
        fake.accelerator.backward = lambda loss, caught=caught: caught.append(float(loss))
        fake.log = logged.update
        replaced = {
            "batch_generation": lambda *_: (whole, torch.zeros(ROWS, WIDTH, 3)),
            "selective_log_softmax": lambda *_, words=words: next(words).clone(),
            "get_reward": lambda *_, rewards=rewards: next(rewards),
            "forward": forward,
            "masked_whiten": whiten,
            "unwrap_model_for_generation": MagicMock(),
        }
        with patch.multiple(ppo, **replaced), patch("numpy.random.permutation", torch.arange):
            ppo.PPOTrainer.train(fake)
        losses[weight] = caught
    last = whitened[-1]
    found: Found = {"advantages": last["given"], "whitened": last["result"] * last["mask"]}
    if settings["whiten_rewards"]:
        found |= {"rewards": whitened[-2]["given"], "rewards_mask": whitened[-2]["mask"].long()}
    policy, both = (torch.tensor(losses[weight], dtype=torch.float64) for weight in (0.0, 1.0))
    return found | {
        "policy": policy,
        "value": both - policy,
        "approx_kl": logged["policy/approxkl_avg"],
        "clip_fraction": logged["policy/clipfrac_avg"],
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
    found["rloo"] = verl.compute_rloo_outcome_advantage(last, mask, groups)[0][:, 0]
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
