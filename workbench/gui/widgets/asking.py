"""Asks for a file to write or a folder; Qt's own dialogs, opened without a nested event loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget


def ask_file(parent: QWidget, name: str, title: str, suggested: str, then: Callable[[Path], Any]) -> None:
    """Where to write a file that is to be called like `suggested`; `then` is called when a place was chosen."""
    dialog = _dialog(parent, name, title, then)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    dialog.selectFile(suggested)
    dialog.open()


def ask_folder(parent: QWidget, name: str, title: str, then: Callable[[Path], Any], *, new: bool = False) -> None:
    """Which folder, or with `new` the name of one to be made."""
    dialog = _dialog(parent, name, title, then)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
    if new:
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    else:
        dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.open()


def _dialog(parent: QWidget, name: str, title: str, then: Callable[[Path], Any]) -> QFileDialog:
    dialog = QFileDialog(parent, title)
    dialog.setObjectName(name)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(lambda chosen: then(Path(chosen)))
    return dialog
