"""Law 4: contrastive decoding is the expert's greedy where it must be; else what a plain statement of the formula finds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from tests.engine.architectures import make_model
from tests.engine.decoding.tables import Table
from tests.engine.decoding.told import Told, finish
from workbench.domain.choices import TokenChoice
from workbench.domain.decoding import Contrastive, Greedy, other_model, with_folder
from workbench.domain.errors import BadInput
from workbench.engine.decoding.contrastive import contrastive
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.general import General
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.task import Task
from workbench.engine.decoding.voice import Voice

PROMPT = [1, 7, 9, 33, 7, 9]
EOS = frozenset({2})
PAIRS = [("llama", "gpt2"), ("qwen3", "opt"), ("gemma2", "neox"), ("mixtral", "falcon")]


def told(expert: Any, amateur: Any, settings: Contrastive, limit: int = 8, start: tuple[int, ...] = ()) -> Told:
    task = Task(PROMPT, limit, EOS, start=start)
    return finish(contrastive(General(expert), General(amateur), task, settings))


def plainly(expert: Any, amateur: Any, s: Contrastive, limit: int) -> list[tuple[int, float]]:
    """(token, score) of each step, both models reading everything anew."""
    output: list[int] = []
    found: list[tuple[int, float]] = []
    while len(found) < limit and (not found or found[-1][0] not in EOS):
        scores = scored(expert, amateur, s, output)
        token = max(scores, key=lambda v: scores[v])
        found.append((token, scores[token]))
        output.append(token)
    return found


def scored(expert: Any, amateur: Any, s: Contrastive, output: list[int]) -> dict[int, float]:
    """The scores of the plausible tokens."""
    with torch.inference_mode():
        e = torch.log_softmax(expert(torch.tensor([[*PROMPT, *output]])).logits[0, -1].double(), -1).tolist()
        seen = PROMPT if s.amateur_sees_prompt else PROMPT[-1:]
        raw = amateur(torch.tensor([[*seen, *output]])).logits[0, -1].double()
        a = torch.log_softmax(raw / s.amateur_temperature, -1).tolist()
    least = math.exp(max(e)) * s.alpha
    if s.num_beams > 1:
        least = min(least, math.exp(sorted(e)[-2]))
    return {v: e[v] - s.coefficient * a[v] for v in range(len(e)) if math.exp(e[v]) >= least * (1 - 1e-9)}


SETTINGS = [
    Contrastive(),
    Contrastive(alpha=0.02, coefficient=0.5, amateur_temperature=0.5),
    Contrastive(alpha=0.01, amateur_sees_prompt=False),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=["usual", "temperature", "blind"])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_that_it_finds_what_the_plain_statement_finds(pair: tuple[str, str], settings: Contrastive) -> None:
    expert, amateur = (make_model(name) for name in pair)
    expected = plainly(expert, amateur, settings, 8)
    found = told(expert, amateur, settings)
    assert found.ids == [token for token, _ in expected]
    for token, (_, score) in zip(found.tokens, expected, strict=True):
        assert token.contrast.score == pytest.approx(score, abs=1e-3)
        assert token.contrast.expert == pytest.approx(token.p_model, abs=1e-6)


def test_that_settings_change_what_is_found() -> None:
    """The plain statement would notice a temperature, a coefficient or a prompt that is forgotten."""
    expert, amateur = make_model("llama"), make_model("gpt2")
    base = Contrastive(alpha=0.001)
    others = [{"amateur_temperature": 0.3}, {"coefficient": 0.3}, {"amateur_sees_prompt": False}]
    texts = [tuple(told(expert, amateur, base.model_copy(update=other)).ids) for other in ({}, *others)]
    assert len(set(texts)) == 4


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_that_law_four_holds(pair: tuple[str, str]) -> None:
    """alpha 1, coefficient 0, a uniform amateur, or the expert as its own amateur: the expert's greedy."""
    expert, amateur = (make_model(name) for name in pair)
    plain = finish(greedy(General(expert), Task(PROMPT, 12, EOS), Greedy())).ids
    assert told(expert, amateur, Contrastive(alpha=1.0), 12).ids == plain
    assert told(expert, amateur, Contrastive(alpha=0.001, coefficient=0.0), 12).ids == plain
    assert told(expert, expert, Contrastive(alpha=0.001), 12).ids == plain
    flat = Table(lambda text: [1 / 128] * 128)
    task = Task(PROMPT, 12, EOS)
    assert finish(contrastive(General(expert), flat, task, Contrastive(alpha=0.001))).ids == plain
    assert told(expert, amateur, Contrastive(alpha=0.001, coefficient=3.0), 12).ids != plain, "else the law is empty"


def test_that_a_sample_has_the_distribution_of_the_scores() -> None:
    expert, amateur = (0.5, 0.3, 0.15, 0.05), (0.4, 0.4, 0.1, 0.1)
    ratio = [e / a for e, a in zip(expert[:3], amateur[:3], strict=True)]
    task, count = Task([0], 1, frozenset()), 2000
    seen = Counter(
        finish(
            contrastive(
                Table(lambda text: expert), Table(lambda text: amateur), task,
                Contrastive(sample=True, alpha=0.2, seed=seed),
            )
        ).ids[0]
        for seed in range(count)
    )  # fmt: skip
    assert seen[3] == 0, "an implausible token is never drawn"
    for token, weight in enumerate(ratio):
        assert seen[token] / count == pytest.approx(weight / sum(ratio), abs=0.035)


def test_that_beams_find_what_the_slow_search_finds() -> None:
    """As many beams as there are plausible texts: the greatest sum of scores over all of them."""
    expert, amateur = make_model("llama"), make_model("gpt2")
    settings = Contrastive(num_beams=8, alpha=0.05)
    texts: list[tuple[float, list[int]]] = [(0.0, [])]
    for _ in range(3):
        texts = [(t + s, [*ids, v]) for t, ids in texts for v, s in scored(expert, amateur, settings, ids).items()]
        texts = sorted(texts, reverse=True)[:8]
        assert not any(ids[-1] in EOS for _, ids in texts)
    found = told(expert, amateur, settings, 3)
    assert found.ids == texts[0][1]
    assert found.outcome.hypotheses[0].score == pytest.approx(texts[0][0], abs=1e-3)
    assert len(found.levels) == 3 and all(token.contrast for token in found.tokens)


@pytest.mark.parametrize(
    "settings",
    [Contrastive(), Contrastive(amateur_sees_prompt=False), Contrastive(sample=True, seed=4, repetition_penalty=1.3)],
    ids=["usual", "blind", "sample"],
)
def test_that_going_on_gives_the_unbroken_text(settings: Contrastive) -> None:
    expert, amateur = make_model("llama"), make_model("gpt2")
    whole = told(expert, amateur, settings, 10)
    assert len(whole.ids) > 6
    for kept in (1, 6):
        assert told(expert, amateur, settings, 10, tuple(whole.ids[:kept])).ids == whole.ids[kept:]


def test_that_an_amateur_with_fewer_ids_cuts_those_it_lacks() -> None:
    narrow = Table(lambda text: [0.5, 0.5])
    wide = Table(lambda text: [0.1, 0.3, 0.6])
    found = finish(contrastive(wide, narrow, Task([0], 1, frozenset()), Contrastive(alpha=0.1)))
    assert found.ids == [1]
    assert {option.id: option.cut_by for option in found.tokens[0].options}[2] == "contrast"


def test_that_both_voices_speak_with_texts(stories: Voice) -> None:
    prompt = stories.tokenizer("Once upon a time")["input_ids"]
    settings = Contrastive(amateur="small", amateur_sees_prompt=False, max_new_tokens=12)
    choices = [c for c in decode(stories, prompt, settings, others={"small": stories}) if isinstance(c, TokenChoice)]
    assert len(choices) == 12
    for choice in choices:
        assert choice.contrast is not None
        assert all(option.text == stories.pieces[option.id] for option in choice.contrast.options)


def test_that_the_shorter_context_of_the_amateur_bounds_the_text(stories: Voice) -> None:
    short = replace(stories, model=make_model("llama", vocab=512))
    prompt = stories.tokenizer("the cat " * 40)["input_ids"][:60]
    seeing, blind = (
        [
            c
            for c in decode(
                stories, prompt,
                Contrastive(amateur="a", amateur_sees_prompt=sees, max_new_tokens=20, min_new_tokens=20),
                others={"a": short},
            )
            if isinstance(c, TokenChoice)
        ]
        for sees in (True, False)
    )  # fmt: skip
    assert (len(seeing), len(blind)) == (4, 20)


def test_that_a_missing_or_foreign_amateur_is_refused_in_a_sentence(stories: Voice) -> None:
    prompt = stories.tokenizer("Once")["input_ids"]
    with pytest.raises(BadInput, match="needs an amateur"):
        decode(stories, prompt, Contrastive())
    with pytest.raises(BadInput, match="no amateur tiny"):
        decode(stories, prompt, Contrastive(amateur="tiny"))
    tokens = {**stories.tokenizer.get_vocab(), "▁time": 511, "¶": 403}
    other = replace(stories, tokenizer=_Renamed(tokens))
    with pytest.raises(BadInput, match="be the amateur: its tokenizer differs in"):
        decode(stories, prompt, Contrastive(amateur="tiny"), others={"tiny": other})


class _Renamed(PreTrainedTokenizerFast):
    """A tokenizer of which only the vocabulary is looked at."""

    def __init__(self, tokens: dict[str, int]) -> None:
        self._tokens = tokens

    def get_vocab(self) -> dict[str, int]:
        return self._tokens


def test_that_settings_name_their_second_model() -> None:
    assert other_model(Contrastive()) is None
    settings = with_folder(Contrastive(amateur="small"), "/models/small")
    assert other_model(settings) == "/models/small"
    with pytest.raises(ValidationError, match="can't be searched for with beams"):
        Contrastive(num_beams=3, sample=True)
