"""The test of losslessness: a button, its progress, and a report that a person can check."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QSpinBox, QVBoxLayout, QWidget

from workbench.domain.choices import LosslessReport, LosslessRule
from workbench.gui.pages.playground.token_words import shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, clear, restyle, rule, text

SIGNIFICANT = 0.01  # a chance below this is taken for a difference


class LosslessCard(QWidget):
    """Asks for the test, shows how far it is, then what it found. `wanted` gives the number of texts to draw."""

    wanted = Signal(int)
    stopped = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName("playground.lossless")
        self.setAccessibleName("Test of losslessness")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        box.addWidget(rule())
        box.addWidget(text("Is the distribution left as it was?", "strong", wrap=True))
        row = QHBoxLayout()
        row.setSpacing(8)
        self.samples = QSpinBox()
        self.samples.setObjectName("playground.lossless.samples")
        self.samples.setAccessibleName("Texts to draw")
        self.samples.setToolTip("Texts to draw with each rule: more find smaller differences")
        self.samples.setRange(200, 100_000)
        self.samples.setSingleStep(500)
        self.samples.setValue(2000)
        self.samples.setGroupSeparatorShown(True)
        self.samples.setMinimumWidth(100)
        self.samples.lineEdit().setTextMargins(7, 0, 0, 0)
        self.test = button("Test it", "playground.lossless.test", self._ask, accessible="Test losslessness")
        self.stop = button("Stop", "playground.lossless.stop", self.stopped.emit, accessible="Stop the test")
        for widget in (self.samples, text("texts", "quiet"), self.test, self.stop):
            row.addWidget(widget)
        row.addStretch(1)
        box.addLayout(row)
        self.bar = QProgressBar()
        self.bar.setObjectName("playground.lossless.progress")
        self.bar.setAccessibleName("Progress of the test")
        box.addWidget(self.bar)
        self.verdict = text("", "quiet", wrap=True, select=True)
        box.addWidget(self.verdict)
        self._report = QVBoxLayout()
        self._report.setSpacing(8)
        box.addLayout(self._report)
        self._busy(False)

    def progress(self, done: int, total: int) -> None:
        """How far the test is."""
        self._busy(True)
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)
        self._say(f"{done:,} of {total:,} texts drawn")

    def fail(self, words: str) -> None:
        """There is no report, and why."""
        self._busy(False)
        self._say(words, "bad")

    def show_report(self, report: LosslessReport) -> None:
        """What the test found."""
        self._busy(False)
        same = report.exact.p >= SIGNIFICANT
        found = sum(one.p < SIGNIFICANT for one in report.wrong)
        words = (
            "No difference was found between what came and what should come."
            if same
            else "What came differs from what should come: these drafts change the distribution."
        )
        strength = f"The same test finds {found} of {len(report.wrong)} rules with a deliberate mistake."
        weak = (
            ""
            if found == len(report.wrong)
            else " Where one isn't found, more texts are needed, or it makes no difference here."
        )
        self._say(f"{words} {strength}{weak}", "good" if same else "bad")
        clear(self._report)
        for one in (report.exact, *report.wrong):
            self._report.addWidget(
                text(_line(one, one is report.exact), "" if one is report.exact else "quiet", wrap=True, select=True)
            )
        self._report.addWidget(text(f"First {report.tokens} tokens: came | should come", "quiet"))
        self._report.addWidget(Cells(self._theme, report.exact))

    def dress(self) -> None:
        """The theme's colours."""
        for cells in self.findChildren(Cells):
            cells.update()

    def _ask(self) -> None:
        self._busy(True)
        self.bar.setRange(0, 0)
        self._say("Starting …")
        self.wanted.emit(self.samples.value())

    def _say(self, words: str, role: str = "quiet") -> None:
        restyle(self.verdict, role=role)
        self.verdict.setText(words)

    def _busy(self, busy: bool) -> None:
        self.test.setVisible(not busy)
        self.stop.setVisible(busy)
        self.bar.setVisible(busy)
        self.samples.setEnabled(not busy)


class Cells(QWidget):
    """Outcomes with how often they came (a bar) and how often they should have (a mark)."""

    def __init__(self, theme: Theme, tested: LosslessRule) -> None:
        super().__init__()
        self._theme, self._tested = theme, tested
        self.setObjectName("playground.lossless.cells")
        self.setAccessibleName("Outcomes of the test")
        self.setAccessibleDescription(
            "; ".join(
                f"{shown(c.text) or 'all others'}: came {c.observed}, expected {c.expected:.1f}" for c in tested.cells
            )
        )
        self.setFixedHeight(self._line * len(tested.cells))

    @property
    def _line(self) -> int:
        return self.fontMetrics().height() + 9

    def sizeHint(self) -> QSize:
        """A line for each outcome."""
        return QSize(280, self._line * len(self._tested.cells))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Name, bar with mark, both numbers."""
        painter = QPainter(self)
        colours = self._theme.colours
        most = max((max(float(c.observed), c.expected) for c in self._tested.cells), default=1.0) or 1.0
        metrics = self.fontMetrics()
        name, numbers = metrics.horizontalAdvance("m") * 8.0, metrics.horizontalAdvance("99,999 | 99,999.9") + 8.0
        track = max(20.0, self.width() - name - numbers)
        mono = self._theme.mono_font()
        upright = Qt.AlignmentFlag.AlignVCenter
        for row, cell in enumerate(self._tested.cells):
            y = float(row * self._line)
            painter.setFont(mono if cell.text else self.font())
            painter.setPen(QColor(colours.text if cell.text else colours.quiet))
            words = painter.fontMetrics().elidedText(
                shown(cell.text) or "all others", Qt.TextElideMode.ElideRight, int(name) - 6
            )
            painter.drawText(QRectF(0, y, name, self._line), upright, words)
            painter.fillRect(QRectF(name, y + 7, track * cell.observed / most, self._line - 14), QColor(colours.accent))
            painter.fillRect(
                QRectF(name + track * cell.expected / most - 1.5, y + 3, 3, self._line - 6), QColor(colours.text)
            )
            painter.setFont(self.font())
            painter.setPen(QColor(colours.quiet))
            words = f"{cell.observed:,} | {cell.expected:,.1f}"
            painter.drawText(
                QRectF(name + track + 4, y, numbers - 4, self._line), upright | Qt.AlignmentFlag.AlignRight, words
            )
        painter.end()


def _line(one: LosslessRule, exact: bool) -> str:
    chance = f"p = {one.p:.3f}" if one.p >= 0.001 else "p < 0.001"
    verdict = "" if exact else " (found)" if one.p < SIGNIFICANT else " (not found)"
    taken = "" if one.acceptance is None else f", {one.acceptance:.0%} accepted"
    never = f", {one.impossible:,} texts that the model never says" if one.impossible else ""
    name = "The rule in use" if exact else f"Mistake, {one.name}"
    return f"{name}: χ² = {one.chi_square:.1f} with {one.degrees} degrees of freedom, {chance}{verdict}{taken}{never}"
