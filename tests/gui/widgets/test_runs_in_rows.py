"""One run as a line in a card, and its sparkline."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QProgressBar
from pytestqt.qtbot import QtBot

from workbench.domain.runs import JobState
from workbench.gui.theme import Theme
from workbench.gui.widgets.run_row import STATE_ROLE, RunRow, headline, progress_words
from workbench.gui.widgets.spark import Spark, paint_spark, spark_points
from workbench.services.views import RunView


def run(state: JobState, **facts: Any) -> RunView:
    now = datetime.now(UTC)
    given_facts: dict[str, Any] = {
        "id": "r1", "name": "", "kind": "sft", "step": 30, "steps": 100, "created": now - timedelta(minutes=5), "started": now,
        "ended": now if state.ended else None, "folder": Path("/x"),
    }  # fmt: skip
    return RunView(state=state, **(given_facts | facts))


@pytest.mark.parametrize(
    ("state", "facts", "words"),
    [
        (JobState.RUNNING, {}, "30 %"), (JobState.RUNNING, {"step": 999, "steps": 1000}, "99 %"),
        (JobState.RUNNING, {"steps": 0}, "starting"), (JobState.PAUSED, {"ended": None}, "step 30 of 100"),
        (JobState.QUEUED, {"steps": 0}, "5 min ago"), (JobState.FAILED, {}, "just now"),
        (JobState.QUEUED, {"step": 1200, "steps": 34_000}, "step 1,200 of 34,000"),
    ],
)  # fmt: skip
def test_that_progress_suits_the_state(state: JobState, facts: dict[str, Any], words: str) -> None:
    assert progress_words(run(state, **facts)) == words


def test_that_a_run_without_numbers_has_no_headline() -> None:
    assert headline(run(JobState.RUNNING, headline="loss", last={"kl": 1.0})) == ""
    assert headline(run(JobState.RUNNING, headline="loss", last={"loss": 0.0})) == "loss 0"


@pytest.mark.parametrize("state", list(JobState))
def test_that_a_row_of_a_run_names_its_state_and_shows_a_bar_only_at_work(
    qtbot: QtBot, theme: Theme, state: JobState
) -> None:
    row = RunRow(theme, run(state), lambda _: None, "row")
    qtbot.addWidget(row)
    assert row.state.text() == f"sft · {state.value}"
    assert row.state.property("role") == STATE_ROLE.get(state, "quiet")
    assert bool(row.findChildren(QProgressBar)) == (state in (JobState.RUNNING, JobState.STARTING))
    assert row.title.text() == "r1", "a run without a name is called by its id"
    assert row.title.accessibleName() == "Show the run r1"


def test_that_a_sparkline_spans_its_box_and_turns_up_for_greater_values() -> None:
    assert spark_points([0.0, 1.0, 0.5], 100, 20) == [(0, 20), (50, 0), (100, 10)]
    assert spark_points([3.0, 3.0], 100, 20) == [(0, 10), (100, 10)]
    assert spark_points([3.0], 100, 20) == [(0, 10)]
    assert spark_points([], 100, 20) == spark_points([float("nan")], 100, 20) == []
    assert spark_points([1.0, float("nan"), 2.0, float("inf")], 90, 20) == [(0, 20), (60, 0)]


@given(st.lists(st.floats(-1e300, 1e300), max_size=50))
def test_that_every_point_of_a_sparkline_lies_in_its_box(values: list[float]) -> None:
    assert all(0 <= x <= 90 and -1e-9 <= y <= 20 + 1e-9 for x, y in spark_points(values, 90, 20))


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0), (float("nan"),) * 3])
def test_that_a_sparkline_paints_something_where_there_is_something(qtbot: QtBot, values: tuple[float, ...]) -> None:
    image = QImage(96, 28, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    paint_spark(painter, QRectF(0, 0, 96, 28), values, "#FF0000")
    painter.end()
    inked = any(image.pixelColor(x, y).alpha() for x in range(96) for y in range(28))
    assert inked == bool([v for v in values if v == v])
    spark = Spark("#FF0000")
    qtbot.addWidget(spark)
    spark.show_values(values, "#00FF00")
    assert not spark.grab().isNull()
    assert spark.accessibleName() == "Recent values"
