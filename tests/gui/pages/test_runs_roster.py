"""The list of runs: its order, its filter, what stays selected, and what a row says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from workbench.domain.runs import JobState
from workbench.gui.pages.runs.roster import Roster, RosterModel
from workbench.gui.theme import Theme
from workbench.services.views import RunView

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
S = JobState
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager


def view(name: str, state: JobState = S.DONE, age: int = 0, **facts: object) -> RunView:
    values: dict[str, object] = {
        "id": name, "name": name, "kind": "dpo", "state": state, "step": 120, "steps": 400,
        "created": NOON - timedelta(hours=age), "started": NOON, "ended": None, "folder": Path("/runs") / name,
    }  # fmt: skip
    return RunView(**(values | facts))  # type: ignore[arg-type]


@pytest.fixture
def told() -> list[list[str]]:
    return []


@pytest.fixture
def roster(qtbot: QtBot, theme: Theme, told: list[list[str]]) -> Roster:
    made = Roster(theme, told.append)
    qtbot.addWidget(made)
    made.resize(320, 500)
    made.show()
    made.activateWindow()
    return made


def names(roster: Roster) -> list[str]:
    return [shown.name for shown in roster.model.shown]


def three(roster: Roster) -> None:
    roster.model.replace([view("a", age=3), view("b", age=2), view("c", age=1)])


def test_that_an_empty_list_shows_nothing_and_chooses_nothing(roster: Roster, told: list[list[str]]) -> None:
    roster.model.replace([])
    assert roster.model.rowCount() == 0
    assert roster.chosen == []
    assert not roster.choose("a")
    assert told == []
    assert roster.model.data(QModelIndex()) is None


def test_that_a_row_has_no_rows_below_it(roster: Roster) -> None:
    three(roster)
    assert roster.model.rowCount() == 3
    assert roster.model.rowCount(roster.model.index(0)) == 0


def test_that_choosing_tells_the_page_once(roster: Roster, told: list[list[str]]) -> None:
    three(roster)
    assert roster.choose("b")
    assert roster.choose("b")
    assert told == [["b"]]


def test_that_several_are_told_in_the_order_of_the_list(roster: Roster, told: list[list[str]]) -> None:
    three(roster)
    roster.choose("a")
    selection = roster.list.selectionModel()
    selection.select(roster.model.index(0), QItemSelectionModel.SelectionFlag.Select)
    assert told[-1] == ["c", "a"]


def test_that_the_arrows_choose_and_shift_adds(roster: Roster, told: list[list[str]], qtbot: QtBot) -> None:
    three(roster)
    roster.choose("c")
    roster.list.setFocus()
    QTest.keyClick(roster.list, Qt.Key.Key_Down)
    assert told[-1] == ["b"]
    QTest.keyClick(roster.list, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert told[-1] == ["b", "a"]


def test_that_a_run_that_changes_its_state_moves_and_stays_chosen(roster: Roster, told: list[list[str]]) -> None:
    roster.model.replace([view("new", age=1), view("old", S.QUEUED, age=9)])
    roster.choose("old")
    assert names(roster) == ["old", "new"]
    roster.model.update_one(view("old", S.STOPPED, age=9))
    assert names(roster) == ["new", "old"]
    assert roster.chosen == ["old"]
    assert told == [["old"]]


def test_that_progress_repaints_one_row_and_moves_nothing(roster: Roster, qtbot: QtBot) -> None:
    roster.model.replace([view("a", S.RUNNING), view("b", age=1)])
    with qtbot.waitSignal(roster.model.dataChanged) as seen, qtbot.assertNotEmitted(roster.model.modelReset):
        roster.model.update_one(view("a", S.RUNNING, step=200))
    assert seen.args is not None
    assert (seen.args[0].row(), seen.args[1].row()) == (0, 0)
    assert roster.model.shown[0].step == 200


def test_that_a_run_nobody_knew_joins_the_list(roster: Roster) -> None:
    three(roster)
    roster.model.update_one(view("d", S.RUNNING))
    assert names(roster) == ["d", "c", "b", "a"]
    assert roster.model.count == 4


def test_that_typing_filters_and_clearing_brings_all_back(roster: Roster) -> None:
    roster.model.replace([view("alpha"), view("beta", S.FAILED, age=1), view("gamma", note="beta prompts", age=2)])
    QTest.keyClicks(roster.field, "BETA")
    assert names(roster) == ["beta", "gamma"]
    QTest.keyClicks(roster.field, " failed")
    assert names(roster) == ["beta"]
    roster.field.clear()
    assert names(roster) == ["alpha", "beta", "gamma"]


def test_that_a_filter_goes_on_when_news_come(roster: Roster) -> None:
    three(roster)
    roster.field.setText("b")
    roster.model.update_one(view("d", S.RUNNING))
    assert names(roster) == ["b"]
    assert roster.model.count == 4
    assert roster.model.view("d") is not None


def test_that_a_chosen_run_that_is_filtered_out_is_no_longer_chosen(roster: Roster, told: list[list[str]]) -> None:
    three(roster)
    roster.choose("a")
    roster.field.setText("b")
    assert roster.chosen == []
    assert told[-1] == []


def test_that_a_deleted_run_is_gone_from_the_choice(roster: Roster, told: list[list[str]]) -> None:
    three(roster)
    roster.choose("a")
    roster.model.replace([view("b")])
    assert told[-1] == []
    assert roster.model.view("a") is None


def test_that_the_queue_keeps_its_order_and_knows_each_place(roster: Roster) -> None:
    ages = {"third": 0, "first": 1, "second": 5}
    queue = [view(name, S.QUEUED, age, place=("first", "second", "third").index(name)) for name, age in ages.items()]
    roster.model.replace([view("done"), *queue])
    assert names(roster) == ["first", "second", "third", "done"]
    assert roster.model.waiting == ["first", "second", "third"]
    assert [roster.model.queue_place(name) for name in ("first", "second", "third")] == [0, 1, 2]
    assert roster.model.queue_place("done") == 0
    roster.field.setText("third")  # places are those of the whole queue, filtered or not
    assert roster.model.queue_place("third") == 2


def test_that_a_screen_reader_hears_name_kind_state_progress_and_number(roster: Roster) -> None:
    roster.model.replace([view("dpo-7", S.RUNNING, eta_seconds=61.0, headline="loss", last={"loss": 0.25})])
    wanted = "dpo-7, dpo, running, step 120 of 400, 1 min left, Loss 0.25"
    for role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
        assert roster.model.data(roster.model.index(0), role) == wanted


def test_that_the_tooltip_holds_name_number_and_note(roster: Roster) -> None:
    roster.model.replace([view("a", headline="loss", last={"loss": 2.0}, note="first try"), view("b", age=1)])
    tips = [roster.model.data(roster.model.index(n), Qt.ItemDataRole.ToolTipRole) for n in range(2)]
    assert tips == ["a\nLoss 2\nfirst try", "b"]


def test_that_a_model_alone_needs_no_window() -> None:
    model = RosterModel()
    model.replace([view("a")])
    assert model.index(0).data(Qt.ItemDataRole.UserRole).name == "a"
    assert model.index(0).data(Qt.ItemDataRole.DecorationRole) is None


def colours_in(roster: Roster, row: int) -> set[str]:
    box = roster.list.visualRect(roster.model.index(row))
    picture = roster.list.viewport().grab(box).toImage()
    return {
        picture.pixelColor(QPoint(x, y)).name()
        for x in range(0, picture.width(), 2)
        for y in range(0, picture.height(), 2)
    }


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_that_the_chosen_row_is_painted_in_the_themes_colour(roster: Roster, theme: Theme, mode: str) -> None:
    theme.apply(mode)  # type: ignore[arg-type]
    three(roster)
    roster.choose("b")
    soft = theme.colours.accent_soft.lower()
    seen = [soft in colours_in(roster, row) for row in range(3)]
    theme.apply("light")
    assert seen == [False, True, False]


@pytest.mark.parametrize(
    "odd",
    [
        view("x" * 400), view("שלום עולם", S.PAUSED), view("🦊", S.LOST, kind="pretrain"), view("", S.FAILED),
        view("steps", S.RUNNING, step=0, steps=0), view("past", S.RUNNING, step=900, steps=400),
        view("spark", S.RUNNING, spark=(1.0, float("nan"), 3.0), headline="loss", last={"loss": float("nan")}),
        view("flat", spark=(1.0,)), view("queued", S.QUEUED, started=None),
    ],
    ids=lambda v: v.name[:8] or "nameless",
)  # fmt: skip
def test_that_odd_runs_are_painted_without_a_fault(roster: Roster, odd: RunView) -> None:
    roster.model.replace([odd])
    for width in (200, 320, 900):
        roster.resize(width, 300)
        assert len(colours_in(roster, 0)) > 1


def test_that_rows_grow_with_the_letters(roster: Roster, theme: Theme) -> None:
    three(roster)
    before = roster.list.sizeHintForRow(0)
    theme.apply("light", font_size=18)
    grown = roster.list.sizeHintForRow(0)
    theme.apply("light")
    assert grown == before + 10
