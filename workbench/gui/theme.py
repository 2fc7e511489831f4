"""The one table of colours and fonts, and the object that puts it on the application."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, Qt, QTemporaryDir, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QPalette
from PySide6.QtWidgets import QApplication

from workbench.domain.settings import Settings
from workbench.gui.icons import picture
from workbench.gui.style import stylesheet

Mode = Literal["system", "light", "dark"]


@dataclass(frozen=True)
class Colours:
    """One column of the table of colours. `series` are line colours that colour-blind eyes can tell apart."""

    ground: str
    surface: str
    raised: str
    line: str
    edge: str
    text: str
    quiet: str
    accent: str
    on_accent: str
    accent_soft: str
    good: str
    warning: str
    bad: str
    bad_soft: str
    chosen: str
    rejected: str
    code_keyword: str
    code_string: str
    code_comment: str
    series: tuple[str, ...]


LIGHT = Colours(
    ground="#F7F7F5",
    surface="#FFFFFF",
    raised="#F0F1F3",
    line="#DFE2E6",
    edge="#B4BAC4",
    text="#1A1C20",
    quiet="#59616E",
    accent="#3355DD",
    on_accent="#FFFFFF",
    accent_soft="#E6EBFC",
    good="#1B7A4B",
    warning="#8A5A00",
    bad="#B3261E",
    bad_soft="#FBE9E7",
    chosen="#2465CC",
    rejected="#B04C08",
    code_keyword="#7A2FA0",
    code_string="#1B6E45",
    code_comment="#626A76",
    series=("#0072B2", "#D55E00", "#008F68", "#C0609A", "#9A6D00", "#3089C4", "#6B6B6B"),
)
DARK = Colours(
    ground="#141619",
    surface="#1C1F23",
    raised="#252930",
    line="#30353C",
    edge="#565E69",
    text="#E9EBEE",
    quiet="#A0A8B4",
    accent="#8FA8FF",
    on_accent="#10131C",
    accent_soft="#28304A",
    good="#62D2A0",
    warning="#F2BE5C",
    bad="#FF8A80",
    bad_soft="#3A2424",
    chosen="#7FB2FF",
    rejected="#FFB077",
    code_keyword="#D3A6F2",
    code_string="#8CD9B0",
    code_comment="#97A0AC",
    series=("#56B4E9", "#F28E3C", "#35C79B", "#E3A0C8", "#E8C547", "#7FA6FF", "#B8BDC6"),
)
SANS = ("Inter", "Segoe UI Variable Text", "Segoe UI", "SF Pro Text", "Noto Sans", "Cantarell", "Ubuntu", "DejaVu Sans")
SERIF = (
    "Source Serif 4",
    "Noto Serif",
    "Charter",
    "Georgia",
    "Cambria",
    "Liberation Serif",
    "DejaVu Serif",
    "Times New Roman",
)
MONO = ("JetBrains Mono", "Cascadia Mono", "SF Mono", "Menlo", "Noto Sans Mono", "Ubuntu Mono", "DejaVu Sans Mono")


@dataclass(frozen=True)
class Page:
    """The font of prompts and responses, the longest line in pixels (0: any), and the height of a line in percent of the font's."""

    font: QFont
    width: float
    line: float


class Theme(QObject):
    """The colours and fonts in force; `changed` is emitted after the application wears new ones."""

    changed = Signal()

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._app = app
        self._pictures = QTemporaryDir()
        self.mode: Mode = "system"
        self.font_size = 13
        self.reading_size = 15
        self.sans = installed(SANS, QFontDatabase.SystemFont.GeneralFont)
        self.reading = Settings()
        self.serif = installed(SERIF, QFontDatabase.SystemFont.GeneralFont)
        self.mono = installed(MONO, QFontDatabase.SystemFont.FixedFont)
        app.styleHints().colorSchemeChanged.connect(self._follow_system)

    @property
    def dark(self) -> bool:
        """Whether the dark column of the table is in force."""
        if self.mode == "system":
            return self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
        return self.mode == "dark"

    @cached_property
    def colours(self) -> Colours:
        """The column of the table that is in force."""
        return DARK if self.dark else LIGHT

    @cached_property
    def page(self) -> Page:
        """How prompts and responses are set now."""
        font = self.reading_font()
        metrics = QFontMetricsF(font)
        line = self.reading.reading_spacing * font.pixelSize() / metrics.height()
        return Page(font, self.reading.reading_width * metrics.averageCharWidth(), max(100.0, line))

    def apply(self, mode: Mode = "system", font_size: int = 13, reading_size: int = 15) -> None:
        """Dress the whole application; takes effect at once."""
        self.mode, self.font_size, self.reading_size = mode, font_size, reading_size
        self._dress()

    def wear(self, settings: Settings) -> None:
        """Dress the application by a person's settings; nothing happens when their looks are in force already."""
        looks = (settings.theme, settings.font_size, settings.reading_size)
        reading = (settings.reading_font, settings.reading_width, settings.reading_spacing)
        before = (self.reading.reading_font, self.reading.reading_width, self.reading.reading_spacing)
        self.reading = settings
        if (self.mode, self.font_size, self.reading_size) != looks:
            self.apply(*looks)
        elif before != reading:
            self._forget()
            self.changed.emit()

    def reading_font(self) -> QFont:
        """The font of prompts and responses."""
        family = {"serif": self.serif, "monospace": self.mono}.get(self.reading.reading_font, self.sans)
        return _font(family, self.reading_size)

    def mono_font(self) -> QFont:
        """The font of tokens, code and logs."""
        return _font(self.mono, self.font_size)

    def _follow_system(self) -> None:
        if self.mode == "system":
            self._dress()

    def _dress(self) -> None:
        self._forget()
        colours = self.colours
        self._app.setFont(_font(self.sans, self.font_size))
        self._app.setPalette(qt_palette(colours))
        self._app.setStyleSheet(stylesheet(vars(colours), self._draw_pictures(), self.font_size, self.mono))
        self.changed.emit()

    def _forget(self) -> None:
        for name in ("colours", "page"):
            self.__dict__.pop(name, None)

    def _draw_pictures(self) -> str:
        """Qt's style sheets take pictures from files only, so the few that they need are drawn into a temporary folder."""
        folder = Path(self._pictures.path())
        tone = "dark" if self.dark else "light"
        wanted = (
            ("chevron_down", "chevron_down", self.colours.quiet),
            ("chevron_up", "chevron_up", self.colours.quiet),
            ("check", "check", self.colours.on_accent),
            ("dash", "dash", self.colours.on_accent),
        )
        for name, glyph, colour in wanted:
            for scale, suffix in ((1, ""), (2, "@2x")):
                file = folder / f"{tone}_{name}{suffix}.png"
                if not file.exists():
                    picture(glyph, colour, 16 * scale).save(str(file))
        return (folder / tone).as_posix()


def installed(wanted: tuple[str, ...], fallback: QFontDatabase.SystemFont) -> str:
    """The first family of the list that this machine has, or the system's own."""
    here = set(QFontDatabase.families())
    return next((name for name in wanted if name in here), QFontDatabase.systemFont(fallback).family())


def _font(family: str, size: int) -> QFont:
    font = QFont(family)
    font.setPixelSize(size)
    font.setFeature(QFont.Tag("tnum"), 1)  # numbers keep their columns
    return font


def qt_palette(colours: Colours) -> QPalette:
    """The table as Qt's palette, for whatever the style sheet doesn't reach."""
    palette = QPalette()
    role = QPalette.ColorRole
    for place, colour in (
        (role.Window, colours.ground),
        (role.WindowText, colours.text),
        (role.Base, colours.surface),
        (role.AlternateBase, colours.raised),
        (role.Text, colours.text),
        (role.Button, colours.surface),
        (role.ButtonText, colours.text),
        (role.BrightText, colours.bad),
        (role.Highlight, colours.accent_soft),
        (role.HighlightedText, colours.text),
        (role.Link, colours.accent),
        (role.LinkVisited, colours.accent),
        (role.PlaceholderText, colours.quiet),
        (role.ToolTipBase, colours.raised),
        (role.ToolTipText, colours.text),
        (role.Light, colours.surface),
        (role.Mid, colours.line),
        (role.Dark, colours.edge),
        (role.Accent, colours.accent),
    ):
        palette.setColor(place, QColor(colour))
    for place in (role.Text, role.WindowText, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, place, QColor(colours.quiet))
    return palette


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours as WCAG 2 defines it, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
