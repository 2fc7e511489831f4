"""The Playground page in a real window, over a real decoding worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QPushButton, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.conftest import run
from workbench.domain.decoding import Beam, ContrastiveSearch, Greedy, Sample
from workbench.gui.pages.playground.column_head import summary
from workbench.gui.pages.playground.drawer import PresetsPanel, SettingsPanel
from workbench.gui.pages.playground.memory import Remembered, read, write
from workbench.gui.pages.playground.token_panel import TokenPanel
from workbench.gui.window import Window
from workbench.services.views import Column, ColumnNews
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]


def test_that_without_a_model_the_page_says_what_it_needs(visit: Visit, qtbot: QtBot, window: Window) -> None:
    page = visit("playground")
    steps = page.findChildren(QPushButton)
    add = next(b for b in steps if b.objectName() == "playground.empty.step1")
    assert add.isVisible()
    add.click()
    assert window.deck.page("models") is not None


def test_that_columns_stream_part_and_can_be_voted_on(
    page: Any, qtbot: QtBot, bench: Workbench, window: Window
) -> None:
    votes = page.voting.bar
    assert not votes.best[0].isEnabled()
    run(qtbot, page)
    first, second = page.row.cards
    assert len(first.view.tokens) == 14 and first.view.text == first.news.text
    assert first.view.mark == second.view.mark is not None, "both are marked where they part"
    assert "14 tokens" in first.foot.words and "tokens/s" in first.foot.words and "perplexity" in first.foot.words
    assert votes.best[1].isEnabled() and votes.best[1].isVisible() and not votes.best[2].isVisible()
    votes.best[1].click()
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    judgement = bench.labelling.judgements("playground")[0]
    assert judgement.ranking is not None and judgement.ranking.tiers == ((1,), (0,))
    assert "Vote kept" in votes.told.text() and not votes.best[0].isEnabled(), "one vote a round"
    item, _ = bench.labelling.start("playground")
    assert item is None


def test_that_the_same_seed_says_the_same_and_another_does_not(page: Any, qtbot: QtBot) -> None:
    texts = []
    for seed in (5, 5, 6):
        page.bar.seed.setValue(seed)
        run(qtbot, page)
        texts.append(page.row.cards[1].news.text)
    assert texts[0] == texts[1] != texts[2]


def test_that_stop_ends_a_round_and_texts_can_be_sent_to_ranking(page: Any, qtbot: QtBot, bench: Workbench) -> None:
    slow = ContrastiveSearch(max_new_tokens=450, top_k=64)  # sampling would be over before anybody could stop it
    page.row.set_columns([Column("stories", slow), Column("stories", Sample(max_new_tokens=450, seed=2))])
    page.start()
    qtbot.waitUntil(lambda: len(page.row.cards[0].view.tokens) > 3, timeout=120_000)
    assert page.bar.stop.isVisible() and not page.bar.start.isVisible()
    qtbot.keyClick(page, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not page.round.running, timeout=60_000)
    assert page.row.cards[0].news.stopped and "stopped" in page.row.cards[0].foot.verdict.text()
    page.voting.bar.dataset.setText("later")
    page.voting.bar.send.click()
    qtbot.waitUntil(lambda: "Sent to later" in page.voting.bar.told.text())
    item, _ = bench.labelling.start("later")
    assert item is not None and len(item.item.candidates) == 2


def test_that_an_error_is_told_in_its_column_and_the_others_go_on(page: Any, qtbot: QtBot, bench: Workbench, tmp_path: Path, shared: Path) -> None:  # fmt: skip
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in (shared / "models" / "stories260K").iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    bench.models.add_folder(broken, "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    page.shown()
    qtbot.waitUntil(lambda: "broken" in page.row.models)
    page.row.set_columns([Column("broken", Greedy(max_new_tokens=4)), Column("stories", Greedy(max_new_tokens=4))])
    run(qtbot, page)
    bad, good = page.row.cards
    assert "can't be loaded" in bad._words.text() and bad.foot.verdict.text() == "failed"
    assert len(good.view.tokens) == 4
    assert not page.voting.bar.best[0].isEnabled() and "text in every column" in page.voting.bar.told.text()
    assert good.view.mark is None, "nothing parts from a column that failed"


def test_that_an_empty_prompt_is_asked_for(page: Any, window: Window) -> None:
    page.bar.prompt.setPlainText("  ")
    page.start()
    assert not page.round.running
    assert window.notices.findChildren(QWidget)


def test_that_settings_are_a_form_that_acts_at_once(page: Any, qtbot: QtBot) -> None:
    card = page.row.cards[1]
    card.head.tune.click()
    panel = page.drawer.content
    assert isinstance(panel, SettingsPanel) and not page.drawer.isHidden()
    names = {w.objectName() for w in panel.findChildren(QWidget)}
    assert "playground.settings.temperature" in names and "playground.settings.seed" not in names
    editor = panel.form.editor("top_k")
    assert isinstance(editor, QSpinBox)
    editor.setValue(7)
    assert card.head.settings.top_k == 7 and "top-k 7" in card.head.summary.text()
    wrong = panel.form.editor("temperature")
    assert isinstance(wrong, QLineEdit)
    wrong.setText("99")
    wrong.textEdited.emit("99")
    assert card.head.settings.temperature == 1.5, "a value out of bounds is not taken"
    card.head.strategy.setCurrentText("beam")
    assert isinstance(card.head.settings, Beam) and card.head.settings.max_new_tokens == 14
    assert page.drawer.isHidden(), "the form of another strategy doesn't stay"
    card.head.strategy.setCurrentText("sample")
    assert card.head.settings.top_k == 7, "what was set before comes back"


def test_that_a_token_opens_its_alternatives(page: Any, qtbot: QtBot) -> None:
    run(qtbot, page)
    for mode in (1, 2, 0):
        page.bar.mode.setCurrentIndex(mode)
        assert page.bar.legend.isVisible() == (mode != 0)
    page.row.cards[0].view.opened.emit(2)
    panel = page.drawer.content.findChild(TokenPanel)
    assert panel is not None
    assert "token 3" in page.drawer.title.text()
    assert not panel.grab().isNull()


def test_that_columns_are_added_up_to_six_and_removed(page: Any, qtbot: QtBot) -> None:
    for _ in range(6):
        page.add_column()
    assert len(page.row.cards) == 6 and not page.bar.add.isEnabled()
    assert [c.head.model.objectName() for c in page.row.cards] == [f"playground.{x}.model" for x in "abcdef"]
    for _ in range(5):
        page.row.cards[0].head.remove.click()
    assert len(page.row.cards) == 1 and page.bar.add.isEnabled()
    assert page.row.cards[0].head.remove.isHidden(), "the last one stays"


def test_that_presets_bring_columns_back(page: Any, qtbot: QtBot, window: Window) -> None:
    page.panels.open_presets()
    qtbot.waitUntil(lambda: isinstance(page.drawer.content, PresetsPanel))
    page.drawer.content.name.setText("pair")
    page.drawer.content._keep_now()
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    page.row.set_columns([Column("stories", Beam())])
    use = [b for b in page.drawer.content.findChildren(QPushButton) if b.objectName() == "playground.preset.0.use"]
    use[0].click()
    assert [c.head.settings.strategy for c in page.row.cards] == ["greedy", "sample"]
    page.panels.open_presets()
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    forget = [
        b for b in page.drawer.content.findChildren(QPushButton) if b.objectName() == "playground.preset.0.forget"
    ]
    forget[0].click()
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    assert not page.drawer.content.findChildren(QPushButton, "playground.preset.0.use")


def test_that_every_widget_to_use_has_a_name_and_an_accessible_name(page: Any) -> None:
    page.row.cards[0].head.tune.click()
    for widget in page.findChildren(QWidget):
        if isinstance(widget, QAbstractButton | QComboBox | QSpinBox | QPlainTextEdit) and not widget.objectName().startswith("qt_"):  # fmt: skip
            assert widget.objectName(), widget
            assert widget.accessibleName(), widget.objectName()


def test_that_the_page_arrives_with_a_model_from_elsewhere(page: Any, visit: Visit, bench: Workbench, shared: Path) -> None:  # fmt: skip
    bench.models.add_folder(shared / "models" / "stories260K", "other")
    visit("playground", model="other", prompt="Hi")
    assert page.row.cards[0].column.model == "other" and page.bar.prompt.toPlainText() == "Hi"


def test_that_what_the_page_remembers_can_be_read_again() -> None:
    columns = [Column("m", Beam(early_stopping="never")), Column("n", Sample(top_p=0.5))]
    state = Remembered(prompt="a\nb", raw=True, seed=7, mode=2, blind=True).with_columns(columns)
    assert read(write(state)) == state and list(read(write(state)).columns) == columns
    for damaged in (
        "",
        None,
        "[]",
        "{}",
        '{"seed": "x"}',
        '{"kept": [{"model": "m", "settings": {"strategy": "magic"}}]}',
    ):
        assert read(damaged) == Remembered()


def test_that_settings_are_summed_up_in_a_line() -> None:
    assert summary(Greedy()) == "128 tokens"
    assert summary(Sample(temperature=0.8, top_p=0.9)) == "temperature 0.8 · top-p 0.9 · 128 tokens"
    assert summary(Beam(num_beams=2, stop=("a", "b"))) == "2 beams · stop a, b · 128 tokens"


def test_that_news_of_a_silent_model_are_words(page: Any) -> None:
    card = page.row.cards[0]
    card.begin()
    card.take(ColumnNews(0, phase="loading the model"))
    assert "Loading the model" in card._words.text()
    card.take(ColumnNews(0, done=True, reason="end", numbers={"tokens": 0}))
    assert "said nothing" in card._words.text() and card.done
