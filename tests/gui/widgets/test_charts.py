"""Charts: the same in words, in both themes, and as a picture."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from workbench.gui.theme import DARK, LIGHT, Theme
from workbench.gui.widgets.charts import Band, Bars, ChartCard, Drawn, Forest, Heat, Mark, Plot, Steps, height_of
from workbench.gui.widgets.scale import viridis

MARKS = [Mark("ann", 0.62, 0.55, 0.69, "ann: 62 %"), Mark("bob <b>&", 0.5, None, None, "bob: 50 %")]
EVERY: dict[str, Drawn] = {
    "forest": Forest(MARKS, 0.5),
    "ratings": Forest([Mark("x", 0.7, 0.6, 0.8, "x"), Mark("y", -0.7, -0.8, -0.6, "y")], 0.0, share=False),
    "steps": Steps(MARKS, 0.5, "characters longer"),
    "heat": Heat(
        ["a", "b"], ["a", "b"], [[None, (1.0, "100 %", "a over b")], [(0.0, "0 %", "b over a"), None]], ("0 %", "100 %")
    ),
    "band": Band([("ann", [(0.0, 1.0, 2.0, 3.0), (5.0, 1.0, 2.5, 4.0)])], "minutes", "seconds"),
    "point": Band([("ann", [(0.0, 2.0, 2.0, 2.0)])], "minutes", "seconds"),
    "bars": Bars(["1 May", "2 May"], [("ann", [3, 0]), ("bob", [1, 4])]),
}

Make = Callable[[Drawn], ChartCard]


@pytest.fixture
def saved() -> list[tuple[str, bytes]]:
    return []


@pytest.fixture
def make(qtbot: QtBot, theme: Theme, saved: list[tuple[str, bytes]]) -> Make:
    def card(drawn: Drawn) -> ChartCard:
        made = ChartCard(
            Plot("sides", "Sides", "Half is no bias.", drawn, ["ann: 62 %", "bob: 50 %"]),
            theme,
            lambda *s: saved.append(s),
        )
        qtbot.addWidget(made)
        made.resize(480, 400)
        made.show()
        qtbot.waitExposed(made)
        return made

    return card


@pytest.mark.parametrize("kind", EVERY)
def test_that_every_kind_is_drawn_in_both_themes(make: Make, theme: Theme, kind: str) -> None:
    card = make(EVERY[kind])
    seen = []
    for mode, colours in (("light", LIGHT), ("dark", DARK)):
        theme.apply(mode)  # type: ignore[arg-type]
        card.dress()
        image = card.paper.grab().toImage()
        found = {image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}
        assert QColor(colours.surface).name() in found
        assert len(found) > 3  # axes, words, and what is drawn
        seen.append(image)
    theme.apply("light")
    assert seen[0] != seen[1]
    assert card.paper.height() == height_of(EVERY[kind])


def test_that_the_plot_is_told_in_words_too(make: Make) -> None:
    card = make(EVERY["forest"])
    assert card.accessibleName() == "Sides. Half is no bias."
    assert card.accessibleDescription() == "ann: 62 %\nbob: 50 %"
    assert not card.words.isVisible()
    QTest.mouseClick(card.numbers, Qt.MouseButton.LeftButton)
    assert card.words.isVisible() and not card.paper.isVisible()
    assert card.words.toPlainText() == "ann: 62 %\nbob: 50 %"
    QTest.mouseClick(card.numbers, Qt.MouseButton.LeftButton)
    assert card.paper.isVisible()


def test_that_the_picture_holds_the_plot_and_no_buttons(make: Make, saved: list[tuple[str, bytes]]) -> None:
    card = make(EVERY["heat"])
    QTest.mouseClick(card.numbers, Qt.MouseButton.LeftButton)
    QTest.mouseClick(card.picture, Qt.MouseButton.LeftButton)
    ((name, picture),) = saved
    image = QImage.fromData(picture, "PNG")  # type: ignore[call-overload]
    assert name == "sides"
    assert (image.width(), image.height()) == (2 * card.width(), 2 * card.height())
    colours = {image.pixelColor(x, y).name() for x in range(0, image.width(), 5) for y in range(0, image.height(), 5)}
    assert {viridis(0.0).name(), viridis(1.0).name()} <= colours  # the drawing, though its words are in front
    assert card.words.isVisible() and card.numbers.isVisible()


def test_that_the_wheel_is_left_to_the_page(make: Make) -> None:
    card = make(EVERY["forest"])
    view = card.paper.getPlotItem().getViewBox()
    assert view.state["mouseEnabled"] == [False, False]
