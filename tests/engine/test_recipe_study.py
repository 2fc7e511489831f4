"""The recipe of studies on a real tiny model: every cell, kept once, the same after a pause and after a kill."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.domain.choices import TokenChoice
from workbench.domain.decoding import Greedy, Sample
from workbench.domain.specs.study import StudySpec
from workbench.domain.study import Study, StudyText, StudyTexts
from workbench.engine.data import prompt_of
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.voice import Voice
from workbench.engine.models import eos_ids, load_policy
from workbench.engine.text import encode_prompt
from workbench.protocol.run_folder import RunFolder

Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
TIMES = {"tokens_per_second", "first_token_seconds", "factor"}


def spec_of(stories: Path, **more: Any) -> StudySpec:
    columns = "greedy\nsample temperature=0.9\nspeculative temperature=0.9 draft=ngram\nbeam num_beams=2"
    given = {"columns": columns, "samples": 2, "limit": 3, "batch_size": 2, "max_new_tokens": 8, "rule": "longer"}
    return StudySpec(base=str(stories), **{**given, **more})


def texts_in(folder: RunFolder) -> StudyTexts:
    return StudyTexts.model_validate_json(folder.texts.read_bytes())


def bare(texts: StudyTexts) -> list[StudyText]:
    """The texts without what is timed."""
    return [
        text.model_copy(update={"measures": {k: v for k, v in text.measures.items() if k not in TIMES}})
        for text in texts.texts
    ]


@pytest.fixture
def done(make_run: Make, here: Here, stories: Path, openings: list[dict[str, Any]], judge_folder: Path) -> RunFolder:
    spec = spec_of(stories, reward_model=str(judge_folder), judge=str(stories))
    folder = make_run(spec, openings)
    assert here(folder)[-1]["kind"] == "finished"
    return folder


def test_that_every_column_answers_every_prompt(done: RunFolder, stories: Path) -> None:
    told = texts_in(done)
    assert len(told.prompts) == 3
    counts = [sum(text.column == column for text in told.texts) for column in range(4)]
    assert counts == [3, 6, 6, 3]  # what doesn't draw says one text to each prompt
    study = Study.model_validate_json(done.study.read_bytes())
    assert [column.label for column in study.columns] == [
        "greedy",
        "sample (temperature 0.9)",
        "speculative (temperature 0.9, draft ngram)",
        "beam (num_beams 2)",
    ]
    for column in study.columns:
        assert {"rule", "reward", "judge", "perplexity", "logprob", "distinct_2", "repetition", "tokens", "ended",
                "tokens_per_second", "first_token_seconds"} <= set(column.figures)  # fmt: skip
    assert "self_bleu" in study.columns[1].figures and "self_bleu" not in study.columns[0].figures
    assert "tokens_per_pass" in study.columns[2].figures
    assert sum(column.figures["judge"].value for column in study.columns) == pytest.approx(2.0)  # of 6 pairs of 4


def test_that_each_text_can_be_drawn_again_alone(done: RunFolder, stories: Path) -> None:
    told = texts_in(done)
    loaded = load_policy(stories)
    voice = Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded))
    for text in told.texts:
        if text.column > 1:
            continue
        settings = Greedy(max_new_tokens=8) if text.column == 0 else Sample(
            temperature=0.9, seed=text.seed, max_new_tokens=8
        )  # fmt: skip
        steps = decode(voice, encode_prompt(loaded.tokenizer, told.prompts[text.prompt]), settings)
        choices = [choice for choice in steps if isinstance(choice, TokenChoice)]
        measured = [choice.logprob for choice in choices]
        assert "".join(choice.text for choice in choices).removeprefix(" ") == text.completion
        assert text.measures["logprob"] == pytest.approx(sum(measured) / len(measured), abs=1e-4)
        assert text.measures["rule"] == len(text.completion.split())


def test_that_columns_share_their_random_numbers(done: RunFolder) -> None:
    """Speculative decoding draws its bonus tokens with sample's numbers; seeds are a function of prompt and sample alone."""
    told = texts_in(done)
    seeds = {column: [t.seed for t in told.texts if t.column == column] for column in (1, 2)}
    assert seeds[1] == seeds[2] == list(range(6))


def test_that_a_paused_study_goes_on_where_it_was_and_says_the_same(
    make_run: Make, here: Here, stories: Path, openings: list[dict[str, Any]]
) -> None:
    whole = make_run(spec_of(stories), openings, "whole")
    here(whole)
    parted = make_run(spec_of(stories), openings, "parted")
    parted.want("pause")
    assert here(parted)[-1]["kind"] == "halted"
    (parted.path / "study").mkdir(exist_ok=True)
    kept = whole.path / "study" / "1-0.json"
    (parted.path / "study" / kept.name).write_bytes(kept.read_bytes())
    parted.want("run")
    events = here(parted)
    assert events[-1]["kind"] == "finished"
    assert bare(texts_in(parted)) == bare(texts_in(whole))
    assert (parted.path / "study" / kept.name).read_bytes() == kept.read_bytes()
    steps = [event["step"] for event in events if event["kind"] == "metrics"]
    assert len(steps) == len(set(steps)) == 7  # 8 cells, one of which was there


def test_that_a_study_goes_on_from_whole_cells_and_half_of_one(
    make_run: Make, here: Here, stories: Path, openings: list[dict[str, Any]]
) -> None:
    whole = make_run(spec_of(stories), openings, "whole")
    here(whole)
    killed = make_run(spec_of(stories), openings, "killed")
    cells = ["0-0", "0-2", "1-0"]
    (killed.path / "study").mkdir()
    for name in cells:  # what a kill leaves: whole cells, and one that was being written beside its place
        (killed.path / "study" / f"{name}.json").write_bytes((whole.path / "study" / f"{name}.json").read_bytes())
    (killed.path / "study" / ".1-2.json.77.tmp").write_text('[{"column": 1, "pro')
    here(killed)
    assert bare(texts_in(killed)) == bare(texts_in(whole))


def test_that_samples_show_the_columns_as_they_come(
    make_run: Make, here: Here, stories: Path, openings: list[dict[str, Any]]
) -> None:
    folder = make_run(spec_of(stories, columns="greedy\nbeam"), openings)
    samples = [event for event in here(folder) if event["kind"] == "sample"]
    assert [sample["completion"].split("\n")[0] for sample in samples] == ["greedy"] * 2 + ["beam"] * 2
    assert all(math.isfinite(value) for sample in samples for value in sample["numbers"].values())


def test_that_a_draft_from_another_model_is_loaded_beside_the_column_s(
    make_run: Make, here: Here, stories: Path, openings: list[dict[str, Any]]
) -> None:
    spec = spec_of(stories, columns=f"speculative draft={stories} gamma=3\nsample", samples=1, limit=2)
    folder = make_run(spec, openings)
    here(folder)
    told = texts_in(folder).texts
    twice = [[text.completion for text in told if text.column == column] for column in (0, 1)]
    assert twice[0] == twice[1]  # a draft equal to the model says what sample says
    assert {text.measures["acceptance"] for text in told if "acceptance" in text.measures} == {1.0}


def test_that_the_judge_tells_texts_apart_and_equal_ones_count_half(
    make_run: Make, here: Here, stories: Path, openings: list[dict[str, Any]]
) -> None:
    folder = make_run(spec_of(stories, columns="greedy\ngreedy", judge=str(stories)), openings)
    here(folder)
    study = Study.model_validate_json(folder.study.read_bytes())
    assert [column.figures["judge"].value for column in study.columns] == [0.5, 0.5]
    shares = json.loads((folder.path / "study" / "judge-0.json").read_text())
    assert shares["0"] == {"0": 0.5, "1": 0.5}


def test_that_prompts_are_those_of_the_data_drawn_by_the_seed(
    make_run: Make, here: Here, stories: Path, openings: list[dict[str, Any]]
) -> None:
    torch.manual_seed(0)
    folder = make_run(spec_of(stories, columns="greedy", seed=4, limit=5, max_new_tokens=2), openings)
    here(folder)
    told = texts_in(folder)
    assert len(told.prompts) == 5
    assert set(told.prompts) <= {prompt_of(row) for row in openings}
