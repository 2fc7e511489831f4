"""Where one thing follows another: going on, reopening, late answers, blind rounds beside open views."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from tests.gui.pages.playground.made_up import beam_levels, distribution, draft_round
from tests.gui.pages.playground.scripted.conftest import Stage, ended, said
from workbench.domain.decoding import Beam, Greedy, Sample, Speculative
from workbench.domain.errors import BadInput
from workbench.domain.rounds import Round, RoundColumn
from workbench.domain.runs import JobState
from workbench.domain.text import Prompt
from workbench.services.column_numbers import Measures, Taken
from workbench.services.views import ColumnNews


def test_that_nothing_goes_on_while_another_column_still_speaks(stage: Stage) -> None:
    stage.ask()
    stage.tell(ended(0, " a", reason="stopped"))
    stage.page.round.go_on()
    assert len(stage.said.asked) == 1 and stage.page.row.cards[0].done


def test_that_a_limit_reached_before_its_number_gives_room_too(stage: Stage) -> None:
    stage.ask()
    stage.tell(ended(0, " a", reason="length"), ended(1, " b", reason="end"))
    stage.page.round.go_on()
    assert stage.said.asked[1].columns[0].settings.max_new_tokens == 1 + 8


def test_that_an_idle_page_in_sight_looks_at_nothing(stage: Stage) -> None:
    stage.page.shown()
    assert not stage.page.round._timer.isActive()


def test_that_going_on_keeps_the_drafts_and_begins_a_search_anew(stage: Stage) -> None:
    stage.columns(Beam(), Speculative())
    stage.ask()
    drafts = (draft_round(0, "aar"),)
    stage.tell(ended(0, " a", asides=beam_levels()), ended(1, " b", asides=drafts))
    stage.page.round.go_on()
    assert [card.asides for card in stage.page.row.cards] == [[], list(drafts)]
    more = draft_round(1, "aaa")
    stage.tell(ended(0, " c"), ended(1, " d", asides=(more,)))
    assert stage.page.row.cards[1].asides == [*drafts, more]
    stage.page.round.branch(1, 0, 900, new=False)
    assert stage.page.row.cards[1].asides == [], "a branch has none of the text's drafts"


def test_that_a_view_takes_no_news_of_other_columns(stage: Stage) -> None:
    stage.columns(Beam(), Beam())
    stage.ask()
    stage.page.lab.open(0)
    view: Any = stage.page.lab.pane.content
    first, second = beam_levels()[:2]
    stage.tell(ColumnNews(1, asides=(first,)))
    assert len(view._tree.levels) == 0
    stage.tell(ColumnNews(0, asides=(first,)), ColumnNews(1, asides=(second,)))
    assert len(view._tree.levels) == 1


def test_that_a_phase_told_twice_goes_on_counting(stage: Stage) -> None:
    stage.ask()
    card = stage.page.row.cards[0]
    stage.tell(ColumnNews(0, phase="loading the model"))
    card._waiting_since -= 5
    stage.tell(ColumnNews(0, phase="loading the model"))
    assert card._words.text() == "Loading the model … 5 s"


@pytest.mark.parametrize(("start", "text"), [(5, " ot"), (2, ""), (8, " other")])
def test_that_a_branchs_token_is_as_long_as_the_decoder_says(stage: Stage, start: int, text: str) -> None:
    stage.play([" a", " b"], [" c"])
    stage.page.round.branch(0, 1, 900, new=False)
    stage.tell(ColumnNews(0, tokens=said("x", start=start)))
    token = stage.page.row.cards[0].tokens[1]
    assert (token.text, token.start, token.end) == (text, 2, start)


def test_that_a_removed_column_isnt_asked_again(stage: Stage) -> None:
    stage.page.row.cards[0].head.remove.click()
    stage.ask()
    assert [c.settings.strategy for c in stage.said.asked[0].columns] == ["sample"]
    assert [c.settings.strategy for c in stage.page.row.chosen()] == ["sample"]


def blind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.gui.pages.playground.round.order_shown", lambda places, seed: (1, 0))
    stage.page.bar.blind.setChecked(True)
    stage.ask()


def test_that_a_blind_column_tells_neither_where_it_parts_nor_that_it_is_silent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind(stage, monkeypatch)
    assert [c.settings.strategy for c in stage.page.row.chosen()] == ["greedy", "sample"], "as a person put them"
    stage.tell(ended(0, " left"), ended(1, reason="end"))
    assert [card.view.mark for card in stage.page.row.cards] == [None, None]
    assert stage.page.row.cards[1]._words.text() == "The model said nothing."
    stage.page.voting.reveal()
    assert stage.page.row.cards[0].view.mark == 0


def test_that_a_blind_round_closes_the_view_and_writes_no_file(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.columns(Beam(), Greedy())
    stage.play([" a"], [" b"])
    stage.page.lab.open(0)
    blind(stage, monkeypatch)
    assert stage.page.lab.pane.content is None
    for news in ((), (ended(0, " a"), ended(1, " b"))):
        stage.tell(*news)
        stage.pick("Save the round as JSON")
        stage.page.lab.open(1)
    assert not stage.page.findChildren(QFileDialog) and stage.page.lab.pane.content is None
    stage.page.voting.reveal()
    assert stage.notices.count("There is no round to write.") == 2


def test_that_a_vote_kept_late_reveals_no_later_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    blind(stage, monkeypatch)
    stage.tell(ended(0, " a"), ended(1, " b"))
    stage.bridge.hold = stage.said.vote
    stage.page.voting.vote(0)
    stage.page.start()
    stage.bridge.release()
    QCoreApplication.processEvents()
    assert not any(card.head.isVisible() for card in stage.page.row.cards), "no window of its own tells who speaks"
    assert stage.page.row.masked and "Vote kept" not in stage.page.voting.bar.told.text()


def test_that_trouble_with_numbers_of_a_blind_round_isnt_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.page.measuring.measures = Measures(reward="judge")
    stage.taken = Taken(({}, {}), ("judge can't read stories.",))
    blind(stage, monkeypatch)
    stage.tell(ended(0, " a"), ended(1, " b"))
    assert stage.notices == []


def test_that_only_a_blind_round_can_be_revealed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.play([" a"], [" b"])
    assert not stage.page.voting.bar.reveal.isVisible()
    blind(stage, monkeypatch)
    assert stage.page.voting.bar.reveal.isVisible()


def reopened(stage: Stage, **fields: Any) -> None:
    columns = (
        RoundColumn(model="gone", settings=Greedy(seed=7), text=" a", completion="a", reason="end"),
        RoundColumn(model="stories", settings=Sample(seed=7), text=" b", completion="b", reason="end"),
    )
    kept = Round(
        id="old", created=datetime(2026, 1, 1, tzinfo=UTC), prompt=Prompt.from_text("Hi"), seed=7, columns=columns
    )
    stage.rounds.keep(kept.model_copy(update=fields), (said(" a"), said(" b")))
    stage.page.keeping.open("old")


def test_that_an_old_round_opens_with_a_model_that_is_gone_and_its_seed_and_can_be_judged(stage: Stage) -> None:
    reopened(stage, order=())
    assert [card.column.model for card in stage.page.row.cards] == ["gone", "stories"]
    assert stage.page.bar.seed.value() == 7
    stage.page.voting.vote(1)
    assert [c.model for c in stage.said.votes[0]["candidates"]] == ["gone", "stories"]
    assert stage.said.votes[0]["shown"] == (0, 1)


def test_that_an_earlier_column_that_was_stopped_at_once_says_so_again(stage: Stage) -> None:
    stage.ask()
    stage.tell(ended(0, reason="stopped"), ended(1, " b"))
    stage.page.keeping.open(stage.rounds.list()[0].id)
    assert stage.page.row.cards[0]._words.text() == "Stopped before the first token."


def test_that_a_search_keeps_the_round_that_was_chosen(stage: Stage) -> None:
    for words in ("A bell", "A dragon"):
        stage.ask(words)
        stage.tell(ended(0, " one"), ended(1, " two"))
    stage.pick("History of rounds")
    panel: Any = stage.page.keeping.panel
    QTest.keyClick(panel.list, Qt.Key.Key_Down)
    chosen = panel.list.key()
    stage.page.keeping._search("")
    assert panel.list.key() == chosen == stage.rounds.list()[1].id


def test_that_a_full_page_branches_in_place_from_the_rules_too(stage: Stage) -> None:
    stage.said.distribution = distribution(position=0)
    stage.columns(*[Greedy(max_new_tokens=8)] * 6)
    stage.play(*[[" a", " b"]] * 6)
    stage.page.lab.open_distribution(2, 0)
    view: Any = stage.page.lab.pane.content
    view.branch.emit(0, 900)
    assert stage.said.asked[-1].places == (2,) and stage.page.lab.pane.content is None


def test_that_leaving_the_rounds_ends_their_test(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.said, "lossless", lambda *_, progress: None, raising=False)
    stage.columns(Speculative(), Greedy())
    stage.play([" a"], [" b"])
    stage.page.lab.open(0)
    stage.bridge.hold = stage.said.lossless  # type: ignore[attr-defined]
    view: Any = stage.page.lab.pane.content
    view.test_wanted.emit(100)
    ticket = stage.page.lab._ticket
    assert ticket is not None and not ticket.cancelled
    view.stop_wanted.emit()
    assert ticket.cancelled
    view.test_wanted.emit(100)
    stage.page.lab.close()
    assert stage.page.lab._ticket is not None and stage.page.lab._ticket.cancelled
    stage.bridge.release()


def test_that_a_study_that_cant_be_read_says_why_and_is_left_alone(stage: Stage) -> None:
    def gone(run: str) -> Any:
        raise BadInput("The study's file is damaged.", "Start it again.")

    view = type("View", (), {"id": "s", "name": "", "state": JobState.DONE, "step": 0, "steps": 0})
    services: Any = type("Services", (), {})()
    services.runs = type("Runs", (), {"view": staticmethod(lambda run: view)})
    services.studies = type("Studies", (), {"get": staticmethod(gone)})
    stage.page.studies._services = services
    stage.page.studies.open("study-1")
    sheet = stage.page.studies.sheet
    assert sheet is not None and sheet.told.text() == "The study's file is damaged. Start it again."
    assert not sheet.rank.isEnabled() and not stage.page.studies._timer.isActive()
