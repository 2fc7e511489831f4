"""The tree of a beam search as a drawing: one column for each step, children beside their parents, no line across another."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPen, QWheelEvent

from workbench.analysis.beams import Place, Tree
from workbench.domain.choices import BeamNode
from workbench.gui.pages.playground.canvas import Canvas
from workbench.gui.pages.playground.token_words import percent, shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.scale import viridis

ACROSS, DOWN = 132.0, 32.0  # from one step to the next, and from one node to the next, at zoom 1
WIDE, HIGH = 100.0, 24.0
ZOOMS = (0.12, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.25, 1.5)
READABLE = 0.7  # below this zoom nodes are blocks of colour
_STATES = {"live": "goes on", "finished": "finished", "pruned": "dropped"}


class BeamTree(Canvas):
    """Spots are places in the tree (level, number). Left and Right walk along a hypothesis, Up and Down among its rivals."""

    head_lines = 1

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "playground.beams.tree", "Tree of hypotheses")
        self.tree = Tree()
        self.zoom = 1.0
        self.pruned = True
        self.best: frozenset[Place] = frozenset()
        self._rows: list[list[int]] = []  # of each level, the numbers of the nodes that are shown
        self._places: list[dict[int, int]] = []

    def show_tree(self, tree: Tree) -> None:
        """Look at another tree, or at one that has grown."""
        if tree is not self.tree:
            self.forget()
            self.tree, self._rows, self._places = tree, [], []
        for level in tree.levels[len(self._rows) :]:
            self._add_rows(level)
        self.changed()

    def show_pruned(self, pruned: bool) -> None:
        """Show or hide what the search dropped."""
        self.pruned = pruned
        self._rows, self._places = [], []
        if self.current is not None and not pruned and self.tree.node(self.current).state == "pruned":
            self.forget()
        self.over = None
        self.show_tree(self.tree)

    def mark(self, best: Sequence[Place]) -> None:
        """The path of the best hypothesis."""
        self.best = frozenset(best)
        self.viewport().update()

    def set_zoom(self, zoom: float) -> None:
        """Nearer or farther, around what is in the middle."""
        bars = (self.horizontalScrollBar(), self.verticalScrollBar())
        middles = [(bar.value() + bar.pageStep() / 2) / self.zoom for bar in bars]
        self.zoom = zoom
        self.changed()
        for bar, middle in zip(bars, middles, strict=True):
            bar.setValue(round(middle * zoom - bar.pageStep() / 2))

    def nearer(self, steps: int) -> None:
        """One step of zoom up or down; 0 is life size."""
        here = min(range(len(ZOOMS)), key=lambda n: abs(ZOOMS[n] - self.zoom))
        self.set_zoom(1.0 if steps == 0 else ZOOMS[min(max(here + steps, 0), len(ZOOMS) - 1)])

    @property
    def scale(self) -> float:
        """Pixels for a unit of the drawing."""
        return self.zoom * self.unit

    def extent(self) -> tuple[float, float]:
        """All steps, and the fullest of them."""
        most = max((len(rows) for rows in self._rows), default=0)
        return (len(self._rows) * ACROSS + 8) * self.scale, (most * DOWN + 8) * self.scale

    def box_of(self, spot: Place) -> QRectF:
        """Where a node lies."""
        level, number = spot
        row = self._places[level].get(number, 0)
        z = self.scale
        return QRectF((level * ACROSS + 4) * z, (row * DOWN + 4) * z, WIDE * z, HIGH * z)

    def spot_at(self, point: QPointF) -> Place | None:
        """The node under a point."""
        level = int(point.x() / self.scale // ACROSS)
        row = int(point.y() / self.scale // DOWN)
        if not 0 <= level < len(self._rows) or not 0 <= row < len(self._rows[level]):
            return None
        spot = (level, self._rows[level][row])
        return spot if self.box_of(spot).adjusted(-2, -2, 2, 2).contains(point) else None

    def walked(self, spot: Place | None, key: Qt.Key) -> Place | None:
        """Along the hypothesis, or to a rival."""
        if not self.tree or not self._rows[0]:
            return None
        if spot is None or key == Qt.Key.Key_Home:
            return (0, self._rows[0][0])
        level, number = spot
        if key == Qt.Key.Key_End:
            return max(self.best, default=spot)
        if key == Qt.Key.Key_Left:
            return self.tree.parent(spot) or spot
        if key == Qt.Key.Key_Right:
            children = [child for child in self.tree.children(spot) if child[1] in self._places[child[0]]]
            chosen = [child for child in children if child in self.best]
            return (chosen or children or [spot])[0]
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -8, Qt.Key.Key_PageDown: 8}[key]
        rows = self._rows[level]
        return (level, rows[min(max(self._places[level][number] + step, 0), len(rows) - 1)])

    def words_of(self, spot: Place) -> Sequence[str]:
        """A hypothesis in words."""
        node = self.tree.node(spot)
        lines = [
            shown(node.text),
            f"step {node.step}: {_STATES[node.state]}" + (f", group {node.group + 1}" if node.group else ""),
            f"{percent(self.share(spot))} behind its parent",
            f"sum {node.logprob:.2f}, score {node.score:.2f}",
        ]
        return [*lines, "on the path of the best"] if spot in self.best else lines

    def share(self, spot: Place) -> float:
        """The probability of a node's token behind its parent."""
        above = self.tree.parent(spot)
        return math.exp(min(0.0, self.tree.node(spot).logprob - (self.tree.node(above).logprob if above else 0.0)))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl with +, - and 0 zooms."""
        zooms = {Qt.Key.Key_Plus: 1, Qt.Key.Key_Equal: 1, Qt.Key.Key_Minus: -1, Qt.Key.Key_0: 0}
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.key() in zooms:
            self.nearer(zooms[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """With Ctrl the wheel zooms."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.nearer(1 if event.angleDelta().y() > 0 else -1)
            event.accept()
        else:
            super().wheelEvent(event)

    def draw_head(self, painter: QPainter, visible: QRectF) -> None:
        """Number the steps."""
        painter.setPen(QColor(self.theme.colours.quiet))
        across = ACROSS * self.scale
        every = next((n for n in (1, 2, 5, 10, 20, 50) if n * across >= 60), 100)
        for level in range(
            max(0, int(visible.left() // across)), min(len(self._rows), int(visible.right() // across) + 1)
        ):
            if level % every == 0:
                words = f"step {level + 1}" if across >= 60 else f"{level + 1}"
                painter.drawText(QPointF(level * across + 4 * self.scale, self.head - 10), words)
        painter.fillRect(QRectF(visible.left(), self.head - 4, visible.width(), 1), QColor(self.theme.colours.line))

    def draw(self, painter: QPainter, visible: QRectF) -> None:
        """Lines first, then the nodes in sight."""
        across, down = ACROSS * self.scale, DOWN * self.scale
        first = max(0, int(visible.left() // across) - 1)
        last = min(len(self._rows), int(visible.right() // across) + 2)
        self._draw_lines(painter, first, last)
        painter.setFont(self.mono())
        low, high = max(0, int(visible.top() // down)), int(visible.bottom() // down) + 1
        for level in range(first, last):
            for number in self._rows[level][low:high]:
                self._draw_node(painter, (level, number), self.tree.node((level, number)))

    def _draw_lines(self, painter: QPainter, first: int, last: int) -> None:
        """From each node to its parent; the selected hypothesis and the best one are drawn last and stronger."""
        colours = self.theme.colours
        chosen = frozenset(self.tree.path(self.current)) if self.current is not None else frozenset()
        kinds: dict[str, list[QLineF]] = {"plain": [], "pruned": [], "best": [], "chosen": []}
        for level in range(max(1, first), last):
            for number in self._rows[level]:
                spot = (level, number)
                above = self.tree.parent(spot)
                if above is None or above[1] not in self._places[above[0]]:
                    continue
                one, other = self.box_of(above), self.box_of(spot)
                line = QLineF(one.right(), one.center().y(), other.left(), other.center().y())
                pruned = self.tree.node(spot).state == "pruned"
                kinds["best" if spot in self.best else "pruned" if pruned else "plain"].append(line)
                if spot in chosen:
                    kinds["chosen"].append(line)
        dashes = QPen(QColor(colours.edge), 1, Qt.PenStyle.DotLine)
        pens = {
            "pruned": dashes, "plain": QPen(QColor(colours.edge), 1), "best": QPen(QColor(colours.accent), 3),
            "chosen": QPen(QColor(colours.text), 2),
        }  # fmt: skip
        for kind, pen in pens.items():
            if kinds[kind]:
                painter.setPen(pen)
                painter.drawLines(kinds[kind])

    def _draw_node(self, painter: QPainter, spot: Place, node: BeamNode) -> None:
        colours, box = self.theme.colours, self.box_of(spot)
        pruned, best = node.state == "pruned", spot in self.best
        heat = viridis(self.share(spot))
        if self.zoom < READABLE:
            painter.fillRect(box, QColor(colours.raised) if pruned else heat)
        else:
            painter.fillRect(box, QColor(colours.ground if pruned else colours.surface))
            painter.fillRect(QRectF(box.left(), box.top(), 6 * self.scale, box.height()), heat)
        style = Qt.PenStyle.DotLine if pruned else Qt.PenStyle.SolidLine
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(colours.accent if best else colours.edge), 2 if best else 1, style))
        painter.drawRect(box)
        if node.state == "finished":  # a second edge at the right, as a text's last line has
            painter.fillRect(
                QRectF(box.right() - 4 * self.scale, box.top(), 4 * self.scale, box.height()), QColor(colours.text)
            )
        if self.zoom >= READABLE:
            painter.setPen(QColor(colours.quiet if pruned else colours.text))
            room = box.adjusted(10 * self.scale, 0, -7 * self.scale, 0)
            words = painter.fontMetrics().elidedText(shown(node.text), Qt.TextElideMode.ElideRight, int(room.width()))
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, words)

    def _add_rows(self, level: Sequence[BeamNode]) -> None:
        rows = [number for number, node in enumerate(level) if self.pruned or node.state != "pruned"]
        self._rows.append(rows)
        self._places.append({number: row for row, number in enumerate(rows)})
