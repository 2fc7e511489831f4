"""The Curves tab: a grid of live plots over buffers that the feed fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QFrame, QGridLayout, QHBoxLayout, QScrollArea, QSlider, QVBoxLayout, QWidget

from workbench.domain.headlines import in_reading_order
from workbench.domain.metrics import EVAL, metric
from workbench.domain.runs import MetricPoint
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text
from workbench.gui.widgets.curve import CurvePlot, Line
from workbench.gui.widgets.series import CurveBuffer

NARROWEST = 300
HIGHEST_WEIGHT = 0.99


class CurvesTab(QWidget):
    """Plots of one run (held-out values over the training ones) or of several (one line each)."""

    def __init__(self, theme: Theme, weight: float = 0.6) -> None:
        super().__init__()
        self._theme = theme
        self._buffers: dict[str, dict[str, CurveBuffer]] = {}
        self._runs: list[tuple[str, str, str]] = []
        self.plots: dict[str, CurvePlot] = {}
        self._across = 0
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        column.addLayout(self._options(weight))
        self.nothing = text("No values yet: the first ones come after the first step.", "quiet", wrap=True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(self.nothing, 1)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body = QWidget()
        self._grid = QGridLayout(body)
        self._grid.setContentsMargins(0, 0, 8, 8)
        self._grid.setSpacing(12)
        self._area.setWidget(body)
        column.addWidget(self._area, 1)
        self.axis = text("step →", "quiet")
        self.axis.setObjectName("runs.axis")
        self.axis.setAccessibleName("All plots run over the steps of training")
        self.axis.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.axis.hide()
        column.addWidget(self.axis)
        theme.changed.connect(self._dress)

    @property
    def weight(self) -> float:
        """Weight of the running average, 0 to 0.99; the slider is finer near the top, where it matters."""
        share = self.slider.value() / self.slider.maximum()
        return HIGHEST_WEIGHT * (1 - (1 - share) ** 2)

    def show_runs(self, runs: Sequence[tuple[str, str, str]]) -> None:
        """Show these runs, as (id, label, kind); plots that both sets have are kept."""
        self._runs = list(runs)
        self._buffers = {run: self._buffers.get(run, {}) for run, _, _ in runs}
        self._arrange()

    def fill(self, run: str, points: Mapping[str, Sequence[MetricPoint]]) -> None:
        """Take these points for the whole history of a run."""
        if run in self._buffers:
            self._buffers[run] = {}
            self.add(run, points)
            self._arrange()

    def add(self, run: str, points: Mapping[str, Sequence[MetricPoint]]) -> None:
        """Append what is new."""
        buffers = self._buffers.get(run)
        if buffers is None:
            return
        fresh = False
        for name, found in points.items():
            if name not in buffers:
                fresh = True
                buffers[name] = CurveBuffer()
                buffers[name].smoothen(self.weight)
            buffers[name].append([float(p.step) for p in found], [p.value for p in found])
        if fresh:
            self._arrange()

    def cut(self, run: str, step: int) -> None:
        """Forget what a resumed run superseded."""
        for buffer in self._buffers.get(run, {}).values():
            buffer.cut_after(step)

    def redraw(self) -> None:
        """Draw what is new in the plots that can be seen; called at most ten times a second."""
        if not self.isVisible():
            return
        for plot in self.plots.values():
            if not plot.visibleRegion().isEmpty():
                plot.redraw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """As many plots side by side as there is room for."""
        super().resizeEvent(event)
        if self._columns() != self._across:
            self._place()

    def _options(self, weight: float) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        label = text("Smoothing", "quiet")
        row.addWidget(label)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("runs.smoothing")
        self.slider.setAccessibleName("Smoothing")
        self.slider.setRange(0, 100)
        self.slider.setFixedWidth(140)
        self.slider.setValue(round(100 * (1 - (1 - weight / HIGHEST_WEIGHT) ** 0.5)))
        self.slider.setToolTip("Weight of the running average over the raw values; the raw line stays behind it.")
        label.setBuddy(self.slider)
        row.addWidget(self.slider)
        self.amount = text("", "quiet")
        self.amount.setMinimumWidth(36)
        row.addWidget(self.amount)
        row.addSpacing(8)
        self.log = QCheckBox("Logarithmic")
        self.log.setObjectName("runs.log_scale")
        self.log.setAccessibleName("Logarithmic values")
        row.addWidget(self.log)
        row.addStretch(1)
        self.legend = text("", "quiet")
        row.addWidget(self.legend)
        self.slider.valueChanged.connect(lambda _: self._smoothen())
        self.log.toggled.connect(lambda _: self._set_options())
        self._tell_amount()
        return row

    def _tell_amount(self) -> None:
        self.amount.setText("off" if self.weight == 0 else f"{self.weight:.2f}")

    def _smoothen(self) -> None:
        self._tell_amount()
        for buffers in self._buffers.values():
            for buffer in buffers.values():
                buffer.smoothen(self.weight)
        self.redraw()

    def _set_options(self) -> None:
        for plot in self.plots.values():
            plot.set_options(log=self.log.isChecked(), smooth=True)
        self.redraw()

    def _dress(self) -> None:
        for plot in self.plots.values():
            plot.dress()
        self.redraw()

    def _names(self) -> list[str]:
        kind = self._runs[0][2] if self._runs else ""
        names = {name for buffers in self._buffers.values() for name in buffers}
        if len(self._runs) == 1:  # held-out values lie over their training twin
            names = {name for name in names if not (name.startswith(EVAL) and name.removeprefix(EVAL) in names)}
        return in_reading_order(kind, sorted(names, key=lambda n: (n.removeprefix(EVAL), n)))

    def _lines(self, name: str) -> list[Line]:
        if len(self._runs) == 1:
            buffers = self._buffers[self._runs[0][0]]
            lines = [Line("training", buffers[name], 0)]
            if EVAL + name in buffers:
                lines.append(Line("held out", buffers[EVAL + name], 1, held_out=True))
            return lines
        found = ((i, label, self._buffers[run].get(name)) for i, (run, label, _) in enumerate(self._runs))
        return [Line(label, buffer, i) for i, label, buffer in found if buffer is not None]

    def _arrange(self) -> None:
        names = self._names()
        for name in [name for name in self.plots if name not in names]:
            plot = self.plots.pop(name)
            self._grid.removeWidget(plot)
            plot.hide()
            plot.deleteLater()
        for name in names:
            if name not in self.plots:
                self.plots[name] = CurvePlot(metric(name), self._theme)
            plot = self.plots[name]
            plot.set_lines(self._lines(name))
            plot.set_options(log=self.log.isChecked(), smooth=True)
        self.plots = {name: self.plots[name] for name in names}
        self.nothing.setVisible(not names)
        self._area.setVisible(bool(names))
        self.axis.setVisible(bool(names))
        self._place()
        self.redraw()

    def _columns(self) -> int:
        return max(1, min(4, self.width() // NARROWEST))

    def _place(self) -> None:
        self._across = self._columns()
        for plot in self.plots.values():
            self._grid.removeWidget(plot)
        for place, plot in enumerate(self.plots.values()):
            self._grid.addWidget(plot, place // self._across, place % self._across)
        for line in range(4):
            self._grid.setColumnStretch(line, 1 if line < self._across else 0)
        self._grid.setRowStretch(self._grid.rowCount(), 1)
