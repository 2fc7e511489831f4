"""Serving a model: start and stop the server, its address and key to copy, and how it fares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QFormLayout, QFrame, QHBoxLayout, QPushButton, QSpinBox, QVBoxLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.serving import Serving
from workbench.gui.bridge import Bridge
from workbench.gui.shell import Shell
from workbench.gui.widgets.basics import Elided, button, text, wear_icon
from workbench.gui.widgets.words import count
from workbench.services.serving import ServingService, settings_for

LOOK = 500  # milliseconds between two looks at the server
_STATES = {
    "loading": "loading",
    "ready": "listening",
    "stopping": "ending",
    "failed": "failed",
    "stopped": "not running",
}
_RECORD = "asked.jsonl"


class ServePanel(QFrame):
    """Stands in the card's place until it is left; the server goes on when it is. There is one server for the workspace."""

    def __init__(self, service: ServingService, bridge: Bridge, shell: Shell, leave: Callable[[], Any]) -> None:
        super().__init__()
        self._service, self._bridge, self._shell = service, bridge, shell
        self._name, self._refusal = "", ""
        self.setObjectName("models.serve")
        self.setAccessibleName("Serve a model")
        self.setProperty("role", "card")
        self.setMinimumWidth(280)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(8)
        head = QHBoxLayout()
        self.title = text("", "heading", wrap=True)
        self.state = text("", "chip")
        head.addWidget(self.title, 1)
        head.addWidget(self.state)
        box.addLayout(head)
        self.sentence = text("", "quiet", wrap=True)
        box.addWidget(self.sentence)
        self.form, self.live = self._build_form(), self._build_live()
        box.addWidget(self.form)
        box.addWidget(self.live)
        self.trouble = text("", "bad", wrap=True, select=True)
        box.addWidget(self.trouble)
        box.addStretch(1)
        row = QHBoxLayout()
        self.start = button("Start", "models.serve.start", self._start, "primary", accessible="Start the server")
        self.stop = button("Stop", "models.serve.stop", self._stop, "danger", accessible="Stop the server")
        for part in (self.start, self.stop, button("Back", "models.serve.back", leave)):
            row.addWidget(part)
        row.addStretch(1)
        box.addLayout(row)
        self._timer = QTimer(self, interval=LOOK)
        self._timer.timeout.connect(self.look)

    def show_model(self, name: str) -> None:
        """Offer to serve this model, or show the server that runs."""
        if name != self._name:
            self._name, self._refusal = name, ""
        self.look()

    def watch(self, on: bool) -> None:
        """Look at the server from time to time, or no more."""
        if on:
            self.look()
            self._timer.start()
        else:
            self._timer.stop()

    def look(self) -> None:
        """Show how the server fares now."""
        state = self._service.state()
        running = state.state in ("loading", "ready", "stopping")
        self.title.setText(f"Serving {', '.join(state.models)}" if running else f"Serve {self._name}")
        self.state.setText(_STATES[state.state])
        self.sentence.setText(_sentence(state, running))
        self.form.setVisible(not running)
        self.live.setVisible(running)
        self.start.setVisible(not running)
        self.stop.setVisible(running)
        self.stop.setText("Stop at once" if state.state == "stopping" else "Stop")
        trouble = self._refusal or (f"{state.what} {state.hint}".strip() if state.state == "failed" else "")
        self.trouble.setText(trouble)
        self.trouble.setVisible(bool(trouble) and not running)
        if running:
            self._show_live(state)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _build_form(self) -> QWidget:
        holder = QWidget()
        form = QFormLayout(holder)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        form.setVerticalSpacing(4)
        self.port = QSpinBox()
        self.port.setObjectName("models.serve.port")
        self.port.setAccessibleName("Port to listen on")
        self.port.setRange(0, 65535)
        self.port.setSpecialValueText("any free one")
        self.record = QCheckBox("Keep every prompt")
        self.record.setObjectName("models.serve.record")
        self.record.setAccessibleName("Keep every prompt that comes in, for a dataset")
        self.record.setToolTip(f"Written to {_RECORD} in the workspace; Data imports it as a dataset of prompts")
        form.addRow("Port", self.port)
        form.addRow(self.record)
        return holder

    def _build_live(self) -> QWidget:
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.address, self.key = Elided("mono"), Elided("mono")
        for heading, line, name, copy in (
            ("Address", self.address, "address", self._copy_address),
            ("Key", self.key, "key", self._copy_key),
        ):
            column.addWidget(text(heading, "quiet"))
            row = QHBoxLayout()
            row.addWidget(line, 1)
            press = button("", f"models.serve.copy_{name}", copy, accessible=f"Copy the {name}", tip=f"Copy the {name}")
            row.addWidget(wear_icon(press, "copy", self._shell.theme))
            column.addLayout(row)
        column.addSpacing(8)
        self.speed, self.counts = text("", "number"), text("", "quiet", wrap=True)
        column.addWidget(self.speed)
        column.addWidget(self.counts)
        self.recording = text("", "warning", wrap=True)
        column.addWidget(self.recording)
        return holder

    def _show_live(self, state: Serving) -> None:
        key = self._service.key
        self.address.setText(state.address or "…")
        self.key.setText(f"{key[:6]}…{key[-4:]}" if key else "…")
        for copy in self.findChildren(QPushButton):
            if copy.objectName().startswith("models.serve.copy_"):
                copy.setEnabled(bool(state.address))
        self.speed.setText(f"{state.speed:,.0f} tokens/s")
        self.counts.setText(
            f"{count(state.live, 'live request')}, {count(state.rows, 'text')} being written, {state.waiting} waiting. "
            f"{count(state.requests, 'request')} and {count(state.tokens, 'token')} since it began."
        )
        self.recording.setVisible(bool(self._service.record))
        self.recording.setText(f"Every prompt is kept in {self._service.record}.")

    def _start(self) -> None:
        self.start.setEnabled(False)
        self._refusal = ""
        record = str(self._service.log.with_name(_RECORD)) if self.record.isChecked() else ""
        self._bridge.run(
            self._service.start, [self._name], settings_for(port=self.port.value(), record=record),
            then=lambda _: self.look(), failed=self._refused, ended=lambda: self.start.setEnabled(True), lane="long",
        )  # fmt: skip

    def _refused(self, error: WorkbenchError) -> None:
        self._refusal = f"{error.what} {error.hint}".strip()
        self.look()

    def _stop(self) -> None:
        if self._service.state().state == "stopping":
            self._bridge.run(self._service.stop, 5.0, now=True, then=lambda _: self.look(), lane="long")
        else:
            self._bridge.run(self._service.ask_to_stop, then=lambda _: self.look(), lane="long")

    def _copy_address(self) -> None:
        QGuiApplication.clipboard().setText(self.address.text())
        self._shell.notify("The address is copied", self.address.text())

    def _copy_key(self) -> None:
        QGuiApplication.clipboard().setText(self._service.key)
        self._shell.notify("The key is copied", "Whoever has it can use the server")


def _sentence(state: Serving, running: bool) -> str:
    if not running:
        return "Puts the model behind OpenAI's interface, for programs on this machine. They need the key, which is new each time."
    if state.state == "loading":
        return f"Loading {state.loading or ', '.join(state.models)} …"
    if state.state == "stopping":
        return "Requests under way may end; nothing new is taken."
    return "Any client of OpenAI's takes this address and this key."
