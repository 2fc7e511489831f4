"""A decoding study in Runs: its table and plots, and its texts as items to rank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from workbench.analysis.studies import study_of
from workbench.domain.specs.study import StudySpec
from workbench.domain.study import Study, StudyText, StudyTexts
from workbench.domain.text import Prompt
from workbench.gui.pages.runs import RunsPage
from workbench.gui.pages.runs.detail import STUDY
from workbench.gui.pages.runs.study_tab import StudyTab
from workbench.gui.theme import Theme
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
SLOW = 30_000
SPEC = StudySpec(base="stories", data="asks", columns="greedy\nsample temperature=0.8", samples=2)
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


def said() -> list[StudyText]:
    texts = []
    for column, prompt, sample in ((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)):
        measures = {
            "rule": 0.2 + 0.3 * column + 0.1 * prompt,
            "distinct_2": 0.9 - 0.2 * column,
            "tokens_per_second": 50.0,
        }
        text = f"a story of {column} {sample}"
        texts.append(
            StudyText(column=column, prompt=prompt, sample=sample, seed=sample, completion=text, measures=measures)
        )
    return texts


def study() -> Study:
    return study_of(SPEC.asked, said(), 2, 2)


@pytest.fixture
def run(bench: Workbench, shared: Path) -> str:
    """A study that was stopped, with what it had written."""
    bench.runs.close()  # nobody starts it
    bench.models.add_folder(shared / "models" / "stories260K", "stories")
    bench.datasets.create("asks", "prompts")
    prompts = [Prompt.from_text(f"Once upon a time, {who}", raw=True) for who in ("Tom", "Mia")]
    bench.datasets.append("asks", prompts)  # type: ignore[arg-type]
    view = bench.training.start(SPEC)
    (view.folder / "study.json").write_text(study().model_dump_json(), encoding="utf-8")
    whole = StudyTexts(prompts=tuple(prompts), texts=tuple(said()))
    (view.folder / "texts.json").write_text(whole.model_dump_json(), encoding="utf-8")
    bench.runs.stop(view.id)
    return view.id


def test_that_the_table_is_shown_and_texts_become_items(
    bench: Workbench, run: str, visit: Visit, qtbot: QtBot, tmp_path: Path
) -> None:
    page = visit("runs")
    assert isinstance(page, RunsPage)
    qtbot.waitUntil(lambda: page.detail.run_id == run, timeout=SLOW)
    assert page.detail.tabs.isTabVisible(STUDY)
    page.detail.tabs.setCurrentIndex(STUDY)
    tab = page.detail.study
    qtbot.waitUntil(lambda: len(tab.view.study.columns) == 2, timeout=SLOW)
    assert tab.view.study.columns[1].label == "sample (temperature 0.8)"
    assert tab.view.study.columns[1].figures["rule"].value == pytest.approx(0.55)
    tab.dataset.setText("chosen")
    QTest.mouseClick(tab.make, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: any(d.name == "chosen" for d in bench.datasets.list()), timeout=SLOW)
    items = bench.datasets.values("chosen", 0, 10)
    assert [len(item.candidates) for item in items] == [3, 3]
    page.studying.write(run, tmp_path / "all.json")
    page.studying.keep(tmp_path / "table.csv", tab.view.csv())
    qtbot.waitUntil(lambda: (tmp_path / "all.json").exists() and (tmp_path / "table.csv").exists(), timeout=SLOW)


def test_that_a_dialog_asks_where_the_texts_go(run: str, visit: Visit, qtbot: QtBot) -> None:
    page = visit("runs")
    assert isinstance(page, RunsPage)
    qtbot.waitUntil(lambda: page.detail.run_id == run, timeout=SLOW)
    page.studying.texts()
    dialog = page.findChild(QFileDialog, "runs.save_dialog")
    assert dialog is not None
    dialog.reject()
    qtbot.waitUntil(lambda: page.findChild(QFileDialog, "runs.save_dialog") is None, timeout=SLOW)


def test_that_nothing_is_offered_before_there_are_texts(qtbot: QtBot, theme: Theme) -> None:
    asked: list[tuple[str, int]] = []
    tab = StudyTab(theme, lambda name, content: None, lambda: None, lambda name, count: asked.append((name, count)))
    qtbot.addWidget(tab)
    tab.resize(900, 600)
    tab.show()
    tab.show_study(None)
    assert tab.nothing.isVisible()
    tab.ready(ended=False)
    tab.show_study(study())
    assert not tab.nothing.isVisible()
    assert not tab.make.isEnabled()
    tab.ready(ended=True)
    tab.candidates.setValue(3)
    QTest.mouseClick(tab.make, Qt.MouseButton.LeftButton)
    assert asked == [("study-answers", 3)]


def test_that_the_same_study_again_leaves_what_was_picked(qtbot: QtBot, theme: Theme) -> None:
    tab = StudyTab(theme, lambda name, content: None, lambda: None, lambda name, count: None)
    qtbot.addWidget(tab)
    tab.show_study(study())
    tab.view.table.selectRow(1)
    tab.show_study(study())
    assert tab.view.table.currentIndex().row() == 1
