"""Votes, texts for ranking, rounds of the history, files and presets: what is kept of a round, and how it is found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from tests.gui.pages.playground.scripted.conftest import Stage, ended
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import StorageFailed
from workbench.gui.pages.playground.history_panel import PAUSE
from workbench.gui.pages.playground.vote_bar import VoteBar, ranking_of
from workbench.services.views import Column


def blind_order(stage: Stage, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]) -> None:
    """The next round is blind and stands in this order."""
    monkeypatch.setattr("workbench.gui.pages.playground.round.order_shown", lambda places, seed: order)
    stage.page.bar.blind.setChecked(True)


def test_that_a_vote_names_the_texts_as_they_were_put_and_as_they_stood(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind_order(stage, monkeypatch, (1, 0))
    stage.page.bar.seed.setValue(5)
    stage.page.bar.prompt.setPlainText("Tell me")
    stage.page.start()
    assert [c.settings.strategy for c in stage.said.asked[0].columns] == ["sample", "greedy"], "as they stand"
    stage.tell(ended(0, " left"), ended(1, " right"))
    stage.find("playground.vote.a").click()
    (vote,) = stage.said.votes
    assert [c.text for c in vote["candidates"]] == ["right", "left"] and vote["shown"] == (1, 0) and vote["blind"]
    assert vote["ranking"].tiers == ((1,), (0,)) and vote["outcome"] == "ranked" and vote["dataset"] == "playground"
    assert vote["shown_seed"] == stage.page.round.asked.order_seed != 0  # type: ignore[union-attr]
    assert [(c.model, c.settings.strategy, c.seed) for c in vote["candidates"]] == [
        ("stories", "greedy", 5),
        ("stories", "sample", 5),
    ]
    assert not stage.page.row.masked and stage.page.voting.bar.told.text() == "Vote kept in playground, signed me."
    stage.page.voting.vote(1)
    assert len(stage.said.votes) == 1, "one vote a round"


@pytest.mark.parametrize(
    ("name", "outcome", "tiers"),
    [("tie", "ranked", ((0, 1),)), ("bad", "all_bad", None), ("b", "ranked", ((1,), (0,)))],
)
def test_that_every_vote_says_what_it_means(stage: Stage, name: str, outcome: str, tiers: Any) -> None:
    stage.play([" a"], [" b"])
    stage.find(f"playground.vote.{name}").click()
    (vote,) = stage.said.votes
    assert vote["outcome"] == outcome and (vote["ranking"] and vote["ranking"].tiers) == tiers and not vote["blind"]


def test_that_a_ranking_of_three_has_the_best_before_all_others() -> None:
    assert ranking_of(2, (1, 2, 0)).tiers == ((0,), (1, 2))  # type: ignore[union-attr]
    assert ranking_of(VoteBar.TIE, (1, 2, 0)).tiers == ((0, 1, 2),)  # type: ignore[union-attr]
    assert ranking_of(VoteBar.ALL_BAD, (0, 1)) is None


def test_that_a_vote_that_cant_be_kept_is_told_and_can_be_given_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.play([" a"], [" b"])

    def full(*_: Any, **__: Any) -> Any:
        raise StorageFailed("The disk is full.", "Make room.")

    with monkeypatch.context() as patched:
        patched.setattr(stage.said, "vote", full, raising=False)
        stage.page.voting.vote(0)
    assert [error.what for error in stage.bridge.told] == ["The disk is full."]
    stage.page.voting.vote(0)
    assert len(stage.said.votes) == 1


def test_that_texts_go_to_the_dataset_that_stands_there(stage: Stage) -> None:
    stage.play([" a"], [" b"])
    stage.page.voting.bar.dataset.setText("to-rank")
    stage.find("playground.send").click()
    ((dataset, prompt, texts),) = stage.said.sent
    assert (dataset, prompt.text, [c.text for c in texts]) == ("to-rank", "Once upon a time", ["a", "b"])
    assert stage.page.voting.bar.told.text() == "Sent to to-rank, to be ranked blind."
    assert not stage.page.voting.bar.send.isEnabled() and not stage.page.voting.bar.best[0].isEnabled()
    stage.page.voting.bar.dataset.setText("playground")


def test_that_nothing_is_voted_on_where_a_column_failed_or_is_alone(stage: Stage) -> None:
    stage.ask()
    stage.tell(ended(0, " a"), ended(1, " b", error_what="Lost."))
    assert not stage.page.voting.bar.best[0].isEnabled()
    stage.page.voting.vote(0)
    stage.page.voting.send()
    stage.columns(Greedy())
    stage.play([" a"])
    assert stage.page.voting.bar.told.text() == "A vote needs two columns."
    stage.page.voting.vote(0)
    assert stage.said.votes == [] and stage.said.sent == []


def test_that_a_blind_column_shows_its_text_only_when_all_have_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind_order(stage, monkeypatch, (1, 0))
    stage.ask()
    stage.tell(ended(0, " left"))
    card = stage.page.row.cards[0]
    assert "Ready; waiting for the others." in stage.words(stage.page) and card.plain.toPlainText() == ""
    stage.tell(ended(1, error_what="Lost.", error_hint="Load stories again."))
    assert card.plain.toPlainText() == " left"
    told = stage.words(stage.page)
    assert "why is told once you reveal" in told and "stories" not in told and "Lost" not in told
    stage.find("playground.reveal").click()
    assert "Lost. Load stories again." in stage.words(stage.page) and card.view.text == " left"
    stage.page.start()
    assert [card.column.settings.strategy for card in stage.page.row.cards] == ["sample", "greedy"]
    stage.tell(ended(0, " a"), ended(1, " b"))
    stage.page.voting.reveal()
    stage.page.voting.vote(0)
    assert not stage.said.votes[0]["blind"], "seen before the vote"


def test_that_a_blind_round_needs_two_columns(stage: Stage) -> None:
    stage.columns(Greedy())
    stage.page.bar.blind.setChecked(True)
    stage.ask()
    assert stage.said.asked == [] and stage.notices == ["A blind comparison needs two columns."]


@pytest.mark.parametrize("title", ["Presets of columns", "History of rounds", "Numbers below the columns", "The prompt as the model reads it"])  # fmt: skip
def test_that_no_panel_opens_that_would_tell_who_speaks(stage: Stage, title: str) -> None:
    stage.pick(title) if "reads" not in title else None
    stage.page.bar.blind.setChecked(True)
    stage.ask()
    stage.pick(title)
    assert stage.page.drawer.isHidden()
    stage.act("playground.add")
    assert len(stage.page.row.cards) == 2


def open_history(stage: Stage) -> Any:
    stage.pick("History of rounds")
    return stage.page.keeping.panel


def test_that_earlier_rounds_are_searched_by_typing_and_opened_by_enter(stage: Stage) -> None:
    for words in ("A dragon", "A bell"):
        stage.ask(words)
        stage.tell(ended(0, " one", reason="stopped"), ended(1, " two"))
    panel = open_history(stage)
    assert panel.list.count() == 2 and not panel.none.isVisible()
    panel.search.setFocus()
    QTest.keyClicks(panel.search, "dragon")
    assert panel._pause.isActive() and panel._pause.interval() == PAUSE and panel.list.count() == 2
    QTest.keyClick(panel.search, Qt.Key.Key_Return)
    assert panel.list.count() == 1
    panel.list.setFocus()
    QTest.keyClick(panel.list, Qt.Key.Key_Return)
    page = stage.page
    assert page.bar.prompt.toPlainText() == "A dragon" and page.row.cards[0].said == " one"
    assert page.row.cards[0].foot.verdict.text() == "stopped · 1 tokens" and page.bar.go_on.isEnabled()
    assert page.voting.bar.best[0].isEnabled(), "it can be judged"
    panel = open_history(stage)
    QTest.keyClicks(panel.search, "zebra")
    QTest.keyClick(panel.search, Qt.Key.Key_Return)
    assert panel.none.text() == "No round has all of these words." and not panel.list.isVisible()
    assert not panel.open_button.isEnabled() and not panel.forget_button.isEnabled()
    panel.search.clear()
    assert panel._pause.isActive(), "an emptied field looks again by itself"


def test_that_a_forgotten_round_is_gone_and_the_search_stays(stage: Stage) -> None:
    for words in ("A dragon", "A bell", "A dragon's bell"):
        stage.ask(words)
        stage.tell(ended(0, " one"), ended(1, " two"))
    panel = open_history(stage)
    QTest.keyClicks(panel.search, "bell")
    QTest.keyClick(panel.search, Qt.Key.Key_Return)
    panel.forget_button.click()
    assert panel.list.count() == 1 and len(stage.rounds.list()) == 2
    assert [one.prompt.text for one in stage.rounds.list()] == ["A bell", "A dragon"], "the chosen one, the newest"


def test_that_a_round_under_way_is_not_replaced_by_an_earlier_one(stage: Stage) -> None:
    stage.play([" a"], [" b"])
    (kept,) = stage.rounds.list()
    stage.ask("Another")
    stage.page.keeping.open(kept.id)
    assert stage.notices == ["A round is under way."] and stage.page.bar.prompt.toPlainText() == "Another"


def test_that_a_round_is_kept_with_everything_that_was_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    blind_order(stage, monkeypatch, (1, 0))
    stage.page.bar.context.setChecked(True)
    stage.page.bar.prefill.setPlainText("Well,")
    stage.page.bar.seed.setValue(3)
    stage.ask("Hi")
    stage.tell(ended(0, " a", reason="end"), ended(1, " b", error_what="Lost.", error_hint="Look.", reason=""))
    (kept,) = stage.rounds.list()
    assert (kept.prompt.text, kept.prefill, kept.seed, kept.order) == ("Hi", "Well,", 3, (1, 0))
    assert kept.order_seed is not None
    first, second = kept.columns
    assert (first.text, first.completion, first.reason, first.error) == (" a", "a", "end", "")
    assert second.error == "Lost. Look." and first.settings.strategy == "sample"
    assert first.numbers["tokens"] == 1.0 and first.numbers["distinct_2"] == 1.0


def test_that_a_round_in_which_nothing_was_said_is_not_kept(stage: Stage) -> None:
    stage.ask()
    stage.tell(ended(0, error_what="Lost."), ended(1, error_what="Lost."))
    assert stage.rounds.list() == []


@pytest.mark.parametrize(
    ("title", "name"), [("JSON", "round.json"), ("Markdown", "round.md"), ("a picture", "round.png")]
)
def test_that_a_round_is_written_where_a_person_says(stage: Stage, tmp_path: Path, title: str, name: str) -> None:
    stage.pick(f"Save the round as {title}")
    assert stage.notices == ["There is no round to write."] and not stage.page.findChildren(QFileDialog)
    stage.columns(Greedy(), Beam(), Sample())
    stage.play([" one"], [" two"], [" three"])
    stage.pick(f"Save the round as {title}")
    (dialog,) = stage.page.findChildren(QFileDialog)
    assert Path(dialog.selectedFiles()[0]).name == name
    dialog.fileSelected.emit(str(tmp_path / name))
    dialog.close()
    assert stage.shell.told[-1] == (f"The round was written to {name}.", str(tmp_path / name), "good")
    content = (tmp_path / name).read_bytes()
    if name.endswith("json"):
        assert [c["text"] for c in json.loads(content)["columns"]] == [" one", " two", " three"]
    elif name.endswith("md"):
        assert b"## C: stories, sample" in content
    else:
        image = QImage.fromData(content)
        assert image.width() == 32 + 3 * (340 + 12) - 12
        ground, row = image.pixelColor(2, 2), image.height() // 2
        assert len({image.pixelColor(x, row).name() for x in range(0, image.width(), 3)}) > 1 and ground.isValid()


def test_that_a_picture_is_as_high_as_its_longest_text(stage: Stage, tmp_path: Path) -> None:
    heights = []
    for count in (5, 400):
        stage.play([" word"] * count, [" b"])
        stage.page.keeping.export("png", tmp_path / "round.png")
        heights.append(QImage(str(tmp_path / "round.png")).height())
    assert heights[0] == 360 < heights[1] < 12_000


def test_that_presets_are_kept_used_and_forgotten_by_keys(stage: Stage) -> None:
    stage.pick("Presets of columns")
    panel = stage.page.drawer.content
    assert "Nothing kept yet." in stage.words(panel)
    QTest.keyClicks(panel.name, "two ways")
    QTest.keyClick(panel.name, Qt.Key.Key_Return)
    kept = (Column("stories", Greedy(max_new_tokens=8)), Column("stories", Sample(max_new_tokens=8, temperature=0.7)))
    assert stage.said.kept == {"two ways": kept} and "2 columns" in stage.words(stage.page.drawer)
    stage.columns(Beam())
    stage.pick("Presets of columns")
    use = stage.find("playground.preset.0.use")
    assert use.accessibleName() == "Use preset two ways"
    use.setFocus()
    QTest.keyClick(use, Qt.Key.Key_Space)
    assert tuple(card.column for card in stage.page.row.cards) == kept
    stage.pick("Presets of columns")
    stage.find("playground.preset.0.forget").click()
    assert stage.said.kept == {} and "Nothing kept yet." in stage.words(stage.page.drawer)
