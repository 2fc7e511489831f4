"""Guidelines and queues as declared data."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from workbench.domain.queues import Dimension, Guidelines, QueueSpec


def _guidelines(*names: str) -> Guidelines:
    dimensions = tuple(Dimension(name=name) for name in names)
    return Guidelines(version=1, text="", dimensions=dimensions, author="me", created=datetime.now(UTC))


def test_that_dimensions_have_names_of_their_own() -> None:
    assert len(_guidelines("helpful", "harmless").dimensions) == 2
    for names in (("helpful", "Helpful"), ("overall",)):
        with pytest.raises(ValidationError, match="different names"):
            _guidelines(*names)


@pytest.mark.parametrize("strategy", ["active", "mistakes"])
def test_that_a_queue_ordered_by_scores_names_its_reward_model(strategy: str) -> None:
    with pytest.raises(ValidationError, match="names the reward model"):
        QueueSpec.model_validate({"name": "q", "dataset": "pairs", "strategy": strategy})
    assert QueueSpec.model_validate({"name": "q", "dataset": "pairs", "strategy": strategy, "reward_model": "rm"})


@pytest.mark.parametrize(
    "wrong", [{"overlap": 0}, {"repeats": 0.6}, {"golds": -0.1}, {"lease_minutes": 0.0}, {"name": ""}]
)
def test_that_a_queue_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        QueueSpec.model_validate({"name": "q", "dataset": "pairs"} | wrong)


def test_that_every_field_of_a_queue_says_what_it_is_for() -> None:
    for name, field in QueueSpec.model_fields.items():
        assert field.description and field.description.endswith("."), name
