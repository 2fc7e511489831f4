"""Sampling by the inverse of the cumulative distribution, one uniform number per position.

The same seed gives every model and every setting the same random numbers, so two columns differ by their distributions and not by luck.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.domain.decoding import Sample
from workbench.engine.decoding.chain import Context, chain_for, require_choice
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.measure import Look, Noted
from workbench.engine.decoding.mirostat import Bound
from workbench.engine.decoding.opening import opened
from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Hypothesis, Outcome, Steps, Task, Uniforms


def sample(stepper: Stepper, task: Task, settings: Sample) -> Steps:
    """Yield one drawn token a step until an end token or the limit; temperature 0 is greedy."""
    if settings.temperature == 0:
        return (yield from greedy(stepper, task, settings))
    chain = chain_for(settings, task.eos)
    uniforms, bound = Uniforms(settings.seed, len(task.start)), Bound(settings)
    output = list(task.start)

    def replay(place: int, logits: Tensor) -> None:
        bound.replay(chain, logits, task.known, output, place)

    logits = opened(stepper, task, replay if bound.told else None)
    while True:
        processed = chain(logits, Context([task.known], [output], bound.told))
        if processed.stages:
            require_choice(processed.scores)
        token = int(draw(processed.scores, [uniforms.next()]))
        output.append(token)
        yield Noted(token, Look.of(logits, processed), mirostat=bound.drawn(processed.scores[0], token))
        if token in task.eos:
            return Outcome("end", (Hypothesis(tuple(output)),))
        if len(output) >= task.limit:
            return Outcome("length", (Hypothesis(tuple(output)),))
        logits = stepper.step([token])


@torch.inference_mode()
def draw(scores: Tensor, uniforms: list[float]) -> Tensor:
    """One token id per row [B] of scores [B, V]: the first whose cumulative probability exceeds the row's uniform number.

    The sums are taken in float64, in the order of the ids. A token of probability zero is never drawn.
    """
    cumulative = torch.softmax(scores.double(), dim=-1).cumsum(dim=-1)
    total = cumulative[:, -1:]
    target = torch.tensor(uniforms, dtype=torch.float64, device=scores.device)[:, None] * total
    # Rounding may put the target on the total itself; the largest value below it lies inside the last possible token.
    target = torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1)
