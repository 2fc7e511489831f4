"""Which datasets and queues there are, and what can be done with a queue."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu

from workbench.domain.judgement import Ranking
from workbench.domain.queues import QueueSpec
from workbench.domain.specs.study import write_queue
from workbench.gui.pages.annotate.queue_panel import QueuePanel
from workbench.gui.pages.annotate.reach import Reach
from workbench.services.views import DatasetView, QueueView
from workbench.services.workbench import Workbench

Found = tuple[list[DatasetView], list[QueueView]]


class Places(QObject):
    """Keeps the chooser and the menu beside it up to date, and makes new queues."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self.datasets: list[DatasetView] = []
        self.queues: list[QueueView] = []
        self.checks: tuple[tuple[str, str, Callable[[], Any]], ...] = ()  # what the menu says of gold items
        self.panel = QueuePanel(reach.shell.theme, self._create, reach.leave_side, self._sample)
        self.menu = QMenu()
        self.menu.setObjectName("annotate.queue_menu")
        self.menu.setAccessibleName("More about this queue")

    @staticmethod
    def look(services: Workbench) -> Found:
        """Datasets that can be judged, and their queues."""
        datasets = [view for view in services.datasets.list() if view.kind == "preferences"]
        return datasets, services.queues.list()

    def take(self, found: Found) -> None:
        """What there is now."""
        self.datasets, self.queues = found
        self.show()

    def show(self) -> None:
        """Show it, with the place that is on the desk."""
        self._reach.desk.top.show_places(self.datasets, self.queues, self._reach.place())
        self._fill_menu()

    def queue(self) -> QueueView | None:
        """The queue on show; None for a dataset itself."""
        _, name = self._reach.place()
        return next((view for view in self.queues if view.name == name), None)

    def open_panel(self) -> None:
        """The form of a new queue."""
        dataset, _ = self._reach.place()
        self._reach.run(self._models, self._reach.services, then=partial(self._open, dataset))

    @staticmethod
    def _models(services: Workbench) -> list[str]:
        return [model.name for model in services.models.list() if model.kind == "reward"][::-1]

    def _open(self, dataset: str, models: list[str]) -> None:
        self._reach.open_side("queue")
        self.panel.open(dataset, [view.name for view in self.datasets], models)

    def _create(self, spec: QueueSpec) -> None:
        failed = self._reach.refused(self.panel.say)
        self._reach.run(self._reach.services.queues.create, spec, then=self._created, failed=failed, lane="long")

    def _sample(self, spec: QueueSpec) -> None:
        """The form of a study whose texts become the items of this queue, in a dataset of its name."""
        if spec.name in {view.name for view in self.queues}:
            self.panel.say(f"There is already a queue called {spec.name!r}. Choose another name.")
            return
        self._reach.leave_side()
        self._reach.shell.go("train", spec={"kind": "study", "items": spec.name, "queue": write_queue(spec)})

    def _created(self, view: QueueView) -> None:
        if view.spec.golds:
            golds = self._reach.services.queues.golds
            self._reach.run(golds, view.dataset, then=partial(self._warn, view.dataset))
        self.queues.append(view)
        self._reach.leave_side()
        self._reach.choose((view.dataset, view.name))

    def _warn(self, dataset: str, known: dict[str, Ranking]) -> None:
        """A share of gold items does nothing until there are any."""
        if not known:
            self._reach.shell.notify(f"No answer is known in {dataset} yet.", "K says the known answer of an item.")

    def _fill_menu(self) -> None:
        self.menu.clear()
        queue, services = self.queue(), self._reach.services
        self._add("New queue…", "annotate.menu_new_queue", self.open_panel)
        self.menu.addSeparator()
        for title, name, run in self.checks:
            self._add(title, name, run)
        if queue is None:
            return
        self.menu.addSeparator()
        self._add("Put in order again", "annotate.menu_refresh", self._do(services.queues.refresh, "is in order again"))
        if queue.state == "open":
            self._add("Close this queue", "annotate.menu_close", self._do(services.queues.close, "is closed"))
        else:
            self._add("Open it again", "annotate.menu_reopen", self._do(services.queues.reopen, "is open again"))
        self._add("Delete this queue…", "annotate.menu_delete", partial(self._ask_delete, queue))

    def _add(self, title: str, name: str, run: Callable[[], Any]) -> None:
        entry = QAction(title, self.menu)
        entry.setObjectName(name)
        entry.triggered.connect(lambda: run())
        self.menu.addAction(entry)

    def _do(self, verb: Callable[[str], Any], what: str) -> Callable[[], None]:
        dataset, name = self._reach.place()

        def done(_answer: Any) -> None:
            self._reach.shell.notify(f"The queue “{name}” {what}.", "", "good")
            self._reach.choose((dataset, name))

        return lambda: self._reach.run(verb, name, then=done, lane="long")

    def _ask_delete(self, queue: QueueView) -> None:
        words = "Its order and its counts are lost. Judgements stay in the dataset."
        self._reach.shell.confirm(f"Delete the queue “{queue.name}”?", words, lambda: self._delete(queue))

    def _delete(self, queue: QueueView) -> None:
        gone = partial(self._deleted, queue)
        self._reach.run(self._reach.services.queues.delete, queue.name, then=gone)

    def _deleted(self, queue: QueueView, _answer: Any) -> None:
        self.queues = [view for view in self.queues if view.name != queue.name]
        self._reach.choose((queue.dataset, ""))
