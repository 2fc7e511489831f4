"""Settings: the form made from the declared settings, and what this machine has to say about itself."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, QTimer, qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from workbench import __version__
from workbench.domain.errors import WorkbenchError
from workbench.domain.settings import Settings
from workbench.gui.bridge import Bridge
from workbench.gui.icons import picture
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.basics import Card, button, clear, text, wear_icon
from workbench.gui.widgets.spec_form import SpecForm
from workbench.services.views import Check

TYPING_PAUSE_MS = 400


class SettingsPage(QWidget):
    """A change takes effect at once and is kept in the workspace."""

    help_text = (
        "Settings belong to this workspace and take effect at once; an arrow beside a field sets it back.\n\n"
        "- **Appearance**: theme and text sizes. *System* follows the desktop.\n"
        "- **Annotation**: the name that your judgements are signed with.\n"
        "- **This machine** checks what the workbench needs. *Copy diagnostics* puts it on the clipboard; it holds no data "
        "of yours.\n"
        "- **Privacy**: nothing leaves this machine, unless this workspace's datasets and labels are on a server of your "
        "choice. The window opens no other network connection, and pictures or links in model texts are never loaded.\n"
    )

    def __init__(self, services: Any, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self.setObjectName("settings")
        self._services, self._bridge, self._shell = services, bridge, shell
        self._checks: Sequence[Check] = ()
        self._pause = QTimer(self, interval=TYPING_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._keep)
        self._build()

    def shown(self) -> None:
        """Check the machine once; again on demand."""
        if not self._checks:
            self.check()

    def hidden(self) -> None:
        """Keep what was typed last."""
        self._flush()

    def closing(self) -> None:
        """Keep what was typed last."""
        self._flush()

    def settings_changed(self, settings: Settings) -> None:
        """Show settings that were changed elsewhere."""
        if self.form.values() != settings.model_dump():
            self.form.set_values(settings)

    def actions(self) -> list[Action]:  # type: ignore[override]
        """What can be done here."""
        return [
            Action("settings.light", "Light theme", "", lambda: self._set_theme("light")),
            Action("settings.dark", "Dark theme", "", lambda: self._set_theme("dark")),
            Action("settings.system", "Follow the system's theme", "", lambda: self._set_theme("system")),
            Action("settings.copy", "Copy diagnostics", "", self.copy),
            Action("settings.check", "Check this machine", "", self.check),
        ]

    def check(self) -> None:
        """Ask for the checks of this machine and workspace."""
        self.again.setEnabled(False)
        self._bridge.run(
            self._services.hardware.checks,
            then=self._show_checks,
            failed=self._not_checked,
            ended=lambda: self.again.setEnabled(True),
            lane="long",
        )

    def copy(self) -> None:
        """Put the diagnostics on the clipboard."""
        QGuiApplication.clipboard().setText(diagnostics(self._checks, str(self._services.path)))
        self._shell.notify("Diagnostics copied", "They name versions and folders, and hold no data of yours.", "good")

    # -- inside --------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(24, 16, 24, 16)
        row.setSpacing(16)
        left = Card()
        area = _scrolling("settings.scroll")
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 12, 0)
        column.setSpacing(24)
        self.form = SpecForm(Settings, self._shell.theme, "settings")
        self.form.set_values(self._shell.settings)
        self.form.changed.connect(self._pause.start)
        column.addWidget(self.form)
        area.setWidget(holder)
        left.column.addWidget(area)
        row.addWidget(left, 1)
        right = QVBoxLayout()
        right.setSpacing(16)
        right.addWidget(self._build_workspace())
        right.addWidget(self._build_machine(), 1)
        row.addLayout(right, 1)

    def _build_workspace(self) -> Card:
        card = Card("Workspace")
        card.column.setSpacing(4)
        card.column.addWidget(text(str(self._services.path), "mono", wrap=True, select=True))
        words = "A workspace is a folder: copy, zip or carry it away. Nothing leaves this machine."
        if self._services.server:
            card.column.addWidget(text(f"Datasets and labels are on {self._services.server}.", wrap=True, select=True))
            words = "Runs, models and these settings are in the folder. Nothing goes anywhere else."
        card.column.addWidget(text(words, "quiet", wrap=True))
        return card

    def _build_machine(self) -> Card:
        card = Card("This machine")
        self.again = button("Check again", "settings.check", self.check, "flat")
        self.copy_button = wear_icon(button("Copy diagnostics", "settings.copy", self.copy), "copy", self._shell.theme)
        card.top.addWidget(self.again)
        card.top.addWidget(self.copy_button)
        area = _scrolling("settings.checks")
        holder = QWidget()
        self._list = QVBoxLayout(holder)
        self._list.setContentsMargins(0, 0, 12, 0)
        self._list.setSpacing(6)
        self._list.addWidget(text("Looking…", "quiet"))
        self._list.addStretch(1)
        area.setWidget(holder)
        card.column.addWidget(area, 1)
        self._shell.theme.changed.connect(self._paint_checks)
        return card

    def _show_checks(self, checks: Sequence[Check]) -> None:
        self._checks = sorted(checks, key=lambda check: check.ok)
        self._paint_checks()

    def _not_checked(self, error: WorkbenchError) -> None:
        self._shell.notify(error.what, error.hint, "bad", details=error.details)
        if not self._checks:
            clear(self._list)
            self._list.addWidget(text("This machine could not be checked.", "warning", wrap=True))
            self._list.addStretch(1)

    def _paint_checks(self) -> None:
        if not self._checks:
            return
        clear(self._list)
        wrong = sum(not check.ok for check in self._checks)
        verdict = f"{wrong} of {len(self._checks)} checks need attention" if wrong else "Everything is in order"
        self._list.addWidget(text(verdict, "warning" if wrong else "good"))
        for check in self._checks:
            self._list.addWidget(self._check(check))
        self._list.addStretch(1)

    def _check(self, check: Check) -> QWidget:
        line = QWidget()
        line.setAccessibleName(
            f"{check.name}: {'in order' if check.ok else 'needs attention'}. {check.what} {check.hint}"
        )
        grid = QGridLayout(line)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(0)
        grid.setColumnStretch(1, 1)
        mark = QLabel()
        colours = self._shell.theme.colours
        ratio = self.devicePixelRatioF()
        glyph, colour = ("check", colours.good) if check.ok else ("warning", colours.warning)
        mark.setPixmap(picture(glyph, colour, round(16 * ratio), ratio))
        grid.addWidget(mark, 0, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(text(check.what, wrap=True, select=True), 0, 1)
        if check.hint:
            grid.addWidget(text(check.hint, "quiet", wrap=True, select=True), 1, 1)
        return line

    def _set_theme(self, theme: str) -> None:
        self.form.set_values({**self.form.values(), "theme": theme})
        self._keep()

    def _flush(self) -> None:
        if self._pause.isActive():
            self._pause.stop()
            self._keep()

    def _keep(self) -> None:
        wanted = self.form.result()
        if not isinstance(wanted, Settings) or wanted == self._shell.settings:
            return
        before = self._shell.settings
        self._shell.settings_changed(wanted)
        self._bridge.run(
            self._services.settings.change, **wanted.model_dump(), failed=lambda error: self._not_kept(error, before)
        )

    def _not_kept(self, error: WorkbenchError, before: Settings) -> None:
        self._shell.notify(error.what, error.hint, "bad", details=error.details)
        self._shell.settings_changed(before)


def _scrolling(name: str) -> QScrollArea:
    area = QScrollArea()
    area.setObjectName(name)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area


def diagnostics(checks: Sequence[Check], workspace: str) -> str:
    """Versions, folders and checks as lines to paste into a report."""
    screen = QGuiApplication.primaryScreen()
    lines = [
        f"RLHF Workbench {__version__}",
        f"Qt {qVersion()} on {QGuiApplication.platformName()}, scale {screen.devicePixelRatio() if screen else 1:g}",
        f"{platform.platform()}, Python {platform.python_version()}",
        f"workspace {workspace}",
        *(f"[{'ok' if check.ok else '!!'}] {check.name}: {check.what} {check.hint}".rstrip() for check in checks),
    ]
    return "\n".join(lines)
