"""The family tree of models: where each stands, what is painted, how it is walked, and what it says aloud."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QToolTip
from pytestqt.qtbot import QtBot

from workbench.gui.theme import DARK, LIGHT, Theme
from workbench.gui.widgets.lineage import BOX, NARROWEST, LineageView, Member, arrange

FAMILY = (
    Member("base", "base", "3 M", ()),
    Member("sft", "sft", "3 M", ("base",)),
    Member("judge", "reward", "3 M", ("sft",)),
    Member("ppo", "ppo", "3 M", ("sft", "judge")),
    Member("dpo", "dpo", "3 M", ("sft",)),
)


@pytest.fixture
def tree(qtbot: QtBot, theme: Theme) -> LineageView:
    made = LineageView(theme, "tree")
    qtbot.addWidget(made)
    made.show_members(FAMILY)
    made.resize(made.sizeHint())
    made.show()
    return made


def family(*pairs: tuple[str, tuple[str, ...]]) -> tuple[Member, ...]:
    return tuple(Member(name, "sft", "", parents) for name, parents in pairs)


def painted(tree: LineageView) -> QImage:
    return tree.grab().toImage()


def colour(image: QImage, spot: QPoint) -> str:
    return image.pixelColor(spot).name().upper()


def test_that_nobody_stands_nowhere() -> None:
    assert arrange(()) == {}


def test_that_one_model_stands_in_the_corner() -> None:
    assert arrange(family(("only", ()))) == {"only": (0, 0)}


def test_that_the_first_child_stands_beside_its_parent_and_the_next_below() -> None:
    places = arrange(family(("a", ()), ("b", ("a",)), ("c", ("a",)), ("d", ("b",))))
    assert places == {"a": (0, 0), "b": (1, 0), "d": (2, 0), "c": (1, 1)}


def test_that_the_order_of_coming_does_not_matter_for_generations() -> None:
    forward = arrange(FAMILY)
    backward = arrange(tuple(reversed(FAMILY)))
    assert {n: c for n, (c, _) in forward.items()} == {n: c for n, (c, _) in backward.items()}


def test_that_two_families_share_no_row() -> None:
    places = arrange(family(("a", ()), ("a2", ("a",)), ("b", ()), ("b2", ("b",))))
    assert {places["a"][1], places["a2"][1]}.isdisjoint({places["b"][1], places["b2"][1]})


def test_that_a_child_of_a_parent_that_was_deleted_stands_on_its_own() -> None:
    assert arrange(family(("orphan", ("gone",)))) == {"orphan": (0, 0)}


@pytest.mark.parametrize(
    "circle",
    [
        family(("a", ("a",))),
        family(("a", ("b",)), ("b", ("a",))),
        family(("a", ("c",)), ("b", ("a",)), ("c", ("b",)), ("d", ("c",))),
    ],
)
def test_that_everybody_in_a_circle_still_has_a_place(circle: tuple[Member, ...]) -> None:
    places = arrange(circle)
    assert set(places) == {m.name for m in circle}
    assert len(set(places.values())) == len(circle)


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=30))
def test_that_any_family_gives_everybody_an_own_place_right_of_the_parents(parents: list[list[int]]) -> None:
    members = tuple(
        Member(str(n), "sft", "", tuple(dict.fromkeys(str(p) for p in given_parents if p < n)))
        for n, given_parents in enumerate(parents)
    )
    places = arrange(members)
    assert set(places) == {m.name for m in members}
    assert len(set(places.values())) == len(members)
    for member in members:
        assert all(places[p][0] < places[member.name][0] for p in member.parents)
    assert min(c for c, _ in places.values()) == min(r for _, r in places.values()) == 0


def test_that_a_dynasty_of_hundreds_can_be_shown() -> None:
    line = family(("0", ()), *((str(n), (str(n - 1),)) for n in range(1, 800)))
    assert arrange(line)["799"] == (799, 0)
    assert arrange(tuple(reversed(line)))["799"] == (799, 0)


def test_that_boxes_do_not_touch_and_fit_into_the_widget(tree: LineageView) -> None:
    boxes = [tree.box(m.name) for m in FAMILY]
    for n, one in enumerate(boxes):
        assert tree.rect().toRectF().contains(one)
        assert not any(one.intersects(other) for other in boxes[n + 1 :])


def test_that_the_tree_asks_for_the_room_it_needs(tree: LineageView) -> None:
    whole = tree.sizeHint()
    tree.show_members(FAMILY[:1])
    assert tree.sizeHint().width() < whole.width() / 2
    tree.show_members(())
    assert tree.sizeHint().width() >= BOX[0]
    assert not tree.grab().isNull()


def test_that_boxes_of_three_generations_give_way_in_a_narrow_window_but_stay_apart(tree: LineageView) -> None:
    family = (Member("base", "base", "", ()), Member("sft", "sft", "", ("base",)), Member("dpo", "dpo", "", ("sft",)))
    tree.show_members(family)
    wide = tree.box("dpo").width()
    tree.resize(tree.minimumSize())
    assert tree.minimumWidth() < tree.sizeHint().width()
    assert tree.minimumHeight() == tree.sizeHint().height()
    boxes = [tree.box(m.name) for m in family]
    assert {box.width() for box in boxes} == {NARROWEST} != {wide}
    for n, one in enumerate(boxes):
        assert tree.rect().toRectF().contains(one)
        assert not any(one.intersects(other) for other in boxes[n + 1 :])


def test_that_a_larger_family_keeps_its_width_and_is_scrolled(tree: LineageView) -> None:
    assert tree.minimumWidth() == tree.sizeHint().width()


def test_that_each_kind_has_its_own_colour_and_an_unknown_one_a_quiet_one(tree: LineageView) -> None:
    image = painted(tree)
    tones = {
        m.name: colour(image, (tree.box(m.name).topLeft().toPoint() + QPoint(10, int(BOX[1] / 2)))) for m in FAMILY
    }
    assert len(set(tones.values())) == len(FAMILY)
    tree.show_members((Member("x", "merged", "", ()),))
    assert colour(painted(tree), tree.box("x").topLeft().toPoint() + QPoint(10, 24)) == LIGHT.series[-1].upper()


def test_that_the_chosen_box_is_filled_softly(tree: LineageView) -> None:
    inside = tree.box("dpo").topRight().toPoint() + QPoint(-6, 8)
    assert colour(painted(tree), inside) == LIGHT.surface.upper()
    tree.choose("dpo")
    assert colour(painted(tree), inside) == LIGHT.accent_soft.upper()


def test_that_a_line_runs_from_a_parent_to_its_child(tree: LineageView) -> None:
    spot = tree.box("base").right() + 12, tree.box("base").center().y()
    with_line = painted(tree)
    tree.show_members((FAMILY[0], Member("sft", "sft", "3 M", ())))
    column = [with_line.pixelColor(int(spot[0]), int(spot[1]) + d).name() for d in (-1, 0, 1)]
    assert any(name.upper() not in (LIGHT.surface.upper(), LIGHT.ground.upper()) for name in column)


def test_that_the_tree_follows_the_theme(tree: LineageView, theme: Theme) -> None:
    inside = tree.box("dpo").topRight().toPoint() + QPoint(-6, 8)
    theme.apply("dark")
    dark = colour(painted(tree), inside)
    theme.apply("light")
    assert dark == DARK.surface.upper()
    assert colour(painted(tree), inside) == LIGHT.surface.upper()


@pytest.mark.parametrize("name", ["x" * 300, "日本語のモデル" * 9, "שם של מודל", "a/b&c<d>"])
def test_that_a_name_of_any_length_and_script_is_painted_inside_its_box(
    tree: LineageView, qtbot: QtBot, name: str
) -> None:
    tree.show_members((Member(name, "sft", "3 M", ()),))
    tree.resize(400, 100)
    image = painted(tree)
    right = int(tree.box(name).right()) + 4
    ground = colour(image, QPoint(390, 90))
    assert all(colour(image, QPoint(x, y)) == ground for x in range(right, 400, 3) for y in range(0, 60, 3))


@pytest.mark.parametrize(
    ("keys", "ends"),
    [
        ("R", "base"), ("RR", "sft"), ("RRR", "judge"), ("RRRR", "ppo"), ("RRRRR", "ppo"), ("RRRD", "dpo"), ("RRRDU", "judge"),
        ("RRRRL", "judge"), ("RL", "base"), ("RU", "base"), ("L", "base"),
    ],
)  # fmt: skip
def test_that_arrows_walk_the_tree_and_stop_at_its_edge(tree: LineageView, qtbot: QtBot, keys: str, ends: str) -> None:
    names = {"R": Qt.Key.Key_Right, "L": Qt.Key.Key_Left, "U": Qt.Key.Key_Up, "D": Qt.Key.Key_Down}
    for key in keys:
        qtbot.keyClick(tree, names[key])
    assert tree.current == ends


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_that_enter_opens_only_what_is_chosen(tree: LineageView, qtbot: QtBot, key: Qt.Key) -> None:
    opened: list[str] = []
    tree.opened.connect(opened.append)
    qtbot.keyClick(tree, key)
    assert opened == []
    tree.choose("ppo")
    qtbot.keyClick(tree, key)
    assert opened == ["ppo"]


def test_that_choosing_is_told_once_and_unknown_names_are_ignored(tree: LineageView) -> None:
    heard: list[str] = []
    tree.chosen.connect(heard.append)
    for name in ("sft", "sft", "nobody", "", "dpo"):
        tree.choose(name)
    assert heard == ["sft", "dpo"]


def test_that_a_click_beside_the_boxes_changes_nothing(tree: LineageView, qtbot: QtBot) -> None:
    tree.choose("sft")
    qtbot.mouseClick(tree, Qt.MouseButton.LeftButton, pos=QPoint(1, tree.height() - 1))
    assert tree.current == "sft"


def test_that_a_double_click_opens_the_box_under_it(tree: LineageView, qtbot: QtBot) -> None:
    opened: list[str] = []
    tree.opened.connect(opened.append)
    qtbot.mouseDClick(tree, Qt.MouseButton.LeftButton, pos=tree.box("judge").center().toPoint())
    qtbot.mouseDClick(tree, Qt.MouseButton.LeftButton, pos=QPoint(1, tree.height() - 1))
    assert opened == ["judge"]


def test_that_the_hand_shows_where_a_click_does_something(tree: LineageView, qtbot: QtBot) -> None:
    qtbot.mouseMove(tree, tree.box("ppo").center().toPoint())
    assert tree.cursor().shape() == Qt.CursorShape.PointingHandCursor
    assert "ppo" in QToolTip.text()
    qtbot.mouseMove(tree, QPoint(1, tree.height() - 1))
    assert tree.cursor().shape() == Qt.CursorShape.ArrowCursor
    QToolTip.hideText()


def test_that_the_tree_says_what_is_chosen_and_unsays_what_is_gone(tree: LineageView) -> None:
    assert (tree.objectName(), tree.accessibleName()) == ("tree", "Family tree of models")
    tree.choose("dpo")
    assert tree.accessibleDescription() == "dpo is chosen"
    tree.show_members(FAMILY[:2])
    assert tree.current == ""
    assert tree.accessibleDescription() == ""


def test_that_what_was_chosen_stays_chosen_in_a_new_tree(tree: LineageView) -> None:
    tree.choose("sft")
    tree.show_members((*FAMILY, Member("new", "dpo", "", ("dpo",))))
    assert tree.current == "sft"


def test_that_keys_on_an_empty_tree_do_nothing(tree: LineageView, qtbot: QtBot) -> None:
    tree.show_members(())
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Return, Qt.Key.Key_A):
        qtbot.keyClick(tree, key)
    assert tree.current == ""
