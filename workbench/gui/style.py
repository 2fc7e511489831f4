"""The one style sheet, made from the table of colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SHEET = """
QWidget { color: $text; }
QMainWindow, QDialog, #window_body, QStackedWidget { background: $ground; }
QToolTip { background: $raised; color: $text; border: 1px solid $edge; padding: 4px 8px; }

QLabel { background: transparent; }
QLabel[role="title"] { font-size: 24px; font-weight: 600; }
QLabel[role="letter"] { font-size: 18px; font-weight: 600; color: $accent; text-decoration: underline; }
QLabel[role="section"] { font-size: 18px; font-weight: 600; }
QLabel[role="heading"] { font-size: 15px; font-weight: 600; }
QLabel[role="number"] { font-size: 24px; font-weight: 600; }
QLabel[role="strong"] { font-weight: 600; }
QLabel[role="quiet"] { color: $quiet; }
QLabel[role="good"] { color: $good; }
QLabel[role="warning"] { color: $warning; }
QLabel[role="bad"] { color: $bad; }
QLabel[role="mono"] { font-family: "$mono"; }
QLabel[role="chip"] { background: $raised; color: $quiet; border-radius: 4px; padding: 1px 6px; }
QLabel[role="bubble"] { background: $raised; border: 1px solid $edge; border-radius: 6px; padding: 8px 10px; }
QLabel[role="key"] { background: $raised; color: $text; border: 1px solid $line; border-bottom: 2px solid $edge;
    border-radius: 4px; padding: 0px 5px; font-family: "$mono"; }

QFrame[role="card"] { background: $surface; border: 1px solid $line; border-radius: 6px; }
QFrame[role="card"][chosen="true"] { border: 2px solid $accent; }
QFrame[role="panel"] { background: $surface; border: none; }
QFrame[role="inset"] { background: $raised; border: none; border-radius: 6px; }
QFrame[role="rule"] { background: $line; border: none; max-height: 1px; min-height: 1px; }
QFrame[role="stem"] { background: $line; border: none; max-width: 1px; min-width: 1px; }
#rail { background: $surface; border-right: 1px solid $line; }
#top_bar { background: $ground; border-bottom: 1px solid $line; }
#status_bar { background: $surface; border-top: 1px solid $line; }

QPushButton { background: $surface; border: 1px solid $edge; border-radius: 6px; padding: 5px 14px; min-height: 20px; }
QPushButton:hover { background: $raised; }
QPushButton:pressed { background: $line; }
QPushButton:focus { border: 2px solid $accent; padding: 4px 13px; }
QPushButton:disabled { color: $quiet; border-color: $line; background: $ground; }
QPushButton:checked { background: $accent_soft; border-color: $accent; }
QPushButton[role="primary"] { background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600; }
QPushButton[role="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[role="primary"]:focus { border: 2px solid $text; }
QPushButton[role="primary"]:disabled { background: $raised; color: $quiet; border-color: $line; }
QPushButton[role="danger"] { color: $bad; border-color: $bad; }
QPushButton[role="danger"]:hover { background: $bad_soft; }
QPushButton[role="flat"], QToolButton { background: transparent; border: 1px solid transparent; border-radius: 6px;
    padding: 4px 8px; }
QPushButton[role="flat"]:hover, QToolButton:hover { background: $raised; }
QPushButton[role="flat"]:focus, QToolButton:focus { border: 1px solid $accent; }
QToolButton { padding: 4px; }
QPushButton[role="flat"]:checked, QToolButton:checked { background: $accent_soft; border-color: $accent; }
QPushButton[role="link"] { background: transparent; border: none; color: $accent; padding: 2px; text-align: left; }
QPushButton[role="link"]:hover { text-decoration: underline; }
QPushButton[role="link"]:focus { border: 1px solid $accent; border-radius: 4px; padding: 1px; }
QPushButton::menu-indicator, QToolButton::menu-indicator { image: none; width: 0px; }
#search_button { background: $surface; border: 1px solid $line; color: $quiet; text-align: left;
    padding: 5px 10px; }
#search_button:hover { border-color: $edge; }
#search_button:focus { border: 1px solid $accent; }

QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox, QComboBox {
    background: $surface; border: 1px solid $edge; border-radius: 6px; padding: 4px 8px; color: $text;
    selection-background-color: $accent; selection-color: $on_accent; }
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox { min-height: 20px; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {
    border: 2px solid $accent; padding: 3px 7px; }
QLineEdit:disabled, QSpinBox:disabled, QComboBox:disabled, QPlainTextEdit:disabled { background: $raised; color: $quiet;
    border-color: $line; }
QLineEdit[wrong="true"], QSpinBox[wrong="true"], QComboBox[wrong="true"] { border: 2px solid $bad; padding: 3px 7px; }
QTextBrowser, QPlainTextEdit[readOnly="true"] { border: none; background: transparent; padding: 0px; }
QTextBrowser:focus { border: none; padding: 0px; }
QPlainTextEdit[role="log"] { background: $raised; border: none; border-radius: 6px; padding: 8px; font-family: "$mono"; }
QSpinBox, QDoubleSpinBox { padding: 4px 0px; }
QSpinBox:focus, QDoubleSpinBox:focus { padding: 3px 0px; }
QComboBox::drop-down { border: none; width: 24px; }
QComboBox::down-arrow { image: url($pictures_chevron_down.png); width: 16px; height: 16px; }
QComboBox QAbstractItemView { background: $surface; border: 1px solid $edge; padding: 4px; outline: none; }
QSpinBox::up-button, QDoubleSpinBox::up-button { border: none; width: 20px; subcontrol-position: top right; }
QSpinBox::down-button, QDoubleSpinBox::down-button { border: none; width: 20px; subcontrol-position: bottom right; }
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow { image: url($pictures_chevron_up.png); width: 12px; height: 12px; }
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow { image: url($pictures_chevron_down.png); width: 12px; height: 12px; }

QCheckBox, QRadioButton { spacing: 8px; background: transparent; }
QCheckBox::indicator { width: 16px; height: 16px; border: 1px solid $edge; border-radius: 4px; background: $surface; }
QCheckBox::indicator:hover, QCheckBox:focus::indicator { border-color: $accent; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url($pictures_check.png); }
QCheckBox:disabled { color: $quiet; }
QRadioButton::indicator { width: 14px; height: 14px; border: 2px solid $edge; border-radius: 9px; background: $surface; }
QRadioButton::indicator:checked { border: 5px solid $accent; width: 8px; height: 8px; }
QRadioButton:focus::indicator { border-color: $accent; }

QAbstractItemView { background: $surface; alternate-background-color: $ground; border: none; outline: none;
    selection-background-color: $accent_soft; selection-color: $text; gridline-color: $line; }
QTableView, QListView, QTreeView { border: 1px solid $line; border-radius: 6px; }
QTableView[role="bare"], QListView[role="bare"], QTreeView[role="bare"], QListWidget[role="bare"] { border: none; }
QTableView::item, QListView::item, QTreeView::item { padding: 4px 8px; border: none; color: $text; }
QListView::item { border-radius: 4px; }
QTableView::item:selected, QListView::item:selected, QTreeView::item:selected { background: $accent_soft; color: $text; }
QListView::item:hover:!selected, QTreeView::item:hover:!selected { background: $raised; }
QTableView:focus, QListView:focus, QTreeView:focus { border: 1px solid $accent; }
QTableView[role="bare"]:focus, QListView[role="bare"]:focus, QListWidget[role="bare"]:focus { border: none; }
QHeaderView { background: $surface; border: none; }
QHeaderView::section { background: $surface; color: $quiet; border: none; border-bottom: 1px solid $line; padding: 6px 8px;
    font-weight: 600; }
QTableCornerButton::section { background: $surface; border: none; }

QScrollArea { background: transparent; border: none; }
QScrollArea > QWidget > QWidget { background: transparent; }
QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle { background: $edge; border-radius: 4px; min-height: 32px; min-width: 32px; margin: 2px; }
QScrollBar::handle:hover { background: $quiet; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: $accent_soft; }
QSplitter::handle:horizontal { width: 8px; }
QSplitter::handle:vertical { height: 8px; }

QProgressBar { background: $raised; border: none; border-radius: 4px; min-height: 8px; max-height: 8px; color: transparent; }
QProgressBar::chunk { background: $accent; border-radius: 4px; }
QTabWidget::pane { border: none; border-top: 1px solid $line; }
QTabBar { background: transparent; }
QTabBar::tab { background: transparent; color: $quiet; padding: 8px 14px; border: none; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom: 2px solid $accent; font-weight: 600; }
QTabBar::tab:hover { color: $text; }
QTabBar::tab:focus { background: $raised; }
QMenu { background: $surface; border: 1px solid $edge; border-radius: 6px; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 4px; }
QMenu::item:selected { background: $accent_soft; }
QMenu::item:disabled { color: $quiet; }
QMenu::separator { height: 1px; background: $line; margin: 4px 8px; }
QSlider:horizontal { min-height: 22px; }
QSlider::groove:horizontal { height: 4px; background: $raised; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal { width: 16px; height: 16px; margin: -6px 0; border-radius: 8px; background: $accent; }
QSlider::handle:horizontal:focus { border: 2px solid $text; width: 12px; height: 12px; }
QGroupBox { border: none; margin-top: 24px; font-weight: 600; }
QGroupBox::title { subcontrol-origin: margin; left: 0; }
"""


def stylesheet(colours: Mapping[str, Any], pictures: str, font_size: int, mono: str) -> str:
    """The sheet with every `$name` filled in; `pictures` is the start of the paths of its few pictures."""
    words = {name: value for name, value in colours.items() if isinstance(value, str)}
    words |= {"mono": mono, "accent_hover": shade(words["accent"], words["text"], 0.12)}
    sheet = _SHEET.replace("$pictures_", f"{pictures}_")
    for name in sorted(words, key=len, reverse=True):
        sheet = sheet.replace(f"${name}", words[name])
    return re.sub(r"font-size: (\d+)px", lambda found: f"font-size: {int(found[1]) + font_size - 13}px", sheet)


def shade(colour: str, towards: str, share: float) -> str:
    """A colour moved by `share` of the way towards another one."""
    pairs = ((int(colour[i : i + 2], 16), int(towards[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)
