"""One live plot of a metric: raw and smoothed line, held-out values over it, several runs if asked. Needs pyqtgraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QWheelEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from workbench.analysis.curves import Series
from workbench.domain.metrics import Metric
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import restyle, text
from workbench.gui.widgets.series import CurveBuffer, number

PLOT_HEIGHT = 152


@dataclass
class Line:
    """One line of a plot: whose it is, its points, its place in the table of series colours."""

    label: str
    buffer: CurveBuffer
    colour: int = 0
    held_out: bool = False
    _drawn: tuple[Any, ...] = field(default=(), repr=False)


class _Plot(pg.PlotWidget):
    """A plot that lets the page scroll: the wheel zooms only together with Ctrl."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom with Ctrl, otherwise leave the wheel to the page."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
        else:
            event.ignore()


class CurvePlot(QFrame):
    """A card with a metric's title, its newest value and its plot. Nothing is drawn until `redraw` is called."""

    def __init__(self, metric: Metric, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.about = metric
        self.lines: list[Line] = []
        self.log = False
        self.smooth = True
        self.draws = 0
        self._theme = theme
        self._items: list[tuple[Any, Any]] = []
        self._zoomed = False
        self.setObjectName(f"runs.plot.{metric.name}")
        self.setProperty("role", "card")
        self.setAccessibleName(f"{metric.title}: {metric.sentence}")
        self.setToolTip(self._explanation())
        self._build()
        self.dress()

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Draw these lines from now on."""
        self.lines = list(lines)
        for raw, main in self._items:
            self._plot.removeItem(raw)
            self._plot.removeItem(main)
        self._items = []
        for _ in self.lines:
            raw, main = pg.PlotCurveItem(connect="finite"), pg.PlotCurveItem(connect="finite", antialias=True)
            self._plot.addItem(raw)
            self._plot.addItem(main)
            self._items.append((raw, main))
        self.dress()

    def set_options(self, *, log: bool, smooth: bool) -> None:
        """Logarithmic values or not; the smoothed line over the raw one, or the raw one alone."""
        self.log, self.smooth = log, smooth
        self._plot.getAxis("left").setLogMode(x=False, y=log)
        self._plot.getViewBox().enableAutoRange()
        self.dress()

    def dress(self) -> None:
        """Take the theme's colours; lines are drawn again at the next `redraw`."""
        colours = self._theme.colours
        self._plot.setBackground(colours.surface)
        for side in ("left", "bottom"):
            axis = self._plot.getAxis(side)
            axis.setPen(pg.mkPen(colours.line))
            axis.setTextPen(pg.mkPen(colours.quiet))
            axis.setTickFont(self._tick_font())
        self._cross.setPen(pg.mkPen(colours.edge, style=Qt.PenStyle.DashLine))
        for line, (raw, main) in zip(self.lines, self._items):
            line._drawn = ()
            colour = QColor(colours.series[line.colour % len(colours.series)])
            faint = QColor(colour)
            faint.setAlpha(80)
            raw.setPen(pg.mkPen(faint, width=1))
            style = Qt.PenStyle.DashLine if line.held_out else Qt.PenStyle.SolidLine
            main.setPen(pg.mkPen(colour, width=2, style=style))
        self._tell_legend()

    def redraw(self) -> None:
        """Bring the lines up to date: at most one `setData` for each item, nothing when nothing is new."""
        low, high = self._plot.getViewBox().viewRange()[0] if self._zoomed else (-np.inf, np.inf)
        pixels = max(64, self._plot.width())
        changed = False
        for line, (raw, main) in zip(self.lines, self._items):
            state = (id(line.buffer), line.buffer.version, low, high, pixels, self.log, self.smooth)
            if state == line._drawn:
                continue
            line._drawn = state
            smooth = self.smooth and line.buffer.weight > 0 and not line.held_out
            main.setData(*self._scaled(line.buffer.shown(low, high, pixels, smooth=smooth)))
            raw.setData(*(self._scaled(line.buffer.shown(low, high, pixels, smooth=False)) if smooth else ([], [])))
            changed = True
        if changed:
            self.draws += 1
            self._tell_last()

    def _scaled(self, points: tuple[Series, Series]) -> tuple[Series, Series]:
        x, y = points
        finite = np.where(np.isfinite(y), y, np.nan)
        if not self.log:
            return x, finite
        return x, np.log10(np.where(finite > 0, finite, np.nan))

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 8, 4)
        column.setSpacing(0)
        top = QHBoxLayout()
        top.setSpacing(8)
        self._title = text(self.about.title, "strong")
        self._unit = text(self.about.unit, "quiet")
        self._last: QLabel = text("", "strong")
        self._last.setObjectName(f"{self.objectName()}.last")
        self._last.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._title.setMinimumWidth(1)  # a long title may be cut at its end, a plot may not
        top.addWidget(self._title)
        top.addWidget(self._unit)
        top.addStretch(1)
        top.addWidget(self._last)
        column.addLayout(top)
        self._legend = text("", "quiet")
        self._legend.setWordWrap(True)
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._legend.setMinimumWidth(1)
        self._unit.setMinimumWidth(1)
        self._legend.hide()
        column.addWidget(self._legend)
        self._plot = _Plot(self)
        self._plot.setMinimumSize(120, PLOT_HEIGHT)
        self._plot.setFrameShape(QFrame.Shape.NoFrame)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._plot.setAccessibleName(f"Plot of {self.about.title}")
        item = self._plot.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.showGrid(x=False, y=True, alpha=0.12)
        item.getViewBox().setMouseMode(pg.ViewBox.RectMode)
        item.getViewBox().setDefaultPadding(0.04)
        for side in ("left", "bottom"):
            item.getAxis(side).enableAutoSIPrefix(False)
            item.getAxis(side).setStyle(tickLength=-4, autoReduceTextSpace=False)
        item.getAxis("left").setWidth(QFontMetrics(self.font()).horizontalAdvance("−0.00000") + 8)
        self._cross = pg.InfiniteLine(angle=90, movable=False)
        self._cross.hide()
        self._plot.addItem(self._cross, ignoreBounds=True)
        self._plot.scene().sigMouseMoved.connect(self._hover)
        self._plot.scene().sigMouseClicked.connect(self._clicked)
        item.getViewBox().sigRangeChangedManually.connect(self._zoom)
        column.addWidget(self._plot)

    def _tick_font(self) -> Any:
        font = self.font()
        font.setPixelSize(max(11, self._theme.font_size - 1))
        return font

    def _explanation(self) -> str:
        unit = f" Unit: {self.about.unit}." if self.about.unit else ""
        hope = {"up": " Higher is better.", "down": " Lower is better.", "none": ""}[self.about.good]
        return f"{self.about.sentence}{unit}{hope}\nDrag to zoom, double-click to see everything."

    def _tell_legend(self) -> None:
        colours = self._theme.colours
        self._legend.setVisible(len(self.lines) > 1)
        parts = []
        for line in self.lines:
            mark = "╌╌" if line.held_out else "━━"
            colour = colours.series[line.colour % len(colours.series)]
            label = line.label.replace("&", "&amp;").replace("<", "&lt;")
            label = label.replace(" ", "&nbsp;").replace("-", "\u2011")  # break between lines, not inside names
            value = "" if line.buffer.last is None else f"&nbsp;<b>{number(line.buffer.last)}</b>"
            parts.append(f'<span style="color:{colour}">{mark}</span>&nbsp;{label}{value}')
        self._legend.setText(" &nbsp; ".join(parts))

    def _tell_last(self) -> None:
        first = self.lines[0].buffer if self.lines else None
        last = first.last if first is not None else None
        best = first.best(self.about.good) if first is not None else None
        self._last.setToolTip("" if best is None else f"Best so far: {number(best)}")
        self._last.setText(number(last) if last is not None and len(self.lines) == 1 else "")
        self._tell_legend()
        broken = any(line.buffer.last is not None and not np.isfinite(line.buffer.last) for line in self.lines)
        role = "bad" if broken else "strong"
        if self._last.property("role") != role:
            restyle(self._last, role=role)

    def _hover(self, place: QPointF) -> None:
        box = self._plot.getViewBox()
        buffer = self.lines[0].buffer if self.lines else None
        inside = box.sceneBoundingRect().contains(place) and self.underMouse()
        self._cross.setVisible(bool(inside and buffer))
        if not inside or not buffer:
            self._tell_last()
            return
        step = box.mapSceneToView(place).x()
        nearest = int(np.argmin(np.abs(buffer.steps - step)))
        self._cross.setPos(buffer.steps[nearest])
        words = [f"step {buffer.steps[nearest]:.0f}: {number(float(buffer.values[nearest]))}"]
        for line in self.lines[1:]:
            if len(line.buffer):
                at = int(np.argmin(np.abs(line.buffer.steps - step)))
                words.append(number(float(line.buffer.values[at])))
        self._last.setText("  ·  ".join(words))

    def _clicked(self, event: Any) -> None:
        if event.double():
            self._zoomed = False
            self._plot.getViewBox().enableAutoRange()
            self.redraw()

    def _zoom(self, *_: Any) -> None:
        self._zoomed = True
        self.redraw()
