"""Beam search looked at: its tree, and its hypotheses ranked again while a person moves the length rule."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QSlider, QSplitter, QVBoxLayout, QWidget

from workbench.analysis.beams import Place, Ranked, Tree, ranked
from workbench.domain.choices import BeamLevel
from workbench.domain.decoding import Beam
from workbench.gui.pages.playground.beam_tree import BeamTree
from workbench.gui.pages.playground.canvas import Canvas
from workbench.gui.pages.playground.heat import Legend
from workbench.gui.pages.playground.token_words import shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import button, text
from workbench.gui.widgets.fields import WheelGuard

ROW = 44.0
PARTS = 20  # steps of the penalty's slider to 1
MOST = 200  # hypotheses in the list
GROWS = "The tree grows here as the search goes on."


class BeamView(QWidget):
    """The tree at the left, the ranking at the right, the selected hypothesis below.

    How to place it: in a wide panel for a column whose strategy is beam. `begin(settings)` when the column starts, `add(level)` for
    each BeamLevel aside as it comes. Nothing is asked of anybody: ranking is reckoned here, with the search's own length rule.
    `used(settings)` says that the column shall take the length rule and penalty that are shown.
    """

    used = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("playground.beams")
        self.setAccessibleName("Beam search")
        self.settings = self.searched = Beam()
        self._tree = Tree()
        self._none = GROWS
        self.ranking: list[Ranked] = []
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        box.addLayout(self._controls())
        self.told = text("", "quiet", wrap=True)
        legend = Legend(theme)
        legend.setObjectName("playground.beams.legend")
        said = QHBoxLayout()
        said.addWidget(self.told, 1)
        said.addWidget(legend, 0, Qt.AlignmentFlag.AlignTop)
        box.addLayout(said)
        halves = QSplitter(Qt.Orientation.Horizontal)
        halves.setObjectName("playground.beams.halves")
        halves.setChildrenCollapsible(False)
        self.tree = BeamTree(theme)
        self.tree.pointed.connect(self._look_at)
        self.list = RankingList(theme)
        self.list.pointed.connect(self._pick)
        halves.addWidget(self.tree)
        halves.addWidget(self.list)
        halves.setStretchFactor(0, 3)
        halves.setStretchFactor(1, 1)
        halves.setSizes([700, 300])
        box.addWidget(halves, 1)
        self.facts = text("", "quiet", wrap=True)
        self.text = QLabel()
        self.text.setObjectName("playground.beams.text")
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setMinimumHeight(2 * self.text.fontMetrics().height() + 4)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop)
        box.addWidget(self.facts)
        box.addWidget(self.text)
        self.begin(Beam())

    def begin(self, settings: Beam, none: str = GROWS) -> None:
        """A new search with these settings; `none` is said while there is no tree."""
        self._none = none
        self.settings = self.searched = settings
        self._tree = Tree()
        self.rule.blockSignals(True)
        self.rule.setCurrentIndex(int(settings.length_rule == "gnmt"))
        self.rule.blockSignals(False)
        self.penalty.blockSignals(True)
        self.penalty.setValue(round(settings.length_penalty * PARTS))
        self.penalty.blockSignals(False)
        self.list.forget()
        self.tree.show_tree(self._tree)
        self._rank()

    def add(self, level: BeamLevel) -> None:
        """One more step of the search."""
        bar = self.tree.horizontalScrollBar()
        follows = bar.value() >= bar.maximum() - 4
        self._tree.add(level)
        self.tree.show_tree(self._tree)
        if follows:
            bar.setValue(bar.maximum())
        self._rank()

    def dress(self) -> None:
        """The theme's colours."""
        self.tree.dress()
        self.list.dress()

    def _controls(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        self.rule = QComboBox()
        self.rule.setObjectName("playground.beams.rule")
        self.rule.setAccessibleName("Length rule")
        self.rule.addItems(["power: n^a", "gnmt: ((5+n)/6)^a"])
        self.rule.installEventFilter(WheelGuard(self.rule))
        self.rule.currentIndexChanged.connect(lambda _: self._other_rule())
        self.penalty = QSlider(Qt.Orientation.Horizontal)
        self.penalty.setObjectName("playground.beams.penalty")
        self.penalty.setRange(-5 * PARTS, 5 * PARTS)
        self.penalty.setPageStep(PARTS // 2)
        self.penalty.setMinimumWidth(140)
        self.penalty.installEventFilter(WheelGuard(self.penalty))
        self.penalty.valueChanged.connect(lambda _: self._other_rule())
        self._shown = text("", "strong")
        self._shown.setMinimumWidth(44)
        self.pruned = QCheckBox("Dropped ones")
        self.pruned.setObjectName("playground.beams.pruned")
        self.pruned.setAccessibleName("Show the hypotheses that the search dropped")
        self.pruned.setChecked(True)
        self.pruned.toggled.connect(lambda on: self.tree.show_pruned(on))
        self.use = button(
            "Use", "playground.beams.use", lambda: self.used.emit(self.settings), accessible="Use this length rule in the column",
            tip="Give the column this length rule and penalty",
        )  # fmt: skip
        smaller = button(
            "−", "playground.beams.smaller", lambda: self.tree.nearer(-1), "flat", accessible="Smaller", tip="Ctrl+-"
        )
        larger = button(
            "+", "playground.beams.larger", lambda: self.tree.nearer(1), "flat", accessible="Larger", tip="Ctrl++"
        )
        left: list[QWidget] = [text("Score = sum /", "quiet"), self.rule, text("a", "quiet"), self.penalty, self._shown]
        for widget in (*left, self.use):
            row.addWidget(widget)
        row.addStretch(1)
        for widget in (self.pruned, smaller, larger):
            row.addWidget(widget)
        return row

    def _other_rule(self) -> None:
        rule = "gnmt" if self.rule.currentIndex() else "power"
        self.settings = self.searched.model_copy(
            update={"length_rule": rule, "length_penalty": self.penalty.value() / PARTS}
        )
        self._rank()

    def _rank(self) -> None:
        """Rank anew what is there, and say what has changed against the search's own rule."""
        self._shown.setText(f"{self.settings.length_penalty:g}")
        self.penalty.setAccessibleName(f"Length penalty: {self.settings.length_penalty:g}")
        self.ranking = ranked(self._tree, self.settings)
        own = self.ranking if self.settings == self.searched else ranked(self._tree, self.searched)
        self.list.show_ranking(self._tree, self.ranking[:MOST], {one.place: n for n, one in enumerate(own)})
        best = self._tree.path(self.ranking[0].place) if self.ranking else []
        self.tree.mark(best)
        self.told.setText(self._sentence(own))
        if self.tree.current is None and best:
            self._tell(best[-1])
        elif not self.ranking:
            self.facts.setText("")
            self.text.setText("")

    def _sentence(self, own: Sequence[Ranked]) -> str:
        if not self.ranking:
            return self._none
        ended = sum(one.finished for one in self.ranking)
        first = f"{ended} hypotheses finished." if ended else f"None of {len(self.ranking)} hypotheses has finished."
        if own[0].place == self.ranking[0].place:
            return f"{first} The best one under this rule is the search's own."
        return f"{first} Under this rule another one comes first; the search itself might also have looked elsewhere."

    def _look_at(self, place: Place | None) -> None:
        if place is None:
            return
        self._tell(place)
        row = next((n for n, one in enumerate(self.list.ranking) if one.place == place), None)
        if row != self.list.current:
            self.list.current = row
            self.list.viewport().update()

    def _pick(self, row: int | None) -> None:
        if row is not None and self.list.ranking[row].place != self.tree.current:
            self.tree.select(self.list.ranking[row].place)

    def _tell(self, place: Place) -> None:
        words = self.tree.words_of(place)
        self.facts.setText(" · ".join([f"{place[0] + 1} tokens", *words[1:]]))
        self.text.setText(self._tree.text(place))


class RankingList(Canvas):
    """Hypotheses, best first, each with its score and how far it has moved; spots are rows."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "playground.beams.ranking", "Hypotheses, best first")
        self.ranking: list[Ranked] = []
        self._tree = Tree()
        self._before: dict[Place, int] = {}
        self.setMinimumWidth(220)

    def show_ranking(self, tree: Tree, ranking: list[Ranked], before: dict[Place, int]) -> None:
        """Another ranking; `before` holds the ranks under the search's own rule."""
        kept = (
            self.ranking[self.current].place if self.current is not None and self.current < len(self.ranking) else None
        )
        self.ranking, self._tree, self._before = ranking, tree, before
        self.current = next((n for n, one in enumerate(ranking) if one.place == kept), None)
        self.over = None
        self.changed()

    @property
    def row(self) -> float:
        """Height of a row: two lines of words."""
        return max(ROW, 2 * self.fontMetrics().height() + 10.0)

    def extent(self) -> tuple[float, float]:
        """As wide as there is room."""
        return 0.0, self.row * len(self.ranking)

    def box_of(self, spot: int) -> QRectF:
        """A row."""
        return QRectF(0, self.row * spot, self.viewport().width(), self.row - 2)

    def spot_at(self, point: QPointF) -> int | None:
        """The row at a height."""
        row = int(point.y() // self.row)
        return row if 0 <= row < len(self.ranking) else None

    def walked(self, spot: int | None, key: Qt.Key) -> int | None:
        """Up and down."""
        if not self.ranking:
            return None
        last = len(self.ranking) - 1
        if key in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            return 0 if key == Qt.Key.Key_Home else last
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -8, Qt.Key.Key_PageDown: 8}.get(key, 0)
        return 0 if spot is None else min(max(spot + step, 0), last)

    def words_of(self, spot: int) -> Sequence[str]:
        """One hypothesis."""
        one = self.ranking[spot]
        lines = [
            f"{spot + 1}. {'finished' if one.finished else 'not finished'}", f"score {one.score:.3f}",
            f"sum {one.logprob:.2f} over {one.place[0] + 1} tokens", self._tree.text(one.place)[:400],
        ]  # fmt: skip
        moved = self._before.get(one.place, spot) - spot
        if moved:
            lines.insert(1, f"{abs(moved)} {'higher' if moved > 0 else 'lower'} than under the search's own rule")
        return lines

    def beside(self, row: int) -> tuple[str, ...]:
        """What may stand at the right of a row, the longest first: how far it has moved, its tokens, its sum."""
        one = self.ranking[row]
        moved = self._before.get(one.place, row) - row
        arrow = f"{'▲' if moved > 0 else '▼'}{abs(moved)}  " if moved else ""
        size = f"{arrow}{one.place[0] + 1} tokens"
        return f"{size}  Σ {one.logprob:.1f}", size, arrow

    def draw(self, painter: QPainter, visible: QRectF) -> None:
        """The rows in sight."""
        colours, wide, line = self.theme.colours, float(self.viewport().width()), self.row / 2 - 3
        for row in range(
            max(0, int(visible.top() // self.row)), min(len(self.ranking), int(visible.bottom() // self.row) + 1)
        ):
            one, y = self.ranking[row], self.row * row
            font = self.font()
            font.setBold(row == 0)
            painter.setFont(font)
            painter.setPen(QColor(colours.accent if row == 0 else colours.text))
            head = f"{row + 1}.  {one.score:.3f}" + ("" if one.finished else "  …")
            painter.drawText(QRectF(8, y + 2, wide - 16, line), Qt.AlignmentFlag.AlignLeft, head)
            used = painter.fontMetrics().horizontalAdvance(head)
            painter.setFont(self.font())
            metrics = painter.fontMetrics()
            painter.setPen(QColor(colours.quiet))
            fits = (words for words in self.beside(row) if metrics.horizontalAdvance(words) <= wide - 28 - used)
            painter.drawText(QRectF(8, y + 2, wide - 16, line), Qt.AlignmentFlag.AlignRight, next(fits, ""))
            painter.setPen(QColor(colours.text))
            words = shown(self._tree.text(one.place)).replace("␣", " ").strip()
            words = painter.fontMetrics().elidedText(words, Qt.TextElideMode.ElideMiddle, int(wide) - 16)
            painter.drawText(QRectF(8, y + 2 + line, wide - 16, line), Qt.AlignmentFlag.AlignLeft, words)
