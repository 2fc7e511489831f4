"""Asking, stopping, going on and keeping watch: what the page asks of the decoder, key by key."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from tests.gui.pages.playground.scripted.conftest import Stage, ended, model, said
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import BadInput, RunFailed
from workbench.gui.pages.playground import memory
from workbench.services.views import Column, ColumnNews

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def test_that_ctrl_enter_in_the_prompt_asks_every_column_with_one_seed(stage: Stage) -> None:
    bar = stage.page.bar
    bar.seed.setValue(41)
    bar.prompt.setFocus()
    QTest.keyClicks(bar.prompt, "Tell me")
    QTest.keyClick(bar.prompt, Qt.Key.Key_Return)
    assert stage.said.asked == [], "Enter alone is a new line"
    QTest.keyClick(bar.prompt, Qt.Key.Key_Return, CTRL)
    (asked,) = stage.said.asked
    assert asked.prompt.text == "Tell me\n" and asked.places == (0, 1) and asked.prefill == ""
    assert [c.settings.seed for c in asked.columns] == [41, 41] and [c.start for c in asked.columns] == [(), ()]
    assert [c.model for c in asked.columns] == ["stories", "stories"]
    assert stage.page.round.running and bar.stop.isVisible() and not bar.start.isVisible()


def test_that_system_prompt_and_beginning_count_only_while_they_can_be_seen(stage: Stage) -> None:
    bar = stage.page.bar
    bar.system.setPlainText("Be brief.")
    bar.prefill.setPlainText("Well,")
    stage.ask("Hi")
    assert [t.role for t in stage.said.asked[0].prompt.turns] == ["user"] and stage.said.asked[0].prefill == ""
    bar.context.setChecked(True)
    stage.ask("Hi")
    turns = stage.said.asked[1].prompt.turns
    assert [(t.role, t.content) for t in turns] == [("system", "Be brief."), ("user", "Hi")]
    assert stage.said.asked[1].prefill == "Well,"
    bar.kind.setCurrentIndex(1)
    stage.ask("Hi")
    raw = stage.said.asked[2]
    assert raw.prompt.raw and [t.role for t in raw.prompt.turns] == ["user"] and raw.prefill == "Well,"


def test_that_an_empty_prompt_asks_nobody_but_for_a_prompt(stage: Stage) -> None:
    stage.ask(" \n ")
    assert stage.said.asked == [] and stage.notices == ["The prompt is empty."] and not stage.page.round.running


def test_that_escape_stops_first_then_leaves_the_view_then_the_panel(stage: Stage) -> None:
    stage.columns(Beam(), Greedy())
    stage.ask()
    stage.page.lab.open(0)
    stage.page.drawer.show()
    QTest.keyClick(stage.page, Qt.Key.Key_Escape)
    assert stage.said.stops == 1 and stage.page.lab.pane.content is not None
    stage.tell(ended(0, " a", reason="stopped"), ended(1, " b", reason="stopped"))
    QTest.keyClick(stage.page, Qt.Key.Key_Escape)
    assert stage.page.lab.pane.content is None and not stage.page.drawer.isHidden()
    QTest.keyClick(stage.page, Qt.Key.Key_Escape)
    assert stage.page.drawer.isHidden() and stage.said.stops == 1, "nothing runs that could be stopped"


def test_that_a_round_has_ended_when_its_last_column_has(stage: Stage) -> None:
    stage.ask()
    stage.tell(ended(0, " a"))
    assert stage.page.round.running and not stage.page.voting.bar.best[0].isEnabled()
    assert "when all columns have ended" in stage.page.voting.bar.told.text()
    stage.tell(ColumnNews(1, tokens=said(" b")))
    assert stage.page.round.running and stage.page.row.cards[1].foot.verdict.text() == "1 tokens"
    stage.tell(ended(1))
    assert not stage.page.round.running and stage.page.bar.start.isVisible()


def test_that_only_what_stopped_or_reached_its_limit_or_failed_goes_on_from_its_tokens(stage: Stage) -> None:
    stage.columns(*[Greedy(max_new_tokens=2)] * 4)
    stage.ask()
    stage.tell(
        ended(0, " a", " b", reason="length"), ended(1, " c", reason="stopped"), ended(2, " d", reason="end"),
        ended(3, " e", error_what="Lost.", reason=""),
    )  # fmt: skip
    assert stage.page.bar.go_on.isEnabled()
    QTest.keyClick(stage.page, Qt.Key.Key_Return, CTRL | SHIFT)
    again = stage.said.asked[1]
    assert again.places == (0, 1, 3) and [c.start for c in again.columns] == [(0, 1), (0,), (0,)]
    assert [c.settings.max_new_tokens for c in again.columns] == [4, 2, 2], "as much again, where the limit was reached"
    assert stage.page.row.cards[2].news is not None and stage.page.row.cards[0].said == " a b"
    stage.tell(ColumnNews(0, tokens=said(" f", start=4)))
    assert stage.page.row.cards[0].said == " a b f"


def test_that_nothing_goes_on_where_all_have_ended_by_themselves(stage: Stage) -> None:
    stage.ask()
    stage.tell(ended(0, " a", reason="end"), ended(1, " b", reason="stop"))
    assert not stage.page.bar.go_on.isEnabled()
    stage.page.round.go_on()
    assert len(stage.said.asked) == 1


def test_that_a_refused_round_is_told_in_every_column_and_in_the_window(stage: Stage) -> None:
    stage.said.refuses = BadInput("stories is gone.", "Add it again.")
    stage.ask()
    assert stage.shell.told == [("stories is gone.", "Add it again.", "bad")] and not stage.page.round.running
    assert [card._words.text() for card in stage.page.row.cards] == ["stories is gone. Add it again."] * 2
    assert [card.foot.verdict.text() for card in stage.page.row.cards] == ["failed"] * 2
    stage.said.refuses = None
    stage.page.round.go_on()
    assert stage.said.asked[0].places == (0, 1)


def test_that_phases_are_told_with_their_seconds_until_the_first_token(stage: Stage) -> None:
    stage.ask()
    card = stage.page.row.cards[0]
    assert card._words.text() == "Starting the decoder … 0 s"
    stage.tell(ColumnNews(0, phase="loading the model"))
    card._waiting_since -= 7
    stage.tell()
    assert card._words.text() == "Loading the model … 7 s"
    stage.tell(ColumnNews(0))
    assert card._words.text().startswith("Reading the prompt …")
    stage.tell(ColumnNews(0, tokens=said(" a")))
    assert card._stack.currentWidget() is card.view


def test_that_what_ends_without_a_token_says_why(stage: Stage) -> None:
    stage.ask()
    stage.tell(ended(0, reason="end"), ended(1, reason="stopped"))
    words = [card._words.text() for card in stage.page.row.cards]
    assert words == ["The model said nothing.", "Stopped before the first token."]
    assert stage.page.voting.bar.told.text() == "A vote needs a text in every column."


def test_that_nothing_is_looked_at_out_of_sight_and_what_waits_comes_with_it(stage: Stage) -> None:
    stage.ask()
    stage.page.hidden()
    assert not stage.page.round._timer.isActive()
    stage.said.news.append(ColumnNews(0, tokens=said(" a")))
    stage.page.shown()
    assert stage.page.round._timer.isActive()
    stage.tell()
    assert stage.page.row.cards[0].said == " a"
    stage.page.hidden()
    stage.ask()
    assert not stage.page.round._timer.isActive(), "a round that is begun out of sight waits too"


def test_that_a_column_is_added_with_the_last_ones_model_and_samples(stage: Stage) -> None:
    stage.models[:] = [model("stories"), model("other")]
    stage.page.shown()
    stage.page.row.cards[1].head.model.setCurrentText("stories")
    stage.page.bar.add.click()
    assert stage.page.row.cards[2].column == Column("stories", Sample(max_new_tokens=96))
    stage.page.bar.same.setChecked(True)
    assert [card.column.settings for card in stage.page.row.cards] == [Greedy(max_new_tokens=8)] * 3
    stage.page.bar.add.click()
    assert stage.page.row.cards[3].column.settings == Greedy(max_new_tokens=8), "linked, it has theirs"
    for _ in range(2):
        stage.page.bar.add.click()
    assert len(stage.page.row.cards) == 6 and not stage.page.bar.add.isEnabled()
    stage.act("playground.add")
    assert stage.notices == ["There are at most six columns."] and len(stage.page.row.cards) == 6


def test_that_columns_stand_still_while_they_speak(stage: Stage) -> None:
    stage.ask()
    assert not stage.page.bar.add.isEnabled() and not stage.page.row.cards[0].head.remove.isEnabled()
    stage.act("playground.add")
    assert len(stage.page.row.cards) == 2
    stage.tell(ended(0, " a"), ended(1, " b"))
    assert stage.page.bar.add.isEnabled() and stage.page.row.cards[0].head.remove.isEnabled()


def test_that_removing_a_column_forgets_the_round_and_renames_the_others(stage: Stage) -> None:
    stage.play([" a"], [" b"])
    stage.page.row.cards[0].head.remove.click()
    (left,) = stage.page.row.cards
    assert left.column.settings.strategy == "sample" and left.accessibleName() == "Column A"
    assert stage.page.round.asked is None and not stage.page.voting.bar.best[0].isEnabled()
    assert not left.head.remove.isVisibleTo(left), "the last one stays"
    assert stage.page.voting.bar.told.text() == "Votes open when all columns have ended."


def test_that_news_of_columns_that_are_gone_are_dropped(stage: Stage) -> None:
    stage.ask()
    stage.page.row.set_columns([Column("stories", Greedy())])
    stage.tell(ended(1, " b"), ended(0, " a"))
    assert not stage.page.round.running and stage.said.stops == 1 and stage.page.row.cards[0].said == ""


def test_that_changed_settings_of_a_linked_column_reach_the_others_and_stay_when_unlinked(stage: Stage) -> None:
    stage.page.bar.same.setChecked(True)
    stage.page.row.cards[1].head.set_settings(Beam(num_beams=3))
    assert [card.column.settings for card in stage.page.row.cards] == [Beam(num_beams=3)] * 2
    stage.page.bar.same.setChecked(False)
    stage.page.row.cards[1].head.set_settings(Greedy())
    assert stage.page.row.cards[0].column.settings == Beam(num_beams=3)


def test_that_the_page_comes_back_as_it_was(stage: Stage) -> None:
    bar = stage.page.bar
    bar.prompt.setPlainText("Hi")
    bar.prefill.setPlainText("Well,")
    bar.kind.setCurrentIndex(1)
    bar.seed.setValue(9)
    bar.mode.setCurrentIndex(3)
    bar.same.setChecked(True)
    stage.page._remember()
    kept = memory.read(stage.shell.kept["playground.page"])
    assert (kept.prompt, kept.prefill, kept.raw, kept.seed, kept.mode, kept.same) == ("Hi", "Well,", True, 9, 3, True)
    assert kept.columns == (Column("stories", Greedy(max_new_tokens=8)),) * 2
    bar.set_state(memory.Remembered())
    bar.prompt.clear()
    stage.page._recall()
    assert (bar.prompt.toPlainText(), bar.opening(), bar.raw, bar.seed.value()) == ("Hi", "Well,", True, 9)
    assert stage.page.row.mode == "entropy" and bar.context.isChecked()
    bar.prompt.setPlainText("typed meanwhile")
    stage.page._recall()
    assert bar.prompt.toPlainText() == "typed meanwhile"


def test_that_what_cant_be_read_is_a_fresh_page(stage: Stage) -> None:
    stage.shell.kept["playground.page"] = '{"seed": "?"}'
    stage.page._recall()
    assert [card.column.settings.strategy for card in stage.page.row.cards] == ["greedy", "sample"]
    assert {card.column.settings.max_new_tokens for card in stage.page.row.cards} == {96}


def test_that_it_arrives_with_a_model_and_a_prompt(stage: Stage) -> None:
    stage.models[:] = [model("judge", "reward"), model("stories"), model("newest")]
    stage.page.shown()
    assert stage.page.row.models == ["newest", "stories"], "reward models don't speak"
    assert stage.page.row.cards[0].column.model == "stories"
    stage.page.arrive(model="run-3@40", prompt="Go")
    assert stage.page.row.cards[0].column.model == "run-3@40" and stage.page.row.cards[1].column.model == "stories"
    assert stage.page.bar.prompt.toPlainText() == "Go"


def test_that_without_a_model_it_says_what_it_needs_and_trouble_can_be_tried_again(stage: Stage) -> None:
    models, page = list(stage.models), stage.page
    stage.models[:] = [model("judge", "reward")]
    page.shown()
    assert page._stack.currentWidget() is page._empty
    listed = page._services.models.list
    page._services.models.list = _failing
    page.shown()
    assert page._stack.currentWidget() is page._error and "The disk is full." in stage.words(page)
    page._services.models.list = listed
    stage.models[:] = models
    next(one for one in page._error.findChildren(type(page.bar.start)) if one.isVisibleTo(page)).click()
    assert page._stack.currentWidget() is page._desk


def _failing() -> Any:
    raise RunFailed("The disk is full.", "Make room.")


@pytest.mark.parametrize(
    ("id", "shown"),
    [("playground.mode.probability", "probability"), ("playground.mode.kl", "kl"), ("playground.mode.text", "text")],
)
def test_that_tokens_are_shown_as_the_palette_says_in_every_column(stage: Stage, id: str, shown: str) -> None:
    stage.play([" a"], [" b"])
    stage.act(id)
    assert stage.page.row.mode == shown and stage.page.bar.legend.isVisible() == (shown != "text")
    assert [card.view._layout.mode for card in stage.page.row.cards] == [shown, shown]
    stage.page.row.add(Column("stories", Greedy()))
    assert stage.page.row.cards[2].view._layout.mode == shown, "a new one too"
