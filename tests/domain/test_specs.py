import math
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from workbench.domain.decoding import STRATEGIES
from workbench.domain.errors import BadInput
from workbench.domain.rows import COLUMNS, DATASET_KINDS, SNAPSHOT_KINDS, usable_as
from workbench.domain.settings import Settings
from workbench.domain.specs.common import LoraPart
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.kinds import DATA_KIND, FROZEN_AS, SPECS, data_kind, frozen_as, parse_spec
from workbench.domain.specs.online import RewardPart
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.weighted import WeightedSpec

DECLARED: list[type[BaseModel]] = [*SPECS.values(), LoraPart, RewardPart, Settings, *STRATEGIES.values()]
FIELDS = [
    pytest.param(model, name, field, id=f"{model.__name__}.{name}")
    for model in DECLARED
    for name, field in model.model_fields.items()
    if name not in {"kind", "strategy"}
]
GROUPS = {
    "Run", "Length", "Batch", "Optimizer", "Adapter", "Data", "Evaluation", "Checkpoints", "Loss", "Rollout", "Reward",
    "Judge", "Question", "Ensemble", "Revision", "Principles", "Results", "Sampling", "Appearance", "Annotation", "Devices",
    "Columns", "Quality",
}  # fmt: skip


def extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def bounds(field: FieldInfo) -> dict[str, float]:
    names = ("ge", "gt", "le", "lt")
    return {n: getattr(m, n) for m in field.metadata for n in names if getattr(m, n, None) is not None}


@pytest.mark.parametrize(("model", "name", "field"), FIELDS)
def test_that_every_field_has_a_default_and_one_sentence(model: type[BaseModel], name: str, field: FieldInfo) -> None:
    assert not field.is_required()
    assert field.description
    assert field.description[0].isupper() or not field.description[0].isalpha() or field.description.startswith("exp")
    assert field.description.endswith(".")
    assert len(field.description) <= 140


@pytest.mark.parametrize(("model", "name", "field"), FIELDS)
def test_that_every_number_is_bounded_and_its_default_lies_within(
    model: type[BaseModel], name: str, field: FieldInfo
) -> None:
    if field.annotation not in (int, float):
        return
    limits = bounds(field)
    assert {"ge", "gt"} & set(limits), "no lower bound"
    assert {"le", "lt"} & set(limits), "no upper bound"
    assert model.model_validate({name: field.default}) == model()


@pytest.mark.parametrize(("model", "name", "field"), FIELDS)
def test_that_a_number_beyond_its_bounds_is_refused(model: type[BaseModel], name: str, field: FieldInfo) -> None:
    limits = bounds(field)
    beyond = [limits[n] - 1 for n in ("ge", "gt") if n in limits] + [limits[n] + 1 for n in ("le", "lt") if n in limits]
    beyond += [limits[n] for n in ("gt", "lt") if n in limits]
    if field.annotation is float:
        beyond += [math.nan, math.inf]
    for value in beyond if field.annotation in (int, float) else []:
        with pytest.raises(ValidationError):
            model.model_validate({name: value})


@pytest.mark.parametrize(("model", "name", "field"), [p for p in FIELDS if p.values[0] not in STRATEGIES.values()])
def test_that_every_setting_knows_its_place_in_the_form(model: type[BaseModel], name: str, field: FieldInfo) -> None:
    assert extra(field)["group"] in GROUPS


@pytest.mark.parametrize("model", DECLARED)
def test_that_unknown_fields_are_refused(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({"no_such_field": 1})


@pytest.mark.parametrize("kind", list(SPECS))
def test_that_a_spec_survives_json_and_is_recognised_by_its_kind(kind: str) -> None:
    spec = SPECS[kind](name="a-1", seed=3)
    assert parse_spec(spec.model_dump(mode="json")) == spec
    assert type(parse_spec({"kind": kind})) is SPECS[kind]
    assert SPECS[kind].__doc__


def test_that_every_kind_says_what_data_it_needs() -> None:
    assert set(DATA_KIND) == set(SPECS)
    assert set(DATA_KIND.values()) <= set(DATASET_KINDS)


def test_that_a_bad_spec_is_explained_field_by_field() -> None:
    with pytest.raises(BadInput) as caught:
        parse_spec({"kind": "dpo", "beta": -1, "lora": {"rank": 0}, "speed": "fast"})
    for word in ("beta", "lora.rank", "speed", "-1"):
        assert word in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"loss": "ipo", "label_smoothing": 0.1}, "label_smoothing: it has no meaning for the loss ipo; set it to 0"),
        ({"loss": "kto", "margin_scale": 1.0}, "margin_scale: it has no meaning for the loss kto; set it to 0"),
        ({"loss": "orpo", "sft_weight": 0.2}, "sft_weight: it has no meaning for the loss orpo; set it to 0"),
        ({"loss": "kto", "batch_size": 1}, "loss: kto compares a step's rows; set batch_size to 2 or more"),
        ({"loss": "dpo"}, "loss: input should be 'sigmoid'"),
    ],
)
def test_that_what_a_preference_loss_can_t_use_is_refused_with_what_to_do(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_spec({"kind": "dpo", **fields})
    assert words in caught.value.what


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "hinge", "robust", "orpo", "simpo", "kto"])
def test_that_every_preference_loss_has_settings_that_are_accepted(loss: str) -> None:
    spec = parse_spec({"kind": "dpo", "loss": loss})
    assert isinstance(spec, DpoSpec)
    assert spec.needs_reference == (loss not in {"orpo", "simpo"})


@pytest.mark.parametrize("payload", [{}, {"kind": "dance"}, {"kind": None}])
def test_that_a_spec_without_a_known_kind_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        parse_spec(payload)


@pytest.mark.parametrize("name", ["../up", "a b", "a/b", "é", "x" * 81])
def test_that_a_run_s_name_can_be_a_folder_s_name(name: str) -> None:
    with pytest.raises(ValidationError):
        SftSpec(name=name)


def test_that_a_value_is_checked_also_when_it_is_assigned() -> None:
    spec = DpoSpec()
    with pytest.raises(ValidationError):
        spec.beta = 0.0
    spec.beta = 0.5
    assert spec.beta == 0.5


def test_that_two_specs_don_t_share_their_parts() -> None:
    one, other = SftSpec(), SftSpec()
    one.lora.rank = 4
    assert other.lora.rank == 16


def test_that_defaults_are_those_of_the_references() -> None:
    assert (DpoSpec().beta, DpoSpec().learning_rate) == (0.1, 1e-6)
    ppo = PpoSpec()
    assert (ppo.clip, ppo.gamma, ppo.lam, ppo.ppo_epochs, ppo.minibatches) == (0.2, 1.0, 0.95, 4, 4)
    assert (ppo.learning_rate, ppo.epsilon, ppo.value_weight) == (3e-6, 1e-5, 0.1)


@pytest.mark.parametrize(
    "place", ["score", "file.py", "file.py:", ":score", "a b:score", "pkg.mod:two words", "a-b.c:f"]
)
def test_that_a_function_is_named_by_its_file_or_module(place: str) -> None:
    with pytest.raises(ValidationError, match=r"FILE\.py:NAME"):
        RewardPart(function=place)
    for good in ("", "/some/where else/file.py:score", "package.module:score"):
        assert RewardPart(function=good).function == good


def test_that_a_broken_pattern_and_a_bound_that_binds_nothing_are_refused() -> None:
    with pytest.raises(BadInput, match="no regular expression"):
        parse_spec({"kind": "grpo", "rewards": {"pattern": "("}})
    with pytest.raises(BadInput, match="more than 1"):
        parse_spec({"kind": "ppo", "dual_clip": 0.5})


def test_that_each_source_of_rewards_counts_as_one() -> None:
    assert not PpoSpec().scored
    assert PpoSpec(reward_model="judge").scored
    for field in (
        {"function": "a.b:c"},
        {"answer_weight": 1},
        {"pattern": "x"},
        {"length_target": 5},
        {"story_weight": -1},
    ):
        assert GrpoSpec(rewards=RewardPart(**field)).scored


def test_that_variants_of_grpo_have_their_own_clip_and_scale_unless_told() -> None:
    found = {v: (GrpoSpec(variant=v).upper, GrpoSpec(variant=v).spread) for v in ("grpo", "dapo", "dr_grpo", "rloo")}
    assert found == {"grpo": (0.2, "group"), "dapo": (0.28, "group"), "dr_grpo": (0.2, "none"), "rloo": (0.2, "none")}
    told = GrpoSpec(variant="dapo", clip_high=0.5, scale="batch")
    assert (told.upper, told.spread) == (0.5, "batch")


def test_that_imitation_of_a_dataset_s_candidates_needs_judged_ones() -> None:
    assert (data_kind(WeightedSpec()), frozen_as(WeightedSpec())) == ("prompts", "prompts")
    dataset = WeightedSpec(completions="dataset")
    assert (data_kind(dataset), frozen_as(dataset)) == ("preferences", "rankings")
    assert data_kind(PpoSpec()) == DATA_KIND["ppo"]


def test_that_prompts_can_be_taken_from_what_has_prompts() -> None:
    assert all(usable_as(kind, kind) for kind in DATASET_KINDS)
    assert usable_as("preferences", "prompts")
    assert usable_as("demonstrations", "prompts")
    assert not usable_as("documents", "prompts")
    assert not usable_as("prompts", "preferences")


def test_that_only_preferences_are_frozen_as_rankings_for_a_reward_model() -> None:
    assert [kind for kind in DATASET_KINDS if usable_as(kind, "rankings")] == ["preferences"]
    assert FROZEN_AS["reward"] == "rankings"
    assert all(FROZEN_AS[kind] == DATA_KIND[kind] for kind in DATA_KIND if kind not in {"reward", "judge", "score"})
    assert all(usable_as(DATA_KIND[kind], FROZEN_AS[kind]) for kind in DATA_KIND)


def test_that_every_kind_of_dataset_has_its_columns() -> None:
    assert set(COLUMNS) == set(SNAPSHOT_KINDS) > set(DATASET_KINDS)
    assert all("prompt" in COLUMNS[k] and "raw" in COLUMNS[k] for k in DATASET_KINDS if k != "documents")
