"""The form that connects this machine to a workspace on a PostgreSQL server. The password is never written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.gui.widgets.asking import ask_folder
from workbench.gui.widgets.basics import button, text

SCHEME = "postgresql+psycopg://"
ABOUT = (
    "Datasets and labels are on the server, shared by everybody who connects with the same address. Runs, models and settings "
    "stay in a folder of your own. Whoever connects first makes the tables."
)
SECRET = (
    "Kept until this window closes, and written nowhere. Leave it empty where ~/.pgpass or PGPASSWORD holds it: then you "
    "aren't asked again."
)
Join = Callable[[Path, str, str], Any]


def complete_address(words: str) -> str:
    """What was typed, with the scheme that may be left out: `anna@db.example.org/team` will do."""
    words = words.strip()
    return words if not words or "://" in words else SCHEME + words


class ServerPanel(QDialog):
    """`join(folder, address, password)` connects; it answers by `failed`, or by closing the panel."""

    def __init__(self, parent: QWidget, join: Join, beside: Path) -> None:
        super().__init__(parent)
        self._join, self._beside = join, beside
        self._named = False
        self.setObjectName("server")
        self.setWindowTitle("Workspace on a server")
        self.setAccessibleName("Connect to a workspace on a server")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(min(620, parent.width() - 48))  # texts wrap, and say how high they are only then
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 16)
        column.setSpacing(12)
        column.addWidget(text("Workspace on a server", "section"))
        column.addWidget(text(ABOUT, "quiet", wrap=True))
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        self.address = _field("server.address", "Address", "USER@HOST/DATABASE")
        self.address.textChanged.connect(self._changed)
        self.password = _field("server.password", "Password", "")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.folder = _field("server.folder", "Folder", "a new or empty folder")
        self.folder.textEdited.connect(self._name)
        self.choose = button("Choose…", "server.choose", self._ask_folder, accessible="Choose the folder")
        example = f"{SCHEME}anna@db.example.org/team, with ?schema=NAME for one of several workspaces in a database"
        for line, (field, words) in enumerate(
            ((self.address, example), (self.password, SECRET), (self.folder, "For runs, models and settings."))
        ):
            label = QLabel(field.accessibleName())
            label.setBuddy(field)
            grid.addWidget(label, 2 * line, 0)
            grid.addWidget(field, 2 * line, 1, 1, 1 if field is self.folder else 2)
            about = text(words, "quiet", wrap=True)
            about.setContentsMargins(0, 0, 0, 8)
            field.setAccessibleDescription(words)
            grid.addWidget(about, 2 * line + 1, 1, 1, 2)
        grid.addWidget(self.choose, 4, 2)
        column.addLayout(grid)
        self.said = text("", "bad", wrap=True, select=True)
        self.said.setObjectName("server.said")
        self.hint = text("", "quiet", wrap=True, select=True)
        for part in (self.said, self.hint):
            part.hide()
            column.addWidget(part)
        column.addStretch(1)
        column.addLayout(self._buttons())
        self.address.setFocus()

    def fill(self, folder: Path, address: str) -> None:
        """A folder that is there already: only the password is asked for."""
        self._named = True
        self.folder.setText(str(folder))
        self.address.setText(address)
        for field in (self.folder, self.address):
            field.setReadOnly(True)
        self.choose.hide()
        self.password.setFocus()

    def connect_now(self) -> None:
        """Connect with what the fields say."""
        if not self.go.isEnabled():
            return
        address = complete_address(self.address.text())
        if not address or not self.folder.text().strip():
            missing = self.folder if address else self.address
            self.say(f"{missing.accessibleName()} is missing.", "")
            missing.setFocus()
            return
        self._wait(True)
        self._join(Path(self.folder.text().strip()).expanduser(), address, self.password.text())

    def failed(self, error: WorkbenchError) -> None:
        """Say why not; what was typed stays."""
        self._wait(False)
        self.say(error.what, error.hint)

    def say(self, what: str, hint: str) -> None:
        """What went wrong, and what to do."""
        self.said.setText(what)
        self.hint.setText(hint)
        self.said.setVisible(bool(what))
        self.hint.setVisible(bool(hint))
        self.adjustSize()

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.busy = text("", "quiet")
        self.busy.setObjectName("server.busy")
        row.addWidget(self.busy)
        row.addStretch(1)
        row.addWidget(button("Cancel", "server.cancel", self.close))
        self.go = button("Connect", "server.connect", self.connect_now, "primary")
        self.go.setDefault(True)
        row.addWidget(self.go)
        return row

    def _wait(self, on: bool) -> None:
        self.go.setEnabled(not on)
        self.busy.setText("Connecting…" if on else "")
        if on:
            self.say("", "")

    def _changed(self, words: str) -> None:
        """Name the folder after the database until a person names it."""
        if not self._named:
            database = complete_address(words).partition("?")[0].rpartition("/")[2] if "/" in words else ""
            self.folder.setText(str(self._beside / database) if database else "")

    def _name(self) -> None:
        self._named = True

    def _ask_folder(self) -> None:
        ask_folder(self, "server.folder_dialog", "Folder for runs, models and settings", self._take_folder)

    def _take_folder(self, folder: Path) -> None:
        self._named = True
        self.folder.setText(str(folder))


def _field(name: str, accessible: str, example: str) -> QLineEdit:
    field = QLineEdit()
    field.setObjectName(name)
    field.setAccessibleName(accessible)
    field.setPlaceholderText(example)
    return field
