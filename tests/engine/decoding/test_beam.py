"""Law 3: beams wide enough find the true optimum; the length rules are what they say."""

from __future__ import annotations

import math
from itertools import product
from typing import Any, Literal

import pytest
import torch

from workbench.domain.decoding import Beam
from workbench.domain.lengths import length_divisor
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.general import General
from workbench.engine.decoding.measure import Measured
from workbench.engine.decoding.task import Outcome, Task

PROMPT = [1, 3, 2]
EOS = 0


def run(model: Any, settings: Beam, limit: int, eos: frozenset[int] = frozenset({EOS})) -> tuple[list[Any], Outcome]:
    """Everything that the strategy yielded, None included, and its outcome."""
    steps = beam(General(model), Task(PROMPT, limit, eos), settings)
    told: list[Any] = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as ended:
            return told, ended.value


def every_text(model: Any, length: int) -> dict[tuple[int, ...], float]:
    """The summed log-probability of every text that ends with the end token or at the limit."""
    rows = list(product(range(5), repeat=length))
    with torch.inference_mode():
        logits = model(torch.tensor([[*PROMPT, *row] for row in rows])).logits[:, len(PROMPT) - 1 : -1]
    logp = torch.log_softmax(logits.double(), dim=-1)
    sums: dict[tuple[int, ...], float] = {}
    for row, table in zip(rows, logp, strict=True):
        size = row.index(EOS) + 1 if EOS in row else length
        sums[row[:size]] = sum(float(table[i, row[i]]) for i in range(size))
    return sums


@pytest.mark.parametrize("rule", ["power", "gnmt"])
@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
def test_that_beams_as_many_as_texts_find_the_optimum(
    dice: Any, rule: Literal["power", "gnmt"], penalty: float
) -> None:
    settings = Beam(num_beams=64, length_rule=rule, length_penalty=penalty, early_stopping="never", num_return=3)
    sums = every_text(dice, 3)
    best = sorted(sums.items(), key=lambda pair: -pair[1] / length_divisor(settings, len(pair[0])))[:3]
    _, outcome = run(dice, settings, 3)
    assert [h.ids for h in outcome.hypotheses] == [ids for ids, _ in best]
    scores = [total / length_divisor(settings, len(ids)) for ids, total in best]
    assert [h.score for h in outcome.hypotheses] == pytest.approx(scores, abs=1e-5)


def test_that_exponent_zero_is_the_raw_sum(dice: Any) -> None:
    for rule in ("power", "gnmt"):
        assert length_divisor(Beam(length_rule=rule, length_penalty=0.0), 17) == 1.0
    told, outcome = run(dice, Beam(num_beams=3, length_penalty=0.0), 6)
    assert outcome.hypotheses[0].score == pytest.approx(
        sum(m.logprob for m in told if isinstance(m, Measured)), abs=1e-5
    )


def test_that_the_length_rules_are_what_their_papers_say() -> None:
    assert length_divisor(Beam(length_rule="gnmt", length_penalty=0.6), 1) == 1.0
    assert length_divisor(Beam(length_rule="gnmt", length_penalty=0.6), 13) == pytest.approx(3.0**0.6)
    assert length_divisor(Beam(length_rule="power", length_penalty=2.0), 7) == pytest.approx(49.0)


def test_that_what_is_streamed_is_the_best_hypothesis_and_never_taken_back(zoo: dict[str, Any]) -> None:
    for name, model in zoo.items():
        told, outcome = run(model, Beam(num_beams=4), 20)
        streamed: list[Measured] = [m for m in told if isinstance(m, Measured)]
        assert tuple(m.id for m in streamed) == outcome.hypotheses[0].ids, name


def test_that_tokens_are_streamed_before_the_end_when_all_beams_agree(zoo: dict[str, Any]) -> None:
    told, _ = run(zoo["gpt2"], Beam(num_beams=2), 40, frozenset())
    first = next(place for place, m in enumerate(told) if isinstance(m, Measured))
    last_silence = max(place for place, m in enumerate(told) if m is None)
    assert first < last_silence, "a token came while steps that settle nothing still followed"


def test_that_each_token_knows_its_place_in_the_tree(dice: Any) -> None:
    told, _ = run(dice, Beam(num_beams=3, length_penalty=0.0), 5)
    chosen = [m for m in told if isinstance(m, Measured)]
    total = 0.0
    for before, here in zip([None, *chosen], chosen, strict=False):
        total += here.logprob
        assert here.beam.score == pytest.approx(total, abs=1e-5)
        assert here.beam.parent == (0 if before is None else before.beam.index)
    assert math.isfinite(total)


def test_that_one_beam_is_greedy_where_nothing_ends(zoo: dict[str, Any]) -> None:
    told, _ = run(zoo["qwen2"], Beam(num_beams=1), 15, frozenset())
    assert all(m.rank == 0 for m in told if isinstance(m, Measured))


def test_that_rules_that_forbid_everything_end_the_search_with_what_there_is(dice: Any) -> None:
    told, outcome = run(dice, Beam(num_beams=2, no_repeat_ngram=1), 9, frozenset())
    ids = [m.id for m in told if isinstance(m, Measured)]
    assert len(ids) == 2 and len(set(ids) | set(PROMPT)) == 5
    assert outcome.reason == "length"
