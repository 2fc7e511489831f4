"""The score recipe on a real small reward model: its scores are the model's, it resumes after a kill, and it says what it can't do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Worker, events
from workbench.domain.errors import BadInput
from workbench.domain.specs.score import ScoreSpec
from workbench.domain.text import Prompt
from workbench.engine.batches import Pair, collate
from workbench.engine.device import prepare
from workbench.engine.forward import rewards
from workbench.engine.models import load_reward
from workbench.engine.recipes import score
from workbench.engine.text import encode_completion, encode_prompt
from workbench.protocol.run_folder import RunFolder

MakeRun = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Row = dict[str, Any]


@pytest.fixture
def items() -> list[Row]:
    """Nine items of two, three and four candidates; people have ranked the first four."""
    made = []
    for n in range(9):
        size = 2 + n % 3
        texts = [f"Lily saw {'a big red ball and ' * (k + 1)}number {n}." for k in range(size)]
        made.append(
            {
                "prompt": [{"role": "user", "content": f"Tell me about ball {n}."}], "raw": False, "item": f"i{n}",
                "candidates": texts, "people": [list(range(size))] if n < 4 else [],
            }
        )  # fmt: skip
    return made


def scored(folder: RunFolder) -> dict[str, dict[str, Any]]:
    found = [event for event in events(folder) if event["kind"] == "scored"]
    assert len({event["item"] for event in found}) == len(found), "an item was scored twice"
    return {event["item"]: {key: event[key] for key in ("scores", "spread", "why")} for event in found}


def test_that_every_item_gets_the_models_scores_and_a_spread(
    judge_folder: Path, items: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(ScoreSpec(base=str(judge_folder), device="cpu", batch_size=4, micro_batch_size=3, heads=4), items)
    said = here(folder)
    assert (said[-1]["kind"], said[-1]["model"]) == ("finished", None)
    found = scored(folder)
    assert set(found) == {row["item"] for row in items}
    for row in items:
        assert len(found[row["item"]]["scores"]) == len(row["candidates"])
        assert 0 <= found[row["item"]]["spread"] <= 0.5
    last = [event for event in said if event["kind"] == "metrics"][-1]
    assert last["step"] == last["values"]["score/scored"] == 9
    assert 0 <= last["values"]["score/agreement"] <= 1


def test_that_scores_are_those_of_the_plain_model(
    judge_folder: Path, items: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(ScoreSpec(base=str(judge_folder), device="cpu", precision="float32", heads=2), items[:2])
    here(folder)
    loaded = load_reward(str(judge_folder))
    for row in items[:2]:
        prompt = encode_prompt(loaded.tokenizer, Prompt.from_text(row["prompt"][0]["content"]), "auto")
        pairs = [Pair(prompt, encode_completion(loaded.tokenizer, text)) for text in row["candidates"]]
        batch = collate([p.prompt for p in pairs], [p.completion for p in pairs], loaded.pad)
        plain = rewards(loaded.model.eval(), batch).tolist()
        assert scored(folder)[row["item"]]["scores"] == pytest.approx(plain, abs=1e-5)


@pytest.mark.usefixtures("warm")
def test_that_a_killed_run_goes_on_with_the_same_verdicts(
    judge_folder: Path, items: list[Row], make_run: MakeRun, here: Here, worker: Callable[[RunFolder], Worker]
) -> None:
    spec = ScoreSpec(base=str(judge_folder), device="cpu", batch_size=1, heads=4)
    whole = make_run(spec, items, "whole")
    here(whole)
    killed = make_run(spec, items, "killed")
    first = worker(killed)
    first.until("metrics", 3)
    first.process.kill()
    first.ended()
    assert 3 <= len(scored(killed)) <= 9
    here(killed)
    assert scored(killed) == scored(whole)


def test_that_unjudged_data_and_long_responses_are_told(
    judge_folder: Path, items: list[Row], make_run: MakeRun, here: Here
) -> None:
    rows = [row | {"people": []} for row in items[:2]]
    rows[1]["candidates"] = ["word " * 900, "short"]
    folder = make_run(ScoreSpec(base=str(judge_folder), device="cpu", heads=2, max_length=128), rows)
    said = here(folder)
    assert scored(folder)["i1"] == {"scores": [], "spread": None, "why": "a response is longer than max_length"}
    told = " ".join(event["what"] for event in said if event["kind"] == "noticed")
    assert "No item is judged" in told
    assert "1 items got no score" in told


def test_that_a_language_model_is_refused(stories: Path, items: list[Row], make_run: MakeRun, here: Here) -> None:
    with pytest.raises(BadInput, match="no scores"):
        here(make_run(ScoreSpec(base=str(stories), device="cpu"), items))


def test_that_heads_lean_to_what_people_said(judge_folder: Path, items: list[Row]) -> None:
    """People liked short ones, then long ones: the fitted heads order the same candidates the way that they were told."""
    spec = ScoreSpec(base=str(judge_folder), device="cpu", precision="float32", heads=8)
    setup, loaded = prepare(spec), load_reward(str(judge_folder))
    for turn in (1, -1):
        told = [row | {"people": [list(range(len(row["candidates"])))[::turn]] * 20} for row in items[:4]]
        heads = score._heads(spec, told, loaded, setup, 512)
        for row in told:
            found = score._features(row, loaded, setup, spec, 512)
            assert found is not None
            best, worst = row["people"][0].index(0), row["people"][0].index(len(row["candidates"]) - 1)
            margins = (found[0][best] - found[0][worst]) @ heads.T
            assert float(margins.mean()) > 0
