import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.domain.runs import ModelRef
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.weighted import WeightedSpec
from workbench.services import fit

SHAPE = fit.Shape(width=1024, layers=24, vocabulary=32000, context=2048)
MILLIONS = 300_000_000


def test_that_the_shape_is_read_from_the_config(shared: Path) -> None:
    assert fit.shape_of(shared / "models" / "stories260K") == fit.Shape(64, 5, 512, 512)


def test_that_an_adapter_has_the_shape_of_its_base(shared: Path, tmp_path: Path) -> None:
    base = shared / "models" / "stories260K"
    (tmp_path / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{base}"}}')
    assert fit.shape_of(tmp_path).width == 64
    adapter = ModelRef(
        name="a", path=str(tmp_path), kind="sft", form="adapter", parameters=1000, created=datetime.now(UTC)
    )
    assert 250_000 < fit.full_parameters(adapter, fit.shape_of(tmp_path)) < 300_000


@pytest.mark.parametrize("content", [None, "{", "[]", '{"base_model_name_or_path": 3}', "{}"])
def test_that_a_folder_that_can_not_be_read_is_taken_as_small(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "adapter_config.json").write_text(content)
    assert fit.shape_of(tmp_path).layers == 8


def test_that_full_training_needs_four_numbers_for_each_parameter() -> None:
    small = SftSpec(batch_size=1, max_length=8)
    assert fit.memory_gib(small, MILLIONS, SHAPE) == pytest.approx(16 * MILLIONS / fit.GIB, rel=0.15)


def test_that_adapters_checkpointing_and_small_micro_batches_need_less() -> None:
    plain = fit.memory_gib(SftSpec(), MILLIONS, SHAPE)
    assert fit.memory_gib(SftSpec(method="lora"), MILLIONS, SHAPE) < plain
    assert fit.memory_gib(SftSpec(gradient_checkpointing=True), MILLIONS, SHAPE) < plain
    assert fit.memory_gib(SftSpec(micro_batch_size=2), MILLIONS, SHAPE) < plain


def test_that_more_roles_need_more() -> None:
    one = {"batch_size": 4, "max_length": 64}
    sft = fit.memory_gib(SftSpec(**one), MILLIONS, SHAPE)
    dpo = fit.memory_gib(DpoSpec(**one), MILLIONS, SHAPE)
    ppo = fit.memory_gib(PpoSpec(**one), MILLIONS, SHAPE, MILLIONS)
    assert sft < dpo < ppo
    assert ppo - sft >= 4 * MILLIONS / fit.GIB


def test_that_the_reference_of_dpo_is_no_second_model_in_memory() -> None:
    one = {"batch_size": 1, "max_length": 8}
    assert fit.memory_gib(DpoSpec(**one), MILLIONS, SHAPE) == pytest.approx(
        fit.memory_gib(RewardSpec(**one), MILLIONS, SHAPE), rel=0.01
    )


def test_that_a_text_is_never_longer_than_the_model_reads() -> None:
    spec = RewardSpec(max_length=1_000_000, batch_size=1)
    assert fit.memory_gib(spec, 1000, SHAPE) == fit.memory_gib(RewardSpec(max_length=2048, batch_size=1), 1000, SHAPE)


def test_that_a_larger_rank_trains_more() -> None:
    ranks = [fit.trained_parameters(SftSpec(method="lora", lora=LoraPart(rank=r)), MILLIONS, SHAPE) for r in (4, 64)]
    assert 0 < ranks[0] < ranks[1] < MILLIONS
    assert fit.trained_parameters(SftSpec(), MILLIONS, SHAPE) == MILLIONS


@pytest.mark.parametrize(
    ("fields", "rows", "steps"),
    [
        ({"batch_size": 16, "holdout": 0.0}, 160, 10),
        ({"batch_size": 16, "holdout": 0.0}, 161, 11),
        ({"batch_size": 16, "holdout": 0.5}, 160, 5),
        ({"batch_size": 16, "holdout": 0.0, "epochs": 2.5}, 160, 25),
        ({"batch_size": 16, "max_steps": 7}, 160, 7),
        ({"batch_size": 500}, 10, 1),
        ({"max_steps": 7}, 0, 0),
    ],
)
def test_that_steps_are_counted_as_the_recipes_count_them(fields: dict[str, float], rows: int, steps: int) -> None:
    assert fit.count_steps(SftSpec(**fields), rows) == steps


def test_that_documents_are_packed_into_full_rows() -> None:
    assert fit.rows_of_tokens(PretrainSpec(max_length=512), 100, 3.5 * 510, SHAPE) == 100
    assert fit.rows_of_tokens(PretrainSpec(max_length=512), 1, 10, SHAPE) == 1


def test_that_documents_that_are_not_packed_make_a_row_for_each_piece() -> None:
    assert fit.rows_of_tokens(PretrainSpec(max_length=512), 100, 3.5 * 30, SHAPE, packed=False) == 100
    assert fit.rows_of_tokens(PretrainSpec(max_length=512), 100, 3.5 * 600, SHAPE, packed=False) == 200


def test_that_there_is_memory_and_disk_to_speak_of(tmp_path: Path) -> None:
    assert fit.available_gib(SftSpec(device="cpu")) > 0
    assert fit.disk_free_gib(tmp_path) > 0
    assert fit.disk_needed_gib(PpoSpec(), MILLIONS, SHAPE) > fit.disk_needed_gib(SftSpec(), MILLIONS, SHAPE)


def test_that_each_role_that_an_online_recipe_keeps_takes_its_memory() -> None:
    few = {"batch_size": 1, "micro_batch_size": 1}
    bare = fit.memory_gib(GrpoSpec(**few), MILLIONS, SHAPE)
    assert fit.memory_gib(GrpoSpec(beta=0.1, **few), MILLIONS, SHAPE) - bare == pytest.approx(MILLIONS * 4 / fit.GIB)
    assert fit.memory_gib(GrpoSpec(**few), MILLIONS, SHAPE, MILLIONS) - bare == pytest.approx(MILLIONS * 4 / fit.GIB)
    assert fit.memory_gib(WeightedSpec(**few), MILLIONS, SHAPE) == pytest.approx(bare)
    assert fit.memory_gib(GrpoSpec(group_size=16), MILLIONS, SHAPE) > fit.memory_gib(GrpoSpec(), MILLIONS, SHAPE)
    apart, shared = (fit.memory_gib(PpoSpec(critic=c, **few), MILLIONS, SHAPE) for c in ("policy", "shared"))
    assert apart - shared == pytest.approx(4 * MILLIONS * 4 / fit.GIB)
    assert fit.disk_needed_gib(PpoSpec(critic="shared"), MILLIONS, SHAPE) < fit.disk_needed_gib(
        PpoSpec(), MILLIONS, SHAPE
    )


def adapter_on(folder: Path, base: Path, parameters: int = 1000) -> ModelRef:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    now = datetime.now(UTC)
    return ModelRef(
        name=folder.name, path=str(folder), kind="reward", form="adapter", parameters=parameters, created=now
    )


def whole(folder: Path, parameters: int = 260_000) -> ModelRef:
    now = datetime.now(UTC)
    return ModelRef(name="base", path=str(folder), kind="base", form="full", parameters=parameters, created=now)


@pytest.mark.parametrize(
    ("method", "shares"), [("lora", True), ("ia3", True), ("bottleneck", True), ("qlora", False), ("full", False)]
)
def test_that_a_reward_adapter_on_the_policy_s_base_adds_only_itself(
    shared: Path, tmp_path: Path, method: str, shares: bool
) -> None:
    base = whole(shared / "models" / "stories260K")
    reward = adapter_on(tmp_path / "judge", Path(base.path))
    assert fit.stands_on(reward, base)
    spec = PpoSpec.model_validate({"method": method})
    found = fit.reward_parameters(spec, reward, base)
    assert found == 1000 if shares else found > 200_000


def test_that_a_reward_adapter_on_another_base_brings_that_base_along(shared: Path, tmp_path: Path) -> None:
    base = whole(tmp_path / "elsewhere")
    reward = adapter_on(tmp_path / "judge", shared / "models" / "stories260K")
    assert not fit.stands_on(reward, base)
    assert not fit.stands_on(base, base)
    assert fit.reward_parameters(PpoSpec(method="lora"), reward, base) > 200_000


def test_that_a_relative_path_to_the_base_is_followed(tmp_path: Path) -> None:
    base = whole(tmp_path / "base")
    reward = adapter_on(tmp_path / "judge", Path("../base"))
    assert fit.stands_on(reward, base)


def test_that_a_critic_on_the_policy_s_base_needs_no_second_one() -> None:
    few = {"method": "lora", "batch_size": 1, "micro_batch_size": 1}
    trained = fit.trained_parameters(PpoSpec(**few), MILLIONS, SHAPE)
    shared, apart, own = (
        fit.memory_gib(PpoSpec(critic=critic, reward_model="r", **few), MILLIONS, SHAPE, 0, reward_on_base=on_base)
        for critic, on_base in (("auto", True), ("auto", False), ("policy", False))
    )
    assert (apart - shared) * fit.GIB / 4 == pytest.approx(MILLIONS - trained)
    assert own == shared


def test_that_a_rollout_counts_where_it_needs_more_than_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "read_gpus", lambda: ())
    few = {"batch_size": 512, "micro_batch_size": 1, "gradient_checkpointing": True, "max_length": 128}
    tiny = fit.Shape(width=64, layers=24, vocabulary=100, context=2048)
    sampled = fit.memory_gib(GrpoSpec(**few), 0, tiny) - fit.LIBRARIES_GIB
    assert sampled * fit.GIB / 4 == pytest.approx(2 * fit.ROLLOUT_ROWS * 128 * 24 * 64)
    packed = fit.memory_gib(GrpoSpec(**few), 1000, tiny) - fit.memory_gib(GrpoSpec(**few), 0, tiny)
    assert packed * fit.GIB / 4 == pytest.approx(5 * 1000)  # trained: four numbers each; and the copy for sampling
    assert fit.memory_gib(RewardSpec(batch_size=1, max_length=128), 0, tiny) - fit.LIBRARIES_GIB < sampled / 4


def test_that_a_model_without_weights_is_as_large_as_its_config_says(shared: Path) -> None:
    folder = shared / "models" / "stories260K"
    unborn = whole(folder, parameters=0)
    found = fit.full_parameters(unborn, fit.shape_of(folder))
    assert found == 12 * 5 * 64**2 + 512 * 64
    assert found == pytest.approx(260_000, rel=0.1)
    assert fit.memory_gib(PretrainSpec(batch_size=1, max_length=8), found, SHAPE) > fit.memory_gib(
        PretrainSpec(batch_size=1, max_length=8), 0, SHAPE
    )


def test_that_weights_that_were_counted_are_not_estimated(shared: Path) -> None:
    folder = shared / "models" / "stories260K"
    assert fit.full_parameters(whole(folder, parameters=7), fit.shape_of(folder)) == 7


@pytest.mark.parametrize(("keep", "best", "copies"), [(1, False, 7), (2, False, 10), (2, True, 11)])
def test_that_disk_is_needed_for_each_checkpoint_one_that_is_being_written_and_the_result(
    keep: int, best: bool, copies: int
) -> None:
    spec = SftSpec(keep_checkpoints=keep, keep_best=best)
    assert fit.disk_needed_gib(spec, MILLIONS, SHAPE) == pytest.approx(copies * MILLIONS * 4 / fit.GIB)


def test_that_a_critic_of_its_own_doubles_the_checkpoints_and_not_the_result() -> None:
    own, shared = (
        fit.disk_needed_gib(PpoSpec(critic=c, keep_checkpoints=1), MILLIONS, SHAPE) for c in ("policy", "shared")
    )
    assert (own - shared) * fit.GIB / 4 == pytest.approx(6 * MILLIONS)


@pytest.mark.parametrize(
    ("method", "numbers"),
    [
        ("lora", 16 * 24 * 1024 * 16),
        ("ia3", 6 * 24 * 1024),
        ("bitfit", 11 * 24 * 1024),
        ("prompt", 20 * 1024),
    ],
)
def test_that_each_method_trains_what_its_settings_say(method: str, numbers: int) -> None:
    spec = SftSpec.model_validate({"method": method, "prompt": {"tokens": 20}, "lora": {"rank": 16}})
    assert fit.trained_parameters(spec, MILLIONS, SHAPE) == numbers


def test_that_a_bottleneck_behind_both_sublayers_is_two() -> None:
    one, two = (
        fit.trained_parameters(
            SftSpec.model_validate({"method": "bottleneck", "bottleneck": {"placement": place, "width": 8}}), 0, SHAPE
        )
        for place in ("feed_forward", "both")
    )
    assert one == 2 * 24 * 1024 * 8
    assert two == 2 * one


def test_that_four_bits_take_an_eighth_of_the_base() -> None:
    few = {"batch_size": 1, "max_length": 8}
    plain, small = (fit.memory_gib(SftSpec(method=m, **few), MILLIONS, SHAPE) for m in ("lora", "qlora"))
    assert (plain - small) * fit.GIB / 4 == pytest.approx(MILLIONS * 7 / 8)


def test_that_reading_needs_no_cache_and_writing_keeps_all_layers() -> None:
    read, written = (fit.inference_gib(1000, SHAPE, 4, 128, cached=cached) for cached in (False, True))
    assert (written - read) * fit.GIB / 4 == pytest.approx(4 * 128 * 2 * 24 * 1024)
    assert (read - fit.LIBRARIES_GIB) * fit.GIB / 4 == pytest.approx(1000 + 4 * 128 * 12 * 1024 + 4 * 32000)


@pytest.mark.parametrize(
    ("asked", "context", "taken"), [(0, 2048, 1024), (0, 256, 256), (512, 2048, 512), (9999, 2048, 2048), (300, 0, 300)]
)
def test_that_a_text_to_be_read_is_as_long_as_asked_usual_or_possible(asked: int, context: int, taken: int) -> None:
    shape = fit.Shape(16, 1, 10, context)
    found = (fit.inference_gib(0, shape, 1, asked, cached=False) - fit.LIBRARIES_GIB) * fit.GIB / 4
    assert found == pytest.approx(taken * 12 * 16 + 10)


def test_that_a_reward_model_s_items_count_all_their_completions() -> None:
    spec, bare = RewardSpec(batch_size=2, max_length=8), fit.LIBRARIES_GIB
    two, four = (fit.memory_gib(spec, 0, SHAPE, completions=count) - bare for count in (2.0, 4.0))
    assert four == pytest.approx(2 * two)
    others = [fit.memory_gib(SftSpec(batch_size=2, max_length=8), 0, SHAPE, completions=c) for c in (2.0, 4.0)]
    assert others[0] == others[1]


def test_that_names_of_gpt2_are_read_and_nonsense_is_not(tmp_path: Path) -> None:
    config = {"n_embd": 768, "n_layer": 12, "vocab_size": -5, "n_positions": "many"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert fit.shape_of(tmp_path) == fit.Shape(768, 12, 32000, 0)


def test_that_a_circle_of_adapters_ends_as_a_small_model(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": f"../{other}"}))
    assert fit.shape_of(tmp_path / "a") == fit.Shape(512, 8, 32000, 0)


@pytest.mark.parametrize(
    ("fields", "numbers"),
    [
        ({"method": "ptuning", "ptuning": {"tokens": 10, "width": 32}}, 10 * 1024 + 2 * 32 * 1024 + 32**2),
        ({"method": "prefix", "prefix": {"tokens": 10, "width": 0}}, 2 * 24 * 10 * 1024),
        ({"method": "prefix", "prefix": {"tokens": 10, "width": 64}}, 2 * 24 * 10 * 1024 + 2 * 24 * 64 * 1024),
        ({"method": "qlora", "lora": {"rank": 2}}, 16 * 24 * 1024 * 2),
    ],
)
def test_that_virtual_tokens_count_with_the_networks_that_make_them(fields: dict[str, object], numbers: int) -> None:
    assert fit.trained_parameters(SftSpec.model_validate(fields), MILLIONS, SHAPE) == numbers


def test_that_an_adapter_s_base_is_looked_for_from_its_own_folder(tmp_path: Path) -> None:
    for name in ("base", "first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "base" / "config.json").write_text(json.dumps({"hidden_size": 96}))
    for name, base in (("first", "../base"), ("second", "../first")):
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    assert fit.shape_of(tmp_path / "second").width == 96
