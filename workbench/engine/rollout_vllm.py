"""Rollouts by vLLM, where it is installed: the same prompts in, the same `Rollout` out.

vLLM keeps a copy of the policy of its own, in this process. Before each rollout it takes the policy's weights as they now are, LoRA merged.
It only chooses the tokens: their log-probabilities are computed by the policy itself, since vLLM's kernels round differently and
PPO's ratio has to be one where nothing was learned yet.
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workbench.domain.errors import BadInput, RunFailed
from workbench.engine.batches import buckets, collate
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import completion_logprobs, core, virtual_tokens
from workbench.engine.rollout import Rollout

ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
READ_TOGETHER = 32  # rows whose log-probabilities are computed at once
SEEDS = 2**31
_NATIVE = "Set rollout_engine to native."

_engines: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def sample_with_vllm(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    eos: Sequence[int] = (),
    generator: torch.Generator,
    top_k: int = 0,
    top_p: float = 1.0,
    longest: int,
    share: float,
    dtype: torch.dtype = torch.float32,
) -> Rollout:
    """As `rollout.sample_batch`; each row's seed is drawn from `generator`.

    `longest` bounds prompt and completion together, `share` is the part of a GPU's memory that vLLM may take, `dtype` what it
    computes in. The engine is made at a model's first rollout and goes when the model does. Raises BadInput where vLLM isn't
    installed or can't run this model.
    """
    engine = _engines.get(model)
    if engine is None:
        with _same_random_numbers():
            engine = _engines[model] = _engine(model, longest, share, dtype)
    seeds = torch.randint(SEEDS, (len(prompts),), generator=generator).tolist()
    with torch.no_grad():
        engine.collective_rpc("reload_weights", kwargs={"weights_iterator": merged_weights(model)})
    engine.reset_prefix_cache()
    from vllm import SamplingParams

    asked = [
        SamplingParams(
            temperature=temperature, top_p=top_p, top_k=top_k, max_tokens=max_new_tokens, seed=seed, detokenize=False,
            stop_token_ids=list(eos), ignore_eos=True,
        )
        for seed in seeds
    ]  # fmt: skip
    said = engine.generate([{"prompt_token_ids": list(ids)} for ids in prompts], asked, use_tqdm=False)
    completions = [list(answer.outputs[0].token_ids) for answer in said]
    if not all(completions):
        raise RunFailed("vLLM gave a completion without a token.", _NATIVE)
    ended = [ids[-1] in set(eos) for ids in completions]
    return Rollout(completions, _logprobs(model, prompts, completions, temperature), ended)


def merged_weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """(name as in the plain model, tensor) of every weight, with active LoRA adapters merged into copies; the model stays as it is."""
    inner = core(model)
    merged: dict[str, Tensor] = {}
    for place, module in inner.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        weight = module.get_base_layer().weight
        for adapter in module.active_adapters:
            if adapter in module.lora_A:
                weight = weight + module.get_delta_weight(adapter).to(weight.dtype)
        merged[f"{place}.weight"] = weight
    for name, tensor in inner.state_dict().items():
        plain = name.replace(".base_layer.", ".")
        if "lora_" not in name:
            yield plain, merged.get(plain, tensor).detach()


def trouble_with(model: Any) -> str:
    """Why vLLM can't take this model's weights; empty when it can."""
    if virtual_tokens(model):
        return "virtual tokens"
    for module in core(model).modules():
        if hasattr(module, "lora_A"):
            if any(module.use_dora.values()) if hasattr(module, "use_dora") else False:
                return "weight-decomposed adapters (DoRA)"
            if (
                type(module.get_base_layer()) is not nn.Linear
                and "Conv1D" not in type(module.get_base_layer()).__name__
            ):
                return f"an adapter on {type(module.get_base_layer()).__name__}"
        elif hasattr(module, "base_layer"):
            return "adapters other than LoRA"
    return ""


def _engine(model: Any, longest: int, share: float, dtype: torch.dtype) -> Any:
    """A vLLM engine in this process, with weights still to come."""
    if why := trouble_with(model):
        raise BadInput(f"vLLM can't sample from a model with {why}.", _NATIVE)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from vllm import LLM
    except ImportError as error:
        raise BadInput(
            "Rollouts were asked of vLLM, which isn't installed here.", f"Install vllm, or: {_NATIVE}", str(error)
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        config = core(model).config
        config.save_pretrained(folder)
        try:
            return LLM(
                model=folder, skip_tokenizer_init=True, load_format="dummy", enforce_eager=not torch.cuda.is_available(),
                max_model_len=longest, dtype=str(dtype).removeprefix("torch."), gpu_memory_utilization=share,
                disable_log_stats=True, seed=0,
            )  # fmt: skip
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # its engine raises whatever its parts do
            raise BadInput(
                f"vLLM can't run this model: {type(error).__name__}: {error}", _NATIVE, repr(error)
            ) from error


@contextlib.contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Let a run's random numbers go on as if vLLM hadn't seeded every generator of the process."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        yield
    random.setstate(python)
    np.random.set_state(numpy)


def _logprobs(
    model: Any, prompts: Sequence[Sequence[int]], completions: Sequence[list[int]], temperature: float
) -> Tensor:
    """[B, T] float32: what the policy says of its own tokens, 0 behind each end."""
    device = next(model.parameters()).device
    lengths = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    found = torch.zeros(len(prompts), max(map(len, completions), default=0), device=device)
    for part in buckets(range(len(prompts)), lengths, READ_TOGETHER, 64):
        batch = collate([list(prompts[row]) for row in part], [completions[row] for row in part], 0)
        with evaluating(model):
            said = completion_logprobs(model, batch.to(device), temperature or 1.0)
        for place, row in enumerate(part):
            size = len(completions[row])
            found[row, :size] = said[place, :size].float()
    return found
