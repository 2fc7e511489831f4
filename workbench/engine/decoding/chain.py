"""The chain of rules between a model's logits and the distribution that a strategy uses.

Arithmetic and usual order are those of transformers' processors (ties with the k-th token stay, the nucleus is cut from below), with the
presence and frequency penalties of the OpenAI interface. A rule that is off is not in the chain. Rules of sampling stand in `cuts.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from workbench.domain.decoding import DecodingSettings, RuleName, Sample, Sampling
from workbench.domain.errors import BadInput
from workbench.engine.decoding import cuts


class Context(NamedTuple):
    """What each row has read and written so far, as token ids; `bounds` are mirostat's present mu by row (none: those of the start)."""

    prompts: list[list[int]]
    outputs: list[list[int]]
    bounds: tuple[float, ...] = ()


Apply = Callable[[Tensor, Context], Tensor]


class Processed(NamedTuple):
    """Scores [B, V] after the whole chain, and after each rule by name (to tell which one cut a token)."""

    scores: Tensor
    stages: list[tuple[str, Tensor]]


@dataclass(frozen=True)
class Rule:
    """One rule: a name for the reader and a pure function of scores [B, V] and context."""

    name: str
    apply: Apply


@dataclass(frozen=True)
class Chain:
    """Rules in the order in which they act."""

    rules: tuple[Rule, ...]

    def __call__(self, scores: Tensor, context: Context) -> Processed:
        """Apply every rule; the input is left alone."""
        stages: list[tuple[str, Tensor]] = []
        for rule in self.rules:
            scores = rule.apply(scores, context)
            stages.append((rule.name, scores))
        return Processed(scores, stages)


def require_choice(scores: Tensor) -> None:
    """Raise BadInput when the rules have left a row without any token."""
    if bool(scores.max(dim=-1).values.isneginf().any()):
        raise no_choice()


def no_choice() -> BadInput:
    """What a row hears to which the rules have left no token."""
    return BadInput(
        "The rules forbid every token of the vocabulary.",
        "Loosen no_repeat_ngram or min_new_tokens, or ask for fewer tokens.",
    )


def chain_for(settings: DecodingSettings, eos: frozenset[int]) -> Chain:
    """The rules that these settings switch on, in transformers' order."""
    s = settings
    rules = [
        Rule("repetition_penalty", repetition_penalty(s.repetition_penalty)) if s.repetition_penalty != 1.0 else None,
        Rule("presence_penalty", presence_penalty(s.presence_penalty)) if s.presence_penalty else None,
        Rule("frequency_penalty", frequency_penalty(s.frequency_penalty)) if s.frequency_penalty else None,
        Rule("no_repeat_ngram", no_repeat_ngram(s.no_repeat_ngram)) if s.no_repeat_ngram else None,
        Rule("min_new_tokens", min_new_tokens(s.min_new_tokens, eos)) if s.min_new_tokens and eos else None,
    ]
    if isinstance(s, Sampling) and s.temperature > 0:
        rules += [_of_sampling(name, s) for name in s.order]
    return Chain(tuple(rule for rule in rules if rule is not None))


def _of_sampling(name: RuleName, s: Sampling) -> Rule | None:
    """The movable rule of this name, or None when it is off."""
    apply: Apply | None = None
    match name:
        case "temperature" if s.temperature != 1.0:
            apply = plain(cuts.temperature(s.temperature))
        case "top_k" if s.top_k:
            apply = plain(cuts.top_k(s.top_k))
        case "top_p" if s.top_p < 1.0:
            apply = plain(cuts.top_p(s.top_p))
        case "min_p" if s.min_p:
            apply = plain(cuts.min_p(s.min_p))
        case "typical_p" if s.typical_p < 1.0:
            apply = plain(cuts.typical_p(s.typical_p))
        case "epsilon" if s.epsilon:
            apply = plain(cuts.epsilon(s.epsilon))
        case "eta" if s.eta:
            apply = plain(cuts.eta(s.eta))
        case "mirostat" if isinstance(s, Sample) and s.mirostat_tau:
            apply = mirostat(s.mirostat_tau)
        case _:
            pass
    return None if apply is None else Rule(name, apply)


def plain(cut: Callable[[Tensor], Tensor]) -> Apply:
    """A rule that looks at the scores alone."""
    return lambda scores, context: cut(scores)


def mirostat(tau: float) -> Apply:
    """Cut what is more surprising than the row's present bound (`mirostat.py` moves it), which is 2 tau at the start."""

    def apply(scores: Tensor, context: Context) -> Tensor:
        bounds = context.bounds or (2.0 * tau,) * len(scores)
        return cuts.surprise_up_to(scores, torch.tensor(bounds, dtype=scores.dtype, device=scores.device))

    return apply


def repetition_penalty(penalty: float) -> Apply:
    """Scores of tokens already in prompt or output: divided by the penalty when positive, multiplied when negative."""

    def apply(scores: Tensor, context: Context) -> Tensor:
        scores = scores.clone()
        for row, (prompt, output) in enumerate(zip(context.prompts, context.outputs, strict=True)):
            seen = _inside(set(prompt) | set(output), scores)
            before = scores[row, seen]
            scores[row, seen] = torch.where(before < 0, before * penalty, before / penalty)
        return scores

    return apply


def presence_penalty(penalty: float) -> Apply:
    """Subtract the penalty once from every token already generated (the prompt does not count)."""

    def apply(scores: Tensor, context: Context) -> Tensor:
        scores = scores.clone()
        for row, output in enumerate(context.outputs):
            scores[row, _inside(set(output), scores)] -= penalty
        return scores

    return apply


def frequency_penalty(penalty: float) -> Apply:
    """Subtract the penalty times the number of times that each token was generated."""

    def apply(scores: Tensor, context: Context) -> Tensor:
        scores = scores.clone()
        for row, output in enumerate(context.outputs):
            counts = Counter(output)
            weights = torch.tensor(list(counts.values()), dtype=scores.dtype, device=scores.device)
            scores[row, torch.tensor(list(counts), dtype=torch.long, device=scores.device)] -= penalty * weights
        return scores

    return apply


def no_repeat_ngram(size: int) -> Apply:
    """Forbid every token that would complete an n-gram already in prompt and output."""

    def apply(scores: Tensor, context: Context) -> Tensor:
        scores = scores.clone()
        for row, (prompt, output) in enumerate(zip(context.prompts, context.outputs, strict=True)):
            text = prompt + output
            tail = text[len(text) - size + 1 :] if size > 1 else []
            banned = {
                text[i + size - 1] for i in range(len(text) - size + 1) if size == 1 or text[i : i + size - 1] == tail
            }
            scores[row, _inside(banned, scores)] = -torch.inf
        return scores

    return apply


def min_new_tokens(count: int, eos: frozenset[int]) -> Apply:
    """Forbid the end of the text before `count` tokens were generated."""

    def apply(scores: Tensor, context: Context) -> Tensor:
        early = [row for row, output in enumerate(context.outputs) if len(output) < count]
        if not early:
            return scores
        scores = scores.clone()
        scores[torch.tensor(early, device=scores.device)[:, None], _inside(set(eos), scores)[None, :]] = -torch.inf
        return scores

    return apply


def _inside(ids: set[int], scores: Tensor) -> Tensor:
    """Sorted ids as an index; those beyond the output vocabulary can't be chosen and are left out."""
    return torch.tensor(sorted(i for i in ids if i < scores.shape[-1]), dtype=torch.long, device=scores.device)
