"""A study's table: what the texts of each column come to, prompt by prompt, with 95 % intervals over prompts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from scipy.stats import t

from workbench.analysis.text import self_bleu
from workbench.domain.specs.study import Asked, labels_of
from workbench.domain.study import Figure, Study, StudyColumn, StudyText


def study_of(columns: Sequence[Asked], texts: Sequence[StudyText], prompts: int, samples: int) -> Study:
    """The study as far as its texts go."""
    told = []
    for number, (column, label) in enumerate(zip(columns, labels_of(columns), strict=True)):
        mine = [text for text in texts if text.column == number]
        told.append(StudyColumn(label=label, model=column.model, settings=column.settings, figures=figures(mine)))
    return Study(prompts=prompts, samples=samples, columns=tuple(told))


def figures(texts: Sequence[StudyText]) -> dict[str, Figure]:
    """Figures of one column by name: means of prompts, whose texts count together."""
    by_prompt: dict[int, list[StudyText]] = defaultdict(list)
    for text in texts:
        by_prompt[text.prompt].append(text)
    names = {name for text in texts for name in text.measures}
    found = {}
    for name in sorted(names):
        values = [[text.measures[name] for text in group if name in text.measures] for group in by_prompt.values()]
        means = [sum(part) / len(part) for part in values if part]
        found[name] = interval(means, sum(map(len, values)))
    if "logprob" in found:
        found["perplexity"] = _perplexity(found["logprob"])
    alike = [self_bleu([text.completion for text in group]) for group in by_prompt.values() if len(group) > 1]
    if known := [value for value in alike if value is not None]:
        found["self_bleu"] = interval(known, len(texts))
    return found


def interval(values: Sequence[float], texts: int) -> Figure:
    """The mean with Student's 95 % interval, prompts being independent; no interval for one prompt."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return Figure(value=mean, texts=texts)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    reach = float(t.ppf(0.975, len(values) - 1)) * math.sqrt(variance / len(values))
    return Figure(value=mean, low=mean - reach, high=mean + reach, texts=texts)


def _perplexity(logprob: Figure) -> Figure:
    """From the mean log-probability: exp of its negative, whose interval turns round."""
    low, high = logprob.low, logprob.high
    return Figure(
        value=_exp(-logprob.value),
        low=None if high is None else _exp(-high),
        high=None if low is None else _exp(-low),
        texts=logprob.texts,
    )


def _exp(value: float) -> float:
    """The exponential; infinite where a float ends."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
