"""What every spec is built of: a strict base class, and the facts that the form needs about a field."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def group(
    name: str,
    *,
    unit: str = "",
    advanced: bool = False,
    when: tuple[str, tuple[str, ...]] | None = None,
    lines: int = 1,
) -> dict[str, Any]:
    """Where a field stands in the form, its unit, whether it is shown only among the advanced ones, and how many lines it shows.

    `when` names another field and the values of it with which this one matters; the form hides it with all others.
    """
    return {"group": name, "unit": unit, "advanced": advanced, "when": when, "lines": lines}


class Part(BaseModel):
    """Base of specs and their parts: unknown fields are refused, values are checked on assignment."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)
