"""What can be said about a chosen token: probabilities before and after the chain, rank, entropy, and what else was possible.

Statistics of one token cost as much as those of twenty: what is said of a token is that it was chosen (`Noted`), and numbers are
taken of many at once, of all columns that are decoded together.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
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


class Likeliest(NamedTuple):
    """The most probable tokens of one place, best first; a column for each field of `Option`."""

    ids: list[int]
    p_model: list[float]
    p_used: list[float]
    cut_by: tuple[str | None, ...]


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
    likeliest: Likeliest
    beam: BeamTrace | None = None
    contrast: ContrastTrace | None = None
    search: SearchTrace | None = None
    draft: DraftTrace | None = None
    mirostat: MirostatTrace | None = None

    @property
    def options(self) -> tuple[Option, ...]:
        """The most probable tokens one by one."""
        return tuple(map(Option._make, zip(*self.likeliest, strict=True)))


class Part(NamedTuple):
    """Rows of a look that went through the same rules: row i of `processed` is row `rows[i]` of the look."""

    rows: list[int]
    processed: Processed


class Look(NamedTuple):
    """One look at several rows: raw logits [B, V], and what rules made of them. Rows that are in no part have no rules."""

    logits: Tensor
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, logits: Tensor, processed: Processed) -> Look:
        """All rows went through one chain."""
        return cls(logits, (Part(list(range(len(logits))), processed),) if processed.stages else ())


@dataclass(eq=False, slots=True)
class Noted:
    """A token that was chosen in a row of a look, to be measured later; `beside` are others that wait for it as well."""

    id: int
    look: Look
    row: int = 0
    mirostat: MirostatTrace | None = None
    beside: Unmeasured | None = None
    told: Measured | None = None

    @property
    def logits(self) -> Tensor:
        """What it was chosen from before all rules, [V]."""
        return self.look.logits[self.row]


class Unmeasured:
    """Tokens of several columns that are measured at once, and the seconds that this has taken."""

    def __init__(self) -> None:
        self._noted: list[Noted] = []
        self.seconds = 0.0

    def note(self, token: int, look: Look, row: int, mirostat: MirostatTrace | None) -> Noted:
        """A further token."""
        noted = Noted(token, look, row, mirostat, self)
        self._noted.append(noted)
        return noted

    def measure(self) -> None:
        """All tokens that still wait."""
        begin = time.perf_counter()
        noted, self._noted = self._noted, []
        _measure_all(noted)
        self.seconds += time.perf_counter() - begin


def measured(noted: Sequence[Noted]) -> list[Measured]:
    """Describe choices of one column; with them those are measured that wait beside them."""
    fresh = [one for one in noted if one.told is None]
    if fresh and fresh[0].beside is not None:
        fresh[0].beside.measure()
    elif fresh:
        _measure_all(fresh)
    return [one.told for one in noted if one.told is not None]


def _measure_all(noted: Sequence[Noted]) -> None:
    looks = {id(one.look): one.look for one in noted}
    ends = itertools.accumulate(len(look.logits) for look in looks.values())
    first = dict(zip(looks, [0, *ends], strict=False))
    rows = [first[id(one.look)] + one.row for one in noted]
    found = measure(joined(list(looks.values())), rows, [one.id for one in noted])
    for one, told in zip(noted, found, strict=True):
        one.told = told if one.mirostat is None else told._replace(mirostat=one.mirostat)


def joined(looks: Sequence[Look]) -> Look:
    """Several looks as one, their rows one after the other, parts of rules of the same names as one."""
    if len(looks) == 1:
        return looks[0]
    alike: dict[tuple[str, ...], list[Part]] = {}
    first = 0
    for look in looks:
        for rows, processed in look.parts:
            names = tuple(name for name, _ in processed.stages)
            alike.setdefault(names, []).append(Part([first + row for row in rows], processed))
        first += len(look.logits)
    return Look(torch.cat([look.logits for look in looks]), tuple(map(_as_one, alike.values())))


def _as_one(parts: Sequence[Part]) -> Part:
    """Parts of the same rules as one; a chain's scores are those behind its last rule."""
    several = [part.processed.stages for part in parts]
    stages = [
        (name, torch.cat([stages[number][1] for stages in several])) for number, (name, _) in enumerate(several[0])
    ]
    return Part([row for part in parts for row in part.rows], Processed(stages[-1][1], stages))


@torch.inference_mode()
def measure(look: Look, rows: Sequence[int], ids: Sequence[int]) -> list[Measured]:
    """Describe the choice of token `ids[i]` in row `rows[i]` of a look; entropy in nats, rank from 0."""
    logp = torch.log_softmax(look.logits, dim=-1)
    p = logp.exp()
    top = torch.topk(p, min(MAX_ALTERNATIVES, p.shape[-1]), dim=-1)
    ruled = _ruled(look, p, top.indices)
    at = torch.tensor(rows, device=p.device), torch.tensor(ids, device=p.device)
    chosen = logp[at]
    above = (logp[at[0]] > chosen[:, None]).sum(-1)
    picked = torch.stack([chosen.exp(), ruled.used[at], chosen, above.to(p.dtype)], dim=1).tolist()
    entropy = torch.special.entr(p).sum(-1).tolist()
    likeliest = [
        Likeliest(*columns)
        for columns in zip(
            top.indices.tolist(),
            top.values.tolist(),
            ruled.used.gather(-1, top.indices).tolist(),
            ruled.cut_by,
            strict=True,
        )
    ]
    return [
        Measured(
            token, p_model, p_used, logprob, int(rank), entropy[row], ruled.kept[row], ruled.mass[row], likeliest[row]
        )
        for row, token, (p_model, p_used, logprob, rank) in zip(rows, ids, picked, strict=True)
    ]


class _Ruled(NamedTuple):
    """What rules made of a look: probabilities [B, V]; by row how many tokens were kept, their mass, what cut the likeliest."""

    used: Tensor
    kept: list[int]
    mass: list[float]
    cut_by: list[tuple[str | None, ...]]


def _ruled(look: Look, p: Tensor, likeliest: Tensor) -> _Ruled:
    """Rows of all parts at once; rows without rules keep everything."""
    count, vocabulary = p.shape
    told = _Ruled(p, [vocabulary] * count, [1.0] * count, [(None,) * likeliest.shape[-1]] * count)
    if not look.parts:
        return told
    rows = [row for part in look.parts for row in part.rows]
    here = torch.tensor(rows, device=p.device)
    scores = torch.cat([part.processed.scores for part in look.parts])
    kept = scores.isfinite()
    facts = torch.stack([kept.sum(-1).to(p.dtype), (p[here] * kept).sum(-1)], dim=1).tolist()
    cut_by = itertools.chain.from_iterable(
        _cut_by(part.processed.stages, ids)
        for part, ids in zip(look.parts, likeliest[here].split([len(part.rows) for part in look.parts]), strict=True)
    )
    for row, (number, mass), names in zip(rows, facts, cut_by, strict=True):
        told.kept[row], told.mass[row], told.cut_by[row] = int(number), min(1.0, mass), names
    return told._replace(used=p.index_copy(0, here, torch.softmax(scores, dim=-1)))


def _cut_by(stages: Sequence[tuple[str, Tensor]], ids: Tensor) -> list[tuple[str | None, ...]]:
    """The first rule that set each of the tokens [B, K] to minus infinity."""
    names = [None, *(name for name, _ in stages)]
    cut = stages[-1][1].gather(-1, ids).isneginf() * len(stages)
    for number in range(len(stages) - 1, 0, -1):
        cut = torch.where(stages[number - 1][1].gather(-1, ids).isneginf(), number, cut)
    return [tuple([names[number] for number in row]) for row in cut.tolist()]
