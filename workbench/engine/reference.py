"""Log-probabilities under the reference, computed once by the policy itself before it is trained, and kept in the run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from workbench.domain.errors import RunFailed
from workbench.domain.specs.common import TrainingSpec
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import completion_logprobs
from workbench.engine.preferences import Preference, pair_batch
from workbench.protocol.run_folder import RunFolder

LOOSE = 1e-2  # nats: what reduced precision or a GPU's kernels may differ by between two passes over the same batch


class Reference:
    """Per-token log-probabilities of both completions of each pair."""

    def __init__(self, pairs: Sequence[Preference], flat: Tensor) -> None:
        sizes = [size for pair in pairs for size in (len(pair.chosen), len(pair.rejected))]
        self._rows = flat.split(sizes)

    def batch(self, rows: Sequence[int], width: int) -> Tensor:
        """[2n, width] in the order of `pair_batch`: chosen, then rejected; zero on padding."""
        chosen, rejected = ([self._rows[2 * row + side] for row in rows] for side in (0, 1))
        padded = pad_sequence([*chosen, *rejected], batch_first=True)
        return torch.nn.functional.pad(padded, (0, width - padded.shape[1]))


def reference_of(
    model: Any, pairs: Sequence[Preference], spec: TrainingSpec, folder: RunFolder, pad: int, setup: Setup
) -> Reference:
    """The reference of a policy that has not been trained yet: read from the run folder when it is there and fits, else computed.

    Raises RunFailed when two passes over the same batch disagree: then ratios would not be one at the start.
    """
    path, key = folder.path / "reference.safetensors", _key(pairs, spec)
    flat = _read(path, key)
    if flat is None:
        flat = _compute(model, pairs, spec.micro_batch_size or spec.batch_size, pad, setup)
        beside = path.with_name(f".{path.name}.tmp")
        save_file({"logprobs": flat}, beside, metadata={"key": key})
        beside.replace(path)
    return Reference(pairs, flat)


def agree(first: Tensor, second: Tensor, what: str, setup: Setup) -> None:
    """Raise RunFailed unless log-probabilities of the same tokens are the same: exactly, or nearly in reduced precision."""
    worst = float((first - second).abs().max()) if first.numel() else 0.0
    exact = setup.device.type == "cpu" and setup.compute == torch.float32
    if not worst <= (0.0 if exact else LOOSE):
        raise RunFailed(
            f"Before the first step {what} differs by {worst:.3g} nats; it has to be the same.",
            "The model doesn't compute the same twice: choose another model, or precision float32.",
        )


def _compute(model: Any, pairs: Sequence[Preference], size: int, pad: int, setup: Setup) -> Tensor:
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for number, part in enumerate(_parts(pairs, size)):
        batch = pair_batch([pairs[row] for row in part], pad).to(setup.device)
        with evaluating(model), setup.autocast():
            logprobs = completion_logprobs(model, batch)
        if number == 0:
            with setup.autocast():
                agree(completion_logprobs(model, batch).detach(), logprobs, "the ratio of policy and reference", setup)
        for place, row in enumerate(part):
            sides = (place, place + len(part))
            found[row] = tuple(logprobs[side, : batch.completion_lengths[side]].cpu() for side in sides)  # type: ignore[assignment]
    return torch.cat([side for row in range(len(pairs)) for side in found[row]]).clone()


def _parts(pairs: Sequence[Preference], size: int) -> Iterator[list[int]]:
    order = sorted(range(len(pairs)), key=lambda row: -pairs[row].length)
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _key(pairs: Sequence[Preference], spec: TrainingSpec) -> str:
    """Hash of the tokens, and of the base model by its files' names, sizes and times (hashing gigabytes would take minutes)."""
    digest = hashlib.sha256(repr([(p.prompt, p.chosen, p.rejected) for p in pairs]).encode())
    for file in sorted(Path(spec.base).glob("*")):
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}".encode())
    digest.update(f"{spec.base} {spec.precision} {spec.device}".encode())
    return digest.hexdigest()


def _read(path: Path, key: str) -> Tensor | None:
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor("logprobs") if (file.metadata() or {}).get("key") == key else None
    except (OSError, SafetensorError):
        return None
