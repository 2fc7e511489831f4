"""The page where a person ranks responses: one key, one committed label, the next item."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QStackedLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.judgement import Judgement
from workbench.domain.settings import Settings
from workbench.gui.bridge import Bridge
from workbench.gui.pages.annotate.chooser import Place
from workbench.gui.pages.annotate.crew import Crew
from workbench.gui.pages.annotate.desk import Asked, Desk
from workbench.gui.pages.annotate.draft import Verdict
from workbench.gui.pages.annotate.hands import Hands
from workbench.gui.pages.annotate.keys import ACTIONS, Command, command, typing_in
from workbench.gui.pages.annotate.places import Found
from workbench.gui.pages.annotate.reach import Reach
from workbench.gui.pages.annotate.reading_keys import READING, ReadingKeys
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.states import BusyState, EmptyState, ErrorState
from workbench.services.views import LabelProgress, Presentation, Recorded
from workbench.services.workbench import Workbench

HELP = (
    "Read the prompt, then say which response is better. Press 1 or 2 for two responses, or 1 … 9 in order of quality "
    "and Enter for more. Each judgement is on disk before the next item shows, and Ctrl+Z takes back as many as you like. "
    "You don't see which model wrote what until you have judged; R tells it for the last item.\n\n"
    "Where the guidelines (G) ask for dimensions, the same keys rank one after the other; Tab or ] goes on, [ goes back. "
    "A dimension may be left out; the last one, Overall, is what counts for training, and it commits them all.\n\n"
    "Arrows, Page Up and Page Down or Space scroll; Left and Right choose the response that they mean. T scrolls the "
    "responses together or apart, D marks the words in which they differ, P shows the earlier turns of a conversation, C "
    "comments on a part of a response. N writes a note, E a better response, Shift+E repairs one of those shown.\n\n"
    "What you have begun to say of an item is kept, also when the window is closed; in a queue, others may have the item "
    "while you look at another page. H lists what you judged before, Q chooses a dataset or a queue, U who judges, W "
    "says what a label will do, L trains the reward model on your labels, and M asks about what it gets wrong.\n\n"
    "K says the known answer of an item (it judges nothing), Shift+K lists the answers that are known. Queues with a "
    "share of gold items ask them unmarked; Statistics tell how often each annotator gave the known answer. In a queue of "
    "disagreements, V tells what the others said."
)


def _nothing_to_judge(shell: Shell) -> EmptyState:
    return EmptyState(
        "Rank responses, blind and by keyboard",
        "This page shows a prompt with two or more responses and asks which is better. "
        "Import a preference dataset on the Data page, let models answer prompts, or send responses here from the Playground.",
        ("Import data", lambda: shell.go("data")),
        ("Sample answers", lambda: shell.go("train", spec={"kind": "study", "items": "answers"})),
        ("Open the playground", lambda: shell.go("playground")),
        name="annotate.empty",
        glyph="annotate",
        theme=shell.theme,
    )


class AnnotatePage(QWidget):
    """Shows an item blind, turns keys into a judgement, and moves on when it is committed."""

    help_text = HELP

    def __init__(self, services: Workbench, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self._services, self._bridge, self._shell = services, bridge, shell
        self.dataset = str(shell.recall("annotate.dataset", "") or "")
        self.queue = str(shell.recall("annotate.queue", "") or "")
        self._progress: LabelProgress | None = None
        self._waiting = self._stopped = False
        self._since = time.perf_counter()
        self.setObjectName("annotate")
        self.setAccessibleName("Annotate")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._stack = QStackedLayout(self)
        reach = Reach(
            services, bridge, shell, lambda: (self.dataset, self.queue), self._choose, self._look_at, self.setFocus
        )
        self.crew = Crew(reach, self)
        self.hands = Hands(reach, self.crew, lambda: self.ready, self._record)
        asked = Asked(
            self._do, self._choose, self.hands.skip, self.crew.repairing.save, self.hands.drop, self.hands.dimension,
            self.crew.said, lambda: shell.go("train"), self.setFocus, lambda: self._choose((self.dataset, self.queue)),
        )  # fmt: skip
        self.desk = reach.desk = Desk(
            shell.theme, asked, self.crew.people.chip, self.crew.panes, raw=shell.settings.raw_text
        )
        self.crew.settle()
        self._reading = ReadingKeys(self.desk, shell, self.setFocus)
        self._busy = BusyState("Opening the dataset", self._stop_opening, name="annotate.busy", theme=shell.theme)
        self._empty = _nothing_to_judge(shell)
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

    def arrive(self, dataset: str = "", queue: str = "", item: str = "") -> None:
        """Judge this dataset from now on, or one of its queues; one of its items first, perhaps again."""
        if dataset:
            self._choose((dataset, queue))
            self.crew.back.wanted = item

    def shown(self) -> None:
        """Look what there is to judge; the item on screen stays."""
        self._stopped = False
        self._bridge.run(self.crew.places.look, self._services, then=self._listed, failed=self._broken)
        self.crew.shown()
        self.setFocus()

    def hidden(self) -> None:
        """Somebody else may have the item meanwhile; what was begun is kept."""
        self.crew.hidden()

    def closing(self) -> None:
        """The workspace is being left."""
        self.crew.closing()

    def settings_changed(self, settings: Settings) -> None:
        """Another annotator begins at their own place."""
        if settings.annotator != self.crew.people.now:
            self.crew.people.now = settings.annotator
            self.crew.people.refresh()
            if self.dataset:
                self._choose((self.dataset, self.queue))

    def undo(self) -> None:
        """Take the last judgement back and show its item again."""
        if not self.desk.board.undo_comment():
            self._step(self._services.labelling.undo, fresh=False)

    def redo(self) -> None:
        """Let the judgement count again that was undone last."""
        if not self.desk.board.redo_comment():
            self._step(self._services.labelling.redo, fresh=True)

    def actions(self) -> list[Action]:  # type: ignore[override]
        """What the page can do, for the palette and the list of keys."""
        known = (*ACTIONS, *READING)
        return [Action(f"annotate.{i}", title, keys, partial(self._do, c)) for i, title, keys, c in known]

    # Keys.

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys act on the item, unless a person types or walks through a list beside it."""
        if typing_in(QApplication.focusWidget()) or event.isAutoRepeat():
            event.ignore()
            return
        asked = command(event)
        if asked is not None and asked.name == "escape" and self._stack.currentWidget() is self._busy:
            self._stop_opening()
            return
        if asked is None or (self.desk.side.focused and asked.name not in {"escape", "guidelines", "history", "golds"}):
            super().keyPressEvent(event)
            return
        self._do(asked)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab walks through the dimensions first, then on through the window."""
        if self.hasFocus() and self.ready and self.desk.sheet.turn(1 if forward else -1):
            self.desk.show_draft()
            return True
        return super().focusNextPrevChild(forward)

    def _do(self, asked: Command) -> None:
        if self._reading.do(asked):
            return
        if asked.name in {"undo", "redo"}:
            (self.undo if asked.name == "undo" else self.redo)()
        elif not self.crew.do(asked.name):
            self.hands.do(asked)

    # A judgement, down and back.

    def _record(self, verdict: Verdict) -> None:
        presentation = self.presentation
        if presentation is None or self._waiting:
            return
        self._waiting, dataset = True, self.dataset
        self.crew.drafts.judged()
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
            aspects=self.desk.sheet.aspects if verdict.outcome != "skipped" else (),
            spans=self.desk.board.spans,
            then=partial(self._committed, dataset, True),
            failed=self._refused,
        )

    def _step(self, verb: Callable[[str, str], Recorded], *, fresh: bool) -> None:
        if self._waiting:
            self.desk.bottom.say_early()
        elif self.dataset:
            self._waiting, dataset = True, self.dataset
            self.crew.drafts.flush()
            then = partial(self._committed, dataset, fresh)
            self._bridge.run(verb, dataset, self.queue, then=then, failed=self._refused)

    def _committed(self, dataset: str, fresh: bool, recorded: Recorded) -> None:
        self._waiting = False
        if dataset != self.dataset:  # another one was chosen meanwhile; its first item is on the way
            return
        if recorded.notice:
            self._shell.notify(recorded.notice)
        if fresh and recorded.next is not None and recorded.next.queue != self.queue:
            self.crew.leases.release(recorded.next)  # an item of another queue was judged again: back to this one
            self._choose((self.dataset, self.queue))
            return
        self._show(recorded.next, recorded.progress, recorded.judgement if fresh else None)

    def _refused(self, error: WorkbenchError) -> None:
        """Nothing was stored: the item stays, with a message."""
        self._waiting, self.hands.wanted = False, None
        self.desk.show_draft()
        self.crew.said()
        self._shell.notify(error.what, error.hint, "bad", details=error.details)

    def _listed(self, found: Found) -> None:
        self.crew.places.take(found)
        if self._stopped:
            return
        datasets, queues = found
        names = [view.name for view in datasets]
        if not names:
            self._stack.setCurrentWidget(self._empty)
            self.desk.presentation, self.dataset, self.queue = None, "", ""
            return
        if self.queue not in {view.name for view in queues if view.dataset == self.dataset}:
            self.queue = ""
        if self.dataset not in names:
            left = next((view.name for view in datasets if view.judged < view.rows), names[0])
            self._choose((left, ""))
        elif self.presentation is None and not self._waiting:
            self._choose((self.dataset, self.queue))

    def _choose(self, place: Place) -> None:
        self.crew.drafts.flush()
        self.crew.leases.release(self.presentation)
        self.dataset, self.queue = place
        self._stopped = False
        self.desk.presentation, self.hands.wanted = None, None
        self._shell.remember("annotate.dataset", self.dataset)
        self._shell.remember("annotate.queue", self.queue)
        self.crew.places.show()
        self._stack.setCurrentWidget(self._busy)
        then = partial(self._started, place)
        self._bridge.run(self._services.labelling.start, *place, then=then, failed=self._broken)
        self.setFocus()

    def _started(self, place: Place, answer: tuple[Presentation | None, LabelProgress]) -> None:
        if place == (self.dataset, self.queue) and not self._stopped:
            self._show(*answer)
            self.crew.back.bring()
        else:  # nobody waits for it any more: others may have it
            self.crew.leases.release(answer[0])

    def _stop_opening(self) -> None:
        """Wait no longer; another dataset can be chosen, or this one opened after all."""
        self._stopped = True
        self._stack.setCurrentWidget(self.desk)
        self.desk.show_stopped()
        self.setFocus()

    def _broken(self, error: WorkbenchError) -> None:
        if self._stopped:
            return
        old = self._error
        self._error = ErrorState(error, self.shown, name="annotate.error", theme=self._shell.theme)
        self._stack.addWidget(self._error)
        self._stack.setCurrentWidget(self._error)
        if old is not None:
            old.deleteLater()

    def _look_at(self, presentation: Presentation) -> None:
        """Another item on the desk: one that was judged before, or the same by new guidelines."""
        if self._waiting or self._progress is None:
            self.desk.bottom.say_early()
            return
        self.crew.drafts.flush()
        self._show(presentation, self._progress)

    def _show(self, presentation: Presentation | None, progress: LabelProgress, fresh: Judgement | None = None) -> None:
        self._progress = progress
        self._stack.setCurrentWidget(self.desk)
        self.desk.show_item(presentation, progress, fresh)
        self.crew.item_shown(presentation, progress)
        self._since = time.perf_counter()
        self.hands.item_shown()
