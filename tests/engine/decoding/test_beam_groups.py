"""Diverse groups against a slow statement of the algorithm that reads every hypothesis from its beginning."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.engine.decoding.told import Told, finish
from workbench.domain.decoding import Beam
from workbench.domain.lengths import length_divisor
from workbench.domain.specs.kinds import explain
from workbench.engine.decoding.beam import beam
from workbench.engine.decoding.general import General
from workbench.engine.decoding.task import Task

PROMPT = [1, 7, 9, 33]
EOS = frozenset({0})
Texts = list[tuple[float, tuple[int, ...]]]


def slowly(model: Any, settings: Beam, limit: int, penalise: bool = True) -> Texts:
    """All finished hypotheses of all groups as (score, ids), best first; `penalise=False` is a version that forgets to."""
    size = settings.num_beams // settings.num_groups
    live: list[Texts] = [[(0.0, ())] for _ in range(settings.num_groups)]
    finished: list[Texts] = [[] for _ in live]
    over: set[int] = set()
    for length in range(1, limit + 1):
        said: Counter[int] = Counter()
        for group in range(settings.num_groups):
            if group in over:
                continue
            table = []
            for total, ids in live[group]:
                with torch.inference_mode():
                    logp = torch.log_softmax(model(torch.tensor([[*PROMPT, *ids]])).logits[0, -1].double(), -1).tolist()
                table += [(total + lp - settings.diversity_penalty * said[v], (*ids, v)) for v, lp in enumerate(logp)]
            table.sort(key=lambda pair: -pair[0])
            going: Texts = []
            for rank, (total, ids) in enumerate(table[: 2 * size]):
                if ids[-1] in EOS or length == limit:
                    if rank < size:
                        finished[group].append((total / length_divisor(settings, length), ids))
                elif len(going) < size:
                    going.append((total, ids))
            finished[group] = sorted(finished[group], reverse=True)[:size]
            live[group] = going
            if penalise:
                said.update(ids[-1] for _, ids in going)
            enough = len(finished[group]) == size
            if not going or (enough and going[0][0] / length_divisor(settings, length) <= finished[group][-1][0]):
                over.add(group)
    return sorted((pair for group in finished for pair in group), reverse=True)


def grown(model: Any, settings: Beam, limit: int) -> Told:
    return finish(beam(General(model), Task(PROMPT, limit, EOS), settings))


@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (6, 2)], ids=str)
@pytest.mark.parametrize("penalty", [0.4, 3.0])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_that_groups_find_what_the_slow_statement_finds(
    zoo: dict[str, Any], name: str, penalty: float, shape: tuple[int, int]
) -> None:
    settings = Beam(num_beams=shape[0], num_groups=shape[1], diversity_penalty=penalty, num_return=shape[0])
    expected = slowly(zoo[name], settings, 9)
    told = grown(zoo[name], settings, 9)
    assert [h.ids for h in told.outcome.hypotheses] == [ids for _, ids in expected]
    assert [h.score for h in told.outcome.hypotheses] == pytest.approx([score for score, _ in expected], abs=1e-4)
    assert tuple(told.ids) == expected[0][1]


def test_that_the_slow_statement_sees_a_forgotten_penalty(zoo: dict[str, Any]) -> None:
    settings = Beam(num_beams=4, num_groups=2, diversity_penalty=3.0)
    right, wrong = (slowly(zoo["gpt2"], settings, 6, penalise) for penalise in (True, False))
    assert [ids for _, ids in right] != [ids for _, ids in wrong]


def test_that_a_large_penalty_makes_every_group_begin_otherwise(zoo: dict[str, Any]) -> None:
    settings = Beam(num_beams=5, num_groups=5, diversity_penalty=100.0, num_return=5)
    told = grown(zoo["qwen2"], settings, 6)
    assert len({hypothesis.ids[0] for hypothesis in told.outcome.hypotheses}) == 5


def test_that_without_a_penalty_every_group_finds_the_same(zoo: dict[str, Any]) -> None:
    settings = Beam(num_beams=6, num_groups=3, num_return=6)
    found = [h.ids for h in grown(zoo["llama"], settings, 8).outcome.hypotheses]
    alone = [h.ids for h in grown(zoo["llama"], Beam(num_beams=2, num_return=2), 8).outcome.hypotheses]
    assert Counter(found) == Counter(alone * 3)


def test_that_groups_must_share_the_beams_evenly() -> None:
    with pytest.raises(ValidationError) as refused:
        Beam(num_beams=4, num_groups=3)
    assert "num_groups: value error, 3 groups can't share 4 beams evenly" in explain(refused.value)[0]


@pytest.mark.parametrize("groups", [1, 2])
def test_that_levels_tell_the_whole_tree(zoo: dict[str, Any], groups: int) -> None:
    settings = Beam(num_beams=4, num_groups=groups, diversity_penalty=1.0, early_stopping="never")
    told = grown(zoo["llama"], settings, 10)
    assert [level.step for level in told.levels] == list(range(1, len(told.levels) + 1))
    before = {-1: 0.0}
    states: Counter[str] = Counter()
    for level in told.levels:
        slots = [node.slot for node in level.nodes]
        assert slots == list(range(len(slots)))
        states.update(node.state for node in level.nodes)
        for node in level.nodes:
            assert node.logprob < before[node.parent], "probabilities and penalties only take away"
            assert node.score == pytest.approx(node.logprob / length_divisor(settings, level.step))
            assert 0 <= node.group < groups
        going = [node for node in level.nodes if node.state == "live"]
        assert [node.slot for node in going] == list(range(len(going))), "slots of those that go on are the next rows"
        dropped = [node.logprob for node in level.nodes if node.state == "pruned" and node.group == 0]
        kept = [node.logprob for node in going if node.group == 0]
        assert not dropped or not kept or max(dropped) <= min(kept), "the worse ones are dropped"
        before = {node.slot: node.logprob for node in going}
    assert min(states[state] for state in ("live", "finished", "pruned")) > 0


def test_that_the_best_hypothesis_is_a_path_through_the_levels(zoo: dict[str, Any]) -> None:
    told = grown(zoo["gpt2"], Beam(num_beams=3, early_stopping="never"), 12)
    for level, token in zip(told.levels, told.tokens, strict=False):
        node = level.nodes[token.beam.index]
        assert (node.id, node.slot) == (token.id, token.beam.index)
        assert node.logprob == pytest.approx(token.beam.score)
        assert node.parent == (-1 if level.step == 1 else token.beam.parent)
    assert level.nodes[token.beam.index].state == "finished" or told.outcome.reason == "length"


def test_that_one_beam_goes_on_as_if_it_had_not_stopped(zoo: dict[str, Any]) -> None:
    settings = Beam(num_beams=1, repetition_penalty=1.3)
    for model in zoo.values():
        whole = grown(model, settings, 12)
        task = Task(PROMPT, 12, EOS, start=tuple(whole.ids[:5]))
        again = finish(beam(General(model), task, settings))
        assert whole.ids[5:] == again.ids
        assert again.outcome.hypotheses[0].ids == whole.outcome.hypotheses[0].ids
        assert again.outcome.hypotheses[0].score == pytest.approx(whole.outcome.hypotheses[0].score, abs=1e-4)


def test_that_a_search_that_goes_on_keeps_the_score_of_what_was_there(zoo: dict[str, Any]) -> None:
    """Several beams have become one hypothesis: what is found behind it is scored as the whole text."""
    model, start = zoo["gpt2"], (4, 9)
    settings = Beam(num_beams=4, length_penalty=1.0)
    best = finish(beam(General(model), Task(PROMPT, 8, EOS, start=start), settings)).outcome.hypotheses[0]
    text = [*PROMPT, *best.ids]
    with torch.inference_mode():
        logp = torch.log_softmax(model(torch.tensor([text])).logits[0].double(), -1)
    total = sum(float(logp[len(PROMPT) + i - 1, token]) for i, token in enumerate(best.ids))
    assert best.score == pytest.approx(total / len(best.ids), abs=1e-4)
    assert best.ids[:2] == start
