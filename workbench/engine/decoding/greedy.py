"""Greedy decoding: always the most probable token after the chain; of equal ones the first."""

from __future__ import annotations

from workbench.domain.decoding import Greedy, Sample
from workbench.engine.decoding.chain import Context, chain_for, require_choice
from workbench.engine.decoding.measure import Look, Noted
from workbench.engine.decoding.opening import opened
from workbench.engine.decoding.stepper import Stepper
from workbench.engine.decoding.task import Hypothesis, Outcome, Steps, Task


def greedy(stepper: Stepper, task: Task, settings: Greedy | Sample) -> Steps:
    """Yield one token a step until an end token or the limit; the end token is yielded too."""
    chain = chain_for(settings, task.eos)
    logits = opened(stepper, task)
    output = list(task.start)
    while True:
        processed = chain(logits, Context([task.known], [output]))
        if processed.stages:
            require_choice(processed.scores)
        token = int(processed.scores.argmax(dim=-1))
        output.append(token)
        yield Noted(token, Look.of(logits, processed))
        if token in task.eos:
            return Outcome("end", (Hypothesis(tuple(output)),))
        if len(output) >= task.limit:
            return Outcome("length", (Hypothesis(tuple(output)),))
        logits = stepper.step([token])
