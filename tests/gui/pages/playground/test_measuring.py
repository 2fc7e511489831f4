"""Numbers below the columns that need a further model, and the prompt as a model reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.conftest import run
from workbench.domain.decoding import Greedy, Speculative
from workbench.gui.pages.playground.drawer import SettingsPanel
from workbench.gui.pages.playground.measuring import MeasuresPanel
from workbench.gui.pages.playground.numbers import NUMBERS, in_words, with_perplexity
from workbench.gui.pages.playground.reading_panel import ReadingPanel
from workbench.gui.window import Window
from workbench.services.column_numbers import Measures
from workbench.services.views import Column
from workbench.services.workbench import Workbench


def test_that_reference_and_likeness_are_taken_once_chosen_and_kept_with_the_round(
    page: Any, qtbot: QtBot, bench: Workbench, shared: Path, window: Window
) -> None:
    page.bar.prompt.setPlainText("Once upon a time, there was a little girl named Lily.")
    run(qtbot, page)
    page.measuring.open_panel()
    panel = page.drawer.content
    assert isinstance(panel, MeasuresPanel)
    panel.samples.setValue(3)
    panel.reference.setCurrentIndex(panel.reference.findData("stories"))
    first, second = page.row.cards
    qtbot.waitUntil(lambda: "self_bleu" in second.foot.numbers, timeout=120_000)
    assert first.foot.numbers["self_bleu"] == 1.0 > second.foot.numbers["self_bleu"], "greedy says one thing only"
    assert abs(first.foot.numbers["drift"]) < 1e-4, "the reference is the model itself"
    assert abs(first.foot.numbers["reference"] - first.foot.numbers["logprob"]) < 0.01, (
        "no end token is counted that wasn't said"
    )
    assert first.foot.numbers["reference"] < 0 and "log p ref." in first.foot.words
    qtbot.waitUntil(lambda: "self_bleu" in bench.rounds.list()[0].columns[0].numbers)
    assert bench.column_numbers.chosen() == Measures(reference="stories", samples=3), "for the next round too"


def test_that_what_cant_be_taken_is_told_and_the_rest_is_taken(page: Any, qtbot: QtBot, window: Window) -> None:
    page.measuring.measures = Measures(reward="stories", reference="stories")
    run(qtbot, page)
    qtbot.waitUntil(lambda: "reference" in page.row.cards[0].foot.numbers, timeout=120_000)
    assert "reward" not in page.row.cards[0].foot.numbers
    assert window.notices.findChildren(QWidget), "a person is told"


def test_that_damaged_choices_are_nothing_chosen(bench: Workbench, window: Window) -> None:
    assert not bench.column_numbers.chosen().any
    bench.workspace.lane.do(bench.workspace.store.settings.set, **{"playground.measures": {"samples": "many"}})
    assert bench.column_numbers.chosen() == Measures()


def test_that_the_prompt_is_shown_as_the_model_reads_it(page: Any, qtbot: QtBot) -> None:
    page.bar.kind.setCurrentIndex(0)
    page.bar.context.setChecked(True)
    page.bar.system.setPlainText("Be brief.")
    page.bar.prefill.setPlainText("Well")
    page._open_reading()
    qtbot.waitUntil(lambda: isinstance(page.drawer.content, ReadingPanel), timeout=120_000)
    words = page.drawer.content.view.toPlainText()
    assert "Be brief." in words and "Once upon a time" in words and words.endswith("Well")


def test_that_a_draft_is_chosen_among_the_models(page: Any) -> None:
    page.row.set_columns([Column("stories", Speculative()), Column("stories", Greedy())])
    page.panels.open_settings(0)
    panel = page.drawer.content
    assert isinstance(panel, SettingsPanel)
    chooser = panel.form.editor("draft")
    assert [chooser.itemText(n) for n in range(chooser.count())] == ["ngram", "stories"]
    chooser.setCurrentIndex(1)
    assert page.row.cards[0].column.settings.draft == "stories"


def test_that_numbers_have_names_sentences_and_real_minus_signs() -> None:
    found = with_perplexity({"tokens": 3.0, "logprob": -6.0, "repetition": 0.25})
    assert abs(found["perplexity"] - 7.389) < 1e-3
    assert ("log p", "−6.0") in in_words(found) and ("repeats", "25 %") in in_words(found)
    assert abs(with_perplexity({"tokens": 3.0, "logprob": -2.185})["perplexity"] - 2.07) < 0.01
    assert with_perplexity({"tokens": 0.0}) == {"tokens": 0.0}
    assert all(one.sentence.endswith(".") for one in NUMBERS.values())
