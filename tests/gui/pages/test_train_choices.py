from datetime import UTC, datetime, timedelta

import pytest

from workbench.domain.errors import BadInput
from workbench.domain.rows import DatasetKind
from workbench.domain.runs import ModelKind, ModelRef
from workbench.domain.specs.kinds import SPECS, parse_spec
from workbench.gui.pages.train.choices import (
    KINDS,
    about_data,
    about_model,
    fitting_models,
    missing,
    reward_models,
    wrong_name,
)
from workbench.services.views import DatasetView

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def dataset(name: str, kind: DatasetKind, age: int = 0, judged: int = 0, synthetic: bool = False) -> DatasetView:
    return DatasetView(name, kind, 1200, judged, NOON - timedelta(hours=age), synthetic=synthetic)


def model(name: str, kind: ModelKind, age: int = 0) -> ModelRef:
    return ModelRef(name=name, path=f"/m/{name}", kind=kind, created=NOON - timedelta(hours=age))


def test_that_every_kind_of_spec_can_be_chosen_and_has_its_sentence() -> None:
    assert {kind.id for kind in KINDS} == set(SPECS)
    assert all(kind.sentence.endswith(".") for kind in KINDS)


def test_that_a_reward_model_is_nothing_to_start_a_policy_from() -> None:
    models = [model("old", "base", 9), model("rm", "reward", 1), model("new", "sft", 0)]
    assert [m.name for m in fitting_models("dpo", models)] == ["new", "old"]
    assert [m.name for m in reward_models(models)] == ["rm"]


def test_that_a_dataset_of_another_kind_says_what_of_it_is_used() -> None:
    assert about_data("ppo", dataset("pref", "preferences")) == "0 of 1,200 items judged; only its prompts are used"


def test_that_synthetic_data_says_so() -> None:
    assert about_data("reward", dataset("p", "preferences", judged=7, synthetic=True)).endswith("synthetic")


def test_that_a_model_is_described_by_kind_size_and_parents() -> None:
    told = ModelRef(
        name="m", path="/m", kind="dpo", form="adapter", parents=("sft-1",), parameters=2_610_000, created=NOON
    )
    assert about_model(told) == "dpo, 2.61 M parameters, from sft-1, adapter"


@pytest.mark.parametrize("name", ["", "dpo-1", "Best_2.1", "x" * 80])
def test_that_a_name_that_a_model_can_have_is_free_to_use(name: str) -> None:
    assert wrong_name(name) is None
    assert parse_spec({"kind": "sft", "name": name}).name == name


@pytest.mark.parametrize(
    ("name", "instead"), [("my run", "my-run"), ("a/b", "a-b"), ("été", "t"), ("x\n", "x"), (" lead", "lead")]
)
def test_that_another_name_is_refused_with_one_that_will_do(name: str, instead: str) -> None:
    refused = wrong_name(name)
    assert refused is not None
    assert refused[1].endswith(f"for example {instead}.")
    assert wrong_name(instead) is None
    with pytest.raises(BadInput):
        parse_spec({"kind": "sft", "name": name})


def test_that_a_name_without_any_usable_letter_gets_no_example() -> None:
    assert wrong_name("שלום") == (
        "A run can't be called “שלום”: it is the name of its model too.", "Use letters, digits, dots, - and _.",
    )  # fmt: skip


def test_that_what_is_missing_is_named_one_thing_at_a_time() -> None:
    assert "starts from" in missing("sft", "", "", False)
    assert "demonstrations" in missing("sft", "base", "", False)
    assert "reward model" in missing("ppo", "base", "data", False)
    assert missing("ppo", "base", "data", True) == ""
    assert missing("dpo", "base", "data", False) == ""
