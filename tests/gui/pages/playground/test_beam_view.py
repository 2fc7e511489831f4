"""The beam view: a tree that grows without moving, and a ranking that follows the rule under the hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtWidgets import QApplication, QListView, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.playground.made_up import beam_levels
from workbench.analysis.beams import ranked
from workbench.domain.choices import BeamLevel, BeamNode
from workbench.domain.decoding import Beam
from workbench.gui.pages.playground.beam_tree import ZOOMS
from workbench.gui.pages.playground.beam_view import BeamView
from workbench.gui.theme import Theme


def node(step: int, slot: int, parent: int, text: str, p: float, state: str = "live") -> BeamNode:
    return BeamNode(step=step, slot=slot, parent=parent, id=slot, text=text, logprob=math.log(p), score=math.log(p), state=state)  # type: ignore[arg-type]  # fmt: skip


# Greedy takes yes yes (.5 * .4 = .2); beam finds ok ok (.4 * .9 = .36); "no" alone ends at once with .1.
TEXTBOOK = (
    BeamLevel(step=1, nodes=(node(1, 0, -1, "yes", 0.5), node(1, 1, -1, "ok", 0.4), node(1, 2, -1, "no", 0.1, "finished"))),
    BeamLevel(
        step=2,
        nodes=(
            node(2, 0, 1, " ok", 0.36, "finished"), node(2, 1, 0, " yes", 0.2, "finished"), node(2, 2, 0, " ok", 0.15, "pruned"),
            node(2, 3, 1, " yes", 0.02, "pruned"),
        ),
    ),
)  # fmt: skip


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> Any:
    made = BeamView(theme)
    qtbot.addWidget(made)
    made.resize(1000, 500)
    made.show()
    return made


def grown(view: Any, levels: Any = TEXTBOOK, settings: Beam | None = None) -> Any:
    view.begin(settings or Beam(num_beams=2, length_penalty=0.0))
    for level in levels:
        view.add(level)
    return view


def test_that_the_textbooks_tree_finds_ok_ok(view: Any) -> None:
    grown(view)
    assert view.text.text() == "ok ok" and "3 hypotheses finished" in view.told.text()
    assert {view.tree.tree.node(place).text for place in view.tree.best} == {"ok", " ok"}
    assert view.list.words_of(0)[-1] == "ok ok" and "score -1.022" in view.list.words_of(0)
    assert "on the path of the best" in view.tree.words_of((0, 1))
    assert view.tree.share((1, 2)) == pytest.approx(0.9)


def test_that_the_penalty_ranks_again_and_says_what_it_can_not_know(view: Any, qtbot: QtBot) -> None:
    grown(view)
    view.penalty.setFocus()
    view.penalty.setValue(-60)
    assert view.settings.length_penalty == -3.0 and view.list.words_of(0)[-1] == "no"
    assert "another one comes first" in view.told.text() and "elsewhere" in view.told.text()
    assert "2 higher than under the search's own rule" in view.list.words_of(0)
    view.rule.setCurrentIndex(1)
    assert view.settings.length_rule == "gnmt" and view.searched.length_rule == "power"
    view.penalty.setValue(0)
    assert "is the search's own" in view.told.text()
    with qtbot.waitSignal(view.used) as used:
        qtbot.mouseClick(view.use, Qt.MouseButton.LeftButton)
    assert used.args[0] == Beam(num_beams=2, length_rule="gnmt", length_penalty=0.0)


def test_that_arrows_walk_the_tree_and_the_text_follows(view: Any, qtbot: QtBot) -> None:
    grown(view)
    tree = view.tree
    steps = (
        (Qt.Key.Key_Right, (0, 0), "yes"), (Qt.Key.Key_Right, (1, 0), "yes yes"), (Qt.Key.Key_Down, (1, 1), "yes ok"),
        (Qt.Key.Key_Down, (1, 2), "ok ok"), (Qt.Key.Key_Left, (0, 1), "ok"), (Qt.Key.Key_Home, (0, 0), "yes"),
        (Qt.Key.Key_End, (1, 2), "ok ok"), (Qt.Key.Key_PageUp, (1, 0), "yes yes"), (Qt.Key.Key_Right, (1, 0), "yes yes"),
    )  # fmt: skip
    for key, place, words in steps:
        qtbot.keyClick(tree, key)
        assert (tree.current, view.text.text()) == (place, words)
    assert "finished" in tree.accessibleDescription() and view.list.current == 1


def test_that_ranking_and_tree_point_at_the_same_hypothesis(view: Any, qtbot: QtBot) -> None:
    grown(view)
    qtbot.keyClick(view.list, Qt.Key.Key_End)
    assert view.list.current == 2 and view.tree.current == (0, 2) and view.text.text() == "no"
    box = view.tree.box_of((1, 0)).center() + QPointF(0, view.tree.head)
    qtbot.mouseClick(view.tree.viewport(), Qt.MouseButton.LeftButton, pos=box.toPoint())
    assert view.tree.current == (1, 0) and view.list.current == 1


def test_that_dropped_hypotheses_can_be_hidden(view: Any) -> None:
    grown(view)
    view.tree.select((1, 3))
    view.pruned.setChecked(False)
    assert view.tree.current is None and view.tree.extent()[1] < 4 * 32
    assert view.tree.walked((0, 1), Qt.Key.Key_Right) == (1, 2)
    view.pruned.setChecked(True)
    assert view.tree.walked((1, 2), Qt.Key.Key_Down) == (1, 3)


def test_that_what_is_drawn_stays_where_it_is_while_the_tree_grows(view: Any) -> None:
    levels = beam_levels(4, 8)
    grown(view, levels[:3])
    before = [view.tree.box_of((2, n)) for n in range(4)]
    for level in levels[3:]:
        view.add(level)
    assert [view.tree.box_of((2, n)) for n in range(4)] == before


def test_that_states_are_told_apart_without_colour(view: Any, theme: Theme) -> None:
    grown(view)
    picture = view.tree.viewport().grab().toImage()
    ended, dropped = view.tree.box_of((1, 2)), view.tree.box_of((1, 3))
    bar = QPointF(ended.right() - 2, ended.center().y() + view.tree.head).toPoint()
    assert picture.pixelColor(bar) == QColor(theme.colours.text), "a finished one has a bar at its end"
    bare = QPointF(dropped.right() - 2, dropped.center().y() + view.tree.head).toPoint()
    assert picture.pixelColor(bare) == QColor(theme.colours.ground)


def test_that_it_zooms_by_key_button_and_wheel(view: Any, qtbot: QtBot) -> None:
    grown(view, beam_levels(8, 20))
    wide = view.tree.extent()[0]
    qtbot.keyClick(view.tree, Qt.Key.Key_Minus, Qt.KeyboardModifier.ControlModifier)
    assert view.tree.extent()[0] < wide
    qtbot.keyClick(view.tree, Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    assert view.tree.extent()[0] == wide
    place, nothing, ctrl = QPointF(9, 9), Qt.MouseButton.NoButton, Qt.KeyboardModifier.ControlModifier
    wheel = QWheelEvent(place, place, QPoint(), QPoint(0, 120), nothing, ctrl, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(view.tree.viewport(), wheel)
    assert view.tree.zoom == 1.25
    for _ in range(20):
        view.tree.nearer(-1)
    assert view.tree.zoom == ZOOMS[0] and not view.tree.grab().isNull()


def test_that_sixty_four_beams_over_a_hundred_steps_are_drawn(view: Any) -> None:
    levels = beam_levels(64, 100)
    assert sum(len(level.nodes) for level in levels) > 10_000
    grown(view, levels, Beam(num_beams=64))
    for zoom in (1.0, ZOOMS[0]):
        view.tree.set_zoom(zoom)
        assert not view.tree.grab().isNull()
    assert len(view.list.ranking) <= 200


def test_that_an_empty_view_says_what_it_waits_for(view: Any) -> None:
    assert "grows here" in view.told.text() and view.text.text() == ""
    grown(view)
    view.begin(Beam())
    assert view.text.text() == "" and view.tree.walked(None, Qt.Key.Key_Right) is None and not view.list.ranking


def test_that_everything_to_use_has_a_name(view: Any) -> None:
    for widget in view.findChildren(QWidget):
        if widget.focusPolicy() == Qt.FocusPolicy.StrongFocus and not isinstance(widget, QListView):
            assert widget.objectName().startswith("playground.beams."), widget
            assert widget.accessibleName(), widget.objectName()


def test_that_a_row_says_how_far_it_moved_its_tokens_and_its_sum(view: Any) -> None:
    grown(view)
    assert view.list.beside(0) == ("2 tokens  Σ -1.0", "2 tokens", "")
    view.penalty.setValue(-100)
    moved = [view.list.beside(row)[2].strip() for row in range(3)]
    assert moved == [f"{'▲' if n > 0 else '▼'}{abs(n)}" if n else "" for n in _moves(view)]
    assert any(moved), "a penalty of minus five puts the short one first"


def _moves(view: Any) -> list[int]:
    own = grown_ranks(view)
    return [own[one.place] - row for row, one in enumerate(view.list.ranking)]


def grown_ranks(view: Any) -> dict[Any, int]:
    """The ranks under the search's own rule."""
    return {one.place: n for n, one in enumerate(ranked(view._tree, view.searched))}


def test_that_the_scale_stands_whole_where_the_window_is_small(view: Any) -> None:
    grown(view)
    view.resize(898, 300)
    view.grab()
    legend = view.findChild(QWidget, "playground.beams.legend")
    assert legend.width() >= legend.sizeHint().width() and legend.geometry().right() < view.width()
    shown = [view.rule, view.penalty, view.use, view.pruned, legend]
    assert not any(a.geometry().intersects(b.geometry()) for a in shown for b in shown if a is not b)


def test_that_the_slider_sets_parts_of_a_penalty(view: Any) -> None:
    grown(view)
    view.penalty.setValue(13)
    assert view.settings.length_penalty == 0.65 and view._shown.text() == "0.65"
