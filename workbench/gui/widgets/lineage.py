"""The family tree of models, painted: each model stands to the right of its parents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import plain_tip

BOX = (132.0, 48.0)
NARROWEST, NARROW_UP_TO = 100.0, 3  # a family of more generations scrolls anyway: its names are better read in full
GAP = (24.0, 12.0)
EDGE = 4.0


@dataclass(frozen=True)
class Member:
    """One model of the family: name, kind, a line of facts, and the names of its parents (the base first)."""

    name: str
    kind: str
    facts: str
    parents: tuple[str, ...]


def arrange(members: Sequence[Member]) -> dict[str, tuple[int, int]]:
    """(column, row) of each member: columns by generation, the first child beside its first parent."""
    known = {m.name: m for m in members}
    columns = _generations(known)
    children: dict[str, list[str]] = {}
    for member in members:
        first = next((p for p in member.parents if p in known and columns[p] < columns[member.name]), "")
        children.setdefault(first, []).append(member.name)
    places: dict[str, tuple[int, int]] = {}
    next_row = 0
    waiting = children.get("", [])[::-1]
    while waiting:
        name = waiting.pop()
        places[name] = (columns[name], next_row)
        below = children.get(name, [])
        waiting += below[::-1]
        next_row += not below
    return places


def _generations(known: dict[str, Member]) -> dict[str, int]:
    """How many generations stand before each; a circle is cut where it closes."""
    columns: dict[str, int] = {}
    for start in known:
        line = [] if start in columns else [start]
        while line:
            parents = [p for p in known[line[-1]].parents if p in known]
            ahead = next((p for p in parents if p not in columns and p not in line), "")
            if ahead:
                line.append(ahead)
            else:
                columns[line.pop()] = 1 + max((columns[p] for p in parents if p in columns), default=-1)
    return columns


class LineageView(QWidget):
    """Shows the tree; a click or the arrow keys choose a model, a double click or Enter opens it."""

    chosen = Signal(str)
    opened = Signal(str)

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName("Family tree of models")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Minimum)
        self._theme = theme
        self._members: tuple[Member, ...] = ()
        self._places: dict[str, tuple[int, int]] = {}
        self._current = self._over = ""
        theme.changed.connect(self.update)

    @property
    def current(self) -> str:
        """The chosen model's name, or ""."""
        return self._current

    def show_members(self, members: Sequence[Member]) -> None:
        """Show a family."""
        self._members = tuple(members)
        self._places = arrange(self._members)
        if self._current not in self._places:
            self._current = ""
            self.setAccessibleDescription("")
        generations = 1 + max((column for column, _ in self._places.values()), default=0)
        self.setMinimumSize(self._size(NARROWEST if generations <= NARROW_UP_TO else BOX[0]))
        self.updateGeometry()
        self.update()

    def choose(self, name: str) -> None:
        """Choose a model by name."""
        if name in self._places and name != self._current:
            self._current = name
            self.setAccessibleDescription(f"{name} is chosen")
            self.update()
            self.chosen.emit(name)

    def sizeHint(self) -> QSize:
        """As large as the tree."""
        return self._size(BOX[0])

    def box(self, name: str) -> QRectF:
        """Where a model is painted; boxes give way when the tree has less room than it would like."""
        column, row = self._places[name]
        columns = 1 + max(c for c, _ in self._places.values())
        room = (self.width() - 2 * EDGE - (columns - 1) * GAP[0]) / columns
        width = min(max(room, NARROWEST), BOX[0])
        return QRectF(EDGE + column * (width + GAP[0]), EDGE + row * (BOX[1] + GAP[1]), width, BOX[1])

    def _size(self, box: float) -> QSize:
        columns = 1 + max((c for c, _ in self._places.values()), default=0)
        rows = 1 + max((r for _, r in self._places.values()), default=0)
        return QSize(
            int(columns * (box + GAP[0]) - GAP[0] + 2 * EDGE), int(rows * (BOX[1] + GAP[1]) - GAP[1] + 2 * EDGE)
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw lines first, then boxes."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for member in self._members:
            for place, parent in enumerate(p for p in member.parents if p in self._places):
                self._line(painter, self.box(parent), self.box(member.name), first=place == 0)
        for member in self._members:
            self._box(painter, member)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose what is under the mouse."""
        self.choose(self._at(event.position()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Open what is under the mouse."""
        if name := self._at(event.position()):
            self.opened.emit(name)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Name in full what is under the mouse."""
        over = self._at(event.position())
        if over != self._over:
            self._over = over
            self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)
            member = next((m for m in self._members if m.name == over), None)
            words = plain_tip(f"{member.name}\n{member.kind} · {member.facts}") if member else ""
            QToolTip.showText(event.globalPosition().toPoint(), words, self)
            self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows walk through the tree, Enter opens."""
        steps: dict[int, tuple[int, int]] = {
            Qt.Key.Key_Left: (-1, 0),
            Qt.Key.Key_Right: (1, 0),
            Qt.Key.Key_Up: (0, -1),
            Qt.Key.Key_Down: (0, 1),
        }
        if event.key() in steps and self._members:
            self._walk(*steps[event.key()])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current:
            self.opened.emit(self._current)
        else:
            super().keyPressEvent(event)

    def _walk(self, right: int, down: int) -> None:
        if not self._current:
            self.choose(self._members[0].name)
            return
        column, row = self._places[self._current]

        def ahead(name: str) -> bool:
            c, r = self._places[name]
            return (c - column) * right > 0 or (c == column and (r - row) * down > 0)

        def far(name: str) -> tuple[int, int]:
            c, r = self._places[name]
            return abs(c - column), abs(r - row)

        nearest: Callable[[Any], Any] = far
        found = sorted((m.name for m in self._members if ahead(m.name)), key=nearest)
        if found:
            self.choose(found[0])

    def _at(self, spot: QPointF) -> str:
        return next((m.name for m in self._members if self.box(m.name).contains(spot)), "")

    def _line(self, painter: QPainter, parent: QRectF, child: QRectF, *, first: bool) -> None:
        start = QPointF(parent.right(), parent.center().y())
        end = QPointF(child.left(), child.center().y())
        corner = QPointF(min(start.x() + GAP[0], end.x()), end.y())  # turn in the first gap, so that no box is crossed
        middle = (start.x() + corner.x()) / 2
        path = QPainterPath(start)
        path.cubicTo(QPointF(middle, start.y()), QPointF(middle, end.y()), corner)
        path.lineTo(end)
        style = Qt.PenStyle.SolidLine if first else Qt.PenStyle.DashLine
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self._theme.colours.edge), 1.5, style))
        painter.drawPath(path)

    def _box(self, painter: QPainter, member: Member) -> None:
        colours = self._theme.colours
        box = self.box(member.name)
        chosen = member.name == self._current
        edge = colours.accent if chosen or (self.hasFocus() and not self._current) else colours.line
        painter.setPen(QPen(QColor(edge), 2 if chosen else 1))
        painter.setBrush(
            QColor(colours.accent_soft if chosen else colours.raised if member.name == self._over else colours.surface)
        )
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._tone(member.kind)))
        painter.drawRoundedRect(QRectF(box.left() + 8, box.top() + 10, 4, box.height() - 20), 2, 2)
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(colours.text))
        name = painter.fontMetrics().elidedText(member.name, Qt.TextElideMode.ElideMiddle, int(box.width()) - 32)
        painter.drawText(
            QRectF(box.left() + 20, box.top() + 5, box.width() - 28, 20), Qt.AlignmentFlag.AlignVCenter, name
        )
        painter.setFont(self.font())
        painter.setPen(QColor(colours.quiet))
        words = painter.fontMetrics().elidedText(
            f"{member.kind} · {member.facts}", Qt.TextElideMode.ElideRight, int(box.width()) - 32
        )
        painter.drawText(
            QRectF(box.left() + 20, box.top() + 23, box.width() - 28, 20), Qt.AlignmentFlag.AlignVCenter, words
        )

    def _tone(self, kind: str) -> str:
        series = self._theme.colours.series
        order = ("base", "sft", "reward", "ppo", "dpo", "grpo", "weighted", "pretrain")
        return series[order.index(kind) % len(series)] if kind in order else series[-1]
