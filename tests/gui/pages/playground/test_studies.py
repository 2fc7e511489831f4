"""A study of the page's columns, from the form to the items that wait for ranking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytestqt.qtbot import QtBot

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.specs.study import read_columns
from workbench.gui.pages.playground.study_panel import StudyPanel, columns_in_words
from workbench.gui.pages.playground.study_view import StudyView
from workbench.gui.window import Window
from workbench.services.views import Column
from workbench.services.workbench import Workbench


def test_that_a_study_is_started_followed_opened_and_sent_to_ranking(
    page: Any, qtbot: QtBot, bench: Workbench, window: Window, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(3)
    page.row.set_columns([Column("stories", Greedy(max_new_tokens=5)), Column("stories", Sample(max_new_tokens=5))])
    page.studies.open_panel()
    qtbot.waitUntil(lambda: isinstance(page.drawer.content, StudyPanel))
    panel = page.drawer.content
    assert panel.data.currentData() == "pairs" and panel.list.isHidden()
    panel.limit.setValue(2)
    panel.samples.setValue(2)
    panel.begin.click()
    qtbot.waitUntil(lambda: page.studies.sheet is not None)
    sheet = page.studies.sheet
    assert isinstance(sheet.view, StudyView) and not page.row.isVisible() and not sheet.rank.isEnabled()
    qtbot.waitUntil(sheet.rank.isEnabled, timeout=240_000)
    assert len(sheet.view.study.columns) == 2 and sheet.view.study.prompts == 2
    assert not page.studies._timer.isActive(), "what has ended isn't looked at any more"
    page.studies.save(tmp_path / "study.csv", sheet.view.csv())
    qtbot.waitUntil((tmp_path / "study.csv").exists)
    sheet.rank.click()
    qtbot.waitUntil(lambda: any(d.name == "to-rank" for d in bench.datasets.list()))
    page.lab.close()
    assert page.studies.sheet is None and page.row.isVisible()
    page.studies.open_panel()
    qtbot.waitUntil(lambda: page.drawer.content is not panel)
    again = page.drawer.content
    assert again.list.count() == 1
    again.show_button.click()
    qtbot.waitUntil(lambda: page.studies.sheet is not None and page.studies.sheet.rank.isEnabled())


def test_that_columns_are_named_with_what_differs_from_the_defaults() -> None:
    words = columns_in_words([Column("a b", Sample(top_p=0.9, seed=5, stop=("x y",))), Column("m", Greedy())])
    asked = read_columns(words)
    assert [column.model for column in asked] == ["a b", "m"]
    assert asked[0].settings == Sample(top_p=0.9, stop=("x y",)) and asked[1].given == ()
