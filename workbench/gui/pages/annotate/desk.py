"""The desk: everything an annotator sees of one item. It shows what it is given and knows no service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QSplitter, QVBoxLayout, QWidget

from workbench.domain.judgement import Judgement, SkipReason, Span
from workbench.gui.pages.annotate.bars import BottomBar, TopBar
from workbench.gui.pages.annotate.board import CandidateBoard
from workbench.gui.pages.annotate.chooser import Place
from workbench.gui.pages.annotate.dimensions import DimensionTabs
from workbench.gui.pages.annotate.draft import LETTERS, Draft, Sheet
from workbench.gui.pages.annotate.effects import EffectsStrip
from workbench.gui.pages.annotate.ends import Ends
from workbench.gui.pages.annotate.gold_panel import GoldPanel
from workbench.gui.pages.annotate.keys import Command
from workbench.gui.pages.annotate.panels import NotePanel, RepairPanel, SkipPanel, WritePanel
from workbench.gui.pages.annotate.prompt import PromptPane
from workbench.gui.pages.annotate.side import WIDTH, SidePane
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import wear_icon
from workbench.services.views import LabelProgress, Presentation

DEEDS = (
    "level", "accept", "all_bad", "skip", "note", "write", "differences", "reveal", "effects", "history", "undo", "redo",
    "guidelines", "new_queue", "mistakes", "retrain", "statistics",
)  # fmt: skip

CHOICE_MS = 50


@dataclass(frozen=True)
class Asked:
    """What the desk asks of its page."""

    command: Callable[[Command], Any]
    choose: Callable[[Place], Any]
    skip: Callable[[SkipReason], Any]
    write: Callable[[str], Any]
    dropped: Callable[[int, int, bool], Any]
    dimension: Callable[[int], Any]
    changed: Callable[[], Any]
    train: Callable[[], Any]
    focus: Callable[[], Any]
    reopen: Callable[[], Any]


class _Split(QSplitter):
    """Tells when its height changes: a panel was opened, or the window."""

    def __init__(self, resized: Callable[[], Any]) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self._resized = resized

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the height anew."""
        super().resizeEvent(event)
        self._resized()


class Desk(QWidget):
    """Prompt, candidates, panels and bars."""

    def __init__(self, theme: Theme, asked: Asked, chip: QWidget, panes: dict[str, QWidget], *, raw: bool) -> None:
        super().__init__()
        self.presentation: Presentation | None = None
        self.sheet = Sheet((0, 1))
        self.differences = False
        self._best: set[int] = set()
        self._slow = QTimer(self, singleShot=True, interval=CHOICE_MS)
        self._slow.timeout.connect(self._light_up)
        self._moved = False
        self._asked = asked
        deeds: dict[str, Callable[[], Any]] = {name: partial(asked.command, Command(name)) for name in DEEDS}
        self.top = TopBar(asked.choose, lambda _: self.show_texts(), deeds | {"focus": asked.focus}, chip)
        wear_icon(self.top.statistics, "statistics", theme)
        self.top.raw.setChecked(raw)
        self.prompt = PromptPane(theme, "annotate.prompt")
        self.prompt.setAccessibleName("Prompt")
        together = self.prompt.heading.add(
            "T", "scroll together", "together", partial(asked.command, Command("together"))
        )
        together.setCheckable(True)
        self.prompt.heading.add("C", "comment", "comment", partial(asked.command, Command("comment")))
        repair = partial(Command, "repair")
        self.board = CandidateBoard(
            theme,
            lambda place: asked.command(Command("place", place)),
            lambda place: asked.command(repair(place + 1)),
            asked.dropped,
        )
        self.board.spans_changed.connect(self.said)
        self.skip = SkipPanel(asked.skip)
        self.tabs = DimensionTabs(asked.dimension)
        self.note = NotePanel(self.close_panels, asked.changed)
        self.write = WritePanel(asked.write, self.close_panels, asked.changed)
        self.repair = RepairPanel(lambda place: asked.command(repair(place + 1)))
        self.gold = GoldPanel(asked.command)
        self.effects = EffectsStrip(deeds["mistakes"], deeds["retrain"])
        self.side = SidePane(panes)
        self.bottom = BottomBar(deeds)
        self.ends = Ends(theme, asked.train, asked.reopen)
        self._lay_out()

    def show_item(
        self, presentation: Presentation | None, progress: LabelProgress, fresh: Judgement | None = None
    ) -> None:
        """Show the next item, or that there is none; a fresh judgement stands out for a moment."""
        self.presentation = presentation
        self._slow.stop()
        self.board.forget_seen()
        self.top.show_progress(progress)
        self.bottom.show_progress(progress, fresh)
        previous = presentation.previous if presentation is not None else None
        self.note.start(previous.note if previous is not None else "")
        self.write.start()
        self.close_panels()
        there = presentation is not None
        self.split.setVisible(there)
        self.ends.show_end("" if there else "done")
        self.bottom.show_deeds(there)
        if presentation is None:
            return
        guidelines = presentation.guidelines
        self.sheet = Sheet(presentation.shown, guidelines.dimensions if guidelines is not None else ())
        self.sheet.remember(presentation.previous)
        self.show_texts()
        self.board.set_spans(previous.spans if previous is not None else ())
        self.show_draft()
        self.board.show_earlier(presentation)
        self._fit_prompt()

    def show_stopped(self) -> None:
        """Show that nothing is open, and the chooser above."""
        self.show_item(None, LabelProgress(0, 0, 0.0, can_undo=False, can_redo=False))
        self.ends.show_end("stopped")

    @property
    def draft(self) -> Draft:
        """The ranking that keys act on now: of one dimension, or over all."""
        return self.sheet.draft

    def show_texts(self) -> None:
        """Show the texts in the chosen manner: Markdown, raw, or raw with differences marked."""
        self.bottom.buttons["differences"].setChecked(self.differences)
        if self.presentation is None:
            return
        raw = self.top.raw.isChecked()
        candidates = self.presentation.item.candidates
        self.prompt.show_prompt(self.presentation.item.prompt, raw=raw)
        texts = [candidates[index].text for index in self.presentation.shown]
        self.board.show_texts(texts, raw=raw, differences=self.differences, shown=self.presentation.shown)

    def show_draft(self) -> None:
        """Show the ranks given so far."""
        self._slow.stop()
        count = len(self.draft.shown)
        shown = self.draft if self.gold.isHidden() else self.gold.draft
        best = shown.tiers[0] if shown.tiers else []  # of two, where a dimension was ranked before
        for card in self.board.cards:
            if count > 2:
                card.show_rank(shown.rank_of(card.place), count)
            else:
                card.highlight(card.place in best)
        self.tabs.show_sheet(self.sheet)
        self.bottom.show_keys(count, self.draft.levelling, len(self.draft.open), last=self.sheet.last)

    def show_choice(self, best: set[int]) -> None:
        """Show which places were chosen where committing the judgement takes longer than a person notices."""
        self._best = best
        self._slow.start()

    def _light_up(self) -> None:
        for card in self.board.cards:
            card.highlight(card.place in self._best)

    def said(self) -> None:
        """Something was said of the item: what is kept of it is out of date."""
        self._asked.changed()

    def body(self) -> dict[str, Any]:
        """What was said of the item so far, in candidate indices, as a draft is kept; empty when nothing was."""
        found = self.sheet.body()
        if self.note.note:
            found["note"] = self.note.note
        if self.board.spans:
            found["spans"] = [span.model_dump() for span in self.board.spans]
        if written := self.write.written.strip():
            found["write"] = written
            if self.write.repairs is not None:
                found["repairs"] = self.write.repairs
        return found

    def restore(self, body: dict[str, Any]) -> None:
        """Bring back what was said before the window was left, and say so quietly."""
        self.sheet.restore(body)
        self.note.start(str(body.get("note", "")) or self.note.note)
        if "spans" in body:
            self.board.set_spans(Span.model_validate(span) for span in body["spans"])
        words, repairs = str(body.get("write", "")), body.get("repairs")
        if words and self.presentation is not None:
            shown, candidates = self.presentation.shown, self.presentation.item.candidates
            if isinstance(repairs, int) and repairs in shown:
                self.write.start(repairs, candidates[repairs].text, LETTERS[shown.index(repairs)], words)
            else:
                self.write.start(words=words)
        self.close_panels()
        self.show_draft()
        self.bottom.say_restored()

    def open_panel(self, name: str) -> None:
        """Open the panel for "skip", "repair", "gold", "note" or "write" and let the person type."""
        self.close_panels()
        if name == "skip":
            self.skip.show()
        elif name == "repair":
            self.repair.offer(len(self.sheet.shown))
        elif name == "gold":
            self.gold.offer(self.sheet.shown)
            self.show_draft()
        elif name == "note":
            self.note.show()
            self.note.field.setFocus()
        else:
            self.write.show()
            self.write.field.setFocus()

    def ask_gold(self) -> None:
        """Ask for the known answer of the item on screen."""
        self._asked.command(Command("gold"))

    def close_panels(self) -> None:
        """Close all panels; the keyboard goes back to the item."""
        was_open = [one for one in (self.skip, self.note, self.write, self.repair, self.gold) if not one.isHidden()]
        for panel in was_open:
            panel.hide()
        if self.gold in was_open:
            self.show_draft()
        if was_open:
            self._asked.focus()
        self.bottom.buttons["note"].say("note ✓" if self.note.note else "note", strong=bool(self.note.note))

    def _fit_prompt(self) -> None:
        """As high as the prompt needs, at most a third; where a person has moved the border, it stays."""
        if self._moved or self.presentation is None:
            return
        whole = max(self.split.height(), 200)
        needed = int(self.prompt.document().size().height()) + 46
        prompt = max(68, min(needed, whole // 3))
        self.split.setSizes([prompt, whole - prompt])

    def _move(self, *_: int) -> None:
        self._moved = True

    def _lay_out(self) -> None:
        frame = QFrame()
        frame.setProperty("role", "inset")
        inner = QVBoxLayout(frame)
        inner.setContentsMargins(16, 8, 12, 8)
        inner.setSpacing(4)
        inner.addWidget(self.prompt.heading)
        inner.addWidget(self.prompt)
        self.split = _Split(self._fit_prompt)
        self.split.setObjectName("annotate.split")
        self.split.setChildrenCollapsible(False)
        self.split.addWidget(frame)
        self.split.addWidget(self._ranked())
        self.split.setStretchFactor(1, 1)
        self.split.splitterMoved.connect(self._move)
        left = QWidget()
        work = QVBoxLayout(left)
        work.setContentsMargins(0, 0, 0, 0)
        work.setSpacing(12)
        work.addWidget(self.split, 1)
        work.addWidget(self.ends, 1)
        for panel in (self.skip, self.repair, self.gold, self.note, self.write, self.effects):
            work.addWidget(panel)
        self.beside = QSplitter(Qt.Orientation.Horizontal)
        self.beside.setObjectName("annotate.beside")
        self.beside.setChildrenCollapsible(False)
        self.beside.addWidget(left)
        self.beside.addWidget(self.side)
        self.beside.setStretchFactor(0, 1)
        self.beside.setSizes([10 * WIDTH, WIDTH])
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 12, 24, 12)
        column.setSpacing(12)
        column.addWidget(self.top)
        column.addWidget(self.beside, 1)
        column.addWidget(self.bottom)

    def _ranked(self) -> QWidget:
        """The cards under the row that says what they are ranked by."""
        ranked = QWidget()
        column = QVBoxLayout(ranked)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.tabs)
        column.addWidget(self.board, 1)
        return ranked
