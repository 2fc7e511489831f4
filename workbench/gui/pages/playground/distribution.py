"""The distribution at one token, before all rules and after each, live while a person moves the rules' sliders."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from workbench.domain.choices import Bar, Distribution, TokenChoice
from workbench.domain.decoding import Sample
from workbench.gui.pages.playground.canvas import Canvas
from workbench.gui.pages.playground.chain_sliders import ChainSliders
from workbench.gui.pages.playground.latest import Latest
from workbench.gui.pages.playground.token_view import TokenView
from workbench.gui.pages.playground.token_words import percent, rule_name, shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, restyle, text

ROW = 28.0
NAME = 148.0
NARROWEST = 120.0
BRANCHES = "Enter or a double click goes on with it"


class DistributionView(QWidget):
    """Sliders at the left, bars at the right, below them the text, its stale part veiled; a click on a token of it looks there.

    How to place it: in a wide panel or under the columns. When a token is opened: `begin(sample_of(column's settings), id that stands
    there)`; it then emits `asked(settings)`, never a second time before `take(distribution)` or `fail(words)` has answered. `stale`
    gives the first position at which the settings would choose something else (None: nowhere), for `TokenView.set_stale`;
    `branch(position, id)` a token to go on with; `used(settings)` that the column shall take the settings.
    """

    asked = Signal(object)
    stale = Signal(object)
    branch = Signal(int, int)
    used = Signal(object)
    moved = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("playground.distribution")
        self.setAccessibleName("Distribution at a token")
        self._latest = Latest(self.asked.emit)
        self._standing = -1
        self.position = 0
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        self.sliders = ChainSliders(theme, Sample())
        self.sliders.changed.connect(self._latest.ask)
        area = QScrollArea()
        area.setObjectName("playground.distribution.settings")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self.sliders)
        area.setFixedWidth(312)
        row.addWidget(area)
        right = QVBoxLayout()
        right.setSpacing(8)
        top = QHBoxLayout()
        self.told = text("", "quiet", wrap=True)
        top.addWidget(self.told, 1)
        self.use = button(
            "Use in the column", "playground.distribution.use", lambda: self.used.emit(self.sliders.settings),
            tip="Give the column these settings",
        )  # fmt: skip
        top.addWidget(self.use, 0, Qt.AlignmentFlag.AlignTop)
        right.addLayout(top)
        self.bars = DistributionBars(theme)
        self.bars.opened.connect(self._open)
        right.addWidget(self.bars, 1)
        self.text = TokenView(theme, "playground.distribution.text")
        self.text.setAccessibleName("The column's text")
        self.text.setFixedHeight(3 * self.text.fontMetrics().height() + 24)
        self.text.opened.connect(self._move)
        self.text.hide()
        right.addWidget(self.text)
        row.addLayout(right, 1)

    def begin(self, settings: Sample, standing: int, tokens: Sequence[TokenChoice] = (), position: int = 0) -> None:
        """Look at a token: `standing` is the id that stands there, `tokens` the text around it. Asks for its distribution."""
        self._standing, self.position = standing, position
        self.text.clear()
        self.text.add(tokens)
        self.text.setVisible(bool(tokens))
        self.text.select(position if tokens else None)
        self.bars.forget()
        self.sliders.set_settings(settings)
        self._latest.ask(settings)

    def take(self, distribution: Distribution) -> None:
        """The answer to the last question; one about a token that was left meanwhile isn't shown."""
        if self.text.tokens and distribution.position != self.position:
            self._latest.answered()
            return
        self.bars.show_bars(distribution, self._standing)
        restyle(self.told, role="quiet")
        self.told.setText(_sentence(distribution, self._standing))
        self.text.set_stale(distribution.changed)
        self.stale.emit(distribution.changed)
        self._latest.answered()

    def fail(self, words: str) -> None:
        """The last question has no answer; the next one will be asked."""
        restyle(self.told, role="bad")
        self.told.setText(words)
        self._latest.answered()

    def dress(self) -> None:
        """The theme's colours."""
        self.sliders.order.show_settings(self.sliders.settings)
        self.bars.dress()
        self.text.dress()

    def _move(self, token: int) -> None:
        """Look at another token under the same settings."""
        if token != self.position:
            self.position, self._standing = token, self.text.tokens[token].id
            self.text.select(token)
            self.bars.forget()
            self.moved.emit(token)
            self._latest.ask(self.sliders.settings)

    def _open(self, row: int) -> None:
        found = self.bars.distribution
        if found is not None and row < len(found.bars) and found.bars[row].id != self._standing:
            self.branch.emit(found.position, found.bars[row].id)


class DistributionBars(Canvas):
    """One row for each token, one column for each stage; spots are rows."""

    head_lines = 4

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "playground.distribution.bars", "Probabilities before the rules and after each")
        self.distribution: Distribution | None = None
        self._standing = -1
        self._most = 1.0

    def show_bars(self, distribution: Distribution, standing: int) -> None:
        """Show another distribution; the token that a person stands on stays the same one if it is still there."""
        before = self.distribution
        kept = (
            before.bars[self.current].id
            if before and self.current is not None and self.current < len(before.bars)
            else None
        )
        self.distribution, self._standing = distribution, standing
        self._most = max((p for bar in distribution.bars for p in bar.p), default=1.0) or 1.0
        self.over = None
        self.current = next((n for n, bar in enumerate(distribution.bars) if bar.id == kept), None)
        if self.current is not None:
            self.setAccessibleDescription(", ".join(self.words_of(self.current)))
        self.setAccessibleName(
            "Probabilities: "
            + "; ".join(f"{rule_name(s.rule)} keeps {s.kept:,}, {s.mass:.1%} of the mass" for s in distribution.stages)
        )
        self.changed()

    @property
    def row(self) -> float:
        """Height of a row."""
        return ROW * self.unit

    @property
    def name(self) -> float:
        """Room for marks and name of a token."""
        return NAME * self.unit

    def extent(self) -> tuple[float, float]:
        """Every token a row, and one for all others."""
        if self.distribution is None:
            return 0.0, 0.0
        return self.name + self._wide() * len(self.distribution.stages), self.row * (len(self.distribution.bars) + 1)

    def box_of(self, spot: int) -> QRectF:
        """A row."""
        return QRectF(0, self.row * spot, max(self.extent()[0], 1.0), self.row)

    def note_box(self, spot: int) -> QRectF:
        """Behind the names."""
        return self.box_of(spot).adjusted(self.name, 0, 0, 0)

    def spot_at(self, point: QPointF) -> int | None:
        """The row at a height."""
        row = int(point.y() // self.row)
        return row if self.distribution is not None and 0 <= row < len(self.distribution.bars) else None

    def walked(self, spot: int | None, key: Qt.Key) -> int | None:
        """Up and down."""
        if self.distribution is None or not self.distribution.bars:
            return None
        last = len(self.distribution.bars) - 1
        page = max(1, int(self.viewport().height() // self.row) - 3)
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -page, Qt.Key.Key_PageDown: page}
        if key in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            return 0 if key == Qt.Key.Key_Home else last
        return 0 if spot is None else min(max(spot + steps.get(key, 0), 0), last)

    def words_of(self, spot: int) -> Sequence[str]:
        """A token's way through the chain."""
        found = self.distribution
        if found is None:
            return ()
        bar = found.bars[spot]
        lines = [shown(bar.text)]
        if bar.id == self._standing:
            lines.append("stands in the text")
        if bar.id == found.chosen:
            lines.append("these settings would choose it")
        lines += [f"{_stage(stage.rule)}: {percent(p)}" for stage, p in zip(found.stages, bar.p, strict=False)]
        lines += [f"cut by {rule_name(bar.cut_by)}"] if bar.cut_by else []
        return lines if bar.id == self._standing else [*lines, BRANCHES]

    def draw_head(self, painter: QPainter, visible: QRectF) -> None:
        """What each stage leaves."""
        if self.distribution is None:
            return
        colours, wide = self.theme.colours, self._wide()
        line = float(self.fontMetrics().height())
        for number, stage in enumerate(self.distribution.stages):
            x = self.name + wide * number
            font = self.font()
            font.setBold(True)
            painter.setFont(font)
            painter.setPen(QColor(colours.text))
            painter.drawText(QRectF(x, 2, wide - 12, line), Qt.AlignmentFlag.AlignLeft, _stage(stage.rule))
            painter.setFont(self.font())
            painter.setPen(QColor(colours.quiet))
            facts = (
                f"{stage.kept:,} {'token' if stage.kept == 1 else 'tokens'}",
                f"mass {stage.mass:.1%}",
                f"{stage.entropy:.2f} nats",
            )
            for row, words in enumerate(facts):
                painter.drawText(QRectF(x, 2 + line * (row + 1), wide - 12, line), Qt.AlignmentFlag.AlignLeft, words)
        painter.fillRect(QRectF(visible.left(), self.head - 5, visible.width(), 1), QColor(colours.line))

    def draw(self, painter: QPainter, visible: QRectF) -> None:
        """The rows in sight, and what all other tokens share."""
        found = self.distribution
        if found is None:
            return
        first = max(0, int(visible.top() // self.row))
        for number in range(first, min(len(found.bars), int(visible.bottom() // self.row) + 1)):
            self._draw_row(painter, number, found.bars[number])
        y = self.row * len(found.bars)
        painter.setFont(self.font())
        painter.setPen(QColor(self.theme.colours.quiet))
        painter.drawText(
            QRectF(24 * self.unit, y, self.name - 24 * self.unit, self.row), Qt.AlignmentFlag.AlignVCenter, "all others"
        )
        for stage in range(len(found.stages)):
            rest = max(0.0, 1.0 - sum(bar.p[stage] for bar in found.bars if stage < len(bar.p)))
            words = percent(rest) if rest > 1e-6 else "–"
            painter.drawText(
                QRectF(self.name + self._wide() * stage, y, self._wide(), self.row),
                Qt.AlignmentFlag.AlignVCenter,
                words,
            )

    def _draw_row(self, painter: QPainter, number: int, bar: Bar) -> None:
        found, colours, wide, y = self.distribution, self.theme.colours, self._wide(), self.row * number
        if found is None:
            return
        upright = Qt.AlignmentFlag.AlignVCenter
        painter.setFont(self.font())
        painter.setPen(QColor(colours.accent))
        marks = ("●" if bar.id == self._standing else "") + ("▶" if bar.id == found.chosen else "")
        painter.drawText(QRectF(0, y, 26 * self.unit, self.row), Qt.AlignmentFlag.AlignCenter, marks)
        painter.setFont(self.mono())
        painter.setPen(QColor(colours.quiet if bar.cut_by else colours.text))
        name = painter.fontMetrics().elidedText(
            shown(bar.text), Qt.TextElideMode.ElideRight, int(self.name - 36 * self.unit)
        )
        painter.drawText(QRectF(28 * self.unit, y, self.name - 34 * self.unit, self.row), upright, name)
        painter.setFont(self.font())
        over = False
        for stage, p in enumerate(bar.p):
            x = self.name + wide * stage
            if p <= 0.0 and stage > 0:
                painter.setPen(QColor(colours.quiet))
                cutter = not over and bar.cut_by == found.stages[stage].rule
                painter.drawText(QRectF(x, y, wide - 12, self.row), upright, "✕ cut" if cutter or not over else "")
                over = True
                continue
            length = max(1.0, (wide - 68 * self.unit) * p / self._most)
            tone = QColor(colours.edge if stage == 0 else colours.accent)
            painter.fillRect(QRectF(x, y + 7, length, self.row - 14), tone)
            painter.setPen(QColor(colours.text))
            painter.drawText(QRectF(x + length + 5, y, 62 * self.unit, self.row), upright, percent(p))

    def _wide(self) -> float:
        """How wide a stage is drawn."""
        count = len(self.distribution.stages) if self.distribution else 1
        return max(NARROWEST * self.unit, (self.viewport().width() - self.name) / count)


def _stage(rule: str) -> str:
    return "the model" if rule == "model" else rule_name(rule)


def _sentence(found: Distribution, standing: int) -> str:
    names = {bar.id: shown(bar.text) for bar in found.bars}
    would = names.get(found.chosen, f"token {found.chosen}")
    if found.changed is None:
        return f"Token {found.position + 1}. With these settings the whole text stays as it is (▶ “{would}”). ● stands in the text, ▶ would be chosen."
    behind = f"The text is stale from token {found.changed + 1} on."
    if found.chosen != standing:
        return f"Token {found.position + 1}. These settings would choose ▶ “{would}” here. {behind}"
    return f"Token {found.position + 1}. These settings choose ▶ “{would}” here as before. {behind}"
