"""The fit check: would a run start, how long would it be, and how much memory would it take, roughly."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from workbench.domain.runs import ModelRef
from workbench.domain.specs.common import JobSpec, TrainingSpec
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.methods import WHOLE_RESULT
from workbench.domain.specs.online import OnlineSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.services.hardware import read_gpus

GIB = 2**30
LIBRARIES_GIB = 0.5  # torch and its friends, before any model
KEPT_FOR_BACKWARD = 18  # values kept for each token, layer and unit of width between forward and backward pass
KEPT_FORWARD = 12  # values held for each token and unit of width while one layer is computed
USUAL_LENGTH = 1024  # of a question or dialogue, where no longest one is given
CHARACTERS_PER_TOKEN = 3.5
ROLLOUT_ROWS = 256  # completions that are sampled at once
ADAPTERS_DEEP = 8  # an adapter of an adapter is possible, a circle of them is a mistake
SMALL = (  # what a config calls it (GPT-2's names come second), and what is taken where it says nothing
    (("hidden_size", "n_embd"), 512),
    (("num_hidden_layers", "n_layer"), 8),
    (("vocab_size",), 32000),
    (("max_position_embeddings", "n_positions"), 0),
)


@dataclass(frozen=True)
class Shape:
    """What of a model's config decides memory."""

    width: int
    layers: int
    vocabulary: int
    context: int


def shape_of(folder: Path) -> Shape:
    """Read a model folder's config (an adapter's base is looked up); what isn't said is taken as small."""
    for _ in range(ADAPTERS_DEEP):
        if (config := _read(folder / "config.json")) is not None:
            return Shape(
                *(_number(next((config[k] for k in keys if k in config), None), usual) for keys, usual in SMALL)
            )
        base = (_read(folder / "adapter_config.json") or {}).get("base_model_name_or_path")
        if not isinstance(base, str):
            break
        folder = folder / base  # an absolute path replaces the folder
    return Shape(*(usual for _, usual in SMALL))


def _read(file: Path) -> dict[str, object] | None:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _number(value: object, usual: int) -> int:
    return value if isinstance(value, int) and value > 0 else usual


def full_parameters(model: ModelRef, shape: Shape) -> int:
    """Parameters of the whole model, estimated from the config where weights aren't counted: of an adapter's base, and of random ones."""
    if model.form == "full" and model.parameters:
        return model.parameters
    return model.parameters + 12 * shape.layers * shape.width**2 + shape.vocabulary * shape.width


def trained_parameters(spec: TrainingSpec, parameters: int, shape: Shape) -> int:
    """How many parameters get gradients: all, or about those of an adapter on every layer."""
    width, layers = shape.width, shape.layers
    return {
        "full": parameters,
        "lora": 16 * layers * width * spec.lora.rank,
        "qlora": 16 * layers * width * spec.lora.rank,
        "bottleneck": (2 if spec.bottleneck.placement == "both" else 1) * 2 * layers * width * spec.bottleneck.width,
        "ia3": 6 * layers * width,
        "prompt": spec.prompt.tokens * width,
        "prefix": 2 * layers * spec.prefix.tokens * width + 2 * layers * spec.prefix.width * width,
        "ptuning": spec.ptuning.tokens * width + 2 * spec.ptuning.width * width + spec.ptuning.width**2,
        "bitfit": 11 * layers * width,
    }[spec.method]


def shares_base(spec: TrainingSpec) -> bool:
    """Whether other roles can stand on the policy's base, so that its weights are in memory once."""
    return spec.method not in WHOLE_RESULT and spec.method != "qlora"


def stands_on(model: ModelRef, base: ModelRef) -> bool:
    """Whether a model is an adapter on this very model."""
    named = (_read(Path(model.path) / "adapter_config.json") or {}).get("base_model_name_or_path")
    return isinstance(named, str) and (Path(model.path) / named).resolve() == Path(base.path).resolve()


def reward_parameters(spec: TrainingSpec, reward: ModelRef, base: ModelRef) -> int:
    """What a reward model adds to the numbers in memory: all of it, or its adapter alone where it shares the policy's base."""
    if shares_base(spec) and stands_on(reward, base):
        return reward.parameters
    return full_parameters(reward, shape_of(Path(reward.path)))


def memory_gib(
    spec: TrainingSpec,
    parameters: int,
    shape: Shape,
    reward: int = 0,
    completions: float = 2.0,
    *,
    reward_on_base: bool = False,
) -> float:
    """Memory of a run in GiB: weights, gradients and Adam's two moments in float32, the other roles, activations or rollouts.

    `reward` is what the reward model adds in parameters, `reward_on_base` whether it shares the policy's base, as a critic that
    starts as it then does; `completions` is how many an item of the data has on average; a reward model reads them all.
    """
    trained = trained_parameters(spec, parameters, shape)
    base = parameters / 8 if spec.method == "qlora" else parameters  # four bits instead of 32
    numbers = base + 3 * trained
    held = isinstance(spec, PpoSpec) or (isinstance(spec, GrpoSpec) and spec.beta > 0)
    if held and spec.method == "full":
        numbers += parameters  # the reference; that of DPO is the policy itself before its first step, kept on disk
    if isinstance(spec, PpoSpec) and spec.critic_start != "shared":
        together = shares_base(spec) and (reward_on_base or spec.critic_start == "policy")
        numbers += (trained if together else base) + 3 * trained
    if isinstance(spec, OnlineSpec):
        numbers += reward
    length = min(spec.max_length, shape.context or spec.max_length)
    rows = spec.micro_batch_size or spec.batch_size
    if isinstance(spec, OnlineSpec) and not spec.micro_batch_size:
        rows = math.ceil(rows * getattr(spec, "group_size", 1) / getattr(spec, "minibatches", 1))
    sides = 2.0 if isinstance(spec, DpoSpec) else completions if isinstance(spec, RewardSpec) else 1.0
    depth = 2 + KEPT_FOR_BACKWARD * (1 if spec.gradient_checkpointing else shape.layers)
    activations = (
        rows * sides * length * (shape.width * depth + (0 if isinstance(spec, RewardSpec) else shape.vocabulary))
    )
    # A rollout is over before the update begins: what counts is the larger of the two.
    return LIBRARIES_GIB + (numbers + max(activations, _rollout(spec, parameters, shape, length))) * 4 / GIB


def _rollout(spec: TrainingSpec, parameters: int, shape: Shape, length: int) -> float:
    """Numbers that sampling holds: keys and values of all rows at once, and on a CPU the weights' packed copies."""
    if not isinstance(spec, OnlineSpec):
        return 0.0
    rows = min(ROLLOUT_ROWS, spec.batch_size * int(getattr(spec, "group_size", 1)))
    copied = parameters if not read_gpus() or spec.device == "cpu" else 0
    return copied + 2.0 * rows * length * shape.layers * shape.width


def inference_gib(parameters: int, shape: Shape, rows: int, length: int, *, cached: bool) -> float:
    """Memory of a model that only reads or writes `rows` texts of `length` tokens at once; `cached` keeps all of their keys and values."""
    tokens = rows * min(length or USUAL_LENGTH, shape.context or length or USUAL_LENGTH)
    kept = 2 * shape.layers * shape.width if cached else 0
    return (
        LIBRARIES_GIB + (parameters + tokens * (kept + KEPT_FORWARD * shape.width) + rows * shape.vocabulary) * 4 / GIB
    )


def count_steps(spec: TrainingSpec, rows: int) -> int:
    """Optimizer steps (for PPO: rollouts) with so many rows before the hold-out."""
    trained = max(1, rows - round(rows * spec.holdout)) if rows else 0
    if not trained:
        return 0
    return spec.max_steps or max(1, math.ceil(trained * spec.epochs / spec.batch_size))


def rows_of_tokens(spec: TrainingSpec, texts: int, characters: float, shape: Shape, packed: bool = True) -> int:
    """About how many rows texts of so many characters on average make: packed full, or each cut into pieces of its own."""
    length = min(spec.max_length, shape.context or spec.max_length)
    tokens = characters / CHARACTERS_PER_TOKEN + 2
    return max(1, math.ceil(texts * tokens / length)) if packed else texts * max(1, math.ceil(tokens / length))


def available_gib(spec: JobSpec) -> float:
    """Memory that is free where the run would work."""
    gpus = read_gpus() if spec.device != "cpu" else ()
    if gpus:
        return max(gpu.total_gib - gpu.used_gib for gpu in gpus)
    return psutil.virtual_memory().available / GIB


def disk_needed_gib(spec: TrainingSpec, parameters: int, shape: Shape) -> float:
    """Disk space of checkpoints (one more while the newest is written), the best weights if they are kept, and the result."""
    trained = trained_parameters(spec, parameters, shape)
    roles = 2 if isinstance(spec, PpoSpec) and spec.critic != "shared" else 1
    best = trained * spec.keep_best  # beside the checkpoints
    return (trained * 3 * roles * (spec.keep_checkpoints + 1) + best + trained) * 4 / GIB


def disk_free_gib(folder: Path) -> float:
    """Free space on the disk of a folder."""
    return shutil.disk_usage(folder).free / GIB
