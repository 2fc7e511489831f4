"""What a reward model's config says of its scores survives saving, and pooling reads where it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from workbench.domain.errors import BadInput
from workbench.engine import forward
from workbench.engine.batches import Batch, collate
from workbench.engine.models import Loaded, load_reward, make_reward_head, save_model
from workbench.engine.reward_settings import copy_settings, pooling_of, reward_statistics, set_pooling, set_statistics

PROMPTS = [[1, 20, 30], [1, 40, 50, 60, 70]]
COMPLETIONS = [[100, 110, 120, 2], [130, 140]]  # the second was cut off


@pytest.fixture
def judge(stories: Path) -> Loaded:
    torch.manual_seed(1)
    return make_reward_head(stories)


def scores(model: Any, batch: Batch) -> list[float]:
    with torch.no_grad():
        return forward.rewards(model, batch).tolist()


def alone(model: Any, prompt: list[int], completion: list[int]) -> torch.Tensor:
    """The head's numbers at every position of one sequence, without any padding."""
    with torch.no_grad():
        hidden = model.model(input_ids=torch.tensor([prompt + completion])).last_hidden_state
        return model.score(hidden)[0, :, 0]


def test_that_settings_survive_saving_and_loading(judge: Loaded, tmp_path: Path) -> None:
    set_pooling(judge.model.config, "mean", 2)
    set_statistics(judge.model.config, torch.tensor([1.0, 3.0]))
    save_model(judge.model, judge.tokenizer, tmp_path / "judge")
    config = load_reward(tmp_path / "judge").model.config
    assert pooling_of(config) == ("mean", 2)
    found = reward_statistics(config)
    assert found is not None
    assert found == (2.0, 1.0)
    assert found.standardise(torch.tensor([1.0, 2.0, 4.0])).tolist() == [-1.0, 0.0, 2.0]
    config.reward_pooling = "median"
    with pytest.raises(BadInput, match="pooling 'median'"):
        pooling_of(config)


def test_that_a_model_from_before_reads_at_the_last_token_and_has_no_statistics() -> None:
    config = LlamaConfig()
    assert pooling_of(config) == ("last", None)
    assert reward_statistics(config) is None


def test_that_equal_scores_get_a_deviation_that_can_be_divided_by() -> None:
    config = LlamaConfig()
    set_statistics(config, torch.tensor([0.5, 0.5]))
    assert reward_statistics(config) == (0.5, 1.0)


def test_that_eos_pooling_without_an_end_token_and_a_damaged_model_are_refused(judge: Loaded, tmp_path: Path) -> None:
    set_pooling(judge.model.config, "eos", None)
    save_model(judge.model, judge.tokenizer, tmp_path / "judge")
    with pytest.raises(BadInput, match="asks for the pooling 'eos'") as caught:
        load_reward(tmp_path / "judge")
    assert "reward_pooling" in caught.value.hint


def test_that_a_folder_without_a_config_leaves_the_settings_as_they_were(tmp_path: Path) -> None:
    config = LlamaConfig()
    set_pooling(config, "mean", 2)
    copy_settings(tmp_path, config)
    assert pooling_of(config) == ("mean", 2)


def test_that_last_pooling_reads_the_last_token_of_each(judge: Loaded) -> None:
    found = scores(judge.model, collate(PROMPTS, COMPLETIONS, pad=2))
    expected = [float(alone(judge.model, p, c)[-1]) for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert found == pytest.approx(expected, abs=1e-5)


def test_that_mean_pooling_is_the_mean_over_the_completion_and_blind_to_padding(judge: Loaded) -> None:
    set_pooling(judge.model.config, "mean", 2)
    expected = [float(alone(judge.model, p, c)[len(p) :].mean()) for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    for pad in (0, 2):
        assert scores(judge.model, collate(PROMPTS, COMPLETIONS, pad)) == pytest.approx(expected, abs=1e-5)


def test_that_eos_pooling_puts_an_end_behind_what_was_cut_off(judge: Loaded) -> None:
    last = scores(judge.model, collate(PROMPTS, COMPLETIONS, pad=0))
    set_pooling(judge.model.config, "eos", 2)
    found = scores(judge.model, collate(PROMPTS, COMPLETIONS, pad=0))
    assert found[0] == pytest.approx(last[0], abs=1e-6)
    assert found[1] == pytest.approx(float(alone(judge.model, PROMPTS[1], [*COMPLETIONS[1], 2])[-1]), abs=1e-5)
    assert abs(found[1] - last[1]) > 1e-4


def test_that_an_end_takes_the_place_of_the_last_token_where_the_context_is_full() -> None:
    batch = collate([[1, 5], [1, 6, 7]], [[8, 9, 2], [10, 11]], pad=0)
    full = forward.ended(batch, 2, 5)
    assert full.input_ids.tolist() == [[1, 5, 8, 9, 2], [1, 6, 7, 10, 2]]
    longer = forward.ended(batch, 2, 6)
    assert longer.input_ids.tolist() == [[1, 5, 8, 9, 2, 1], [1, 6, 7, 10, 11, 2]]
    assert longer.attention_mask.sum(1).tolist() == [5, 6]
    assert longer.last.tolist() == [4, 5]
    assert longer.position_ids[1].tolist() == list(range(6))
    assert batch.last.tolist() == [4, 4]


def test_that_a_batch_whose_completions_all_end_is_left_alone() -> None:
    batch = collate([[1, 5], [1]], [[8, 2], [2]], pad=0)
    assert forward.ended(batch, 2, None) is batch


def test_that_scores_of_a_body_in_bfloat16_are_not_rounded_to_it(stories: Path) -> None:
    judge = make_reward_head(stories, dtype=torch.bfloat16)
    assert judge.model.score.weight.dtype == torch.float32
    assert judge.model.model.norm.weight.dtype == torch.bfloat16
    found = torch.tensor(scores(judge.model, collate(PROMPTS, COMPLETIONS, pad=0)))
    assert not torch.equal(found, found.bfloat16().float())
