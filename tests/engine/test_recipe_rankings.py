"""Reward models from rankings of several completions, with ties and several annotators."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from workbench.domain.errors import RunFailed
from workbench.domain.specs.reward import RewardSpec
from workbench.engine import item_forward, losses
from workbench.engine.batches import collate
from workbench.engine.data import prompt_of
from workbench.engine.device import prepare
from workbench.engine.forward import rewards
from workbench.engine.models import load_reward, make_reward_head
from workbench.engine.reward_settings import reward_statistics
from workbench.engine.text import encode_completion, encode_prompt
from workbench.protocol.run_folder import RunFolder

Rows = list[dict[str, Any]]
Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Curves = Callable[[RunFolder], dict[int, dict[str, float]]]
LOSSES = ("bradley_terry", "hinge", "mse", "softmax", "plackett_luce")


def spec_for(base: Path, **more: Any) -> RewardSpec:
    given = {"batch_size": 6, "max_steps": 2, "max_length": 128, "sample_count": 0, "checkpoint_every": 0, **more}
    return RewardSpec(base=str(base), device="cpu", warmup=0.0, **given)


@pytest.mark.parametrize("loss", LOSSES)
def test_that_each_loss_learns_the_order_and_the_metrics_tell(
    loss: str, stories: Path, rankings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    spec = spec_for(
        stories,
        loss=loss,
        max_steps=16,
        learning_rate=3e-3,
        eval_every=16,
        holdout=0.25,
        sample_count=1,
        margin_scale=0.5,
    )
    folder = make_run(spec, rankings)
    events = here(folder)
    steps = curves(folder)
    assert steps[16]["eval/accuracy"] >= 0.7
    assert steps[16]["eval/margin"] > 0.2
    expected = {"longer_wins", "tie_gap", "accuracy/similar_length", "calibration_error", "length_bias"}
    assert {f"eval/{name}" for name in expected} <= set(steps[16])
    (planned,) = (event for event in events if event["kind"] == "planned")
    (held,) = (note for note in planned["notes"] if note.endswith(" items are held out"))
    assert planned["rows"] + int(held.split()[0]) == 36
    assert "252 pairs and 36 ties in 36 items" in planned["notes"]
    (sample,) = (event for event in events if event["kind"] == "sample")
    assert sample["numbers"]["chosen_reward"] != sample["numbers"]["rejected_reward"]


@pytest.mark.parametrize("loss", LOSSES)
def test_that_a_split_keeps_items_whole_and_changes_nothing(
    loss: str, stories: Path, rankings: Rows, make_run: Make, here: Here, curves: Curves, exact: None
) -> None:
    found = []
    for size in (0, 4, 1):
        spec = spec_for(stories, loss=loss, micro_batch_size=size, learning_rate=1e-4, margin=True, holdout=0.0)
        folder = make_run(spec, rankings, f"split{size}")
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for step in (1, 2):
            assert other[step] == pytest.approx(found[0][step], rel=1e-5, abs=1e-9)


def test_that_prompts_computed_once_give_the_same_run(
    stories: Path, rankings: Rows, make_run: Make, here: Here, curves: Curves, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**row, "prompt": [{"role": "user", "content": "Once upon a time " * 4}]} for row in rankings[::2]]
    found = []
    for shared in (True, False):
        monkeypatch.setattr(item_forward, "worth_sharing", lambda *_, said=shared: said)
        folder = make_run(spec_for(stories, holdout=0.0, learning_rate=1e-4, pooling="mean"), rows, f"shared {shared}")
        (planned,) = (event for event in here(folder) if event["kind"] == "planned")
        assert ("each prompt is computed once for all its completions" in planned["notes"]) == shared
        found.append(curves(folder))
    for step in (1, 2):
        for name in ("loss", "grad_norm"):
            assert found[0][step][name] == pytest.approx(found[1][step][name], rel=2e-5)


def test_that_a_step_is_the_mean_over_items_of_the_mean_over_pairs_read_one_by_one(
    stories: Path, rankings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    rows = [row for row in rankings if row["annotator"] == "Ada"][:5]
    spec = spec_for(stories, batch_size=5, max_steps=1, holdout=0.0, center=0.02, margin=True, margin_scale=0.3)
    folder = make_run(spec, rows)
    here(folder)
    prepare(spec)
    judge = make_reward_head(stories)
    total = 0.0
    for row in rows:
        prompt = encode_prompt(judge.tokenizer, prompt_of(row))
        ids = [encode_completion(judge.tokenizer, text) for text in row["completions"]]
        found = []
        for a, b in combinations(range(4), 2):
            if row["tiers"][a] == row["tiers"][b]:
                continue
            best, worst = (a, b) if row["tiers"][a] < row["tiers"][b] else (b, a)
            with torch.no_grad():
                scores = rewards(judge.model, collate([prompt] * 2, [ids[best], ids[worst]], judge.pad))
            margin = 0.3 * (row["tiers"][worst] - row["tiers"][best]) * row["strength"]
            found.append(float(losses.reward_pairwise(scores[:1], scores[1:], margin=margin, center=0.02)))
        assert len(found) == 5
        total += sum(found) / len(found)
    assert curves(folder)[1]["loss"] == pytest.approx(total / 5, rel=1e-5)


def test_that_rankings_of_two_are_the_pairs_they_stand_for(
    stories: Path, comparisons: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    ranked = [
        {**{k: v for k, v in row.items() if k not in {"chosen", "rejected", "margin"}},
         "completions": [row["rejected"], row["chosen"]], "tiers": [1, 0], "strength": 1}
        for row in comparisons
    ]  # fmt: skip
    found = []
    for name, rows, loss in (
        ("pairs", comparisons, "bradley_terry"),
        ("ranked", ranked, "bradley_terry"),
        ("listed", ranked, "plackett_luce"),
    ):
        folder = make_run(spec_for(stories, loss=loss, max_steps=3, learning_rate=1e-3), rows, name)
        here(folder)
        found.append(curves(folder))
    for other in found[1:]:
        for step in (1, 2, 3):
            assert other[step] == pytest.approx(found[0][step], rel=1e-4, abs=1e-5)


def test_that_items_all_tied_end_a_pairwise_run_and_teach_a_listwise_one(
    stories: Path, rankings: Rows, make_run: Make, here: Here, curves: Curves
) -> None:
    tied = [{**row, "tiers": [0, 0, 0, 0]} for row in rankings]
    with pytest.raises(RunFailed, match="No row of the dataset is usable: 48 because its completions are all tied"):
        here(make_run(spec_for(stories), tied, "pairwise"))
    folder = make_run(
        spec_for(stories, loss="plackett_luce", max_steps=10, learning_rate=3e-3, holdout=0.2), tied, "listwise"
    )
    here(folder)
    steps = curves(folder)
    assert steps[10]["eval/loss"] < steps[1]["loss"]
    assert "accuracy" not in steps[10]


@pytest.mark.parametrize("normalize", ["none", "all", "chosen"])
def test_that_the_spread_of_scores_is_saved_as_asked(
    normalize: str, stories: Path, rankings: Rows, make_run: Make, here: Here
) -> None:
    folder = make_run(spec_for(stories, normalize=normalize, holdout=0.0, learning_rate=1e-3), rankings)
    here(folder)
    loaded = load_reward(folder.model)
    found = reward_statistics(loaded.model.config)
    if normalize == "none":
        assert found is None
        return
    scores = []
    for row in {row["item"]: row for row in reversed(rankings)}.values():
        prompt = encode_prompt(loaded.tokenizer, prompt_of(row))
        for text, tier in zip(row["completions"], row["tiers"], strict=True):
            if normalize == "all" or tier == 0:
                ids = encode_completion(loaded.tokenizer, text)
                with torch.no_grad():
                    scores.append(rewards(loaded.model, collate([prompt], [ids], loaded.pad))[0])
    expected = torch.stack(scores)
    assert found == pytest.approx((float(expected.mean()), float(expected.std(correction=0))), abs=1e-4)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks by the old name
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("pooling", ["last", "mean", "eos"])
def test_that_the_card_beside_the_model_says_how_plain_transformers_scores_it_the_same(
    pooling: str, method: str, stories: Path, rankings: Rows, make_run: Make, here: Here
) -> None:
    folder = make_run(spec_for(stories, pooling=pooling, method=method, learning_rate=1e-2), rankings)
    here(folder)
    judge = load_reward(folder.model)
    prompt_ids = encode_prompt(judge.tokenizer, prompt_of(rankings[0]))
    completion_ids = encode_completion(judge.tokenizer, rankings[0]["completions"][0])
    with torch.no_grad():
        ours = rewards(judge.model, collate([prompt_ids], [completion_ids], judge.pad))
    card = (folder.model / "README.md").read_text(encoding="utf-8")
    code = [part.split("```")[0] for part in card.split("```python\n")[1:]]
    assert len(code) == 2
    names = {
        "AutoModelForSequenceClassification": AutoModelForSequenceClassification,
        "PeftModel": PeftModel,
        "torch": torch,
        "FOLDER": folder.model,
        "BASE": stories,
        "prompt_ids": prompt_ids,
        "completion_ids": completion_ids,
    }
    exec("\n".join(code), names)  # the card's own code, as a reader would run it
    assert float(names["score"].detach()) == pytest.approx(float(ours), abs=1e-5)
    assert ("reward_mean" in card) and ("`config.json`" in card)


def test_that_rows_that_are_too_long_are_counted_and_told(
    stories: Path, rankings: Rows, make_run: Make, here: Here
) -> None:
    long = [{**row, "completions": [*row["completions"][:3], "long " * 200]} for row in rankings]
    events = here(make_run(spec_for(stories), long))
    (notice,) = (event for event in events if event["kind"] == "noticed")
    assert "36 completions don't fit into 128 tokens" in notice["what"]
