"""What can be said about a chosen token: probabilities before and after the chain, rank, entropy, and what else was possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.choices import (
    MAX_ALTERNATIVES,
    BeamTrace,
    ContrastTrace,
    DraftTrace,
    MirostatTrace,
    SearchTrace,
)
from workbench.engine.decoding.chain import Processed


class Option(NamedTuple):
    """A token that could have been chosen."""

    id: int
    p_model: float
    p_used: float
    cut_by: str | None


class Measured(NamedTuple):
    """A chosen token without its text; the fields are those of TokenChoice."""

    id: int
    p_model: float
    p_used: float
    logprob: float
    rank: int
    entropy: float
    kept: int
    kept_mass: float
    options: tuple[Option, ...]
    beam: BeamTrace | None = None
    contrast: ContrastTrace | None = None
    search: SearchTrace | None = None
    draft: DraftTrace | None = None
    mirostat: MirostatTrace | None = None


class Noted(NamedTuple):
    """A chosen token with what it was chosen from, to be measured later: logits [1, V] and what the chain made of them.

    Several are measured at once, in hardly more time than one.
    """

    id: int
    logits: Tensor
    processed: Processed
    mirostat: MirostatTrace | None = None


def measured(noted: Sequence[Noted]) -> list[Measured]:
    """Describe choices of one chain together."""
    stages = zip(*(one.processed.stages for one in noted), strict=True)
    processed = Processed(
        torch.cat([one.processed.scores for one in noted]),
        [(stage[0][0], torch.cat([scores for _, scores in stage])) for stage in stages],
    )
    logits = torch.cat([one.logits for one in noted])
    found = measure(logits, processed, list(range(len(noted))), [one.id for one in noted])
    return [
        told if one.mirostat is None else told._replace(mirostat=one.mirostat)
        for told, one in zip(found, noted, strict=True)
    ]


@torch.inference_mode()
def measure(logits: Tensor, processed: Processed, rows: list[int], ids: list[int]) -> list[Measured]:
    """Describe the choice of token `ids[i]` in row `rows[i]`, for raw logits [B, V]; entropy in nats, rank from 0."""
    logp = torch.log_softmax(logits, dim=-1)
    p = logp.exp()
    if processed.stages:
        used = torch.softmax(processed.scores, dim=-1)
        kept = processed.scores.isfinite()
        facts = torch.stack([torch.special.entr(p).sum(-1), kept.sum(-1).to(p.dtype), (p * kept).sum(-1)], dim=1)
    else:
        used = p
        facts = torch.nn.functional.pad(torch.special.entr(p).sum(-1, keepdim=True), (0, 2), value=float(p.shape[-1]))
    top = torch.topk(p, min(MAX_ALTERNATIVES, p.shape[-1]), dim=-1)
    options = _options(top.indices, top.values, used, processed)
    per_row = facts.tolist()
    at = torch.tensor(rows, device=p.device), torch.tensor(ids, device=p.device)
    chosen = logp[at]
    above = (logp[at[0]] > chosen[:, None]).sum(-1)
    picked = torch.stack([chosen.exp(), used[at], chosen, above.to(p.dtype)], dim=1).tolist()
    measured = []
    for row, token, (p_model, p_used, logprob, rank) in zip(rows, ids, picked, strict=True):
        entropy, count, mass = per_row[row]
        whole = 1.0 if not processed.stages else min(1.0, mass)
        measured.append(
            Measured(token, p_model, p_used, logprob, int(rank), entropy, int(count), whole, tuple(options[row]))
        )
    return measured


def _options(indices: Tensor, p_model: Tensor, used: Tensor, processed: Processed) -> list[list[Option]]:
    """The most probable tokens of each row [B, K], with the first rule that set each one to minus infinity."""
    cut = torch.zeros_like(indices)
    for number in range(len(processed.stages), 0, -1):
        cut = torch.where(processed.stages[number - 1][1].gather(-1, indices).isneginf(), number, cut)
    names: list[str | None] = [None, *(name for name, _ in processed.stages)]
    columns = (indices.tolist(), p_model.tolist(), used.gather(-1, indices).tolist(), cut.tolist())
    return [
        [Option(i, pm, pu, names[c]) for i, pm, pu, c in zip(*row, strict=True)] for row in zip(*columns, strict=True)
    ]
