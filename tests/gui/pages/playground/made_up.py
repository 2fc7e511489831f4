"""Made-up things that decoders say, for the tests of the lab's views."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from workbench.domain.choices import Bar, BeamLevel, BeamNode, Distribution, Stage

WORDS = " cat| dog| bird| elephant| the| a| big| little| ran|.|\n| ☃|<b>| time".split("|")


def entropy(probabilities: Sequence[float]) -> float:
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def distribution(*, position: int = 3, chosen: int = 0, changed: int | None = None, tokens: int = 14) -> Distribution:
    """Through the model, a temperature of 0.5 and a top-k of 3, reckoned here."""
    weights = [2.0 ** -(n + 1) for n in range(tokens)]
    model = [w / sum(weights) for w in weights]
    sharp = [p**2 / sum(q**2 for q in model) for p in model]
    cut = [p / sum(sharp[:3]) if n < 3 else 0.0 for n, p in enumerate(sharp)]
    return Distribution(
        position=position,
        stages=(
            Stage(rule="model", kept=tokens, mass=1.0, entropy=entropy(model)),
            Stage(rule="temperature", kept=tokens, mass=1.0, entropy=entropy(sharp)),
            Stage(rule="top_k", kept=3, mass=sum(model[:3]), entropy=entropy(cut)),
        ),
        bars=tuple(
            Bar(id=n, text=WORDS[n % len(WORDS)], p=(model[n], sharp[n], cut[n]), cut_by=None if n < 3 else "top_k")
            for n in range(tokens)
        ),
        chosen=chosen,
        changed=changed,
    )


def dice(seed: int = 0) -> random.Random:
    return random.Random(seed)


def beam_levels(beams: int = 4, steps: int = 12, seed: int = 0) -> list[BeamLevel]:
    """A search of its own: every live hypothesis offers a few tokens, the best go on, one in twenty ends."""
    roll = dice(seed)
    live = [(-1, 0.0)]
    found = []
    for step in range(1, steps + 1):
        offers = sorted(
            (
                (parent, total + math.log(roll.uniform(0.02, 0.9)))
                for parent, total in live
                for _ in range(max(2, beams // 2))
            ),
            key=lambda offer: -offer[1],
        )
        nodes, kept = [], []
        for slot, (parent, total) in enumerate(offers[: 2 * beams]):
            ends = step == steps or roll.random() < 0.05
            state = "finished" if ends and len(kept) < beams else "live" if len(kept) < beams else "pruned"
            text = "</s>" if state == "finished" else roll.choice(WORDS)
            nodes.append(BeamNode(step=step, slot=slot, parent=parent, id=slot, text=text, logprob=total, score=total, state=state))  # type: ignore[arg-type]  # fmt: skip
            if state == "live":
                kept.append((slot, total))
        found.append(BeamLevel(step=step, nodes=tuple(nodes)))
        if not kept:
            break
        live = kept
    return found
