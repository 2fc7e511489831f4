"""Small windows beside the main one: help, keys, the log, and the question before what can't be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QMessageBox,
    QPlainTextEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from workbench.gui.notify import Notice
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import KeyHint, button, text
from workbench.gui.widgets.markdown import MarkdownView

GLOBAL_KEYS: tuple[tuple[str, str], ...] = (
    ("Ctrl+1 … Ctrl+8", "Go to a page"),
    ("Ctrl+9", "Statistics of labels"),
    ("Ctrl+K", "Find anything"),
    ("F1", "Help for this page"),
    ("Ctrl+/", "These keys"),
    ("Ctrl+Z", "Undo"),
    ("Ctrl+Shift+Z", "Redo"),
    ("Ctrl+= and Ctrl+-", "Larger, smaller texts; Ctrl+0 as usual"),
    ("F11", "Full screen"),
    ("Ctrl+Q", "Quit; runs go on"),
)


def _panel(parent: QWidget, name: str, title: str, width: int, height: int) -> tuple[QDialog, QVBoxLayout]:
    panel = QDialog(parent)
    panel.setObjectName(name)
    panel.setWindowTitle(title)
    panel.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    panel.resize(min(width, parent.width() - 48), min(height, parent.height() - 48))
    column = QVBoxLayout(panel)
    column.setContentsMargins(24, 24, 24, 16)
    column.setSpacing(12)
    return panel, column


def _close_row(panel: QDialog, column: QVBoxLayout) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addStretch(1)
    row.addWidget(button("Close", f"{panel.objectName()}.close", panel.close))
    column.addLayout(row)
    return row


def show_help(parent: QWidget, theme: Theme, title: str, words: str) -> QDialog:
    """Help for a page."""
    panel, column = _panel(parent, "help", f"Help: {title}", 620, 520)
    column.addWidget(text(title, "section"))
    view = MarkdownView(theme, "help.text")
    view.show_text(words)
    column.addWidget(view, 1)
    _close_row(panel, column)
    panel.show()
    return panel


def show_keys(parent: QWidget, title: str, keys: Iterable[tuple[str, str]]) -> QDialog:
    """The keys of a page, then those that hold everywhere."""
    panel, outer = _panel(parent, "keys", f"Keys: {title}", 880, 840)
    area = QScrollArea()
    area.setObjectName("keys.scroll")
    area.setAccessibleName("Keys")
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 12, 0)
    column.setSpacing(12)
    area.setWidget(holder)
    outer.addWidget(area, 1)
    for heading, pairs in ((title, tuple(keys)), ("Everywhere", GLOBAL_KEYS)):
        if not pairs:
            continue
        column.addWidget(text(heading, "heading"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(8)
        half = (len(pairs) + 1) // 2
        for place, (key, words) in enumerate(pairs):
            hint = KeyHint(key, words)
            hint.layout().addStretch(1)  # type: ignore[union-attr]
            grid.addWidget(hint, place % half, place // half)
        column.addLayout(grid)
        column.addSpacing(8)
    column.addStretch(1)
    _close_row(panel, outer)
    panel.resize(panel.width(), min(panel.height(), holder.sizeHint().height() + 96))
    panel.show()
    return panel


def show_log(parent: QWidget, notices: Iterable[Notice]) -> QDialog:
    """Everything that was told since the window opened, with details, to read and to copy."""
    panel, column = _panel(parent, "log", "Log of this window", 760, 520)
    column.addWidget(text("What the window has told you", "section"))
    paper = QPlainTextEdit(log_text(notices))
    paper.setObjectName("log.text")
    paper.setAccessibleName("Log")
    paper.setReadOnly(True)
    paper.setProperty("role", "log")
    column.addWidget(paper, 1)
    row = _close_row(panel, column)
    row.insertWidget(0, button("Copy", "log.copy", lambda: QGuiApplication.clipboard().setText(paper.toPlainText())))
    panel.show()
    return panel


def log_text(notices: Iterable[Notice]) -> str:
    """The notices as lines, newest last."""
    lines = []
    for notice in notices:
        lines.append(f"{notice.time:%H:%M:%S}  {notice.kind:<7}  {notice.what}")
        lines += [f"{'':19}{line}" for line in (notice.hint, *notice.details.splitlines()) if line]
    return "\n".join(lines) or "Nothing yet."


def ask(parent: QWidget, title: str, words: str, verb: str, then: Callable[[], Any]) -> QMessageBox:
    """Ask before something that can't be undone. The safe answer is the default."""
    box = QMessageBox(parent)
    box.setObjectName("confirm")
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(title)
    box.setInformativeText(words)
    yes = box.addButton(verb, QMessageBox.ButtonRole.AcceptRole)
    yes.setObjectName("confirm.yes")
    yes.setAccessibleName(verb)
    yes.setProperty("role", "danger")
    no = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    no.setObjectName("confirm.no")
    no.setAccessibleName("Cancel")
    box.setDefaultButton(no)
    box.setEscapeButton(no)
    box.buttonClicked.connect(lambda clicked: then() if clicked is yes else None)
    box.open()
    return box
