"""What the specs of recipes that learn from rankings share."""

from __future__ import annotations

from pydantic import Field

from workbench.domain.specs.common import TrainingSpec, group


class PreferenceSpec(TrainingSpec):
    """Fields of recipes whose rows are what annotators said about items."""

    dimension: str = Field(
        "",
        max_length=60,
        description="Dimension of the dataset's guidelines whose rankings are learned from (empty = the ranking over all).",
        json_schema_extra=group("Data"),
    )
