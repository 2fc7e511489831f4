"""Numbers that stand on a border, and settings that are zero: where a comparison turns, and what counts as said."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine.cards import card
from workbench.engine.examples import NO_LIMIT, Limit, encode_demonstrations, enough
from workbench.engine.experience import Experience, describe
from workbench.engine.groups import compare
from workbench.engine.models import Loaded
from workbench.engine.packing import pack
from workbench.engine.preferences import calibration_error, correlation, length_metrics
from workbench.engine.rankings import encode_rankings
from workbench.engine.reference import _prune
from workbench.engine.report import Report
from workbench.engine.reward_settings import (
    RewardStatistics,
    copy_settings,
    pooling_of,
    reward_statistics,
    set_pooling,
    set_statistics,
)
from workbench.engine.stopping import Stopper
from workbench.engine.text import encode_documents, encode_text, one_bos, strip_eos, with_end
from workbench.protocol.run_folder import RunFolder


class Quiet:
    """Keeps the notices of a run."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, what: str, *_: str) -> None:
        self.told.append(what)


def stopper(folder: Path, **spec: Any) -> tuple[Stopper, Quiet, nn.Linear]:
    report, net = Quiet(), nn.Linear(1, 1, bias=False)
    return Stopper(SftSpec(**spec), RunFolder(folder), report, net), report, net  # type: ignore[arg-type]


# -- stopping -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_that_patience_ends_with_the_evaluation_that_fills_it(patience: int, tmp_path: Path) -> None:
    watch, told, _ = stopper(tmp_path, patience=patience)
    assert watch.watch(1, {"eval/loss": 1.0}, 9) == 9
    for step in range(2, 2 + patience):
        left = watch.watch(step, {"eval/loss": 1.0}, 9)  # as good is no better
        assert left == (step if step == 1 + patience else 9)
    assert len(told.told) == 1


def test_that_a_better_evaluation_gives_all_patience_back(tmp_path: Path) -> None:
    watch, _, _ = stopper(tmp_path, patience=2)
    found = [watch.watch(step, {"eval/loss": loss}, 9) for step, loss in enumerate([5.0, 6.0, 4.0, 6.0, 6.0], 1)]
    assert found == [9, 9, 9, 9, 5]


def test_that_the_last_step_is_no_early_stop(tmp_path: Path) -> None:
    watch, told, _ = stopper(tmp_path, patience=1)
    watch.watch(1, {"eval/loss": 1.0}, 2)
    assert watch.watch(2, {"eval/loss": 2.0}, 2) == 2
    assert told.told == []
    assert watch.steps(0, 2) == 2


def test_that_of_equal_evaluations_the_first_is_the_best(tmp_path: Path) -> None:
    for kind, name in (("loss", "eval/loss"), ("accuracy", "eval/token_accuracy")):
        watch, _, net = stopper(tmp_path, keep_best=True, best_by=name)
        for step in (1, 2):
            with torch.no_grad():
                net.weight.fill_(step)
            watch.watch(step, {name: 0.5, "of": float(step)}, 9)
        assert watch.finish()["of"] == 1.0, kind
        assert net.weight.item() == 1.0


# -- experience and groups ----------------------------------------------------------------------------------------------------


def experience(returns: list[float], values: list[float]) -> Experience:
    row, said = torch.zeros(1, len(returns)), [[5] * len(returns)]
    given, forecast = torch.tensor([returns]), torch.tensor([values])
    return Experience([[1]], said, row == 0, row, row, forecast, row, given - forecast, given)


def test_that_returns_that_do_not_vary_explain_nothing() -> None:
    assert describe(experience([2.0, 2.0], [1.0, 3.0]), 0.0)["value/explained_variance"] == 0.0
    assert describe(experience([1.0, 3.0], [1.0, 3.0]), 0.0)["value/explained_variance"] == 1.0
    assert describe(experience([1.0, 3.0], [3.0, 1.0]), 0.0)["value/explained_variance"] == pytest.approx(-3.0)


def test_that_masked_completions_are_compared_with_but_neither_learned_nor_counted() -> None:
    spec = GrpoSpec(group_size=3, mask_unfinished=True)
    ended = torch.tensor([True, False, True, True, True, True])
    found = compare(torch.tensor([1.0, 5.0, 3.0, 2.0, 2.0, 2.0]), ended, spec)
    assert found.learned.tolist() == [True, False, True, False, False, False]
    assert found.counted.tolist() == ended.tolist()
    assert found.flat == 0.5
    assert found.advantages.tolist()[:3] == pytest.approx([-2 / 2.0001, 2 / 2.0001, 0.0], abs=1e-6)


@pytest.mark.parametrize("scores", [[[1.0, 1.0], [2.0, 2.0]], [[0.0, 0.0]]])
def test_that_groups_without_spread_teach_nothing_at_all(scores: list[list[float]]) -> None:
    flat = torch.tensor(scores).flatten()
    found = compare(flat, torch.ones_like(flat, dtype=torch.bool), GrpoSpec(group_size=2))
    assert not found.learned.any()
    assert found.counted.all()
    assert found.advantages.eq(0).all()
    assert found.flat == 1.0


# -- what preferences are judged by -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gaps", "error"),
    [
        ([40.0] * 4, 0.0),
        ([-40.0] * 4, 1.0),
        ([0.0], 0.5),  # not sure at all, and wrong: a tie is no right answer
        (
            [math.log(0.949 / 0.051)] * 2 + [math.log(0.951 / 0.049), -math.log(0.951 / 0.049)],
            0.5 * 0.051 + 0.5 * 0.451,
        ),
    ],
)
def test_that_calibration_is_by_tenths_of_how_sure_a_model_can_be(gaps: list[float], error: float) -> None:
    assert calibration_error(torch.tensor(gaps, dtype=torch.float64)) == pytest.approx(error, abs=1e-6)


def test_that_lengths_are_similar_up_to_a_quarter_more() -> None:
    better, worse = torch.tensor([125, 126, 100, 100]), torch.tensor([100, 100, 125, 126])
    found = length_metrics(torch.tensor([1.0, -1.0, 1.0, 1.0]), better, worse)
    assert found == {
        "longer_wins": 0.5,
        "accuracy/similar_length": 1.0,
        "accuracy/longer_better": 0.0,
        "accuracy/shorter_better": 1.0,
    }


def test_that_equal_lengths_count_half_for_the_rule_of_the_longer() -> None:
    found = length_metrics(torch.tensor([1.0, 1.0]), torch.tensor([5, 9]), torch.tensor([5, 1]))
    assert found["longer_wins"] == 0.75
    assert "accuracy/shorter_better" not in found


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [([1, 2, 3], [2, 4, 6], 1.0), ([1, 2, 3], [3, 2, 1], -1.0), ([1, 1, 1], [1, 2, 3], 0.0), ([4], [5], 0.0)],
)
def test_that_correlation_is_pearson_s_and_zero_where_nothing_varies(
    x: list[int], y: list[int], expected: float
) -> None:
    assert correlation(torch.tensor(x).double(), torch.tensor(y).double()) == pytest.approx(expected)


def test_that_a_ranking_without_a_strength_has_that_of_one(loaded: Loaded) -> None:
    about = {"prompt": [{"role": "user", "content": "Say."}], "raw": True, "completions": ["a", "b"], "tiers": [0, 1]}
    for said, expected in ((None, 1.0), (0, 1.0), (3, 3.0)):
        found = encode_rankings([{**about, "strength": said}], loaded.tokenizer, "auto", 64, ties=False)
        assert found.items[0].opinions[0].strength == expected


# -- how much is read ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "fields", "limit"),
    [
        (10, {"max_steps": 0, "batch_size": 4}, NO_LIMIT),
        (10, {"max_steps": 2, "batch_size": 5}, NO_LIMIT),
        (11, {"max_steps": 2, "batch_size": 5}, Limit(rows=10)),
        (11, {"max_steps": 2, "batch_size": 5, "packing": True, "max_length": 32}, Limit(tokens=320)),
    ],
)
def test_that_a_run_of_few_steps_reads_no_more_than_it_uses(rows: int, fields: dict[str, Any], limit: Limit) -> None:
    given = [{"completion": str(number)} for number in range(rows)]
    found, told = enough(given, SftSpec(**fields))
    assert told == limit
    assert (list(found) == given) is (limit == NO_LIMIT)
    assert sorted(map(str, found)) == sorted(map(str, given))


@pytest.mark.parametrize(
    ("limit", "kept"), [(Limit(rows=2), 2), (Limit(rows=1), 1), (Limit(tokens=1), 1), (NO_LIMIT, 4)]
)
def test_that_reading_ends_as_soon_as_there_is_enough(limit: Limit, kept: int, loaded: Loaded) -> None:
    prompt = [{"role": "user", "content": "Once"}]
    rows = [{"prompt": prompt, "raw": True, "completion": word} for word in ("a", " ", "b", "c", "d")]
    found = encode_demonstrations(rows, loaded.tokenizer, "auto", 64, limit=limit)
    assert len(found.pairs) == kept
    assert found.missing == (kept > 1)
    assert found.unread == 5 - kept - found.missing
    assert found.share == kept / (kept + found.unread)


def test_that_a_document_of_one_token_teaches_nothing_and_no_row_is_made_of_it() -> None:
    packed = pack([[1, 5, 6], [7], [1, 8]], 4, 0, seed=0)
    assert packed.pieces == 2
    assert 7 not in packed.ids
    assert packed.targets(range(len(packed))) == 3


def test_that_the_last_piece_of_a_long_document_may_be_too_short_to_teach() -> None:
    assert pack([[1, 2, 3, 4, 5]], 4, 0, seed=0).pieces == 1
    assert pack([[1, 2, 3, 4, 5, 6]], 4, 0, seed=0).pieces == 2


# -- settings that are zero ---------------------------------------------------------------------------------------------------


def test_that_a_mean_of_zero_and_an_end_token_of_zero_are_settings_too(tmp_path: Path) -> None:
    said = {"reward_pooling": "eos", "reward_eos_token_id": 0, "reward_mean": 0.0, "reward_std": 2.0}
    (tmp_path / "config.json").write_text(json.dumps(said))
    config = SimpleNamespace(reward_mean=7.0, reward_eos_token_id=None)
    copy_settings(tmp_path, config)
    assert pooling_of(config) == ("eos", 0)
    assert reward_statistics(config) == RewardStatistics(0.0, 2.0)


@pytest.mark.parametrize("content", [None, "{", json.dumps({"reward_mean": None})])
def test_that_a_config_that_says_nothing_changes_nothing(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    config = SimpleNamespace(reward_mean=7.0)
    copy_settings(tmp_path, config)
    assert vars(config) == {"reward_mean": 7.0}


@pytest.mark.parametrize(("mean", "std"), [(None, 1.0), (1.0, None), (1.0, 0.0)])
def test_that_half_a_statistic_is_none(mean: float | None, std: float | None) -> None:
    assert reward_statistics(SimpleNamespace(reward_mean=mean, reward_std=std)) is None
    assert reward_statistics(SimpleNamespace()) is None


def test_that_scores_are_standardised_by_what_was_saved() -> None:
    config = SimpleNamespace()
    set_statistics(config, torch.tensor([1.0, 3.0]))
    found = reward_statistics(config)
    assert found == RewardStatistics(2.0, 1.0)
    assert found.standardise(torch.tensor([2.0, 5.0])).tolist() == [0.0, 3.0]
    set_pooling(config, "mean", None)
    assert pooling_of(config) == ("mean", None)


# -- texts --------------------------------------------------------------------------------------------------------------------


class Words:
    """A tokenizer of numbers: `1` is the start, `2` the end; some add them to every text."""

    bos_token_id, eos_token_id, eos_token, bos_token = 1, 2, "</s>", "<s>"

    def __init__(self, *, start: int = 0, ends: bool = False) -> None:
        self._start, self._ends = start, ends

    def __call__(self, text: Any, **_: Any) -> dict[str, Any]:
        if isinstance(text, list):
            return {"input_ids": [self(one)["input_ids"] for one in text]}
        return {"input_ids": [1] * self._start + [int(word) for word in text.split()] + [2] * self._ends}


@pytest.mark.parametrize(
    ("words", "text", "ids"),
    [
        (Words(), "", [1]),
        (Words(start=1), "", [1]),
        (Words(ends=True), "", [2]),  # what such a tokenizer makes of nothing is a text's beginning as it stands
        (Words(start=1, ends=True), "", [1]),
        (Words(start=2), "7", [1, 7]),
        (Words(start=1, ends=True), "7 2", [1, 7]),
        (Words(), "7", [7]),
    ],
)
def test_that_a_text_begins_at_most_once_and_does_not_end(words: Words, text: str, ids: list[int]) -> None:
    assert encode_text(words, text) == ids


def test_that_documents_end_once() -> None:
    assert encode_documents(Words(start=1, ends=True), ["7 8</s></s>", "9"]) == [[1, 7, 8, 2], [1, 9, 2]]
    assert encode_documents(Words(), ["7"] * 3, slice_size=2) == [[7, 2]] * 3


def test_that_a_start_that_is_also_the_end_is_a_separator_and_stays() -> None:
    words = Words()
    words.eos_token_id = 1  # type: ignore[misc]
    assert one_bos(words, [1, 1, 7]) == [1, 1, 7]
    assert one_bos(Words(), [1, 1, 1]) == [1]


@pytest.mark.parametrize(("ids", "found"), [([], [2]), ([7], [7, 2]), ([7, 2], [7, 2]), ([2, 7], [2, 7, 2])])
def test_that_an_encoder_s_text_ends_once(ids: list[int], found: list[int]) -> None:
    assert with_end(Words(), ids) == found


def test_that_only_ends_at_the_end_are_taken_off() -> None:
    assert strip_eos(Words(), "a</s>b</s></s>") == "a</s>b"


# -- the cache of references, and cards ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "left"), [(30, "abc"), (29, "bc"), (20, "bc"), (19, "c"), (0, "")])
def test_that_the_oldest_slices_go_until_the_rest_is_small_enough(most: int, left: str, tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    for age, name in enumerate("abc"):
        file = tmp_path / "key" / f"{name}.safetensors"
        file.write_bytes(b"0" * 10)
        os.utime(file, (1000 + age, 1000 + age))
    _prune(tmp_path, most)
    assert "".join(sorted(file.stem for file in tmp_path.glob("*/*"))) == left


@pytest.mark.parametrize(("normalize", "told"), [("none", False), ("all", True), ("chosen", True)])
def test_that_a_card_speaks_of_the_spread_of_scores_where_it_was_measured(normalize: Any, told: bool) -> None:
    text = card(RewardSpec(normalize=normalize), 1, 1, {})
    assert ("reward_std" in text.split("## Spec")[0]) is told


@pytest.mark.parametrize(
    ("spec", "words", "others"),
    [
        (SftSpec(), "AutoModelForCausalLM.from_pretrained(FOLDER)", "PeftModel"),
        (SftSpec(method="lora"), "PeftModel.from_pretrained(base, FOLDER)", "num_labels"),
        (
            RewardSpec(method="lora"),
            "AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=1)",
            "CausalLM",
        ),
        (SftSpec(method="bottleneck"), "plain peft can't", "PeftModel"),
        (PpoSpec(method="bitfit"), "AutoModelForCausalLM.from_pretrained(FOLDER)", "PeftModel"),
        (RewardSpec(pooling="mean", method="lora"), "merge_and_unload()", "logits[0, 0]"),
        (RewardSpec(pooling="mean"), "[0, len(prompt_ids) :].mean()", "merge_and"),
        (RewardSpec(pooling="mean", method="prompt"), "gives this score", "hidden ="),
        (RewardSpec(), "logits[0, 0]", ".mean()"),
    ],
)
def test_that_a_card_says_how_such_a_model_is_loaded_and_scored(spec: Any, words: str, others: str) -> None:
    text = card(spec, 1, 1, {}).split("## Spec")[0]
    assert words in text
    assert others not in text


def test_that_a_report_of_zero_is_a_report(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(SftSpec())
    report = Report(folder)
    report.metric(0, {"eval/kl": 0.0}, loss=0.0)
    report.close()
    (event,) = map(json.loads, folder.events.read_text().splitlines())
    assert (event["step"], event["values"]) == (0, {"eval/kl": 0.0, "loss": 0.0})
    again = Report(folder)
    assert again.restarted
    again.close()
