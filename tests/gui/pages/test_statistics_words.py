"""From a report made by hand to plots, cards and the list of what to look at again: which there are, and every word of them."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from workbench.analysis.alpha import Interval
from workbench.analysis.contests import Circle, Dispute, WinRate
from workbench.analysis.figures import Figure
from workbench.analysis.habits import LengthBin, Share, Stretch
from workbench.analysis.label_stats import LabelStats, Rating
from workbench.analysis.report import Report
from workbench.analysis.resampled import PairAgreement
from workbench.gui.pages.statistics.again import NOTHING, AgainList, cases
from workbench.gui.pages.statistics.board import Board
from workbench.gui.pages.statistics.figures import FigureCard, main_figures, summary
from workbench.gui.pages.statistics.plots import (
    MOST_DAYS,
    MOST_MODELS,
    MOST_ROWS,
    agreement_plots,
    confusion,
    habit_plots,
    model_plots,
)
from workbench.gui.theme import Theme
from workbench.gui.widgets.charts import Band, Bars, Forest, Heat, Plot, Steps

RAW = Interval(0.8, 0.7, 0.9)
NONE = ((0, 0, 0, 0),) * 4
FIRST_MAY = date(2026, 5, 1)


def labels(**facts: Any) -> LabelStats:
    given: dict[str, Any] = {"items": 20, "judgements": 41, "annotators": ("ann", "bob")}
    agreement = type("Agreed", (), {"items": 20})()
    return LabelStats(agreement=agreement, **(given | facts))


def report(stats: LabelStats | None = None, **facts: Any) -> Report:
    return Report("pairs", stats or labels(), **facts)


def pair(first: str = "ann", second: str = "bob", kappa: Interval | None = RAW, **facts: Any) -> PairAgreement:
    table = facts.pop("table", ((5, 1, 0, 0), (0, 0, 0, 0), (2, 0, 4, 0), (0, 0, 0, 0)))
    return PairAgreement(first, second, 12, RAW, kappa, table)


def figure(name: str = "agreement.raw", **facts: Any) -> Figure:
    given: dict[str, Any] = {
        "name": name, "title": "Raw agreement", "value": 0.8, "low": 0.7, "high": 0.9, "count": 12, "of": "pairs of votes",
        "sentence": "four of five votes agree", "group": "Agreement", "kind": "share",
    }  # fmt: skip
    return Figure(**(given | facts))


def names(plots: list[Plot]) -> list[str]:
    return [plot.name for plot in plots]


# -- agreement ---------------------------------------------------------------------------------------------------------


def test_that_a_report_of_nothing_has_no_plots() -> None:
    bare = report()
    assert (agreement_plots(bare), habit_plots(bare), model_plots(bare)) == ([], [], [])


def test_that_pairs_without_a_kappa_are_in_no_forest_but_have_their_confusion() -> None:
    assert names(agreement_plots(report(labels(pairs=(pair(kappa=None),))))) == ["confusion"]
    both = agreement_plots(report(labels(pairs=(pair(kappa=None), pair("bob", "cid")))))
    assert names(both) == ["pairs", "confusion"]
    assert [mark.label for mark in both[0].drawn.marks] == ["bob · cid"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kappa", "words"),
    [
        (Interval(0.641, 0.55, 0.725), "ann · bob: 0.64 (0.55 to 0.72), 12 items"),
        (Interval(-0.05, None, None), "ann · bob: -0.05, 12 items"),
        (Interval(1.0, 0.9, None), "ann · bob: 1.00, 12 items"),
    ],
)
def test_that_a_pair_is_told_with_its_interval_where_there_is_one(kappa: Interval, words: str) -> None:
    plot = agreement_plots(report(labels(pairs=(pair(kappa=kappa),))))[0]
    assert isinstance(plot.drawn, Forest)
    assert plot.words == [words]
    assert (plot.drawn.reference, plot.drawn.share) == (0.4, False)
    assert plot.drawn.marks[0].value == kappa.value


def test_that_of_many_pairs_only_so_many_are_drawn() -> None:
    many = tuple(pair(f"a{n}", f"b{n}") for n in range(MOST_ROWS + 5))
    plot = agreement_plots(report(labels(pairs=many)))[0]
    assert len(plot.drawn.marks) == len(plot.words) == MOST_ROWS  # type: ignore[union-attr]


def test_that_each_annotators_part_has_its_plot_in_order() -> None:
    shares = {"ann": Share(0.75, 0.5, 0.9, 1_200)}
    made = agreement_plots(report(labels(accuracy={"ann": RAW}), consistency=shares, golds=shares))
    assert names(made) == ["accuracy", "consistency", "gold"]
    assert [plot.words for plot in made] == [
        ["ann: 80 % (70 % to 90 %), 20 items"],
        ["ann: 75 % (50 to 90 %), 1,200 repeats"],
        ["ann: 75 % (50 to 90 %), 1,200 gold items"],
    ]
    assert all(plot.drawn.share for plot in made)  # type: ignore[union-attr]


def test_that_a_confusion_keeps_rows_and_columns_apart() -> None:
    plot = confusion(pair())
    assert isinstance(plot.drawn, Heat)
    assert plot.drawn.rows == plot.drawn.columns == ["1st", "tie", "2nd"]
    assert plot.words[1] == "ann: 1st, bob: tie: 1"
    assert plot.words[6] == "ann: 2nd, bob: 1st: 2"
    cell = plot.drawn.cells[2][0]
    assert cell is not None
    assert cell == (2 / 5, "2", "ann: 2nd, bob: 1st: 2")
    assert plot.drawn.ends == ("0", "5")
    assert "Rows: ann. Columns: bob." in plot.reading


def test_that_votes_nobody_gave_take_no_room_in_a_confusion() -> None:
    table = ((0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 3, 0, 0))
    plot = confusion(pair(table=table))
    assert plot.drawn.rows == ["tie", "all bad"]  # type: ignore[union-attr]


def test_that_a_confusion_of_nothing_is_not_divided_by() -> None:
    assert confusion(pair(table=NONE)).drawn.rows == []  # type: ignore[union-attr]


# -- habits ------------------------------------------------------------------------------------------------------------


def test_that_sides_are_told_against_a_half() -> None:
    (plot,) = habit_plots(report(labels(left_by={"ann": Share(0.5, 0.4, 0.6, 100)})))
    assert isinstance(plot.drawn, Forest)
    assert (plot.name, plot.drawn.reference, plot.words) == ("left", 0.5, ["ann: 50 % (40 to 60 %), 100 choices"])


def test_that_lengths_are_bins_and_a_bin_of_one_length_is_one_number() -> None:
    share = Share(0.6, 0.5, 0.7, 9)
    (plot,) = habit_plots(report(lengths=(LengthBin(1, 1, share), LengthBin(2, 1_500, share))))
    assert isinstance(plot.drawn, Steps)
    assert [mark.label for mark in plot.drawn.marks] == ["1", "2–1,500"]
    assert plot.words[1] == "longer by 2 to 1,500 characters: the longer one preferred in 60 % (50 to 70 %)"
    assert (plot.drawn.unit, plot.drawn.reference) == ("characters longer", 0.5)


def test_that_a_sitting_is_drawn_by_its_minutes_and_told_with_its_middle_half() -> None:
    sittings = {"ann": (Stretch(0, 1.0, 2.0, 3.0, 10), Stretch(5, 2.0, 4.0, 6.5, 1_000))}
    (plot,) = habit_plots(report(sittings=sittings))
    assert isinstance(plot.drawn, Band)
    assert plot.drawn.lines == [("ann", [(0.0, 1.0, 2.0, 3.0), (5.0, 2.0, 4.0, 6.5)])]
    assert plot.words[1] == "ann, from minute 5: 4.0 s (half of them 2.0 to 6.5 s), 1,000 items"


def test_that_days_without_labels_stand_between_days_with_some() -> None:
    days = {"ann": {FIRST_MAY: 3, FIRST_MAY + timedelta(days=2): 1_000}, "bob": {FIRST_MAY + timedelta(days=1): 2}}
    (plot,) = habit_plots(report(days=days))
    assert isinstance(plot.drawn, Bars)
    assert plot.drawn.labels == ["01 May", "02 May", "03 May"]
    assert plot.drawn.stacks == [("ann", [3, 0, 1_000]), ("bob", [0, 2, 0])]
    assert plot.words == ["01 May 2026, ann: 3", "03 May 2026, ann: 1,000", "02 May 2026, bob: 2"]
    assert plot.reading == "Judgements on the screen by day."


@pytest.mark.parametrize(
    ("back", "shown", "said"), [(MOST_DAYS - 1, MOST_DAYS, False), (MOST_DAYS, MOST_DAYS, True), (400, MOST_DAYS, True)]
)
def test_that_only_the_last_days_are_drawn_and_it_is_said(back: int, shown: int, said: bool) -> None:
    days = {"ann": {FIRST_MAY - timedelta(days=back): 1, FIRST_MAY: 2}}
    (plot,) = habit_plots(report(days=days))
    assert len(plot.drawn.labels) == shown  # type: ignore[union-attr]
    assert (f"the last {MOST_DAYS} days" in plot.reading) == said
    assert len(plot.words) == 2, "the words tell every day"


# -- models ------------------------------------------------------------------------------------------------------------


def rating(model: str, strength: float | None = 0.5, low: float | None = 0.1, high: float | None = 0.9) -> Rating:
    return Rating(model, strength, low, high, 1_516.4, 1_200, 3, 4)


def test_that_a_model_without_a_finite_strength_is_left_out_of_the_ratings() -> None:
    (plot,) = model_plots(report(labels(ratings=(rating("a"), rating("b", None, None, None)))))
    assert plot.words == ["a: 0.50 (0.10 to 0.90), Elo 1,516, 1,200 won, 3 tied, 4 lost"]
    assert plot.drawn.reference == 0.0  # type: ignore[union-attr]


def test_that_a_strength_without_an_interval_is_told_without_one() -> None:
    (plot,) = model_plots(report(labels(ratings=(rating("a", low=None, high=None),))))
    assert plot.words == ["a: 0.50, Elo 1,516, 1,200 won, 3 tied, 4 lost"]


def test_that_win_rates_have_a_cell_for_each_two_that_met() -> None:
    won = WinRate("a", "b", 3, 1, 1, Share(0.7, 0.4, 0.9, 5))
    made = model_plots(report(labels(ratings=(rating("a"), rating("b"), rating("c"))), win_rates={("a", "b"): won}))
    heat = made[-1].drawn
    assert isinstance(heat, Heat)
    told = "a over b: 70 % (40 to 90 %); 3 won, 1 tied, 1 lost"
    assert heat.cells == [[None, (0.7, "70 %\nof 5", told), None], [None] * 3, [None] * 3]
    assert made[-1].words == [told]


def test_that_of_many_models_the_best_are_compared() -> None:
    won = {("m0", "m1"): WinRate("m0", "m1", 1, 0, 0, Share(1.0, 0.2, 1.0, 1))}
    many = tuple(rating(f"m{n}") for n in range(MOST_ROWS + 9))
    made = model_plots(report(labels(ratings=many), win_rates=won))
    assert len(made[0].drawn.marks) == MOST_ROWS  # type: ignore[union-attr]
    assert made[1].drawn.rows == [f"m{n}" for n in range(MOST_MODELS)]  # type: ignore[union-attr]


# -- cards -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "41 judgements of 20 items by ann, bob"),
        ({"judgements": 1, "items": 1, "annotators": ("ann",)}, "1 judgement of 1 item by ann"),
        ({"judgements": 12_000, "annotators": tuple("abcde")}, "12,000 judgements of 20 items by 5 annotators"),
        ({"annotators": tuple("abcd")}, "41 judgements of 20 items by a, b, c, d"),
        ({"judgements": 0, "items": 0, "annotators": ()}, "0 judgements of 0 items by nobody"),
    ],
)
def test_that_the_summary_counts_and_names(facts: dict[str, Any], words: str) -> None:
    assert summary(report(labels(**facts))) == words


def test_that_main_figures_are_for_all_or_else_for_the_first_and_no_more_than_five() -> None:
    figures = (
        figure("agreement.fleiss_kappa"), figure("agreement.raw"), figure("agreement.raw.extra"), figure("consistency.ann"),
        figure("consistency.bob"), figure("gold"), figure("gold.ann"), figure("left.ann", group="Habits"),
    )  # fmt: skip
    made = report(figures=figures)
    assert [f.name for f in main_figures(made, "agreement")] == [
        "agreement.fleiss_kappa", "agreement.raw", "consistency.ann", "gold",
    ]  # fmt: skip
    assert [f.name for f in main_figures(made, "habits")] == ["left.ann"]
    assert main_figures(made, "models") == []


def card(qtbot: QtBot, theme: Theme, **facts: Any) -> FigureCard:
    made = FigureCard(figure(**facts), theme)
    qtbot.addWidget(made)
    made.resize(260, 200)
    return made


def words(card: FigureCard) -> list[str]:
    return [label.text() for label in card.findChildren(QLabel)]


def test_that_a_card_says_number_bounds_and_sentence(qtbot: QtBot, theme: Theme) -> None:
    made = card(qtbot, theme)
    assert words(made) == ["Raw agreement", "80 %", "70 % to 90 %, 12 pairs of votes", "Four of five votes agree."]
    assert made.accessibleName() == "Raw agreement: 80 % [70 %, 90 %]. four of five votes agree"


@pytest.mark.parametrize("bounds", [(None, None), (0.1, None), (None, 0.9)])
def test_that_a_card_without_an_interval_draws_none(qtbot: QtBot, theme: Theme, bounds: tuple[Any, Any]) -> None:
    made = card(qtbot, theme, low=bounds[0], high=bounds[1], sentence="")
    assert words(made)[2] == "12 pairs of votes"
    assert not made.grab().isNull()


@pytest.mark.parametrize(
    ("value", "low", "high", "side"),
    [(0.95, 0.9, 1.0, "right"), (0.05, 0.0, 0.1, "left"), (-0.9, -1.0, -0.8, "left"), (0.0, -0.1, 0.1, "middle"), (2.5, 2.0, 3.0, "right")],
)  # fmt: skip
def test_that_the_reach_stands_where_the_value_lies(
    qtbot: QtBot, theme: Theme, value: float, low: float, high: float, side: str
) -> None:
    made = card(qtbot, theme, value=value, low=low, high=high, kind="number")
    made.show()
    (reach,) = [w for w in made.children() if type(w).__name__ == "_Reach"]
    picture = reach.grab().toImage()  # type: ignore[attr-defined]
    line = [x for x in range(picture.width()) if picture.pixelColor(x, 2).name() == theme.colours.accent.lower()]
    assert line, "the dot is drawn"
    share = sum(line) / len(line) / picture.width()
    assert {"left": share < 0.2, "middle": 0.45 < share < 0.55, "right": share > 0.75}[side]


def test_that_a_board_says_what_to_do_while_it_has_nothing(qtbot: QtBot, theme: Theme) -> None:
    board = Board("agreement", theme, lambda *_: None)
    qtbot.addWidget(board)
    board.show_all([], [], "Judge more.")
    assert not board.nothing.isHidden()
    board.show_all([figure()], [], "Judge more.")
    assert board.nothing.isHidden()
    assert len(board.cards) == 1


@pytest.mark.parametrize(("width", "across"), [(520, 1), (900, 2), (1340, 3)])
def test_that_plots_stand_in_as_many_columns_as_there_is_room_for(
    qtbot: QtBot, theme: Theme, width: int, across: int
) -> None:
    board = Board("agreement", theme, lambda *_: None)
    qtbot.addWidget(board)
    board.resize(width, 600)
    board.show()
    board.show_all([], [confusion(pair()) for _ in range(4)], "")
    qtbot.waitUntil(lambda: len({plot.x() for plot in board.plots}) == across)
    board.close()


def test_that_one_plot_is_replaced_and_the_others_stay(qtbot: QtBot, theme: Theme) -> None:
    board = Board("agreement", theme, lambda *_: None)
    qtbot.addWidget(board)
    board.show_all([], agreement_plots(report(labels(pairs=(pair(), pair("bob", "cid"))))), "")
    forest, old = board.plots
    board.replace(confusion(pair("bob", "cid")))
    assert board.plots[0] is forest
    assert board.plots[1] is not old
    assert "Rows: bob" in board.plots[1].plot.reading


# -- look again --------------------------------------------------------------------------------------------------------


CIRCLE = Circle(("1/1", "1/2", "1/3"), ("i1", "i2"))
DISPUTE = Dispute("i9", 11, 0.5, (("ann", "1st"), ("bob", "2nd")))


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def again(qtbot: QtBot, theme: Theme, asked: list[str]) -> AgainList:
    made = AgainList(asked.append)
    qtbot.addWidget(made)
    made.resize(900, 500)
    made.show()
    return made


def test_that_circles_come_before_disputes_and_each_says_why() -> None:
    models = Circle(("a", "b", "c"), ("i1", "i2", "i3", "i4"))
    made = cases(
        report(
            response_circles=(CIRCLE,), model_circles=(models,), disputes=(DISPUTE,), prompts={"i9": "Tell\n a  story"}
        )
    )
    assert [case.item for case in made] == ["i1", "i2", "i1", "i2", "i3", "i9"]
    assert made[1].why == "2 of 2 items in a circle of responses (row/candidate): 1/1 ≻ 1/2 ≻ 1/3 ≻ 1/1"
    assert made[2].why == "decides a circle of models: a ≻ b ≻ c ≻ a"
    assert (made[5].title, made[5].why) == ("Tell a story", "row 12, disputed. ann: 1st; bob: 2nd")
    assert made[0].title == "i1", "an item whose prompt isn't known is called by its name"


@pytest.mark.parametrize(("length", "shown"), [(110, 110), (111, 110), (500, 110)])
def test_that_a_long_prompt_is_cut_with_a_sign(length: int, shown: int) -> None:
    (case,) = cases(report(disputes=(DISPUTE,), prompts={"i9": "x" * length}))
    assert len(case.title) == shown
    assert case.title.endswith("…") == (length > 110)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, NOTHING),
        ({"settled": 1}, f"{NOTHING} 1 was settled by an adjudication."),
        ({"disputes": (DISPUTE,), "disputed": 1}, "1 disputed item, 0 circles. Choose one to judge it again in Annotate."),
        ({"disputes": (DISPUTE,), "disputed": 2}, "2 disputed items, 0 circles. Choose one to judge it again in Annotate. 1 more is disputed."),
        (
            {"disputes": (DISPUTE,), "disputed": 1_001, "settled": 12, "response_circles": (CIRCLE,)},
            "1,001 disputed items, 1 circle. Choose one to judge it again in Annotate. 1,000 more are disputed. 12 were settled by an adjudication.",
        ),
    ],
)  # fmt: skip
def test_that_the_head_counts_in_whole_sentences(again: AgainList, facts: dict[str, Any], words: str) -> None:
    again.show_report(report(**facts))
    assert again.head.text() == words
    assert again.list.isHidden() == (words.startswith(NOTHING))


@pytest.mark.parametrize("how", ["click", "enter"])
def test_that_a_case_opens_by_click_and_by_enter(again: AgainList, asked: list[str], qtbot: QtBot, how: str) -> None:
    again.show_report(report(response_circles=(CIRCLE,), disputes=(DISPUTE,)))
    row = again.list.item(2)
    assert row.data(Qt.ItemDataRole.AccessibleTextRole) == "i9. row 12, disputed. ann: 1st; bob: 2nd"
    if how == "click":
        spot = again.list.visualItemRect(row).center()
        qtbot.mouseClick(again.list.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    else:
        again.list.setFocus()
        for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Return):
            QTest.keyClick(again.list, key)
    assert asked == ["i9"]


def test_that_another_report_starts_at_its_first_case(again: AgainList) -> None:
    again.show_report(report(response_circles=(CIRCLE,)))
    again.list.setCurrentRow(1)
    again.show_report(report(disputes=(DISPUTE,)))
    assert (again.list.count(), again.list.currentRow()) == (1, 0)


@pytest.mark.parametrize("make", [agreement_plots, habit_plots, model_plots], ids=lambda make: make.__name__)
def test_that_every_plot_has_a_reading_and_as_many_words_as_it_draws(make: Callable[[Report], list[Plot]]) -> None:
    share = Share(0.6, 0.5, 0.7, 9)
    full = report(
        labels(pairs=(pair(),), accuracy={"ann": RAW}, left_by={"ann": share}, ratings=(rating("a"), rating("b"))),
        consistency={"ann": share}, golds={"ann": share}, lengths=(LengthBin(1, 5, share),),
        sittings={"ann": (Stretch(0, 1.0, 2.0, 3.0, 10),)}, days={"ann": {FIRST_MAY: 1}},
        win_rates={("a", "b"): WinRate("a", "b", 3, 1, 1, share)},
    )  # fmt: skip
    made = make(full)
    assert made
    assert len({plot.name for plot in made}) == len(made)
    for plot in made:
        assert plot.title[0].isupper()
        assert plot.reading.endswith(".")
        assert plot.words
        if isinstance(plot.drawn, Forest | Steps):
            assert list(plot.words) == [mark.words for mark in plot.drawn.marks]
