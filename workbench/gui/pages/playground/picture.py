"""A round as a picture: the columns as they look, but as high as their texts, with the prompt above them."""

from __future__ import annotations

from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QVBoxLayout, QWidget

from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.round import Asked
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text

WIDTH = 340  # of one column
LEAST, MOST = 360, 12_000  # pixels of height


def picture_of(theme: Theme, asked: Asked, shown: ColumnsRow) -> QPixmap:
    """Draw the round in columns of its own, so that what is on the screen needn't move."""
    sheet = QWidget()
    sheet.setObjectName("playground.picture")
    box = QVBoxLayout(sheet)
    box.setContentsMargins(16, 16, 16, 16)
    box.setSpacing(12)
    words = text(asked.prompt.transcript + (f"\n{asked.prefill} …" if asked.prefill else ""), wrap=True)
    words.setFont(theme.reading_font())
    box.addWidget(words)
    row = ColumnsRow(theme)
    row.set_models(list(dict.fromkeys(column.model for column in asked.columns)))
    row.set_columns(asked.columns)
    row.set_mode(shown.mode)
    for card, source in zip(row.cards, shown.cards, strict=True):
        card.take_over(source)
    row.look()
    box.addWidget(row, 1)
    width = 32 + len(asked.columns) * (WIDTH + 12) - 12
    sheet.resize(width, LEAST)
    sheet.ensurePolished()
    box.activate()
    sheet.grab()  # lays everything out, so that the texts know how high they are
    missing = max(card.overflow for card in row.cards)
    sheet.resize(width, min(MOST, LEAST + missing))
    box.activate()
    picture = sheet.grab()
    sheet.deleteLater()
    return picture
