"""What a study measures of texts, piece by piece: log-probabilities by any kind of model, shares of comparisons, models let go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.decoding.test_encoding import END, NAMES, PROMPTS, model_of, tokenizer
from workbench.analysis.pairwise import Outcome
from workbench.domain.judgement import Ranking
from workbench.domain.specs.study import StudySpec
from workbench.engine import studying
from workbench.engine.decoding.encoding import EncoderDecoder
from workbench.engine.decoding.many import Written
from workbench.engine.device import Setup
from workbench.engine.judging import Finding
from workbench.engine.models import Loaded
from workbench.engine.studying import Comparer, Scorer, Stage, _logprobs, texts_of

CPU = Setup(torch.device("cpu"), torch.float32)
TEXTS = [[5, 6, END], [40], [9, 9, 9, 8, END]]
ROW = {"prompt": [{"role": "user", "content": "Say it."}], "raw": True}


def spec_of(**more: Any) -> StudySpec:
    return StudySpec(base="a model", columns="greedy", **more)


@pytest.mark.parametrize("name", NAMES)
def test_that_texts_of_a_model_with_an_encoder_are_as_likely_as_step_by_step(name: str) -> None:
    loaded = Loaded(model_of(name), tokenizer(), Path())
    found = _logprobs(loaded, PROMPTS, [Written(ids, "", ended=True) for ids in TEXTS])
    for prompt, ids, mean in zip(PROMPTS, TEXTS, found, strict=True):
        stepper, total = EncoderDecoder(loaded.model), 0.0
        logits = stepper.prefill([[*prompt, END]])
        for token in ids:
            total += float(logits[0].log_softmax(-1)[token])
            logits = stepper.step([token])
        assert mean == pytest.approx(total / len(ids), rel=1e-5)


def test_that_a_model_with_an_encoder_can_be_a_column_of_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studying, "load_language_model", lambda *_: Loaded(model_of("t5"), tokenizer(), Path()))
    spec = spec_of(max_new_tokens=4, rule="longer")
    rows = [{**ROW, "prompt": [{"role": "user", "content": f"w{n} w9"}]} for n in (5, 7)]
    scorer = Scorer(spec, Path(), CPU, None)  # type: ignore[arg-type]
    texts = texts_of(0, spec.asked[0], rows, 3, Stage(CPU), scorer, spec, CPU)
    assert [(text.prompt, text.sample, text.column) for text in texts] == [(3, 0, 0), (4, 0, 0)]
    assert all(text.measures["logprob"] < 0 and "rule" in text.measures for text in texts)
    assert "tokens_per_second" in texts[0].measures  # one text is timed, alone
    assert "tokens_per_second" not in texts[1].measures


def test_that_a_text_of_no_token_has_no_likelihood_to_speak_of(loaded: Loaded) -> None:
    assert _logprobs(loaded, [[1, 403]], [Written([], "", ended=False)]) == [0.0]


class Judge:
    """Says what it is told to: the tier of the second text less that of the first, or why not."""

    def __init__(self, *verdicts: int | str) -> None:
        self.verdicts = list(verdicts)
        self.asked: list[list[str]] = []

    def __call__(self, rows: list[dict[str, Any]]) -> list[Finding]:
        self.asked += [row["candidates"] for row in rows]
        return [self._finding(self.verdicts.pop(0)) for _ in rows]

    def _finding(self, verdict: int | str) -> Finding:
        if isinstance(verdict, str):
            return Finding(Outcome(None, 0, 0, 0, 0, 0.0), why=verdict)
        tiers = {1: ((0,), (1,)), -1: ((1,), (0,)), 0: ((0, 1),)}[verdict]
        return Finding(Outcome(Ranking(tiers=tiers), 1, 0, 0, 0, 1.0))


def comparer(*verdicts: int | str) -> tuple[Comparer, Judge]:
    made, judge = Comparer.__new__(Comparer), Judge(*verdicts)
    made._judge = judge  # type: ignore[assignment]
    return made, judge


@pytest.mark.parametrize(
    ("verdicts", "shares"),
    [
        ((1,), {0: 1.0, 2: 0.0}),
        ((-1,), {0: 0.0, 2: 1.0}),
        ((0,), {0: 0.5, 2: 0.5}),
        (("the two orders disagree",), {0: 0.5, 2: 0.5}),
        (("a question is longer than max_length",), {}),
    ],
)
def test_that_a_comparison_gives_its_winner_the_share(
    verdicts: tuple[int | str, ...], shares: dict[int, float]
) -> None:
    made, judge = comparer(*verdicts)
    assert made.shares(ROW, {2: "b", 0: "a"}) == shares
    assert judge.asked == [["a", "b"]]  # in the order of the columns


def test_that_equal_texts_share_without_being_asked_about() -> None:
    made, judge = comparer(1, 1)
    assert made.shares(ROW, {0: "same", 1: "same", 2: "other"}) == {0: 0.75, 1: 0.75, 2: 0.0}
    assert judge.asked == [["same", "other"], ["same", "other"]]


def test_that_texts_that_are_all_the_same_need_no_judge() -> None:
    made, judge = comparer()
    assert made.shares(ROW, {0: "same", 1: "same"}) == {0: 0.5, 1: 0.5}
    assert judge.asked == []


def test_that_a_column_alone_is_compared_with_nothing() -> None:
    assert comparer()[0].shares(ROW, {0: "alone"}) == {}


def test_that_models_that_the_next_column_does_not_need_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    made = Loaded(model_of("t5"), tokenizer(), Path())
    monkeypatch.setattr(studying, "load_language_model", lambda name, *_: read.append(name) or made)
    columns = "a greedy\na sample\nb contrastive amateur=a\nb greedy\na greedy"
    stage = Stage(CPU)
    for column in StudySpec(columns=columns).asked:
        loaded, _, others = stage.take(column)
        assert loaded is made
        assert list(others) == (["a"] if column.settings.strategy == "contrastive" else [])
    assert read == ["a", "b", "a"]
