"""The chain: penalties equal transformers' processors, rules act in order, and a measurement names the rule that cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers.generation.logits_process import (
    LogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)

from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import BadInput
from workbench.domain.specs.kinds import explain
from workbench.engine.decoding import chain as rules
from workbench.engine.decoding.chain import Apply, Context, chain_for, require_choice
from workbench.engine.decoding.measure import Look, measure

VOCABULARY = 40
PROMPTS = [[3, 1, 4, 1], [5, 9, 2, 6]]
OUTPUTS = [[1, 4, 1, 5], [9, 2, 6, 5]]
CONTEXT = Context(PROMPTS, OUTPUTS)
READ = torch.tensor([p + o for p, o in zip(PROMPTS, OUTPUTS, strict=True)])


def scores(seed: int) -> Tensor:
    """Random logits [2, V], many of them equal, some cut already."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2, VOCABULARY, generator=generator).mul(4).round(decimals=0 if seed % 2 else 3)
    values[torch.rand(2, VOCABULARY, generator=generator) < 0.2] = -torch.inf
    return values


PAIRS: list[tuple[Apply, LogitsProcessor]] = [
    (rules.repetition_penalty(1.3), RepetitionPenaltyLogitsProcessor(1.3)),
    (rules.repetition_penalty(0.7), RepetitionPenaltyLogitsProcessor(0.7)),
    (rules.no_repeat_ngram(1), NoRepeatNGramLogitsProcessor(1)),
    (rules.no_repeat_ngram(2), NoRepeatNGramLogitsProcessor(2)),
    (rules.no_repeat_ngram(3), NoRepeatNGramLogitsProcessor(3)),
    (rules.no_repeat_ngram(9), NoRepeatNGramLogitsProcessor(9)),
    (rules.min_new_tokens(5, frozenset({7, 8})), MinNewTokensLengthLogitsProcessor(4, 5, [7, 8])),
    (rules.min_new_tokens(4, frozenset({7, 8})), MinNewTokensLengthLogitsProcessor(4, 4, [7, 8])),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: type(pair[1]).__name__)
@pytest.mark.parametrize("seed", range(6))
def test_that_a_rule_equals_the_processor_of_transformers(pair: tuple[Apply, LogitsProcessor], seed: int) -> None:
    apply, processor = pair
    given = scores(seed)
    before = given.clone()
    torch.testing.assert_close(apply(given, CONTEXT), processor(READ, given.clone()), rtol=0, atol=0)
    assert torch.equal(given, before), "the input is left alone"


def test_that_presence_and_frequency_penalties_count_only_what_was_generated() -> None:
    given = torch.zeros(1, 6)
    context = Context([[0, 1]], [[2, 3, 3, 3]])
    assert rules.presence_penalty(0.5)(given, context).tolist() == [[0, 0, -0.5, -0.5, 0, 0]]
    assert rules.frequency_penalty(0.5)(given, context).tolist() == [[0, 0, -0.5, -1.5, 0, 0]]
    assert rules.frequency_penalty(0.5)(given, Context([[0]], [[]])).tolist() == given.tolist()


def test_that_only_rules_that_are_on_are_in_the_chain_and_in_order() -> None:
    assert chain_for(Greedy(), frozenset({0})).rules == ()
    on = Sample(
        top_p=0.9, top_k=5, temperature=0.5, min_new_tokens=2, no_repeat_ngram=3, frequency_penalty=1.0,
        presence_penalty=1.0, repetition_penalty=1.1,
    )  # fmt: skip
    names = [rule.name for rule in chain_for(on, frozenset({0})).rules]
    assert names == [
        "repetition_penalty", "presence_penalty", "frequency_penalty", "no_repeat_ngram", "min_new_tokens",
        "temperature", "top_k", "top_p",
    ]  # fmt: skip
    assert [r.name for r in chain_for(Beam(no_repeat_ngram=2), frozenset()).rules] == ["no_repeat_ngram"]
    assert chain_for(Sample(temperature=0, top_k=3), frozenset()).rules == ()


def test_that_rules_of_sampling_act_in_the_order_that_was_asked_for() -> None:
    every = {"temperature": 0.5, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.9, "epsilon": 0.01, "eta": 0.01}

    def names(**more: Any) -> list[str]:
        return [rule.name for rule in chain_for(Sample(**every, mirostat_tau=3.0, **more), frozenset()).rules]

    assert names() == [*every, "mirostat"]
    assert names(order=("top_k", "min_p", "temperature"))[:4] == ["top_k", "min_p", "temperature", "top_p"]
    given = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    alone = Context([[0]], [[]])
    hot = {"temperature": 4.0, "top_p": 0.9}
    before = chain_for(Sample(**hot), frozenset())(given, alone).scores
    after = chain_for(Sample(**hot, order=("top_p",)), frozenset())(given, alone).scores
    assert before.isfinite().sum() == 4 and after.isfinite().sum() == 3


def test_that_an_unknown_or_doubled_rule_is_refused_by_the_fields_name() -> None:
    for wrong, words in (
        (("top_k", "top_z"), "order.1: input should be"),
        (("top_k", "top_p", "top_k"), "order: value error, top_k stands twice"),
    ):
        with pytest.raises(ValidationError) as refused:
            Sample(order=wrong)  # type: ignore[arg-type]
        assert words in explain(refused.value)[0]
    assert Sample(order="top_p, top_k").order[:3] == ("top_p", "top_k", "temperature")  # type: ignore[arg-type]


def test_that_a_measurement_names_the_rule_that_cut_a_token() -> None:
    logits = torch.tensor([[4.0, 3.0, 2.0, 1.0, 0.0]])
    processed = chain_for(Sample(top_k=3, top_p=0.8, no_repeat_ngram=1), frozenset())(logits, Context([[0]], [[]]))
    told = measure(Look.of(logits, processed), [0], [1])[0]
    assert [option.cut_by for option in told.options] == ["no_repeat_ngram", None, None, "top_p", "top_k"]
    p = torch.softmax(logits, -1)[0]
    assert told.rank == 1 and told.kept == 2
    assert told.p_model == pytest.approx(float(p[1]))
    assert told.p_used == pytest.approx(float(p[1] / (p[1] + p[2])))
    assert told.kept_mass == pytest.approx(float(p[1] + p[2]))
    assert told.entropy == pytest.approx(float(-(p * p.log()).sum()))
    assert told.options[3].p_used == 0.0


def test_that_a_measurement_without_rules_keeps_everything() -> None:
    logits = torch.randn(2, 50)
    told = measure(Look(logits), [1, 0], [3, 4])
    assert [m.kept for m in told] == [50, 50] and [m.kept_mass for m in told] == [1.0, 1.0]
    assert len(told[0].options) == 20
    assert told[0].p_model == pytest.approx(float(torch.softmax(logits[1], -1)[3]))
    assert told[0].p_model == told[0].p_used


def test_that_rules_that_forbid_everything_are_told_in_a_sentence() -> None:
    with pytest.raises(BadInput, match="forbid every token") as refused:
        require_choice(torch.tensor([[0.0, 1.0], [-torch.inf, -torch.inf]]))
    assert "no_repeat_ngram" in refused.value.hint
