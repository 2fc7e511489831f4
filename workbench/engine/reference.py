"""Log-probabilities under the reference: what the policy itself says before it is trained, computed once and kept.

They are kept pair by pair in the run folder, in slices as they are computed, so that a pause or a kill loses at most the last
slice, and in the workspace's cache for other runs on the same weights. A pair is known by a hash of its tokens, the reference
by a hash of its files.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from workbench.domain.errors import RunFailed
from workbench.domain.specs.dpo import DpoSpec
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.models import adapter_base, is_adapter
from workbench.engine.pair_forward import PairForward
from workbench.engine.preferences import Preference
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder

LOOSE = 1e-2  # nats: what reduced precision or a GPU's kernels may differ by between two passes over the same batch
NEAR, ROUGH = 1e-3, 0.5  # nats between passes over different batches, in float32 and in reduced precision
SLICE_SECONDS = 5.0  # computed since the last slice was written
CACHE_BYTES = 2**30  # the cache's oldest slices beyond this are deleted

Sides = tuple[Tensor, Tensor]


class Reference:
    """Per-token log-probabilities of both completions of the pairs that a run uses."""

    def __init__(self, rows: dict[int, Sides]) -> None:
        self._rows = rows

    def batch(self, rows: Sequence[int], width: int) -> Tensor:
        """[2n, width] in the order of `pair_batch`: chosen, then rejected; zero on padding."""
        sides = [self._rows[row][side] for side in (0, 1) for row in rows]
        padded = pad_sequence(sides, batch_first=True)
        return torch.nn.functional.pad(padded, (0, width - padded.shape[1]))


def reference_of(
    forward: PairForward,
    pairs: Sequence[Preference],
    rows: Iterable[int],
    spec: DpoSpec,
    folder: RunFolder,
    report: Report,
) -> Reference | None:
    """The reference of a policy that has not been trained yet, for some rows of `pairs`: what is kept is read, the rest computed.

    None when the run was asked to halt meanwhile: what was computed is kept. Raises RunFailed when two passes over the same
    batch disagree: then ratios would not be one at the start.
    """
    key = _key(spec, forward)
    store = _Store(folder.path / "reference", key)
    shared = _Store(folder.path.parent.parent / "cache" / "reference" / key, key) if _in_workspace(folder) else None
    names = {row: _digest(pairs[row]) for row in rows}
    wanted = {name: row for row, name in names.items()}
    known = store.read()
    if shared and not known:  # a run that goes on takes nothing new from elsewhere: it shall be the run that it was
        known = {name: sides for name, sides in shared.read().items() if name in wanted}
        store.write(known)
    # The same batches whatever is known, so that a run killed meanwhile computes what one without a kill does.
    size = spec.micro_batch_size or spec.batch_size
    ordered = sorted(wanted.values(), key=lambda row: (-forward.tokens(pairs[row]), row))
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    missing = [[row for row in batch if names[row] not in known] for batch in batches]
    report.phase("reference")
    if not any(missing):
        _check(forward, pairs, batches[-1], Reference({row: known[names[row]] for row in batches[-1]}))
    for slice_ in _compute(forward, pairs, [batch for batch in missing if batch], len(wanted), report):
        named = {names[row]: sides for row, sides in slice_.items()}
        store.write(named)
        if shared:
            with suppress(OSError):  # the cache spares work; a run does without, and others may be tidying it
                shared.write(named)
                _prune(shared.folder.parent, CACHE_BYTES)
        known |= named
    if not wanted.keys() <= known.keys():
        return None
    return Reference({row: known[name] for row, name in names.items()})


def agree(first: Tensor, second: Tensor, what: str, setup: Setup) -> None:
    """Raise RunFailed unless log-probabilities of the same tokens are the same: exactly, or nearly in reduced precision."""
    worst = float((first - second).abs().max()) if first.numel() else 0.0
    exact = setup.device.type == "cpu" and setup.compute == torch.float32
    if not worst <= (0.0 if exact else LOOSE):
        raise RunFailed(
            f"Before the first step {what} differs by {worst:.3g} nats; it has to be the same.",
            "The model doesn't compute the same twice: choose another model, or precision float32.",
        )


def _check(forward: PairForward, pairs: Sequence[Preference], rows: Sequence[int], kept: Reference) -> None:
    """Raise RunFailed when what was kept is not what the policy says before its first step."""
    with evaluating(forward.model):
        logprobs, mask, _ = forward([pairs[row] for row in rows])
    worst = float((logprobs.cpu() - kept.batch(rows, mask.shape[1])).abs().max())
    if not worst <= (NEAR if forward.setup.compute == torch.float32 else ROUGH):
        raise RunFailed(
            f"The reference that was kept differs from the policy at the start by {worst:.3g} nats.",
            "Delete the folder reference of the run and cache/reference of the workspace, then resume.",
        )


def _compute(
    forward: PairForward, pairs: Sequence[Preference], batches: Sequence[Sequence[int]], total: int, report: Report
) -> Iterator[dict[int, Sides]]:
    """The log-probabilities of the batches' rows, in slices of some seconds; ends early when the run is to halt.

    Progress is told out of `total` pairs: the others are known.
    """
    found: dict[int, Sides] = {}
    began, done = time.monotonic(), total - sum(map(len, batches))
    for number, batch in enumerate(batches):
        together = [pairs[row] for row in batch]
        with evaluating(forward.model):
            logprobs, mask, _ = forward(together)
        if number == 0:
            agree(forward(together).logprobs.detach(), logprobs, "the ratio of policy and reference", forward.setup)
        kept, sizes = logprobs.cpu(), mask.sum(1).tolist()
        for place, row in enumerate(batch):
            other = place + len(batch)
            found[row] = kept[place, : sizes[place]].clone(), kept[other, : sizes[other]].clone()
        done += len(batch)
        halting = report.wanted() != "run"
        if halting or done == total or time.monotonic() - began >= SLICE_SECONDS:
            report.phase(f"reference: {done} of {total} pairs")
            yield found
            found, began = {}, time.monotonic()
        if halting:
            return


class _Store:
    """A folder of slices: safetensors files of log-probabilities with the hashes and sizes of their pairs."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self._key = key

    def read(self) -> dict[bytes, Sides]:
        """Everything in the folder that belongs to the key; what is damaged counts as not there."""
        found: dict[bytes, Sides] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(path, framework="pt") as file:
                    if (file.metadata() or {}).get("key") != self._key:
                        continue
                    names, sizes = file.get_tensor("names").numpy(), file.get_tensor("sizes")
                    sides = file.get_tensor("logprobs").split(sizes.flatten().tolist())
            except (OSError, SafetensorError):
                continue
            found |= {name.tobytes(): (sides[2 * at], sides[2 * at + 1]) for at, name in enumerate(names)}
        return found

    def write(self, rows: dict[bytes, Sides]) -> None:
        """Add a slice; complete or absent, and named by what it holds."""
        if not rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        names = np.stack([np.frombuffer(name, dtype=np.uint8) for name in rows])
        tensors = {
            "names": torch.from_numpy(names.copy()),
            "sizes": torch.tensor([[len(chosen), len(rejected)] for chosen, rejected in rows.values()]),
            "logprobs": torch.cat([side for sides in rows.values() for side in sides]),
        }
        path = self.folder / f"{hashlib.sha256(names.tobytes()).hexdigest()[:32]}.safetensors"
        beside = path.with_name(f".{path.name}.{time.monotonic_ns()}.tmp")
        save_file(tensors, beside, metadata={"key": self._key})
        beside.replace(path)


def _in_workspace(folder: RunFolder) -> bool:
    return folder.path.absolute().parent.name == "runs"


def _digest(pair: Preference) -> bytes:
    return hashlib.sha256(repr((pair.prompt, pair.chosen, pair.rejected)).encode()).digest()[:16]


def _key(spec: DpoSpec, forward: PairForward) -> str:
    """Hash of the reference's weights and of how it computes."""
    import transformers

    digest = hashlib.sha256()
    folder = Path(spec.base)
    while True:
        for file in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")]):
            if file.name in {"config.json", "adapter_config.json"} or file.suffix == ".safetensors":
                with file.open("rb") as content:
                    digest.update(hashlib.file_digest(content, "sha256").digest())
        if not is_adapter(folder):
            break
        folder = adapter_base(folder)
    if spec.method not in {"full", "lora"}:  # what these begin with changes nothing; what others do may be random
        for name, parameter in sorted(forward.model.named_parameters()):
            if parameter.requires_grad:
                digest.update(name.encode() + parameter.detach().float().cpu().numpy().tobytes())
    kinds = sorted({str(parameter.dtype) for parameter in forward.model.parameters()})
    how = (kinds, forward.setup.compute, forward.setup.device.type, forward.shared)
    digest.update(repr((how, torch.__version__, transformers.__version__)).encode())
    return digest.hexdigest()[:32]


def _prune(folder: Path, most: int) -> None:
    """Delete the oldest slices until the rest is no larger than `most` bytes."""
    files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob("*/*.safetensors"))
    excess = sum(size for _, size, _ in files) - most
    for _, size, path in files:
        if excess <= 0:
            break
        path.unlink(missing_ok=True)
        excess -= size
