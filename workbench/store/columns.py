"""The kinds of columns, meant so that SQLite and PostgreSQL keep and order the same values.

On PostgreSQL whole numbers have eight bytes, as SQLite's have; text is ordered by code point, as Python and SQLite order it;
and JSON is kept as text, because PostgreSQL's own kinds refuse not-a-number and don't compare.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Dialect, Float, TypeDecorator
from sqlalchemy.types import TypeEngine

Integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def JSON(none_as_null: bool = False) -> TypeEngine[Any]:
    """A JSON document; with `none_as_null`, None is SQL's NULL and not JSON's null."""
    return sa.JSON(none_as_null).with_variant(_JsonText(none_as_null), "postgresql")


class Moment(TypeDecorator[datetime]):
    """A time in UTC, kept as seconds since the epoch (exact to the microsecond)."""

    impl = Float
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:
        """Seconds since the epoch."""
        return None if value is None else value.timestamp()

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """An aware datetime."""
        return None if value is None else datetime.fromtimestamp(value, UTC)


class Number(TypeDecorator[float]):
    """A float that may be not-a-number: SQLite turns NaN into NULL, so NULL is read back as NaN."""

    impl = Float
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """NULL for NaN."""
        return None if value is None or math.isnan(value) else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> float:
        """NaN for NULL."""
        return math.nan if value is None else float(value)


class _JsonText(TypeDecorator[Any]):
    """JSON as the text that Python writes."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, none_as_null: bool) -> None:
        super().__init__(collation="C")
        self.none_as_null = none_as_null

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """The text; NULL for None if that is asked for."""
        return None if value is None and self.none_as_null else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The document."""
        return None if value is None else json.loads(value)
