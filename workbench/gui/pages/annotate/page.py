"""The page where a person ranks responses: one key, one committed label, the next item."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QStackedLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.judgement import SkipReason
from workbench.gui.bridge import Bridge
from workbench.gui.pages.annotate.desk import Asked, Desk
from workbench.gui.pages.annotate.draft import Verdict
from workbench.gui.pages.annotate.keys import Command, command, typing_in
from workbench.gui.pages.annotate.reading_keys import READING, ReadingKeys
from workbench.gui.pages.annotate.reveal import Reveal
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState
from workbench.services.views import DatasetView, LabelProgress, Presentation, Recorded
from workbench.services.workbench import Workbench

_ACTIONS = (
    ("first", "A is better, or place A next", "1", Command("place", 0)),
    ("second", "B is better, or place B next", "2", Command("place", 1)),
    ("much_first", "A is much better", "Shift+1", Command("place", 0, True)),
    ("much_second", "B is much better", "Shift+2", Command("place", 1, True)),
    ("level", "Tie, or the next one level with the last placed", "0", Command("level")),
    ("accept", "Accept the ranking", "Enter", Command("accept")),
    ("all_bad", "All are bad", "X", Command("all_bad")),
    ("skip", "Skip, with a reason", "S", Command("skip")),
    ("note", "Write a note", "N", Command("note")),
    ("write", "Write a better response", "E", Command("write")),
    ("differences", "Show word-level differences", "D", Command("differences")),
    ("reveal", "Reveal who wrote the last item's responses", "R", Command("reveal")),
    ("undo", "Undo the last judgement", "Ctrl+Z", Command("undo")),
    ("redo", "Redo", "Ctrl+Shift+Z", Command("redo")),
    *READING,
)


class AnnotatePage(QWidget):
    """Shows an item blind, turns keys into a judgement, and moves on when it is committed."""

    help_text = (
        "Read the prompt, then say which response is better. Press 1 or 2 for two responses, or 1 … 9 in order of quality "
        "and Enter for more. Each judgement is on disk before the next item shows, and Ctrl+Z takes back as many as you like. "
        "You don't see which model wrote what until you have judged; R tells it for the last item."
    )

    def __init__(self, services: Workbench, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self._services, self._bridge, self._shell = services, bridge, shell
        self._datasets: list[DatasetView] = []
        self.dataset = str(shell.recall("annotate.dataset", "") or "")
        self._waiting = False
        self._panel = ""
        self._since = time.perf_counter()
        self.setObjectName("annotate")
        self.setAccessibleName("Annotate")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._stack = QStackedLayout(self)
        asked = Asked(
            self._do, self._choose, self._skipped, self._write, self._dropped, lambda: shell.go("train"), self.setFocus
        )
        self.desk = Desk(shell.theme, asked, raw=shell.settings.raw_text)
        self._reading = ReadingKeys(self.desk, shell)
        self._reveal = Reveal(services.labelling, bridge, self.desk, lambda: self.dataset)
        self._busy = BusyState("Opening the dataset", name="annotate.busy", theme=shell.theme)
        self._empty = EmptyState(
            "Rank responses, blind and by keyboard",
            "This page shows a prompt with two or more responses and asks which is better. "
            "Import a preference dataset on the Data page, or send responses here from the Playground.",
            ("Import data", lambda: shell.go("data")),
            ("Open the playground", lambda: shell.go("playground")),
            name="annotate.empty",
            glyph="annotate",
            theme=shell.theme,
        )
        self._error: ErrorState | None = None
        for widget in (self._busy, self.desk, self._empty):
            self._stack.addWidget(widget)

    @property
    def presentation(self) -> Presentation | None:
        """The item on screen."""
        return self.desk.presentation

    @property
    def ready(self) -> bool:
        """Whether a key acts: nothing is being committed, and what it would act on has been on screen."""
        seen = self.presentation is None or self.desk.board.seen
        return seen and not self._waiting and self._stack.currentWidget() is self.desk

    # What the window calls.

    def arrive(self, dataset: str = "") -> None:
        """Judge this dataset from now on."""
        if dataset:
            self._choose(dataset)

    def shown(self) -> None:
        """Look which datasets there are; the item on screen stays."""
        self._bridge.run(self._services.datasets.list, then=self._listed, failed=self._broken)
        self.setFocus()

    def undo(self) -> None:
        """Take the last judgement back and show its item again."""
        self._step(self._services.labelling.undo, fresh=False)

    def redo(self) -> None:
        """Make the judgement again that was taken back last."""
        self._step(self._services.labelling.redo, fresh=True)

    def actions(self) -> list[Action]:  # type: ignore[override]
        """Everything this page can do, for the palette and the list of keys."""
        return [Action(f"annotate.{i}", title, keys, partial(self._do, c)) for i, title, keys, c in _ACTIONS]

    # Keys.

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys act on the item, unless a person types."""
        if typing_in(QApplication.focusWidget()) or event.isAutoRepeat():
            event.ignore()
            return
        asked = command(event)
        if asked is None:
            super().keyPressEvent(event)
            return
        self._do(asked)

    def _do(self, asked: Command) -> None:
        if self._reading.do(asked):
            return
        if asked.name == "undo":
            self.undo()
        elif asked.name == "redo":
            self.redo()
        elif asked.name == "reveal":
            self._reveal.ask()
        elif self.ready and self.presentation is not None:
            self.desk.bottom.forget_early()
            self._act(asked)
        elif self.presentation is not None and asked.name in {"skip", "note", "write"}:
            self._panel = asked.name  # opens with the next item, so that what is typed into it is no command
        elif self.presentation is not None and asked.name not in {"escape", "differences"}:
            self.desk.bottom.say_early()

    def _act(self, asked: Command) -> None:
        desk = self.desk
        if not desk.skip.isHidden():
            if asked.name == "place":
                desk.skip.digit(asked.place)
            elif asked.name in {"escape", "skip"}:
                desk.close_panels()
            return
        if asked.name == "differences":
            desk.differences = not desk.differences
            desk.show_texts()
        elif asked.name in {"skip", "note", "write"}:
            desk.open_panel(asked.name)
        elif asked.name == "escape":
            desk.close_panels()
        else:
            verdict = self._verdict(asked)
            desk.show_draft()
            if verdict is not None:
                self._record(verdict)

    def _verdict(self, asked: Command) -> Verdict | None:
        draft = self.desk.draft
        if asked.name == "place":
            return draft.press(asked.place, much=asked.much)
        if asked.name == "level":
            return draft.level()
        return draft.accept() if asked.name == "accept" else draft.all_bad()

    # A judgement, down and back.

    def _record(self, verdict: Verdict) -> None:
        presentation = self.presentation
        if presentation is None or self._waiting:
            return
        self._waiting, dataset = True, self.dataset
        if verdict.ranking is not None:
            self.desk.show_choice({presentation.shown.index(c) for c in verdict.ranking.tiers[0]})
        self._bridge.run(
            self._services.labelling.record,
            dataset,
            presentation,
            outcome=verdict.outcome,
            ranking=verdict.ranking,
            strength=verdict.strength,
            skip_reason=verdict.skip_reason,
            note=self.desk.note.note,
            milliseconds=round((time.perf_counter() - self._since) * 1000),
            then=partial(self._committed, dataset, True),
            failed=self._refused,
        )

    def _step(self, verb: Callable[[str], Recorded], *, fresh: bool) -> None:
        if self._waiting:
            self.desk.bottom.say_early()
        elif self.dataset:
            self._waiting = True
            self._bridge.run(
                verb, self.dataset, then=partial(self._committed, self.dataset, fresh), failed=self._refused
            )

    def _committed(self, dataset: str, fresh: bool, recorded: Recorded) -> None:
        self._waiting = False
        if dataset != self.dataset:  # another one was chosen meanwhile; its first item is on the way
            return
        self._show(recorded.next, recorded.progress)
        if fresh:
            self.desk.bottom.show_progress(recorded.progress, recorded.judgement)

    def _refused(self, error: WorkbenchError) -> None:
        """Nothing was stored: the item stays, with a message."""
        self._waiting, self._panel = False, ""
        self.desk.show_draft()
        self._shell.notify(error.what, error.hint, "bad", details=error.details)

    def _skipped(self, reason: SkipReason) -> None:
        self.desk.close_panels()
        self._record(self.desk.draft.skip(reason))

    def _write(self, words: str) -> None:
        if self.presentation is not None:
            self._bridge.run(
                self._services.labelling.write_demonstration, self.dataset, self.presentation, words, then=self._written
            )

    def _written(self, dataset: str) -> None:
        self.desk.write.field.clear()
        self.desk.close_panels()
        self._shell.notify("Your response is saved as a demonstration.", f"It is in the dataset “{dataset}”.", "good")

    # What is on screen.

    def _listed(self, datasets: list[DatasetView]) -> None:
        self._datasets = [view for view in datasets if view.kind == "preferences"]
        names = [view.name for view in self._datasets]
        if not names:
            self._stack.setCurrentWidget(self._empty)
            self.desk.presentation, self.dataset = None, ""
            return
        if self.dataset in names and (self.presentation is not None or self._waiting):
            self.desk.top.show_datasets(self._datasets, self.dataset)
            return
        open_ones = [view.name for view in self._datasets if view.judged < view.rows]
        self._choose(self.dataset if self.dataset in names else (open_ones or names)[0])

    def _choose(self, name: str) -> None:
        self.dataset = name
        self.desk.presentation, self._panel = None, ""
        self._shell.remember("annotate.dataset", name)
        self.desk.top.show_datasets(self._datasets, name)
        self._stack.setCurrentWidget(self._busy)
        self._bridge.run(self._services.labelling.start, name, then=partial(self._started, name), failed=self._broken)
        self.setFocus()

    def _started(self, name: str, answer: tuple[Presentation | None, LabelProgress]) -> None:
        if name == self.dataset:  # else another one was chosen meanwhile, and is on the way
            self._show(*answer)

    def _broken(self, error: WorkbenchError) -> None:
        old = self._error
        self._error = ErrorState(error, self.shown, name="annotate.error", theme=self._shell.theme)
        self._stack.addWidget(self._error)
        self._stack.setCurrentWidget(self._error)
        if old is not None:
            old.deleteLater()

    def _show(self, presentation: Presentation | None, progress: LabelProgress) -> None:
        self._stack.setCurrentWidget(self.desk)
        self.desk.show_item(presentation, progress)
        self._since = time.perf_counter()
        panel, self._panel = self._panel, ""
        if panel and presentation is not None:
            self.desk.open_panel(panel)

    def _dropped(self, place: int, onto: int, level: bool) -> None:
        if not self.ready:
            self.desk.bottom.say_early()
            return
        tiers = self.desk.draft.tiers
        target = next((t for t, tier in enumerate(tiers) if onto in tier), len(tiers))
        self.desk.draft.move(place, target, level=level)
        self.desk.show_draft()
