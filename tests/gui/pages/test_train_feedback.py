"""The Train page for judges and revisers: what is shown, what is hidden, and the way to a queued run."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.test_train_page import LEFT, Wait, bench, checked, editor, furnished, page, words
from workbench.domain.specs.judge import CRITERION, JudgeSpec
from workbench.domain.specs.revise import ReviseSpec
from workbench.gui.pages.runs import RunsPage
from workbench.gui.pages.train.page import TrainPage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

__all__ = ["bench", "checked", "furnished", "page"]
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


def judge_by(page: TrainPage, judge: str) -> None:
    box = editor(page, "judge")
    assert isinstance(box, QComboBox)
    box.setCurrentText(judge)


def test_that_a_judge_by_rule_needs_no_model_and_asks_nothing(page: TrainPage, checked: Wait) -> None:
    page.chooser.choose_kind("judge")
    assert not page.chooser.base.isHidden()
    assert editor(page, "criterion").isVisible()
    assert editor(page, "rule").isHidden()
    judge_by(page, "rule")
    assert page.chooser.base.isHidden()
    assert editor(page, "criterion").isHidden()
    assert editor(page, "rule").isVisible()
    checked()
    assert page.spec() == JudgeSpec(judge="rule", data=page.chooser.data.chosen)
    assert "--base" not in page.side.command.line.toPlainText()
    assert "story_rule" in words(page.side)
    page.chooser.choose_kind("sft")
    assert not page.chooser.base.isHidden()


def test_that_a_reward_model_may_judge_and_not_revise(page: TrainPage) -> None:
    for kind, offered in (("judge", True), ("revise", False), ("dpo", False)):
        page.chooser.choose_kind(kind)
        assert (page.chooser.base.box.findData("judge") >= 0) == offered


def test_that_a_text_of_several_lines_is_written_and_put_back(page: TrainPage, checked: Wait) -> None:
    page.chooser.choose_kind("judge")
    box = editor(page, "criterion")
    assert isinstance(box, QPlainTextEdit)
    assert box.toPlainText() == CRITERION
    assert box.height() > 3 * box.fontMetrics().lineSpacing()
    box.selectAll()
    QTest.keyClicks(box, "Short")
    QTest.keyClick(box, Qt.Key.Key_Return)
    QTest.keyClicks(box, "and true")
    assert page.form is not None
    assert page.form.changed_fields() == {"criterion": "Short\nand true"}
    checked()
    assert "criterion=Short" in page.side.command.line.toPlainText()
    reset = page.form.findChild(QWidget, "train.form.criterion.reset")
    assert reset is not None
    QTest.mouseClick(reset, LEFT)
    assert page.form.changed_fields() == {}


def test_that_tab_leaves_a_text_of_several_lines(page: TrainPage) -> None:
    page.chooser.choose_kind("revise")
    box = editor(page, "principles")
    assert isinstance(box, QPlainTextEdit)
    box.setFocus()
    before = box.toPlainText()
    QTest.keyClick(box, Qt.Key.Key_Tab)
    assert box.toPlainText() == before
    assert not box.hasFocus()


@pytest.mark.parametrize("kind", ["judge", "revise"])
def test_that_feedback_goes_from_its_form_to_a_queued_run(
    page: TrainPage, bench: Workbench, qtbot: QtBot, window: Window, checked: Wait, kind: str
) -> None:
    page.chooser.choose_kind(kind)
    checked()
    QTest.mouseClick(page.start, LEFT)
    qtbot.waitUntil(lambda: isinstance(window.deck.currentWidget(), RunsPage))
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    (view,) = bench.runs.list()
    spec = bench.runs.get(view.id).spec
    assert (view.kind, view.state.value) == (kind, "queued")
    assert isinstance(spec, JudgeSpec | ReviseSpec)
    assert (view.folder / "data.parquet").is_file()
