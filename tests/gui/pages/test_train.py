from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QRadioButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.kinds import SPECS
from workbench.gui.pages.runs import RunsPage
from workbench.gui.pages.train import TrainPage
from workbench.gui.pages.train.choices import KINDS
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]


@pytest.fixture
def page(shared: Path, bench: Workbench, visit: Visit, qtbot: QtBot) -> TrainPage:
    bench.models.add_folder(shared / "models" / "stories260K", "stories")
    bench.datasets.import_files([shared / "data" / "llama_factory" / "alpaca_en_demo.json"], "asks", skip_bad=True)
    bench.datasets.import_files([shared / "data" / "llama_factory" / "dpo_en_demo.json"], "pairs", skip_bad=True)
    found = visit("train")
    assert isinstance(found, TrainPage)
    qtbot.waitUntil(lambda: found.start.isEnabled())
    return found


def words(part: QWidget) -> str:
    return "\n".join(label.text() for label in part.findChildren(QLabel) if not label.isHidden())


def test_that_a_fresh_page_proposes_a_run_that_can_start(page: TrainPage) -> None:
    spec = page.spec()
    assert (spec.kind, spec.base, spec.data) == ("sft", "stories", "asks")
    assert "It can start" in words(page.side.fit)
    assert "workbench train" in page.side.command.line.toPlainText()
    assert "--data asks" in page.side.command.line.toPlainText()


@pytest.mark.parametrize("kind", list(SPECS))
def test_that_each_kind_shows_its_own_settings_and_formula(page: TrainPage, qtbot: QtBot, kind: str) -> None:
    page.chooser.choose_kind(kind)
    qtbot.waitUntil(lambda: "loss =" in words(page.side.formula))
    assert page.form is not None
    assert page.form.model is SPECS[kind]
    assert page.chooser.reward.isVisible() == ("reward_model" in SPECS[kind].model_fields)


def test_that_the_formula_follows_the_options(page: TrainPage, qtbot: QtBot) -> None:
    page.chooser.choose_kind("dpo")
    qtbot.waitUntil(lambda: "β = 0.1" in words(page.side.formula))
    assert page.form is not None
    beta = page.form.editor("beta")
    assert isinstance(beta, QLineEdit)
    beta.selectAll()
    QTest.keyClicks(beta, "0.35")
    qtbot.waitUntil(lambda: "β = 0.35" in words(page.side.formula))
    qtbot.waitUntil(lambda: "--set beta=0.35" in page.side.command.line.toPlainText())


def test_that_a_wrong_value_is_named_and_nothing_can_start(page: TrainPage, qtbot: QtBot) -> None:
    assert page.form is not None
    rate = page.form.editor("learning_rate")
    assert isinstance(rate, QLineEdit)
    rate.selectAll()
    QTest.keyClicks(rate, "7")
    qtbot.waitUntil(lambda: "learning_rate" in words(page.side.fit))
    assert not page.start.isEnabled()


def test_that_what_is_missing_is_asked_for(page: TrainPage, qtbot: QtBot) -> None:
    page.chooser.choose_kind("ppo")
    qtbot.waitUntil(lambda: "reward model" in words(page.side.fit))
    assert not page.start.isEnabled()


def test_that_adapter_settings_show_only_for_an_adapter(page: TrainPage) -> None:
    assert page.form is not None
    rank = page.form.editor("lora.rank")
    assert rank.isHidden()
    page.form.set_values({"method": "lora"})
    page.form.changed.emit()
    assert not rank.isHidden()


def test_that_the_command_can_be_copied(page: TrainPage) -> None:
    QTest.mouseClick(page.side.command.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == page.side.command.line.toPlainText()


def test_that_the_settings_of_a_run_come_back_to_be_changed(page: TrainPage, qtbot: QtBot, visit: Visit) -> None:
    before = DpoSpec(name="dpo-7", base="stories", data="pairs", beta=0.7, max_steps=33)
    visit("train", spec=before.model_dump())
    after = page.spec()
    assert isinstance(after, DpoSpec)
    assert (after.beta, after.max_steps, after.data, after.base) == (0.7, 33, "pairs", "stories")
    assert after.name == ""


def test_that_start_freezes_the_data_queues_a_run_and_shows_it(
    page: TrainPage, qtbot: QtBot, window: Window, bench: Workbench
) -> None:
    page.chooser.name.setText("first")
    page.chooser.name.textEdited.emit("first")
    qtbot.waitUntil(lambda: page.start.isEnabled())
    QTest.mouseClick(page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(window.deck.currentWidget(), RunsPage), timeout=20_000)
    runs = bench.runs.list()
    assert [run.name for run in runs] == ["first"]
    assert (runs[0].folder / "data.parquet").is_file()
    bench.runs.stop(runs[0].id)


def test_that_the_chosen_kind_says_what_it_does(page: TrainPage) -> None:
    sentence = page.findChild(QLabel, "train.kind_sentence")
    assert sentence is not None
    assert {kind.id for kind in KINDS} == set(SPECS)
    for kind in KINDS:
        page.chooser.choose_kind(kind.id)
        assert sentence.text() == kind.sentence
        button = page.findChild(QRadioButton, f"train.kind_{kind.id}")
        assert button is not None
        assert button.isChecked()
        assert button.accessibleDescription() == button.toolTip() == kind.sentence
