"""The one colour scale of heat maps: viridis, perceptually even, with text that stays readable on it."""

from __future__ import annotations

from PySide6.QtGui import QColor

# Nine even steps of matplotlib's viridis (published under CC0), dark to bright.
_VIRIDIS = ("#440154", "#472D7B", "#3B528B", "#2C728E", "#21918C", "#28AE80", "#5EC962", "#ADDC30", "#FDE725")


def viridis(share: float) -> QColor:
    """The colour at 0 (dark) … 1 (bright)."""
    place = min(max(share, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    low = min(int(place), len(_VIRIDIS) - 2)
    one, other, mix = QColor(_VIRIDIS[low]), QColor(_VIRIDIS[low + 1]), place - low
    red, green, blue = (
        round(a + (b - a) * mix)
        for a, b in (
            (one.red(), other.red()),
            (one.green(), other.green()),
            (one.blue(), other.blue()),
        )
    )
    return QColor(red, green, blue)


def ink_on(colour: QColor) -> QColor:
    """Black or white, whichever is read better on a colour."""
    channels = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    luminance = 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
    return QColor("#FFFFFF") if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else QColor("#000000")
