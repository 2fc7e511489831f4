"""The rounds of speculative decoding: what was drafted, what was taken, what the model put in its place, and what it all came to."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from workbench.analysis.speculation import Speculation, speculation
from workbench.domain.choices import DraftRound, LosslessReport
from workbench.gui.pages.playground.canvas import Canvas
from workbench.gui.pages.playground.lossless_card import LosslessCard
from workbench.gui.pages.playground.token_words import percent, shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text

ROW = 36.0
NUMBER, VERDICT = 44.0, 92.0
SIGNS = {"accepted": "✓", "rejected": "✗", "unused": "·", "residual": "↺", "bonus": "+"}
_SAID = {
    "accepted": "accepted: u was below p / q",
    "rejected": "rejected: u was at or above p / q",
    "unused": "not looked at: one before it was rejected",
    "residual": "drawn by the model from what the draft left of its distribution",
    "bonus": "drawn by the model after all drafts were taken",
}
NONE_YET = "No draft has been judged yet."
Spot = tuple[int, int]  # (number of the round in the list, place in it; the added token stands behind the drafted ones)


class RoundsView(QWidget):
    """Rounds at the left; at the right what they come to, and the test of losslessness.

    How to place it: in a wide panel for a column whose strategy is speculative. `begin()` when the column starts, `add(round)` for each
    DraftRound aside. `test_wanted(samples)` asks for the test: answer with `card.progress(done, total)` and then
    `card.show_report(report)` or `card.fail(words)`; `stop_wanted` ends it. `pointed(round, place)` tells where a person stands.
    """

    test_wanted = Signal(int)
    stop_wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("playground.rounds")
        self.setAccessibleName("Rounds of speculative decoding")
        self.rounds: list[DraftRound] = []
        self._none = NONE_YET
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        left = QVBoxLayout()
        left.setSpacing(8)
        legend = "✓ accepted   ✗ rejected   · not looked at   ↺ in its place   + after all were taken"
        left.addWidget(text(legend, "quiet", wrap=True))
        self.list = RoundsList(theme)
        left.addWidget(self.list, 1)
        row.addLayout(left, 1)
        side = QWidget()
        box = QVBoxLayout(side)
        box.setContentsMargins(0, 0, 8, 0)
        box.setSpacing(8)
        self.accepted = text("", "strong", wrap=True)
        self.expected = text("", "quiet", wrap=True)
        self.speed = text("", "strong", wrap=True)
        self.measured = text("", "quiet", wrap=True)
        self.places = AcceptanceBars(theme)
        self.card = LosslessCard(theme)
        self.card.wanted.connect(self.test_wanted)
        self.card.stopped.connect(self.stop_wanted)
        for widget in (self.accepted, self.expected, self.places, self.speed, self.measured, self.card):
            box.addWidget(widget)
        box.addStretch(1)
        area = QScrollArea()
        area.setObjectName("playground.rounds.side")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(side)
        area.setFixedWidth(356)
        row.addWidget(area)
        self._tell()

    def begin(self, none: str = NONE_YET) -> None:
        """Another text; `none` is said while there are no rounds."""
        self.rounds, self._none = [], none
        self.list.forget()
        self.list.show_rounds(self.rounds)
        self._tell()

    def add(self, one: DraftRound) -> None:
        """One more round; a list that is at its end stays there."""
        bar = self.list.verticalScrollBar()
        follows = bar.value() >= bar.maximum() - 4
        self.rounds.append(one)
        self.list.show_rounds(self.rounds)
        if follows:
            bar.setValue(bar.maximum())
        self._tell()

    def show_report(self, report: LosslessReport) -> None:
        """The answer to a test."""
        self.card.show_report(report)

    def dress(self) -> None:
        """The theme's colours."""
        self.list.dress()
        self.places.update()
        self.card.dress()

    def _tell(self) -> None:
        found = speculation(self.rounds)
        self.places.show_places(found)
        if found.acceptance is None:
            self.accepted.setText(self._none if not self.rounds else "Nothing was drafted.")
            self.expected.setText("")
        else:
            self.accepted.setText(f"{found.acceptance:.0%} of {found.judged:,} judged drafts accepted")
            low, high = found.expected - 2 * found.spread, found.expected + 2 * found.spread
            within = "as expected" if low - 1e-9 <= found.taken <= high + 1e-9 else "not what is expected"
            self.expected.setText(
                f"{found.expected / found.judged:.0%} ± {2 * found.spread / found.judged:.0%} expected (Σ min(p, q), the mark): {within}."
            )
        self.speed.setText(f"{found.tokens_per_pass:.2f} tokens for each pass of the model" if self.rounds else "")
        self.measured.setText(_speed(found))


class RoundsList(Canvas):
    """One row for each round. Up and Down change the round, Left and Right the token."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "playground.rounds.list", "Rounds")
        self.rounds: list[DraftRound] = []
        self._boxes: list[list[tuple[float, float]]] = []  # left edge and width of each token of each round

    def show_rounds(self, rounds: list[DraftRound]) -> None:
        """Show rounds; those that are known aren't measured again."""
        if rounds is not self.rounds or len(rounds) < len(self._boxes):
            self.rounds, self._boxes = rounds, []
        for one in rounds[len(self._boxes) :]:
            self._boxes.append(self._placed_tokens(one))
        self.changed()

    def dress(self) -> None:
        """The theme's fonts may have other widths."""
        self._boxes = []
        self.show_rounds(self.rounds)

    @property
    def row(self) -> float:
        """Height of a row."""
        return ROW * self.unit

    def extent(self) -> tuple[float, float]:
        """As wide as the longest round."""
        widest = max((boxes[-1][0] + boxes[-1][1] for boxes in self._boxes if boxes), default=0.0)
        return widest + VERDICT * self.unit, self.row * len(self.rounds)

    def box_of(self, spot: Spot) -> QRectF:
        """Where a token lies."""
        left, width = self._boxes[spot[0]][spot[1]]
        return QRectF(left, self.row * spot[0] + 5, width, self.row - 10)

    def spot_at(self, point: QPointF) -> Spot | None:
        """The token under a point."""
        row = int(point.y() // self.row)
        if not 0 <= row < len(self._boxes):
            return None
        places = (n for n, (left, width) in enumerate(self._boxes[row]) if left <= point.x() < left + width)
        place = next(places, None)
        return None if place is None else (row, place)

    def walked(self, spot: Spot | None, key: Qt.Key) -> Spot | None:
        """To a neighbour; rows without tokens are passed over."""
        rows = [row for row, boxes in enumerate(self._boxes) if boxes]
        if not rows:
            return None
        if spot is None:
            return (rows[0], 0)
        row, place = spot
        if key in {Qt.Key.Key_Left, Qt.Key.Key_Right}:
            step = 1 if key == Qt.Key.Key_Right else -1
            if 0 <= place + step < len(self._boxes[row]):
                return (row, place + step)
            here = rows.index(row) + step
            if not 0 <= here < len(rows):
                return spot
            return (rows[here], 0 if step > 0 else len(self._boxes[rows[here]]) - 1)
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -8, Qt.Key.Key_PageDown: 8}
        target = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: len(rows) - 1}.get(key, rows.index(row) + steps.get(key, 0))
        there = rows[min(max(target, 0), len(rows) - 1)]
        return (there, min(place, len(self._boxes[there]) - 1))

    def words_of(self, spot: Spot) -> Sequence[str]:
        """A token with p, q and u, and what became of it."""
        one = self.rounds[spot[0]]
        if spot[1] >= len(one.drafted):
            return (shown(one.added_text) or "end", f"round {one.round}", _SAID[one.verdict or "bonus"])
        token = one.drafted[spot[1]]
        ratio = f"{min(1.0, token.p / token.q):.3f}" if token.q > 0 else "1"
        return (
            shown(token.text), f"round {one.round}, draft {spot[1] + 1}", _SAID[token.verdict],
            f"p {percent(token.p)} (model), q {percent(token.q)} (draft)",
            f"u {token.u:.3f} against min(1, p / q) = {ratio}", f"a draft is accepted here with a chance of {token.expected:.0%}",
        )  # fmt: skip

    def draw(self, painter: QPainter, visible: QRectF) -> None:
        """The rounds in sight."""
        colours = self.theme.colours
        for row in range(
            max(0, int(visible.top() // self.row)), min(len(self.rounds), int(visible.bottom() // self.row) + 1)
        ):
            one, y = self.rounds[row], self.row * row
            painter.setFont(self.font())
            painter.setPen(QColor(colours.quiet))
            upright = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(
                QRectF(0, y, NUMBER * self.unit - 8, self.row), upright | Qt.AlignmentFlag.AlignRight, str(one.round)
            )
            boxes = self._boxes[row]
            end = boxes[-1][0] + boxes[-1][1] if boxes else NUMBER * self.unit
            taken = sum(token.verdict == "accepted" for token in one.drafted)
            painter.drawText(
                QRectF(end + 12, y, VERDICT * self.unit, self.row),
                upright,
                f"{taken} of {len(one.drafted)}" if one.drafted else "no draft",
            )
            painter.setFont(self.mono())
            for place, token in enumerate(one.drafted):
                self._draw_token(painter, (row, place), token.text, token.verdict)
            if one.added is not None:
                self._draw_token(painter, (row, len(one.drafted)), one.added_text or "end", one.verdict or "bonus")

    def _draw_token(self, painter: QPainter, spot: Spot, words: str, verdict: str) -> None:
        colours, box = self.theme.colours, self.box_of(spot)
        tones = {"accepted": colours.good, "rejected": colours.bad, "unused": colours.edge}
        tone = QColor(tones.get(verdict, colours.accent))
        added = verdict in {"residual", "bonus"}
        style = Qt.PenStyle.DotLine if verdict == "unused" else Qt.PenStyle.SolidLine
        painter.setBrush(
            QColor(colours.accent_soft)
            if added
            else QColor(colours.bad_soft)
            if verdict == "rejected"
            else Qt.BrushStyle.NoBrush
        )
        painter.setPen(QPen(tone, 1.5, style))
        painter.drawRoundedRect(box, 4, 4)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(tone if verdict != "unused" else QColor(colours.quiet))
        painter.drawText(
            QRectF(box.left() + 6, box.top(), 16 * self.unit, box.height()),
            Qt.AlignmentFlag.AlignVCenter,
            SIGNS[verdict],
        )
        painter.setPen(QColor(colours.quiet if verdict == "unused" else colours.text))
        painter.drawText(box.adjusted(22 * self.unit, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, shown(words))

    def _placed_tokens(self, one: DraftRound) -> list[tuple[float, float]]:
        from_left, found = NUMBER * self.unit, []
        words = [token.text for token in one.drafted] + ([one.added_text or "end"] if one.added is not None else [])
        metrics = self._mono_metrics()
        for number, word in enumerate(words):
            if number == len(one.drafted):
                from_left += 10  # what the model added stands apart
            width = float(metrics.horizontalAdvance(shown(word))) + 30 * self.unit
            found.append((from_left, width))
            from_left += width + 6
        return found

    def _mono_metrics(self) -> QFontMetrics:
        return QFontMetrics(self.mono())


class AcceptanceBars(QWidget):
    """For each place of a draft the share that was taken, and a mark where it is expected."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("playground.rounds.places")
        self._theme = theme
        self._found = speculation(())

    @property
    def _line(self) -> int:
        return self.fontMetrics().height() + 9

    def show_places(self, found: Speculation) -> None:
        """Show other sums."""
        self._found = found
        words = [
            f"draft {n + 1}: {place.taken} of {place.judged} accepted, {place.expected:.1f} expected"
            for n, place in enumerate(found.places)
        ]
        self.setAccessibleName("Acceptance by place in the draft")
        self.setAccessibleDescription("; ".join(words))
        self.setToolTip("\n".join(["Bar: accepted. Mark: expected.", *words]))
        self.setVisible(bool(found.places))
        self.setFixedHeight(self._line * len(found.places))
        self.update()

    def sizeHint(self) -> QSize:
        """A line for each place."""
        return QSize(240, self._line * len(self._found.places))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars with marks."""
        painter = QPainter(self)
        colours = self._theme.colours
        metrics = self.fontMetrics()
        name, numbers = metrics.horizontalAdvance("draft 10") + 8.0, metrics.horizontalAdvance("100% of 9,999") + 8.0
        track = max(20.0, self.width() - name - numbers)
        for n, place in enumerate(self._found.places):
            y, upright = float(n * self._line), Qt.AlignmentFlag.AlignVCenter
            painter.setPen(QColor(colours.quiet))
            painter.drawText(QRectF(0, y, name, self._line), upright, f"draft {n + 1}")
            painter.fillRect(QRectF(name, y + 7, track, self._line - 14), QColor(colours.raised))
            painter.fillRect(
                QRectF(name, y + 7, track * place.taken / place.judged, self._line - 14), QColor(colours.accent)
            )
            mark = name + track * min(1.0, place.expected / place.judged)
            painter.fillRect(QRectF(mark - 1.5, y + 3, 3, self._line - 6), QColor(colours.text))
            words = f"{place.taken / place.judged:.0%} of {place.judged}"
            painter.drawText(QRectF(name + track + 8, y, numbers, self._line), upright, words)
        painter.end()


def _speed(found: Speculation) -> str:
    if not found.tokens:
        return ""
    here = f"{1000 * found.seconds / found.tokens:.1f} ms a token here, {found.draft_seconds / max(found.seconds, 1e-12):.0%} of it drafting"
    if found.factor is None or found.plain_seconds is None:
        return f"{here}. No plain step has been timed yet."
    verdict = (
        f"{found.factor:.2f}× as fast as plain decoding"
        if found.factor >= 1
        else f"slower than plain decoding: {found.factor:.2f}×"
    )
    steps = "step" if found.probes == 1 else "steps"
    return f"{here}; {1000 * found.plain_seconds:.1f} ms plain ({found.probes} {steps} timed in between). It was {verdict}."
