"""Models in the decoder's memory: which, how much of what they may hold, and the way to let one go."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QSpinBox, QVBoxLayout, QWidget

from workbench.domain.settings import Settings
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.drawer import Drawer
from workbench.gui.shell import Shell
from workbench.gui.widgets.basics import Elided, button, clear, rule, text
from workbench.gui.widgets.fields import WheelGuard
from workbench.gui.widgets.words import size
from workbench.services.playground import PlaygroundService
from workbench.services.settings import SettingsService
from workbench.services.views import LoadedModel, MemoryView

LOOK = 1000  # milliseconds between two looks while the panel can be seen
PARTS = 1000  # of the bar


class ShelfPanel(QWidget):
    """What is loaded, the model used last first. `looked` asks for news, `freed(folder)` and `budgeted(GiB)` are wishes."""

    looked = Signal()
    freed = Signal(str)
    budgeted = Signal(int)

    def __init__(self, budget: int) -> None:
        super().__init__()
        self.setObjectName("playground.shelf")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 8, 0)
        box.setSpacing(8)
        words = "Models stay loaded between rounds. When they are too many, the one that was used longest ago goes."
        box.addWidget(text(words, "quiet", wrap=True))
        self.told = text("", "strong")
        self.bar = QProgressBar()
        self.bar.setObjectName("playground.shelf.bar")
        self.bar.setTextVisible(False)
        self.bar.setRange(0, PARTS)
        box.addWidget(self.told)
        box.addWidget(self.bar)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(8)
        box.addLayout(self._rows)
        box.addWidget(rule())
        row = QHBoxLayout()
        row.addWidget(text("All together at most"), 1)
        self.budget = QSpinBox()
        self.budget.setObjectName("playground.shelf.budget")
        self.budget.setAccessibleName("Memory for the playground's models, in GiB; 0 is half of the machine's")
        self.budget.setRange(0, 100_000)
        self.budget.lineEdit().setTextMargins(7, 0, 0, 0)
        self.budget.setSuffix(" GiB")
        self.budget.setSpecialValueText("half of all")
        self.budget.setKeyboardTracking(False)
        self.budget.setValue(budget)
        self.budget.installEventFilter(WheelGuard(self.budget))
        self.budget.valueChanged.connect(self.budgeted)
        row.addWidget(self.budget)
        box.addLayout(row)
        box.addStretch(1)
        self._shown: MemoryView | None = None
        self._going: set[str] = set()
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self.looked)
        self.show_memory(MemoryView())

    def show_memory(self, memory: MemoryView) -> None:
        """What is loaded now; rows are made anew only when models have come or gone, so that the focus stays."""
        if memory == self._shown:
            return
        self._shown = memory
        self._going &= {one.folder for one in memory.models}
        self.told.setText(f"{size(memory.used)} of {size(memory.budget)}" if memory.budget else "Nothing is loaded")
        self.bar.setVisible(bool(memory.budget))
        self.bar.setValue(min(PARTS, round(PARTS * memory.used / memory.budget)) if memory.budget else 0)
        self.bar.setAccessibleName(f"Memory of the playground's models: {self.told.text()}")
        clear(self._rows)
        for number, one in enumerate(reversed(memory.models)):
            self._rows.addLayout(self._row(number, one))
        if not memory.models:
            self._rows.addWidget(text("A model is loaded when a column first speaks with it.", "quiet", wrap=True))

    def showEvent(self, event: QShowEvent) -> None:
        """Look at once, and again while it can be seen."""
        super().showEvent(event)
        self.looked.emit()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Out of sight nothing is looked at."""
        super().hideEvent(event)
        self._timer.stop()

    def _row(self, number: int, one: LoadedModel) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(Elided("strong", one.name))
        role = "reward model" if one.role == "reward" else "speaks"
        words.addWidget(text(f"{role} · {size(one.bytes)}{' · used last' if number == 0 else ''}", "quiet"))
        row.addLayout(words, 1)
        free = button(
            "Free", f"playground.shelf.{number}.free", partial(self._free, one.folder), accessible=f"Free {one.name}",
            tip="Let it go; it is loaded again when it is wanted",
        )  # fmt: skip
        self._wait(free, one.folder)
        row.addWidget(free, 0, Qt.AlignmentFlag.AlignVCenter)
        return row

    def _free(self, folder: str) -> None:
        self._going.add(folder)
        shown, self._shown = self._shown, None
        self.show_memory(shown or MemoryView())
        self.freed.emit(folder)

    def _wait(self, free: QWidget, folder: str) -> None:
        """A model in use goes when its round has ended."""
        if folder in self._going:
            free.setEnabled(False)
            free.setToolTip("It goes as soon as nothing uses it")


class Shelf(QObject):
    """Opens the panel and does what it wishes; tells the decoder when its budget has changed, wherever that was."""

    def __init__(
        self, service: PlaygroundService, settings: SettingsService, bridge: Bridge, shell: Shell, row: ColumnsRow,
        drawer: Drawer,
    ) -> None:  # fmt: skip
        super().__init__()
        self._service, self._settings, self._bridge, self._shell = service, settings, bridge, shell
        self._row, self._drawer = row, drawer
        self._budget = shell.settings.decoder_memory

    def open(self) -> None:
        """The panel; in a blind round it would tell which models speak."""
        if self._row.masked:
            return
        panel = ShelfPanel(self._shell.settings.decoder_memory)
        panel.looked.connect(partial(self._look, panel))
        panel.freed.connect(
            lambda folder: self._bridge.run(self._service.free, folder, then=lambda _: self._look(panel))
        )
        panel.budgeted.connect(self._keep)
        self._drawer.open("Models in memory", panel)

    def take(self, settings: Settings) -> None:
        """Settings have changed, here or on their own page."""
        if settings.decoder_memory != self._budget:
            self._budget = settings.decoder_memory
            self._bridge.run(self._service.rebudget, self._budget)

    def _look(self, panel: ShelfPanel) -> None:
        def show(memory: MemoryView) -> None:
            if self._drawer.content is panel and not self._row.masked:
                panel.show_memory(memory)

        self._bridge.run(self._service.memory, then=show)

    def _keep(self, gibibytes: int) -> None:
        self._shell.settings_changed(self._shell.settings.model_copy(update={"decoder_memory": gibibytes}))
        self._bridge.run(self._settings.change, decoder_memory=gibibytes)
