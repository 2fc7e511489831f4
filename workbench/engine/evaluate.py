"""Evaluation on held-out rows, and what the model says to fixed prompts. Neither touches the run's random numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from workbench.engine.batches import Pair, collate
from workbench.engine.data import Row, prompt_of
from workbench.engine.device import Setup
from workbench.engine.forward import Scored, completion_scores, hidden_states, score_labels
from workbench.engine.models import Loaded, eos_ids
from workbench.engine.packing import Packed
from workbench.engine.report import Report
from workbench.engine.rollout import sample_batch
from workbench.engine.text import decode

SAMPLE_TOKENS = 96
SAMPLE_TEMPERATURE = 0.7


class Tally:
    """Sums over tokens of what language modelling is judged by; statistics never include padding."""

    def __init__(self) -> None:
        self.tokens = 0
        self._nll = 0.0
        self._correct = 0

    def add(self, scored: Scored) -> None:
        """Count the scored tokens."""
        self.tokens += len(scored.logprobs)
        self._nll -= float(scored.logprobs.detach().double().sum())
        self._correct += int(scored.correct.sum())

    def values(self, prefix: str = "") -> dict[str, float]:
        """Loss in nats for each token, its exponential, and the share of tokens that were the likeliest."""
        loss = self._nll / max(1, self.tokens)
        return {
            f"{prefix}loss": loss,
            f"{prefix}perplexity": math.exp(min(loss, 700.0)),
            f"{prefix}token_accuracy": self._correct / max(1, self.tokens),
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


def evaluate_pairs(model: Any, pairs: Sequence[Pair], size: int, pad: int, setup: Setup) -> dict[str, float]:
    """`eval/` metrics over the completions of held-out pairs, `size` at a time, longest first."""
    tally = Tally()
    ordered = sorted(pairs, key=lambda pair: -pair.length)
    with evaluating(model), setup.autocast():
        for start in range(0, len(ordered), size):
            part = ordered[start : start + size]
            batch = collate([p.prompt for p in part], [p.completion for p in part], pad).to(setup.device)
            tally.add(completion_scores(model, batch))
    return tally.values("eval/")


def evaluate_packed(model: Any, packed: Packed, size: int, setup: Setup) -> dict[str, float]:
    """`eval/` metrics over held-out documents, `size` packed rows at a time."""
    tally = Tally()
    with evaluating(model), setup.autocast():
        for start in range(0, len(packed), size):
            tally.add(packed_scores(model, packed, range(start, min(start + size, len(packed))), setup))
    return tally.values("eval/")


def packed_scores(model: Any, packed: Packed, rows: Sequence[int], setup: Setup) -> Scored:
    """Scores of every token of packed rows that has a predecessor in its own document."""
    batch = packed.batch(rows).to(setup.device)
    hidden = hidden_states(model, batch.input_ids, batch.attention, batch.position_ids)
    return score_labels(model, hidden[:, :-1][batch.has_target], batch.input_ids[:, 1:][batch.has_target])


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
