"""The starter kit in the repository is what its README says."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.analysis.story_rule import asked_for, score_story
from workbench.domain.judgement import Item, Judgement, ranking_from_scores
from workbench.services.model_folder import inspect_folder
from workbench.services.starter import kit_folder

KIT = kit_folder()


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (KIT / name).read_text(encoding="utf-8").splitlines()]


def subjects(name: str) -> set[tuple[str, str]]:
    return {asked_for(line["prompt"][0]["content"]) for line in lines(name)}


def ranked() -> list[tuple[Item, Judgement]]:
    return [
        (Item.model_validate(x["item"]), Judgement.model_validate(x["judgements"][0])) for x in lines("items.jsonl")
    ]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("demonstrations.jsonl", 400),
        ("prompts.jsonl", 300),
        ("heldout.jsonl", 100),
        ("items.jsonl", 600),
        ("to_rank.jsonl", 24),
    ],
)
def test_that_every_file_has_its_number_of_rows(name: str, count: int) -> None:
    assert len(lines(name)) == count


def test_that_the_model_is_small_enough_to_commit() -> None:
    folder = inspect_folder(KIT / "model")
    assert folder.parameters <= 3_000_000
    assert sum(p.stat().st_size for p in (KIT / "model").iterdir()) <= 8 * 2**20
    assert {p.suffix for p in (KIT / "model").iterdir()} <= {".json", ".safetensors", ".jinja", ".md"}


def test_that_the_tokenizer_has_what_chat_needs() -> None:
    tokenizer = json.loads((KIT / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(tokenizer["model"]["vocab"]) <= 2048
    config = json.loads((KIT / "model" / "tokenizer_config.json").read_text(encoding="utf-8"))
    special = {config["bos_token"], config["eos_token"], config["pad_token"]}
    assert len(special) == 3
    assert "assistant" in (KIT / "model" / "chat_template.jinja").read_text(encoding="utf-8")


def test_that_held_out_subjects_occur_nowhere_else() -> None:
    held = subjects("heldout.jsonl")
    assert len(held) == 100
    others = (
        subjects("prompts.jsonl") | subjects("demonstrations.jsonl") | {asked_for(i.prompt.text) for i, _ in ranked()}
    )
    assert not held & others


def test_that_every_item_has_four_candidates_with_their_provenance() -> None:
    for item, _ in ranked():
        assert len(item.candidates) == 4
        assert all(c.model == "starter-sft" and c.settings is not None and c.seed is not None for c in item.candidates)


def test_that_every_judgement_is_marked_as_made_by_a_rule() -> None:
    assert {(j.annotator, j.annotator_kind) for _, j in ranked()} == {("story-rule", "rule")}


def test_that_about_one_judgement_in_ten_is_noise_and_the_others_follow_the_rule() -> None:
    noisy = 0
    for item, judgement in ranked():
        if judgement.note:
            noisy += 1
            continue
        scores = [score_story(item.prompt.text, c.text).total for c in item.candidates]
        assert judgement.ranking == ranking_from_scores(scores)
    assert 36 <= noisy <= 84  # 60 expected, 7.3 standard deviation


def test_that_pairs_to_rank_are_not_judged_yet() -> None:
    for line in lines("to_rank.jsonl"):
        assert line["judgements"] == []
        assert len(line["item"]["candidates"]) == 2


def test_that_the_readme_says_what_is_synthetic() -> None:
    text = Path(KIT / "README.md").read_text(encoding="utf-8")
    assert "synthetic" in text
    for name in ("demonstrations.jsonl", "prompts.jsonl", "heldout.jsonl", "items.jsonl", "to_rank.jsonl", "model/"):
        assert f"`{name}`" in text
