"""Stop and go on, branch from a token, begin answers: what a seam would look like, and that there is none."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.conftest import run
from workbench.domain.choices import Alternative, TokenChoice
from workbench.domain.decoding import ContrastiveSearch, Greedy
from workbench.gui.pages.playground.branching import replaced, with_room
from workbench.gui.pages.playground.numbers import counted
from workbench.gui.pages.playground.token_panel import TokenPanel
from workbench.services.views import Column, ColumnNews
from workbench.services.workbench import Workbench


def slow(candidates: int) -> ContrastiveSearch:
    """A text that takes seconds: sampling a hundred tokens of this model is over before anybody can stop it."""
    return ContrastiveSearch(max_new_tokens=100, top_k=candidates)


def wait(qtbot: QtBot, page: Any) -> None:
    qtbot.waitUntil(lambda: not page.round.running, timeout=120_000)


def test_that_a_stopped_text_goes_on_as_if_nothing_had_happened(page: Any, qtbot: QtBot) -> None:
    page.row.set_columns([Column("stories", slow(40)), Column("stories", Greedy(max_new_tokens=8))])
    run(qtbot, page)
    whole = [[t.id for t in card.tokens] for card in page.row.cards]
    page.start()
    qtbot.waitUntil(lambda: page.row.cards[1].done, timeout=120_000)
    page.round.stop()
    wait(qtbot, page)
    first = page.row.cards[0]
    stopped = len(first.tokens)
    assert first.news.stopped and stopped < 100 and page.bar.go_on.isEnabled()
    qtbot.keyClick(page, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    wait(qtbot, page)
    assert [t.id for t in first.tokens] == whole[0]
    assert first.news.text == first.said and first.foot.numbers["tokens"] == len(whole[0])
    second = page.row.cards[1]
    assert [t.id for t in second.tokens][:8] == whole[1] and len(second.tokens) > 8, (
        "at its limit, it gets as much again"
    )
    assert page.round.asked.columns[1].settings.max_new_tokens == 16


def test_that_a_token_can_be_branched_from_in_a_new_column_and_in_its_own(page: Any, qtbot: QtBot) -> None:
    run(qtbot, page)
    before = list(page.row.cards[0].tokens)
    page.panels.open_token(0, 3)
    panel = page.drawer.content.findChild(TokenPanel)
    other = before[3].alternatives[1 if before[3].alternatives[0].id == before[3].id else 0]
    panel.branch.emit(3, other.id)
    wait(qtbot, page)
    assert len(page.row.cards) == 3
    branched = page.row.cards[2]
    assert [t.id for t in branched.tokens[:3]] == [t.id for t in before[:3]] and branched.tokens[3].id == other.id
    assert branched.tokens[3].text == other.text and branched.said == branched.news.text, "offsets are the decoder's"
    assert [t.id for t in page.row.cards[0].tokens] == [t.id for t in before], "the others stay"
    assert branched.view.mark == branched.tokens[3].start, "where it parts is marked"
    assert page.voting.bar.best[2].isEnabled() and page.voting.bar.best[2].isVisible()
    page.panels.open_token(0, 3)
    page.drawer.content.findChild(QCheckBox, "playground.branch.new").click()
    page.drawer.content.findChild(TokenPanel).branch.emit(3, other.id)
    wait(qtbot, page)
    assert len(page.row.cards) == 3 and page.row.cards[0].said == branched.said


def test_that_a_killed_decoder_leaves_the_page_as_it_was_and_it_can_go_on(
    page: Any, qtbot: QtBot, bench: Workbench
) -> None:
    page.row.set_columns([Column("stories", slow(candidates)) for candidates in (40, 30)])
    run(qtbot, page)
    whole = [[t.id for t in card.tokens] for card in page.row.cards]
    page.start()
    qtbot.waitUntil(lambda: len(page.row.cards[0].tokens) > 5, timeout=120_000)
    pid = bench.playground._decoder.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait(qtbot, page)
    card = page.row.cards[0]
    said = [t.id for t in card.tokens]
    assert 5 < len(said) < 100 and said == whole[0][: len(said)] and card.view.isVisible(), "what was said stays"
    assert "killed" in card.foot.verdict.text() and page.bar.prompt.toPlainText() == "Once upon a time"
    page.round.go_on()
    wait(qtbot, page)
    assert [[t.id for t in card.tokens] for card in page.row.cards] == whole


def test_that_every_answer_begins_with_what_is_prefilled(page: Any, qtbot: QtBot) -> None:
    page.bar.context.setChecked(True)
    page.bar.prefill.setPlainText(" there was a dragon")
    run(qtbot, page)
    assert all(c.text.startswith(" there was a dragon") for c in page.round.candidates())
    page.bar.context.setChecked(False)
    assert page.bar.opening() == "", "what can't be seen doesn't count"


def test_that_a_round_that_is_refused_keeps_what_was_said(page: Any, qtbot: QtBot, bench: Workbench) -> None:
    run(qtbot, page)
    said = page.row.cards[0].said
    bench.models.remove("stories")
    page.round.go_on()
    wait(qtbot, page)
    assert page.row.cards[0].said == said and "stories" in page.row.cards[0].foot.verdict.text()


def choice(text: str = " cat", start: int = 4) -> TokenChoice:
    options = tuple(
        Alternative(id=n, text=t, p_model=p, p_used=p)
        for n, t, p in ((1, " dog", 0.5), (2, text, 0.3), (3, "<0xC3>", 0.0))
    )
    return TokenChoice(
        id=2, text=text, start=start, end=start + len(text), p_model=0.3, p_used=0.3, logprob=-1.2, rank=1, entropy=1.0,
        kept=3, kept_mass=1.0, alternatives=options,
    )  # fmt: skip


def test_that_a_replaced_token_has_the_numbers_of_its_alternative() -> None:
    other = replaced(choice(), 1)
    assert (other.id, other.text, other.start, other.end, other.rank) == (1, " dog", 4, 8, 0)
    assert other.logprob == pytest.approx(-0.6931, abs=1e-4) and replaced(other, 3).logprob == float("-inf")
    silent = replaced(choice(), 3, 0)
    assert silent.text == "" and silent.end == silent.start, "a part of a character adds nothing yet"


def test_that_room_is_made_only_where_a_limit_was_reached() -> None:
    assert with_room(Greedy(max_new_tokens=10), 4, False).max_new_tokens == 10
    assert with_room(Greedy(max_new_tokens=10), 10, True).max_new_tokens == 20
    assert with_room(Greedy(max_new_tokens=10), 12, False).max_new_tokens == 22
    assert with_room(Greedy(max_new_tokens=30000), 30000, True).max_new_tokens == 32768


def test_that_numbers_are_of_the_whole_text_also_behind_a_seam() -> None:
    tokens = [choice(start=4 * n) for n in range(6)]
    found = counted(tokens)
    assert found["tokens"] == 6 and found["logprob"] == pytest.approx(-7.2)
    assert found["distinct_2"] == pytest.approx(1 / 5) and found["repetition"] == pytest.approx(2 / 3)
    assert counted([]) == {}


def test_that_a_branch_at_the_end_waits_for_the_decoders_word(page: Any) -> None:
    card = page.row.cards[0]
    card.begin([choice(start=0)], 1)
    card.take(ColumnNews(0, done=True, text="", completion="", reason="end", numbers={"tokens": 0}))
    assert [t.id for t in card.tokens] == [1] and card.said == "", "an end token adds no text"
