"""Statistics of many tokens at once are the textbook's of each, and nothing is measured twice."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from workbench.engine.decoding import measure as module
from workbench.engine.decoding.chain import Processed
from workbench.engine.decoding.measure import Likeliest, Look, Measured, Noted, Part, Unmeasured, measure, measured

NOTHING = -math.inf
COLD = [math.log(p) for p in (0.5, 0.25, 0.125, 0.125)]


def drawn(rows: int, seed: int = 3) -> Tensor:
    """Logits of thirty tokens, with ties."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, 30, generator=generator) * 3).round(decimals=1)


def cut(scores: Tensor, below: float) -> Tensor:
    return scores.masked_fill(scores < below, NOTHING)


def two_rules(logits: Tensor) -> Processed:
    first = cut(logits, -2.0)
    second = cut(first / 0.7, 1.0)
    return Processed(second, [("one", first), ("two", second)])


def one_rule(logits: Tensor) -> Processed:
    scores = cut(logits, 0.0)
    return Processed(scores, [("only", scores)])


def mixed(logits: Tensor) -> Look:
    """Six rows: no rules, two rules in rows 1 and 2, none, one rule in row 4, none."""
    return Look(logits, (Part([1, 2], two_rules(logits[1:3])), Part([4], one_rule(logits[4:5]))))


def by_hand(logits: list[float], scores: list[float], stages: list[tuple[str, list[float]]], token: int) -> Measured:
    """One token by the definitions, in float64."""

    def softmax(values: list[float]) -> list[float]:
        weights = [math.exp(value - max(values)) for value in values]
        return [weight / math.fsum(weights) for weight in weights]

    p, used = softmax(logits), softmax(scores)
    left = [i for i, score in enumerate(scores) if score > NOTHING] if stages else range(len(p))
    best = sorted(range(len(p)), key=lambda i: -p[i])[:20]
    why = [next((name for name, told in stages if told[i] == NOTHING), None) for i in best]
    return Measured(
        token, p[token], used[token], math.log(p[token]), sum(one > logits[token] for one in logits),
        -math.fsum(x * math.log(x) for x in p), len(left), min(1.0, math.fsum(p[i] for i in left)),
        Likeliest(best, [p[i] for i in best], [used[i] for i in best], tuple(why)),
    )  # fmt: skip


def near(found: Measured, wanted: Measured) -> None:
    numbers = slice(1, 8)
    assert found[numbers] == pytest.approx(wanted[numbers], abs=2e-6, rel=2e-6)
    assert (found.id, found.rank, found.kept) == (wanted.id, wanted.rank, wanted.kept)
    assert found.likeliest.p_model == pytest.approx(wanted.likeliest.p_model, abs=1e-6)
    cut_of = dict(zip(wanted.likeliest.ids, wanted.likeliest.cut_by, strict=True))
    used_of = dict(zip(wanted.likeliest.ids, wanted.likeliest.p_used, strict=True))
    for option in found.options:
        if option.id in cut_of:  # of tokens with the last place in common only one is told
            assert option.cut_by == cut_of[option.id]
            assert option.p_used == pytest.approx(used_of[option.id], abs=1e-6)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4, 5], [5, 2, 2, 0], [4]], ids=["all", "some, one twice", "one"])
def test_that_rows_with_and_without_rules_are_measured_by_the_textbook(rows: list[int]) -> None:
    logits = drawn(6)
    look = mixed(logits)
    ids = [int(logits[row].argsort(descending=True)[place]) for place, row in enumerate(rows)]
    for row, token, found in zip(rows, ids, measure(look, rows, ids), strict=True):
        scores, stages = logits[row], list[tuple[str, list[float]]]()
        for part in look.parts:
            if row in part.rows:
                place = part.rows.index(row)
                scores = part.processed.scores[place]
                stages = [(name, told[place].tolist()) for name, told in part.processed.stages]
        near(found, by_hand(logits[row].tolist(), scores.tolist(), stages, token))


def test_that_a_row_without_rules_uses_what_the_model_says_to_the_bit() -> None:
    for look in (Look(drawn(6)), mixed(drawn(6))):
        told = measure(look, [0, 3], [1, 2])
        assert all(one.p_used == one.p_model and one.likeliest.p_used == one.likeliest.p_model for one in told)
        assert [(one.kept, one.kept_mass, set(one.likeliest.cut_by)) for one in told] == [(30, 1.0, {None})] * 2


def test_that_the_first_rule_that_cut_a_token_is_named() -> None:
    logits = torch.tensor([COLD])
    first = cut(logits, math.log(0.2))
    second = cut(first, math.log(0.3))
    told = measure(Look.of(logits, Processed(second, [("one", first), ("two", second)])), [0], [0])[0]
    assert told.likeliest.cut_by == (None, "two", "one", "one")
    assert (told.kept, told.kept_mass, told.p_used, told.rank) == (1, pytest.approx(0.5), 1.0, 0)
    assert told.entropy == pytest.approx(1.75 * math.log(2))


def test_that_a_chain_without_rules_is_no_part_of_a_look() -> None:
    logits = drawn(2)
    assert Look.of(logits, Processed(logits, [])).parts == ()
    assert [part.rows for part in Look.of(logits, one_rule(logits)).parts] == [[0, 1]]


def test_that_the_mass_that_is_kept_is_never_above_one() -> None:
    logits = torch.zeros(1, 9973)
    logits[0, 0] = -1.0
    told = measure(Look.of(logits, Processed(logits, [("nothing cut", logits)])), [0], [1])[0]
    assert told.kept_mass <= 1.0 and told.kept == 9973


def noted(looks: list[Look], beside: Unmeasured | None) -> list[Noted]:
    """A token of every row of every look."""
    rows = [(look, row) for look in looks for row in range(len(look.logits))]
    if beside is not None:
        return [beside.note(place % 30, look, row, None) for place, (look, row) in enumerate(rows)]
    return [Noted(place % 30, look, row) for place, (look, row) in enumerate(rows)]


def test_that_several_looks_at_once_say_what_each_says_alone_to_the_bit() -> None:
    looks = [mixed(drawn(6, seed)) for seed in range(4)] + [Look(drawn(2, 9)), Look.of(drawn(1), one_rule(drawn(1)))]
    together = measured(noted(looks, None))
    alone = [measured([one])[0] for one in noted(looks, None)]
    assert len(together) == 27
    assert together == alone


def test_that_rules_of_the_same_names_are_joined_and_keep_their_rows() -> None:
    looks = [mixed(drawn(6, 1)), Look(drawn(3, 5)), mixed(drawn(6, 2))]
    whole = module.joined(looks)
    assert whole.logits.shape == (15, 30)
    assert [(part.rows, [name for name, _ in part.processed.stages]) for part in whole.parts] == [
        ([1, 2, 10, 11], ["one", "two"]),
        ([4, 13], ["only"]),
    ]
    for part in whole.parts:
        raw, told = whole.logits[part.rows], part.processed
        assert torch.equal(told.scores, (two_rules if len(told.stages) == 2 else one_rule)(raw).scores)
        assert torch.equal(told.stages[0][1], (two_rules if len(told.stages) == 2 else one_rule)(raw).stages[0][1])
    assert module.joined(looks[:1]) is looks[0], "one look is not copied"


def test_that_whoever_asks_first_has_all_columns_measured_and_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(look: Look, rows: list[int], ids: list[int]) -> list[Measured]:
        sizes.append(len(rows))
        return measure(look, rows, ids)

    monkeypatch.setattr(module, "measure", counted)
    beside = Unmeasured()
    first = noted([mixed(drawn(6, seed)) for seed in range(3)], beside)
    assert beside.seconds == 0.0
    column = first[2::6]
    told = measured(column)
    assert sizes == [18]
    assert beside.seconds > 0
    assert [one.id for one in told] == [one.id for one in column]
    others = measured(first)
    assert sizes == [18], "the others' tokens wait measured"
    assert others[2::6] == told
    later = noted([Look(drawn(2))], beside)
    measured([*column, later[1]])
    assert sizes == [18, 2]
    assert measured([]) == []


def test_that_a_token_keeps_its_row_s_logits_and_its_trace() -> None:
    logits = drawn(3)
    trace = module.MirostatTrace(mu=5.0, surprise=2.0)
    one = Unmeasured().note(4, Look(logits), 2, trace)
    assert torch.equal(one.logits, logits[2])
    told = measured([one])[0]
    assert (told.mirostat, told.id, told.beam) == (trace, 4, None)
    assert told.logprob == pytest.approx(float(logits[2].log_softmax(-1)[4]), abs=1e-6)
