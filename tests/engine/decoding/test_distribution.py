"""Law 6: what rules do at a position comes from stored logits; the model isn't run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from workbench.domain.decoding import Beam, DecodingSettings, Greedy, Sample
from workbench.engine.decoding.columns import Columns
from workbench.engine.decoding.distribution import Said, distribution
from workbench.engine.decoding.general import General
from workbench.engine.decoding.measure import Noted
from workbench.engine.decoding.task import Task
from workbench.engine.decoding.voice import Voice

# The textbooks' distribution: cat .4, dog .3, bird .2, elephant .1
PETS = {4: 0.4, 3: 0.3, 2: 0.2, 1: 0.1}


def pets() -> Tensor:
    return torch.tensor([PETS.get(token, 0.0) for token in range(6)]).log()


def of(ids: list[int], *logits: Tensor) -> Said:
    return Said([0], ids, list(logits), frozenset({0}))


def told(stories: Voice, settings: Greedy | Sample, count: int = 20) -> Said:
    prompt = stories.tokenizer("Once upon a time")["input_ids"]
    steps = Columns(General(stories.model), [(Task(prompt, count, stories.eos), settings)]).steps(0)
    noted = [one for one in steps if isinstance(one, Noted)]
    return Said(prompt, [one.id for one in noted], [one.logits for one in noted], stories.eos)


@pytest.mark.parametrize(
    ("settings", "used"),
    [
        (Sample(top_k=2), [4 / 7, 3 / 7, 0, 0]),
        (Sample(top_p=0.7), [4 / 7, 3 / 7, 0, 0]),
        (Sample(top_p=0.75), [4 / 9, 3 / 9, 2 / 9, 0]),
        (Sample(temperature=0.5), [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
        (Sample(top_k=3, temperature=0.5), [16 / 29, 9 / 29, 4 / 29, 0]),
        (Greedy(), [0.4, 0.3, 0.2, 0.1]),
    ],
    ids=str,
)
def test_that_the_textbooks_examples_come_out(stories: Voice, settings: Greedy | Sample, used: list[float]) -> None:
    found = distribution(of([4], pets()), 0, settings, stories.pieces, top=4)
    assert [bar.id for bar in found.bars] == [4, 3, 2, 1]
    assert [bar.p[0] for bar in found.bars] == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert [bar.p[-1] for bar in found.bars] == pytest.approx(used, abs=1e-6)
    assert found.stages[0].rule == "model" and found.stages[0].mass == pytest.approx(1.0)
    assert found.stages[-1].kept == sum(p > 0 for p in used)
    kept = sum(p for p, after in zip((0.4, 0.3, 0.2, 0.1), used, strict=True) if after)
    assert found.stages[-1].mass == pytest.approx(kept)
    assert found.stages[-1].entropy == pytest.approx(-sum(p * torch.tensor(p).log().item() for p in used if p))


def test_that_each_stage_has_its_name_and_each_token_the_rule_that_cut_it(stories: Voice) -> None:
    found = distribution(of([4], pets()), 0, Sample(top_k=3, top_p=0.7), stories.pieces)
    assert [stage.rule for stage in found.stages] == ["model", "top_k", "top_p"]
    assert [stage.kept for stage in found.stages] == [4, 3, 2]
    cut = {bar.id: bar.cut_by for bar in found.bars}
    assert cut == {4: None, 3: None, 2: "top_p", 1: "top_k", 0: "top_k", 5: "top_k"}
    assert all(len(bar.p) == 3 for bar in found.bars)
    turned = distribution(of([4], pets()), 0, Sample(top_k=3, top_p=0.7, order=("top_p", "top_k")), stories.pieces)
    assert [stage.rule for stage in turned.stages] == ["model", "top_p", "top_k"]


def test_that_the_chosen_token_is_always_shown(stories: Voice) -> None:
    found = distribution(of([1], pets()), 0, Greedy(), stories.pieces, top=1)
    assert [bar.id for bar in found.bars] == [4, 1]
    assert (found.chosen, found.changed) == (4, 0)


def test_that_the_first_changed_choice_is_found_and_stands_alone(stories: Voice) -> None:
    a, b = pets(), pets().flip(0)
    found = distribution(of([4, 4, 4], a, b, b), 2, Greedy(), stories.pieces)
    assert (found.changed, found.chosen) == (1, 1)
    assert distribution(of([4, 1, 1], a, b, b), 0, Greedy(), stories.pieces).changed is None
    # Penalties look at the text as it stands.
    assert distribution(of([4, 4], a, a), 0, Greedy(presence_penalty=1.0), stories.pieces).changed == 1
    assert distribution(of([4], a), 0, Beam(), stories.pieces).changed is None


@pytest.mark.parametrize(
    "settings",
    [
        Greedy(repetition_penalty=1.3, no_repeat_ngram=2),
        Sample(seed=5, temperature=0.8, top_p=0.9),
        Sample(seed=6, mirostat_tau=2.0, temperature=1.5),
    ],
    ids=["greedy", "sample", "mirostat"],
)
def test_that_a_column_s_own_settings_change_nothing(stories: Voice, settings: Greedy | Sample) -> None:
    said = told(stories, settings)
    for position in (0, 7, 19):
        found = distribution(said, position, settings, stories.pieces)
        assert (found.chosen, found.changed) == (said.ids[position], None)
    other: DecodingSettings = settings.model_copy(update={"no_repeat_ngram": 1, "repetition_penalty": 5.0})
    assert distribution(said, 0, other, stories.pieces).changed is not None


def test_that_moving_a_slider_does_not_run_the_model(stories: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    said = told(stories, Sample(seed=5))

    def called(*args: object, **more: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr(type(stories.model), "forward", called)
    monkeypatch.setattr("workbench.engine.plans.planned.Planned._layers", called)
    changed = {distribution(said, 5, Sample(seed=5, top_k=k), stories.pieces).changed for k in (1, 2, 5, 50)}
    assert len(changed) > 1
