"""From prompts to answers that can be ranked: Data opens a decoding study of a dataset's prompts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.text import Prompt
from workbench.gui.pages.data import DataPage
from workbench.gui.pages.train import TrainPage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


def test_that_models_are_let_answer_the_prompts_of_a_dataset(
    bench: Workbench, visit: Callable[..., QWidget], window: Window, qtbot: QtBot
) -> None:
    for name in ("older", "asks"):
        bench.datasets.create(name, "prompts")
        bench.datasets.append(name, [Prompt.from_text("Tell me a story.")])  # type: ignore[list-item]
    page = visit("data", dataset="older")
    assert isinstance(page, DataPage)
    qtbot.waitUntil(lambda: page.rows.title.text() == "older")
    assert page.rows.sample.isVisible()
    assert not page.rows.annotate.isVisible()
    assert "data.sample" in [action.id for action in page.actions()]
    qtbot.mouseClick(page.rows.sample, Qt.MouseButton.LeftButton)
    train = window.deck.page("train")
    assert isinstance(train, TrainPage)
    qtbot.waitUntil(lambda: train.chooser.kind == "study" and train.chooser.data.chosen == "older")
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    assert train.form is not None
    assert train.form.values()["items"] == "older-answers"
