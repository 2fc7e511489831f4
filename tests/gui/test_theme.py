"""The table of colours: readable in both columns, and applied at once."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from workbench.gui.icons import STROKES, icon, picture
from workbench.gui.style import shade, stylesheet
from workbench.gui.theme import DARK, LIGHT, Colours, Theme, contrast

TEXTS = (
    "text",
    "quiet",
    "accent",
    "good",
    "warning",
    "bad",
    "chosen",
    "rejected",
    "code_keyword",
    "code_string",
    "code_comment",
)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("ground", ["ground", "surface", "raised"])
def test_that_every_text_colour_can_be_read_on_every_ground(colours: Colours, name: str, ground: str) -> None:
    assert contrast(getattr(colours, name), getattr(colours, ground)) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_that_words_on_the_accent_and_on_selections_can_be_read(colours: Colours) -> None:
    assert contrast(colours.on_accent, colours.accent) >= 4.5
    assert contrast(colours.on_accent, shade(colours.accent, colours.text, 0.12)) >= 4.5
    assert contrast(colours.text, colours.accent_soft) >= 4.5
    assert contrast(colours.accent, colours.accent_soft) >= 4.5
    assert contrast(colours.bad, colours.bad_soft) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_that_curves_stand_out_from_their_ground_and_from_each_other(colours: Colours) -> None:
    assert len(set(colours.series)) == len(colours.series) >= 6
    assert all(contrast(line, colours.surface) >= 3.0 for line in colours.series)


def test_that_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#777777") == pytest.approx(1.0)


def test_that_a_theme_is_worn_at_once_and_tells_so(theme: Theme, qapp: QApplication) -> None:
    heard: list[bool] = []
    connection = theme.changed.connect(lambda: heard.append(theme.dark))
    theme.apply("dark", 16, 20)
    assert qapp.palette().color(QPalette.ColorRole.Window).name().upper() == DARK.ground
    assert qapp.font().pixelSize() == 16
    assert theme.reading_font().pixelSize() == 20
    theme.apply("light")
    assert heard == [True, False]
    assert qapp.palette().color(QPalette.ColorRole.Window).name().upper() == LIGHT.ground
    theme.changed.disconnect(connection)


def test_that_the_system_theme_follows_the_system(theme: Theme, qapp: QApplication) -> None:
    theme.apply("system")
    assert theme.dark == (qapp.styleHints().colorScheme() == Qt.ColorScheme.Dark)
    theme.apply("light")


def test_that_no_text_of_the_sheet_is_smaller_than_thirteen_pixels(theme: Theme, qapp: QApplication) -> None:
    sizes = [int(part.split("px")[0]) for part in qapp.styleSheet().split("font-size:")[1:]]
    assert min(sizes) >= 13
    assert qapp.font().pixelSize() >= 13


def test_that_the_sheet_leaves_no_name_unfilled() -> None:
    assert "$" not in stylesheet(vars(LIGHT), "/x/light", 13, "DejaVu Sans Mono")
    assert "font-size: 27px" in stylesheet(vars(LIGHT), "/x/light", 16, "DejaVu Sans Mono")


@pytest.mark.parametrize("name", sorted(STROKES))
def test_that_every_icon_draws_something(name: str, theme: Theme) -> None:
    drawn = picture(name, "#000000", 48).toImage()
    inked = sum(drawn.pixelColor(x, y).alpha() > 0 for x in range(48) for y in range(48))
    assert 20 < inked < 1800
    assert not icon(name, "#123456").isNull()


def test_that_an_icon_is_crisp_on_a_fine_screen() -> None:
    assert picture("home", "#000000", 44, 2.0).deviceIndependentSize().width() == 22


def test_that_roles_reach_the_widgets(theme: Theme) -> None:
    primary, plain = QPushButton("a"), QLabel("b")
    primary.setProperty("role", "primary")
    primary.ensurePolished()
    plain.ensurePolished()
    assert primary.font().bold() or primary.font().weight() >= 600
    primary.deleteLater()
    plain.deleteLater()
