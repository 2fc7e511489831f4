"""Home: what the workspace holds and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.runs import JobState
from workbench.gui.bridge import Bridge
from workbench.gui.pages.next_steps import NextStep, next_steps
from workbench.gui.pages.tour_card import TourCard
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.basics import ButtonRole, Card, NameButton, button, clear, text
from workbench.gui.widgets.lineage import LineageView, Member
from workbench.gui.widgets.run_row import RunRow
from workbench.gui.widgets.words import count, short
from workbench.services.starter import TO_RANK
from workbench.services.tour import Tour
from workbench.services.views import DatasetView, HomeView, RunView

MOST_RUNS, MOST_DATASETS = 5, 6
_TIPS = {
    "agreement": "How often two annotators say the same of the same two responses; – until an item is judged by two.",
}
REFRESH_MS = 2000


class HomePage(QWidget):
    """Numbers, next steps, the tour, runs with their curves, the family of models, and the datasets."""

    help_text = (
        "Home shows what this workspace holds and suggests what to do next.\n\n"
        "- **Next** reads the workspace and offers the step that is most useful now.\n"
        "- **The tour** runs the whole loop on the starter kit: import, rank, train, watch, compare.\n"
        "- **Runs** lists the latest jobs with the curve of their headline number. A job goes on when the window closes.\n"
        "- **Models** is the family tree: each model stands to the right of the models that it was made from.\n"
    )

    def __init__(self, services: Any, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self.setObjectName("home")
        self._services, self._bridge, self._shell = services, bridge, shell
        self._asking = False
        self._seen: HomeView | None = None
        self._guide = Tour(services)
        self._timer = QTimer(self, interval=REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._build()
        shell.theme.changed.connect(self._paint_again)

    # -- what the window calls -----------------------------------------------------------------------------------------

    def shown(self) -> None:
        """Look at once, then every two seconds while the page is in front."""
        self.refresh()
        self._timer.start()

    def hidden(self) -> None:
        """Stop looking."""
        self._timer.stop()

    def closing(self) -> None:
        """The workspace is being closed."""
        self._timer.stop()

    def actions(self) -> list[Action]:  # type: ignore[override]
        """What can be done from here."""
        return [
            Action("home.import", "Import data", "", lambda: self._shell.go("data", wizard=True)),
            Action("home.annotate", "Rank responses", "", lambda: self._shell.go("annotate")),
            Action("home.train", "Train a model", "", lambda: self._shell.go("train")),
        ]

    def refresh(self) -> None:
        """Ask what the workspace holds; one question at a time."""
        if self._asking:
            return
        self._asking = True
        self._bridge.run(look, self._services, self._guide, then=self._show, failed=self._failed, ended=self._asked)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self._scroll = QScrollArea()
        self._scroll.setObjectName("home.scroll")
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer.addWidget(self._scroll)
        body = QWidget()
        grid = QGridLayout(body)
        grid.setContentsMargins(24, 16, 24, 24)
        grid.setSpacing(16)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        self._numbers = QHBoxLayout()
        self._numbers.setSpacing(16)
        grid.addLayout(self._numbers, 0, 0, 1, 2)
        left, right = QVBoxLayout(), QVBoxLayout()
        for column in (left, right):
            column.setSpacing(16)
        grid.addLayout(left, 1, 0)
        grid.addLayout(right, 1, 1)
        self._next = Card("Next")
        self._runs = Card("Runs")
        self._runs.top.addWidget(button("All runs", "home.all_runs", lambda: self._shell.go("runs"), "link"))
        self._models = Card("Models")
        self._models.top.addWidget(button("All models", "home.all_models", lambda: self._shell.go("models"), "link"))
        self._datasets = Card("Datasets")
        self._datasets.top.addWidget(
            button("Import data", "home.import", lambda: self._shell.go("data", wizard=True), "link")
        )
        self._tour = TourCard(self._shell.theme, self._run_tour, self._shell.go)
        self._tour.setVisible(False)
        self._lists: dict[str, QVBoxLayout] = {}
        for name, card in (("next", self._next), ("runs", self._runs), ("datasets", self._datasets)):
            self._lists[name] = QVBoxLayout()
            self._lists[name].setSpacing(8)
            card.column.addLayout(self._lists[name])
        self._tree = LineageView(self._shell.theme, "home.lineage")
        self._tree.opened.connect(lambda name: self._shell.go("models", model=name))
        self._tree_area = QScrollArea()
        self._tree_area.setObjectName("home.lineage_scroll")
        self._tree_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._tree_area.setWidgetResizable(True)
        self._tree_area.setWidget(self._tree)
        self._models.column.addWidget(self._tree_area)
        self._no_models = text("No model yet. Add a folder with a base model to begin.", "quiet", wrap=True)
        self._models.column.addWidget(self._no_models)
        for card in (self._next, self._runs, self._models):
            left.addWidget(card)
        left.addStretch(1)
        for card in (self._tour, self._datasets):
            right.addWidget(card)
        right.addStretch(1)
        self._scroll.setWidget(body)

    def _show(self, answer: tuple[HomeView, Sequence[Any]]) -> None:
        home, steps = answer
        self._tour.setVisible(bool(steps))
        self._tour.show_steps(steps)
        if home == self._seen:
            return
        self._seen = home
        self._show_numbers(home)
        self._fill(
            "next", [self._step(n, step) for n, step in enumerate(next_steps(home), 1)], "Everything is up to date."
        )
        self._fill("runs", [self._run(run) for run in home.runs[:MOST_RUNS]], "No run yet.")
        self._fill("datasets", [self._dataset(d) for d in home.datasets[:MOST_DATASETS]], "No dataset yet.")
        self._tree.show_members([Member(m.name, m.kind, short(m.parameters), m.parents) for m in home.models])
        self._tree_area.setVisible(bool(home.models))
        self._tree_area.setFixedHeight(min(260, self._tree.sizeHint().height() + 16))
        self._no_models.setVisible(not home.models)

    def _show_numbers(self, home: HomeView) -> None:
        clear(self._numbers)
        judged = sum(d.judged for d in home.datasets)
        items = sum(d.rows for d in home.datasets if d.kind == "preferences")
        running = sum(not r.state.ended for r in home.runs)
        for number, words in (
            (f"{home.labels_today:,}", "labels today, by people"),
            (f"{home.labels_total:,}", "labels by people"),
            (f"{100 * judged // items} %" if items else "–", "of items judged"),
            (f"{home.agreement:.0%}".replace("%", " %") if home.agreement is not None else "–", "agreement"),
            (f"{running}", "runs under way"),
        ):
            card = Card()
            card.column.setSpacing(0)
            card.column.setContentsMargins(16, 12, 16, 12)
            card.column.addWidget(text(number, "number"))
            card.column.addWidget(text(words, "quiet"))
            card.setAccessibleName(f"{number} {words}")
            card.setToolTip(_TIPS.get(words, ""))
            self._numbers.addWidget(card)

    def _fill(self, name: str, lines: list[QWidget], otherwise: str) -> None:
        clear(self._lists[name])
        for line in lines or [text(otherwise, "quiet", wrap=True)]:
            self._lists[name].addWidget(line)

    def _step(self, number: int, step: NextStep) -> QWidget:
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(text(step.title, "strong"))
        words.addWidget(text(step.why, "quiet", wrap=True))
        row.addLayout(words, 1)
        role: ButtonRole = "primary" if number == 1 else ""
        name = f"home.next.{number}"
        row.addWidget(
            button("Start", name, lambda: self._shell.go(step.page, **step.arguments), role, accessible=step.title)
        )
        return line

    def _run(self, run: RunView) -> QWidget:
        return RunRow(self._shell.theme, run, lambda run_id: self._shell.go("runs", run=run_id), f"home.run.{run.id}")

    def _dataset(self, data: DatasetView) -> QWidget:
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(
            NameButton(data.name, f"home.dataset.{data.name}", lambda: self._shell.go("data", dataset=data.name))
        )
        if data.synthetic:
            row.addWidget(text("synthetic", "chip"), 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        words = f"{data.judged:,} of {data.rows:,} judged" if data.kind == "preferences" else count(data.rows, "row")
        row.addWidget(text(words, "quiet"))
        return line

    def _run_tour(self, step: str) -> None:
        if step == "rank":  # a person is here: let them do it, rather than the kit's rule
            self._shell.go("annotate", dataset=TO_RANK)
            return
        self._tour.working(step)
        self._bridge.run(
            self._guide.run,
            step,
            self._bridge.relay(self._tour.say),
            then=lambda _: self._tour_done(step),
            ended=self._toured,
            lane="long",
        )

    def _tour_done(self, step: str) -> None:
        title = next((s.title for s in self._tour.steps if s.id == step), step)
        if step == "compare":
            report = QUrl.fromLocalFile(str(self._guide.report))
            action = ("Open the report", lambda: QDesktopServices.openUrl(report))
            self._shell.notify(
                f"{title}: done", "The report is one file with the table and the curves.", "good", action
            )
        else:
            self._shell.notify(f"{title}: done", "The next step of the tour is ready.", "good")

    def _toured(self) -> None:
        self._tour.working("")
        self.refresh()

    def _failed(self, error: WorkbenchError) -> None:
        self._timer.stop()  # one notice, not one every two seconds
        self._shell.notify(error.what, error.hint, "bad", ("Try again", self.shown), error.details)

    def _paint_again(self) -> None:
        self._seen = None
        if self.isVisible():
            self.refresh()

    def _asked(self) -> None:
        self._asking = False


def look(services: Any, guide: Tour) -> tuple[HomeView, Sequence[Any]]:
    """What the workspace holds and where the tour stands; blocking, so it runs on a lane."""
    today, total = services.labelling.counts()
    runs: list[RunView] = services.runs.list()
    order = sorted(runs, key=lambda run: (run.state.ended, run.state is JobState.QUEUED, -run.created.timestamp()))
    home = HomeView(
        labels_today=today,
        labels_total=total,
        datasets=tuple(services.datasets.list()),
        runs=tuple(order),
        models=tuple(services.models.list()),
        agreement=services.labelling.agreement(),
    )
    return home, guide.steps()
