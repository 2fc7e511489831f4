"""What to look at again: disputed items and preferences that run in circles; choosing one opens it in Annotate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from workbench.analysis.report import Report
from workbench.gui.widgets.basics import text
from workbench.gui.widgets.words import count

NOTHING = (
    "Nothing to look at again: no item is disputed, and no preferences run in a circle. "
    "Disputes show once two people have judged the same items."
)


@dataclass(frozen=True)
class Case:
    """Something to judge again: an item, and why."""

    item: str
    title: str
    why: str


def cases(report: Report) -> list[Case]:
    """Circles first, since there are few of them; then disputed items, those with most disagreement first."""
    made = []
    for circle in report.response_circles:
        ring = " ≻ ".join((*circle.names, circle.names[0]))
        for n, item in enumerate(circle.items, 1):
            why = f"{n} of {len(circle.items)} items in a circle of responses (row/candidate): {ring}"
            made.append(Case(item, _prompt(report, item), why))
    for circle in report.model_circles:
        ring = " ≻ ".join((*circle.names, circle.names[0]))
        for item in circle.items[:3]:
            made.append(Case(item, _prompt(report, item), f"decides a circle of models: {ring}"))
    for dispute in report.disputes:
        voices = "; ".join(f"{who}: {said}" for who, said in dispute.voices)
        made.append(
            Case(dispute.item, _prompt(report, dispute.item), f"row {dispute.position + 1}, disputed. {voices}")
        )
    return made


class AgainList(QWidget):
    """The cases as a list; Enter or a click opens one."""

    def __init__(self, open_item: Callable[[str], Any]) -> None:
        super().__init__()
        self._open = open_item
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 16, 0, 0)
        column.setSpacing(12)
        self.head = text("", wrap=True)
        column.addWidget(self.head)
        self.list = QListWidget()
        self.list.setObjectName("statistics.again")
        self.list.setAccessibleName("Items to judge again")
        self.list.setAlternatingRowColors(False)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.list.itemActivated.connect(self._chosen)
        self.list.itemClicked.connect(self._chosen)
        column.addWidget(self.list, 1)

    def show_report(self, report: Report) -> None:
        """List what this report names."""
        found = cases(report)
        self.list.clear()
        self.list.setVisible(bool(found))
        more = report.disputed - len(report.disputes)
        rest = f" {more:,} more {'is' if more == 1 else 'are'} disputed." if more > 0 else ""
        were = "was" if report.settled == 1 else "were"
        settled = f" {report.settled:,} {were} settled by an adjudication." if report.settled else ""
        circles = len(report.response_circles) + len(report.model_circles)
        said = f"{count(report.disputed, 'disputed item')}, {count(circles, 'circle')}. Choose one to judge it again in Annotate."
        self.head.setText(f"{said}{rest}{settled}" if found else f"{NOTHING}{settled}")
        for case in found:
            row = QListWidgetItem(f"{case.title}\n{case.why}")
            row.setSizeHint(
                QSize(0, 2 * self.list.fontMetrics().lineSpacing() + 24)
            )  # room for letters of other scripts
            row.setData(Qt.ItemDataRole.UserRole, case.item)
            row.setData(Qt.ItemDataRole.AccessibleTextRole, f"{case.title}. {case.why}")
            self.list.addItem(row)
        if found:
            self.list.setCurrentRow(0)

    def _chosen(self, row: QListWidgetItem) -> None:
        self._open(str(row.data(Qt.ItemDataRole.UserRole)))


def _prompt(report: Report, item: str) -> str:
    words = " ".join(report.prompts.get(item, item).split())
    return words if len(words) <= 110 else f"{words[:109]}…"
