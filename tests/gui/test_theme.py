"""The table of colours: readable in both columns, and applied at once."""

import re

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


# -- the style sheet ---------------------------------------------------------------------------------------------------


ROLES = {"title": 24, "letter": 18, "section": 18, "heading": 15, "number": 24}


@pytest.mark.parametrize("size", range(13, 25))
def test_that_every_heading_grows_by_what_the_text_grows_and_none_twice(size: int) -> None:
    sheet = stylesheet(vars(LIGHT), "/p", size, "Mono")
    for role, base in ROLES.items():
        line = next(line for line in sheet.splitlines() if f'[role="{role}"]' in line)
        assert f"font-size: {base + size - 13}px" in line


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_that_the_sheet_has_no_name_left_to_fill_in_and_names_only_the_tables_colours(colours: Colours) -> None:
    sheet = stylesheet(vars(colours), "/tmp/pictures/light", 13, "DejaVu Sans Mono")
    assert "$" not in sheet
    known = {value.upper() for value in vars(colours).values() if isinstance(value, str)}
    known.add(shade(colours.accent, colours.text, 0.12))
    assert {found.upper() for found in re.findall(r"#[0-9A-Fa-f]{6}", sheet)} <= known
    assert "url(/tmp/pictures/light_chevron_down.png)" in sheet
    assert 'font-family: "DejaVu Sans Mono"' in sheet


@pytest.mark.parametrize(("share", "wanted"), [(0.0, "#000000"), (1.0, "#FFFFFF"), (0.5, "#808080"), (0.25, "#404040")])
def test_that_a_shade_lies_between_its_ends(share: float, wanted: str) -> None:
    assert shade("#000000", "#FFFFFF", share) == wanted


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#FFFFFF", 21.0),
        ("#FFFFFF", "#000000", 21.0),
        ("#777777", "#777777", 1.0),
        ("#777777", "#FFFFFF", 4.48),
    ],
)
def test_that_contrast_is_reckoned_as_wcag_does(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [("on_accent", "accent"), ("text", "accent_soft"), ("text", "raised"), ("quiet", "raised"), ("bad", "bad_soft")],
)
def test_that_words_on_coloured_parts_are_read_too(colours: Colours, ink: str, ground: str) -> None:
    assert contrast(getattr(colours, ink), getattr(colours, ground)) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_that_lines_of_plots_are_told_apart_and_seen(colours: Colours) -> None:
    assert len(set(colours.series)) == len(colours.series) == 7
    assert all(contrast(line, colours.surface) >= 3 for line in colours.series)


def test_that_nothing_is_dressed_again_by_settings_that_look_the_same(theme: Theme) -> None:
    heard: list[int] = []
    ear = theme.changed.connect(lambda: heard.append(1))
    same = theme.reading.model_copy(
        update={"theme": theme.mode, "font_size": theme.font_size, "reading_size": theme.reading_size}
    )
    theme.wear(same)
    theme.wear(same.model_copy(update={"annotator": "somebody else"}))
    assert heard == []
    theme.wear(same.model_copy(update={"reading_width": same.reading_width + 10}))
    assert heard == [1]
    theme.wear(same)
    theme.changed.disconnect(ear)
