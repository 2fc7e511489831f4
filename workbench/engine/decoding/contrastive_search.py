"""Contrastive search (Su et al. 2022, arXiv 2202.06417): of the k most probable tokens, the one that is probable and unlike the text so far.

The token v with the greatest (1 - alpha) p(v) - alpha max_j cos(h_v, h_j), where h_v is the last layer's state at v, read behind the text, and j runs
over prompt and text. All k are read as rows of one batch; the chosen one's row is the next step's beginning, so a step costs one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from workbench.domain.choices import SearchOption, SearchTrace
from workbench.domain.decoding import ContrastiveSearch
from workbench.engine.decoding.chain import Context, Processed, chain_for, require_choice
from workbench.engine.decoding.measure import Look, measure
from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Hypothesis, Outcome, Steps, Task


@dataclass(frozen=True)
class Weighed:
    """The candidates of one step, most probable first, all [K]: ids, probabilities, likeness to the context and where, scores."""

    ids: Tensor
    p: Tensor
    penalty: Tensor
    against: Tensor
    score: Tensor


def contrastive_search(stepper: Stepper, task: Task, settings: ContrastiveSearch) -> Steps:
    """Yield one token a step until an end token or the limit; the stepper has to tell hidden states."""
    chain = chain_for(settings, task.eos)
    logits = stepper.prefill([task.context])
    read = normalize(_states(stepper)[0], dim=-1)  # [T, H]
    output = list(task.start)
    total = 0.0
    while True:
        processed = chain(logits, Context([task.known], [output]))
        require_choice(processed.scores)
        p, ids = candidates(processed, settings.top_k)
        stepper.reorder([0] * len(ids))
        ahead = stepper.step(ids)
        states = normalize(_states(stepper)[:, -1], dim=-1)  # [K, H]
        weighed = weigh(ids, p, states, read, settings.alpha)
        best = int(weighed.score.argmax())  # of equal ones the most probable
        token = int(ids[best])
        chosen = measure(Look.of(logits, processed), [0], [token])[0]._replace(search=_trace(weighed, best))
        output.append(token)
        total += chosen.logprob
        yield chosen
        if token in task.eos:
            return Outcome("end", (Hypothesis(tuple(output), total),))
        if len(output) >= task.limit:
            return Outcome("length", (Hypothesis(tuple(output), total),))
        stepper.reorder([best])
        logits, read = ahead[best : best + 1], torch.cat([read, states[best : best + 1]])


def candidates(processed: Processed, count: int) -> tuple[Tensor, Tensor]:
    """(p [K], ids [K]) of the most probable tokens of one row, at most `count`, that the rules allow; p isn't renormalised over them."""
    scores, ids = processed.scores[0].topk(min(count, processed.scores.shape[-1]))
    allowed = scores.isfinite()
    return torch.softmax(processed.scores[0], dim=-1)[ids[allowed]], ids[allowed]


def weigh(ids: Tensor, p: Tensor, states: Tensor, read: Tensor, alpha: float) -> Weighed:
    """Equation 5 of the paper for candidates with unit states [K, H] behind a text with unit states [T, H]."""
    penalty, against = (states @ read.T).max(dim=-1)
    return Weighed(ids, p, penalty, against, (1 - alpha) * p - alpha * penalty)


def _states(stepper: Stepper) -> Tensor:
    states = stepper.hidden
    if states is None:
        raise ValueError("contrastive search needs a stepper with hidden=True")
    return states


def _trace(weighed: Weighed, best: int) -> SearchTrace:
    columns = (weighed.ids, weighed.p, weighed.penalty, weighed.against, weighed.score)
    options = tuple(
        SearchOption.model_construct(id=i, text="", p=p, penalty=penalty, against=against, score=score)
        for i, p, penalty, against, score in zip(*(column.tolist() for column in columns), strict=True)
    )
    chosen = options[best]
    return SearchTrace.model_construct(
        penalty=chosen.penalty, against=chosen.against, score=chosen.score, options=options
    )
