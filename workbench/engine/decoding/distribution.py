"""What a chain of rules does with the stored logits of a column, position by position; no model is run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.domain.choices import Bar, Distribution, Stage
from workbench.domain.decoding import DecodingSettings, Greedy, Sample
from workbench.engine.decoding.chain import Chain, Context, Processed, chain_for
from workbench.engine.decoding.mirostat import Bound
from workbench.engine.decoding.pieces import Pieces
from workbench.engine.decoding.sample import draw
from workbench.engine.decoding.task import Uniforms

_AT_ONCE = 2**22  # scores in one look for the first changed choice


@dataclass(frozen=True)
class Said:
    """A column as it stands: what its rules take for the prompt, its tokens, and the logits [V] that each was chosen from."""

    prompt: list[int]
    ids: list[int]
    logits: list[Tensor]
    eos: frozenset[int]


@torch.inference_mode()
def distribution(said: Said, position: int, settings: DecodingSettings, pieces: Pieces, top: int = 40) -> Distribution:
    """The stages of the chain at a position (from 0), the `top` likeliest tokens, and what these settings would choose.

    Strategies that choose more than one token at a time are shown by their rules; they change no single choice.
    """
    chain = chain_for(settings, said.eos)
    bounds = _bounds(said, chain, settings)
    context = Context([said.prompt], [said.ids[:position]], bounds[position : position + 1])
    logits = said.logits[position][None]
    processed = chain(logits, context)
    chosen = int(_chosen(processed.scores, settings, [position])[0])
    stages = [("model", logits), *processed.stages]
    mass = torch.softmax(logits[0], dim=-1)
    shown = [*torch.topk(mass, min(top, len(mass))).indices.tolist()]
    shown += [token for token in dict.fromkeys((said.ids[position], chosen)) if token not in shown]
    table = torch.stack([(scores[0, shown] - scores[0].logsumexp(-1)).exp() for _, scores in stages])
    return Distribution(
        position=position,
        stages=tuple(_stage(name, scores[0], mass) for name, scores in stages),
        bars=tuple(
            Bar(id=token, text=pieces[token], p=tuple(column), cut_by=_cut_by(processed, token))
            for token, column in zip(shown, table.T.tolist(), strict=True)
        ),
        chosen=chosen,
        changed=_first_changed(said, chain, settings, bounds),
    )


def _stage(name: str, scores: Tensor, mass: Tensor) -> Stage:
    kept = scores.isfinite()
    entropy = torch.special.entr(torch.softmax(scores, dim=-1)).sum()
    return Stage(rule=name, kept=int(kept.sum()), mass=min(1.0, float((mass * kept).sum())), entropy=float(entropy))


def _cut_by(processed: Processed, token: int) -> str | None:
    return next((name for name, scores in processed.stages if bool(scores[0, token].isneginf())), None)


def _draws(settings: DecodingSettings) -> bool:
    return isinstance(settings, Sample) and settings.temperature > 0


def _chosen(scores: Tensor, settings: DecodingSettings, positions: list[int]) -> Tensor:
    """[N]: what the settings choose from scores [N, V] at these positions."""
    if not _draws(settings):
        return scores.argmax(dim=-1)
    uniforms = Uniforms(settings.seed, positions[0])
    return draw(scores, [uniforms.next() for _ in positions])


def _bounds(said: Said, chain: Chain, settings: DecodingSettings) -> tuple[float, ...]:
    """Mirostat's bound at every position of the text as it stands; empty where it is off."""
    if not isinstance(settings, Sample) or not Bound(settings).told:
        return ()
    bound = Bound(settings)
    found: list[float] = []
    for place in range(len(said.ids)):
        found += bound.told
        bound.replay(chain, said.logits[place][None], said.prompt, said.ids, place)
    return tuple(found)


def _first_changed(said: Said, chain: Chain, settings: DecodingSettings, bounds: tuple[float, ...]) -> int | None:
    """The first position at which these settings choose another token than the one that stands there."""
    if not isinstance(settings, Greedy | Sample):
        return None
    size = max(1, _AT_ONCE // len(said.logits[0]))
    for first in range(0, len(said.ids), size):
        places = list(range(first, min(first + size, len(said.ids))))
        context = Context([said.prompt] * len(places), [said.ids[:p] for p in places], bounds[first : first + size])
        scores = chain(torch.stack([said.logits[p] for p in places]), context).scores
        found = _chosen(scores, settings, places).tolist()
        for place, token in zip(places, found, strict=True):
            if token != said.ids[place]:
                return place
    return None
