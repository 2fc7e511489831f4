"""Evaluation on held-out rows, and what the model says to fixed prompts. Neither touches the run's random numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from workbench.engine.batches import buckets
from workbench.engine.data import Row, prompt_of
from workbench.engine.device import Setup
from workbench.engine.forward import Scored, score_labels, states_at
from workbench.engine.models import Loaded, eos_ids
from workbench.engine.packing import Packed, Padded, TokenBatch
from workbench.engine.report import Report
from workbench.engine.rollout import sample_batch
from workbench.engine.text import decode

SAMPLE_TOKENS = 96
SAMPLE_TEMPERATURE = 0.7


class Tally:
    """Sums over tokens of what language modelling is judged by; statistics never include padding."""

    def __init__(self) -> None:
        self.tokens = 0
        self._parts: list[Tensor] = []

    def add(self, scored: Scored) -> None:
        """Count the scored tokens. Nothing is read here, so that a GPU needn't be waited for."""
        self.tokens += len(scored.logprobs)
        self._parts.append(torch.stack([-scored.logprobs.detach().double().sum(), scored.correct.double().sum()]))

    def values(self, prefix: str = "") -> dict[str, float]:
        """Loss in nats for each token, its exponential, and the share of tokens that were the likeliest."""
        nll, correct = torch.stack(self._parts).sum(0).tolist() if self._parts else (0.0, 0.0)
        loss = nll / max(1, self.tokens)
        return {
            f"{prefix}loss": loss,
            f"{prefix}perplexity": math.exp(min(loss, 700.0)),
            f"{prefix}token_accuracy": correct / max(1, self.tokens),
        }


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout off and no gradients; the mode comes back afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def evaluate_rows(model: Any, rows: Padded | Packed, size: int, setup: Setup) -> dict[str, float]:
    """`eval/` metrics over what is learned of held-out rows, at most `size` at a time, those of like length together."""
    tally = Tally()
    with evaluating(model), setup.autocast():
        for part in buckets(range(len(rows)), rows.lengths, size, setup.start_cost):
            tally.add(token_scores(model, rows.batch(part).to(setup.device)))
    return tally.values("eval/")


def token_scores(model: Any, batch: TokenBatch) -> Scored:
    """Scores [N] of the batch's targets."""
    states = states_at(model, batch.places, batch.input_ids, batch.attention, batch.position_ids)
    return score_labels(model, states, batch.labels)


def fixed_prompts(rows: Sequence[Row], encoded: Sequence[list[int]], count: int) -> list[tuple[str, list[int]]]:
    """The first `count` distinct prompts as (text to show, ids)."""
    chosen: dict[str, tuple[str, list[int]]] = {}
    for row, ids in zip(rows, encoded, strict=True):
        if len(chosen) == count:
            break
        prompt = prompt_of(row)
        chosen.setdefault(prompt.key(), (prompt.text, ids))
    return list(chosen.values())


def report_samples(
    report: Report,
    loaded: Loaded,
    step: int,
    prompts: Sequence[tuple[str, list[int]]],
    seed: int,
    longest: int,
    setup: Setup,
) -> None:
    """Let the model continue the fixed prompts, with the same seed each time, and report what it says.

    Prompts and completions together have at most `longest` tokens; a prompt that leaves no room is passed over.
    """
    fitting = [(index, text, ids) for index, (text, ids) in enumerate(prompts) if len(ids) < longest]
    if not fitting:
        return
    ends = eos_ids(loaded)
    room = min(SAMPLE_TOKENS, longest - max(len(ids) for _, _, ids in fitting))
    with setup.autocast():
        said = sample_batch(
            loaded.model,
            [ids for _, _, ids in fitting],
            max_new_tokens=room,
            temperature=SAMPLE_TEMPERATURE,
            eos=ends,
            seed=seed,
        )
    for (index, text, _), ids, ended in zip(fitting, said.completions, said.ended, strict=True):
        kept = ids[:-1] if ended else ids
        numbers = {"length": float(len(ids)), "ended": float(ended)}
        report.sample(step, index, text, decode(loaded.tokenizer, kept), numbers)
