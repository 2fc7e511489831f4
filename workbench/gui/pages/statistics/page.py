"""The page of statistics: choose a dataset, read what its labels say, look at disputed items again, take figures along."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QStackedLayout, QTabWidget, QVBoxLayout, QWidget

from workbench.analysis.report import Report
from workbench.domain.errors import WorkbenchError
from workbench.gui.bridge import Bridge, Ticket
from workbench.gui.pages.statistics.again import AgainList
from workbench.gui.pages.statistics.board import Board
from workbench.gui.pages.statistics.figures import main_figures, summary
from workbench.gui.pages.statistics.plots import agreement_plots, confusion, habit_plots, model_plots
from workbench.gui.pages.statistics.saving import Saving
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.basics import Elided, button, wear_icon
from workbench.gui.widgets.states import BusyState, EmptyState, show_error
from workbench.services.views import DatasetView
from workbench.services.workbench import Workbench


class StatisticsPage(QWidget):
    """Shows a report; asks for it again when the page is shown, which costs nothing while labels are the same."""

    help_text = (
        "Statistics tell how far the labels of a dataset can be trusted, and what they say about models.\n\n"
        "- **Agreement**: between annotators (kappa, alpha), with themselves on repeated items, with gold items, and with the "
        "consensus of all. It takes items that two people have judged.\n"
        "- **Habits**: the side of the screen, length, time for an item over a sitting, labels per day.\n"
        "- **Models**: ratings and win rates with intervals.\n"
        "- **Look again**: disputed items and preferences that run in circles. Enter opens one in Annotate.\n\n"
        "Every figure has a sentence on how to read it at its value, every plot a button **Numbers** that tells the same in words. "
        "Where a queue let a model choose items, the main figures are given again on those drawn at random.\n"
    )

    def __init__(self, services: Workbench, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self._services, self._bridge, self._shell = services, bridge, shell
        self.dataset = str(shell.recall("statistics.dataset", "") or "")
        self.report: Report | None = None
        self._ticket: Ticket | None = None
        self._here = False
        self._drawn: set[str] = set()
        self.setObjectName("statistics")
        self.setAccessibleName("Statistics")
        self._stack = QStackedLayout(self)
        self._busy = BusyState("Reading the labels", self._cancel, name="statistics.busy", theme=shell.theme)
        self.empty = EmptyState(
            "No labels to speak of yet",
            "Once responses are judged, this page tells how far annotators agree, what habits they have, and which model "
            "is better, with a sentence for every figure.",
            ("Judge responses", lambda: shell.go("annotate", **({"dataset": self.dataset} if self.dataset else {}))),
            ("Import data", lambda: shell.go("data")),
            name="statistics.empty",
            glyph="statistics",
            theme=shell.theme,
        )
        self.content = QWidget()
        self._build()
        for widget in (self._busy, self.content, self.empty):
            self._stack.addWidget(widget)
        shell.theme.changed.connect(self._dress)

    # What the window calls.

    def arrive(self, dataset: str = "") -> None:
        """Show the statistics of this dataset."""
        if dataset and dataset != self.dataset:
            self.dataset, self.report = dataset, None
            self._wait()  # the list of datasets is on its way, and asks

    def shown(self) -> None:
        """Look which datasets there are, and whether labels have changed."""
        self._here = True
        self._bridge.run(self._services.datasets.list, then=self._listed, failed=self._broken)

    def hidden(self) -> None:
        """Nobody looks: what is under way may stop."""
        self._here = False
        self._stop()

    def actions(self) -> list[Action]:  # type: ignore[override]
        """What can be done here."""
        made = [Action("statistics.refresh", "Reckon again", "F5", self.shown)]
        if self.report is not None:
            made += [
                Action("statistics.annotate", f"Judge {self.dataset}", "", self._annotate),
                Action("statistics.export", "Save all figures as a table", "Ctrl+E", self.saving.ask_table),
                *(
                    Action(f"statistics.tab{n}", f"Show {self.tabs.tabText(n)}", f"Alt+{n + 1}", partial(self._turn, n))
                    for n in range(self.tabs.count())
                    if self.tabs.isTabVisible(n)
                ),
            ]
        return made

    # Inside: build.

    def _build(self) -> None:
        column = QVBoxLayout(self.content)
        column.setContentsMargins(24, 16, 24, 12)
        column.setSpacing(12)
        top = QHBoxLayout()
        top.setSpacing(12)
        self.chooser = QComboBox()
        self.chooser.setObjectName("statistics.dataset")
        self.chooser.setAccessibleName("Dataset")
        self.chooser.setMinimumWidth(180)
        self.chooser.activated.connect(self._choose)
        top.addWidget(self.chooser)
        self.basis = Elided("quiet")
        top.addWidget(self.basis, 1)
        theme = self._shell.theme
        self.saving = Saving(self, self._services, self._bridge, self._shell)
        self.annotate = wear_icon(button("Annotate", "statistics.annotate", self._annotate), "annotate", theme)
        self.table = wear_icon(
            button("Save figures", "statistics.export", self.saving.ask_table, tip="All figures as a table (CSV)   Ctrl+E"), "export", theme
        )  # fmt: skip
        self.table.setShortcut("Ctrl+E")
        for part in (self.annotate, self.table):
            top.addWidget(part)
        column.addLayout(top)
        self.tabs = QTabWidget()
        self.tabs.setObjectName("statistics.tabs")
        self.tabs.setAccessibleName("Kinds of statistics")
        self.boards = {
            name: Board(name, theme, self.saving.ask_picture) for name in ("agreement", "habits", "models", "random")
        }
        self.again = AgainList(self._open_item)
        for name, title in (("agreement", "Agreement"), ("habits", "Habits"), ("models", "Models")):
            self.tabs.addTab(self.boards[name], title)
        self.tabs.addTab(self.again, "Look again")
        self.tabs.addTab(self.boards["random"], "Random items")
        self.tabs.currentChanged.connect(lambda _: self._fill())
        self.pairs = QComboBox()
        self.pairs.setObjectName("statistics.pair")
        self.pairs.setAccessibleName("Two annotators whose confusion is shown")
        self.pairs.activated.connect(lambda _: self._confuse())
        self.boards["agreement"].add_tool("Confusion of", self.pairs)
        column.addWidget(self.tabs, 1)
        keys: list[tuple[str, Callable[[], Any]]] = [("F5", self.shown)]
        keys += [(f"Alt+{n + 1}", partial(self._turn, n)) for n in range(self.tabs.count())]
        for key, run in keys:
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)  # a page behind another hears nothing
            shortcut.activated.connect(run)

    # Inside: ask and show.

    def _listed(self, datasets: list[DatasetView]) -> None:
        if not self._here:
            return
        views = [view for view in datasets if view.kind == "preferences"]
        names = [view.name for view in views]
        self.chooser.clear()
        for view in views:
            self.chooser.addItem(view.name, view.name)
        if not names:
            self.dataset, self.report = "", None
            self._stack.setCurrentWidget(self.empty)
            return
        if self.dataset not in names:
            self.dataset = max(views, key=lambda view: view.judged).name
        self._ask()

    def _ask(self) -> None:
        self._stop()
        self.chooser.setCurrentIndex(self.chooser.findData(self.dataset))
        self._shell.remember("statistics.dataset", self.dataset)
        if self.report is None:
            self._wait()
        self._ticket = self._bridge.run(
            self._services.statistics.report,
            self.dataset,
            then=self._show,
            failed=self._broken,
            progress=self._busy.tell,
            lane="long",
        )

    def _choose(self, place: int) -> None:
        self.dataset, self.report = str(self.chooser.itemData(place)), None
        self._ask()

    def _wait(self) -> None:
        self._busy.tell(0, 0, " ")
        self._stack.setCurrentWidget(self._busy)

    def _stop(self) -> None:
        if self._ticket is not None:
            self._ticket.cancel()
        self._ticket = None

    def _cancel(self) -> None:
        self._stop()
        self._shell.go("annotate")

    def _show(self, report: Report) -> None:
        self._ticket = None
        if report is self.report:
            self._stack.setCurrentWidget(self.content if report.labels.judgements else self.empty)
            return
        self.report = report
        self._drawn = set()
        self.basis.setText(summary(report))
        self.pairs.clear()
        for pair in report.labels.pairs:
            self.pairs.addItem(f"{pair.first} and {pair.second}")
        self.boards["agreement"].show_tool(len(report.labels.pairs) > 1)
        self.tabs.setTabVisible(4, report.random is not None)
        self.tabs.setTabText(3, f"Look again ({report.disputed:,})" if report.disputed else "Look again")
        self._fill()
        self._stack.setCurrentWidget(self.content if report.labels.judgements else self.empty)

    def _fill(self) -> None:
        """Draw the tab in front, once for each report: what nobody looks at costs nothing."""
        report, place = self.report, self.tabs.currentIndex()
        name = ("agreement", "habits", "models", "again", "random")[place]
        if report is None or name in self._drawn:
            return
        self._drawn.add(name)
        if name == "agreement":
            self.boards[name].show_all(main_figures(report, name), agreement_plots(report), NO_AGREEMENT)
        elif name == "habits":
            self.boards[name].show_all(main_figures(report, name), habit_plots(report), NO_HABITS)
        elif name == "models":
            self.boards[name].show_all(main_figures(report, name), model_plots(report), NO_MODELS)
        elif name == "random":
            figures = [figure for figure in report.figures if figure.group == "Items drawn at random"]
            self.boards[name].show_all(figures, [], "")
        else:
            self.again.show_report(report)

    def _confuse(self) -> None:
        if self.report is not None:
            self.boards["agreement"].replace(confusion(self.report.labels.pairs[self.pairs.currentIndex()]))

    def _broken(self, error: WorkbenchError) -> None:
        self._ticket, self.report = None, None
        show_error(self._stack, error, self.shown, "statistics.error", self._shell.theme)

    def _dress(self) -> None:
        for board in self.boards.values():
            board.dress()

    # Inside: do.

    def _turn(self, place: int) -> None:
        if self.tabs.isTabVisible(place):
            self.tabs.setCurrentIndex(place)

    def _annotate(self) -> None:
        self._shell.go("annotate", dataset=self.dataset)

    def _open_item(self, item: str) -> None:
        self._shell.go("annotate", dataset=self.dataset, item=item)


NO_AGREEMENT = (
    "Nothing was judged by two annotators yet, nor twice by one. A queue with an overlap of two, a share of repeats or gold items "
    "makes this page speak."
)
NO_HABITS = "Nothing was judged on the screen yet: imported labels say nothing about sides and time."
NO_MODELS = "The candidates name no models, or no two different ones were compared."
