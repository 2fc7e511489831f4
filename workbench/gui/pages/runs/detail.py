"""One run: its head with what can be done, its health in sentences, and its tabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QProgressBar, QTabWidget, QVBoxLayout, QWidget

from workbench.gui.pages.runs.curves import CurvesTab
from workbench.gui.pages.runs.study_tab import StudyTab
from workbench.gui.pages.runs.tabs import FilesTab, LogTab, SamplesTab, SpecTab
from workbench.gui.pages.runs.telling import LOOKS, deeds, numbers, progress, running_time
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Elided, button, clear, restyle, retitle, text, wear_icon
from workbench.gui.widgets.run_row import AT_WORK
from workbench.services.views import RunDetail, RunView

LONGEST_NOTE = 2000
TABS = ("curves", "samples", "log", "spec", "files", "study")
STUDY = TABS.index("study")


@dataclass(frozen=True)
class Asked:
    """What the detail asks of its page; each is about the run on show."""

    pause: Callable[[], Any]
    resume: Callable[[], Any]
    stop: Callable[[], Any]
    sooner: Callable[[], Any]
    later: Callable[[], Any]
    delete: Callable[[], Any]
    again: Callable[[], Any]
    copied: Callable[[], Any]
    tab: Callable[[str], Any]
    note: Callable[[str, str], Any]
    save: Callable[[str, bytes], Any]
    texts: Callable[[], Any]
    rank: Callable[[str, int], Any]


class Health(QFrame):
    """What a person should know of the run: errors first, then notices, each with its hint."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("runs.health")
        self.setAccessibleName("Health")
        self.setProperty("role", "inset")
        self._lines = QVBoxLayout(self)
        self._lines.setContentsMargins(12, 8, 12, 8)
        self._lines.setSpacing(4)
        self._told: tuple[Any, ...] = ()
        self.hide()

    def tell(self, error: tuple[str, str], notices: Sequence[tuple[str, str]]) -> None:
        """Say what happened and what to do; nothing is shown when all is well."""
        told = (error, tuple(notices))
        if told == self._told:
            return
        self._told = told
        clear(self._lines)
        if error[0]:
            self._add("✕", "bad", *error)
        for what, hint in list(notices)[-3:]:
            self._add("!", "warning", what, hint)
        if len(notices) > 3:
            earlier = len(notices) - 3
            self._lines.addWidget(
                text(f"and {earlier} earlier {'one' if earlier == 1 else 'ones'}: see the log", "quiet")
            )
        self.setVisible(bool(error[0] or notices))

    def _add(self, sign: str, role: Any, what: str, hint: str) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        mark = text(sign, role)
        mark.setFixedWidth(16)
        row.addWidget(mark, 0, mark.alignment().AlignTop)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(text(what, "strong", wrap=True, select=True))
        if hint:
            column.addWidget(text(hint, "quiet", wrap=True, select=True))
        row.addLayout(column, 1)
        self._lines.addLayout(row)


class Detail(QWidget):
    """Shows one run, or the curves of several over one another."""

    def __init__(self, theme: Theme, asked: Asked) -> None:
        super().__init__()
        self.run_id = ""
        self._asked = asked
        self._command = ""
        self._noted = ("", "")
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 24, 16)
        column.setSpacing(12)
        column.addLayout(self._head(theme))
        self.bar = QProgressBar()
        self.bar.setObjectName("runs.progress")
        self.bar.setAccessibleName("Progress")
        self.bar.setTextVisible(False)
        column.addWidget(self.bar)
        self.note = QLineEdit()
        self.note.setObjectName("runs.note")
        self.note.setAccessibleName("Note about the run")
        self.note.setPlaceholderText("Write a note: it is kept with the run, and the filter finds it")
        self.note.setMaxLength(LONGEST_NOTE)
        self.note.editingFinished.connect(self.keep_note)
        column.addWidget(self.note)
        self.health = Health()
        column.addWidget(self.health)
        self.tabs = QTabWidget()
        self.tabs.setObjectName("runs.tabs")
        self.tabs.setAccessibleName("Views of the run")
        self.tabs.setDocumentMode(True)
        self.curves = CurvesTab(theme)
        self.samples = SamplesTab(theme)
        self.log = LogTab()
        self.spec = SpecTab(asked.again, self._copy)
        self.files = FilesTab()
        self.study = StudyTab(theme, asked.save, asked.texts, asked.rank)
        for title, tab in zip(TABS, (self.curves, self.samples, self.log, self.spec, self.files, self.study)):
            self.tabs.addTab(tab, title.capitalize())
        self.tabs.setTabVisible(STUDY, False)
        self.tabs.currentChanged.connect(lambda place: asked.tab(TABS[place]))
        column.addWidget(self.tabs, 1)

    @property
    def tab(self) -> str:
        """The tab in front."""
        return TABS[self.tabs.currentIndex()]

    def show_view(self, view: RunView) -> None:
        """What is known at once: name, state, progress, what can be done."""
        self._show_note(view)
        self.run_id = view.id
        self.title.setText(view.name or view.id)
        look = LOOKS[view.state]
        self.state.setText(f"{look.sign} {look.word}")
        restyle(self.state, role={"quiet": "quiet", "accent": "strong"}.get(look.tone, look.tone))
        at_work = view.state in AT_WORK
        parts = [
            view.kind,
            progress(view),
            view.phase if at_work and view.steps else "",
            running_time(view),
            numbers(view),
        ]
        self.facts.setText("  ·  ".join(part for part in parts if part))
        self.bar.setVisible(at_work)
        self.bar.setRange(0, view.steps if view.steps else 0)
        self.bar.setValue(view.step)
        can = deeds(view.state)
        for one, visible in (
            (self.pause, can.pause), (self.resume, bool(can.resume)), (self.stop, can.stop),
            (self.sooner, can.reorder), (self.later, can.reorder), (self.delete, can.delete), (self.note, True),
        ):  # fmt: skip
            one.setVisible(visible)
        retitle(self.resume, can.resume or "Resume")
        self.tabs.setTabVisible(STUDY, view.kind == "study")
        self.study.ready(view.state.ended)
        self._single(True)

    def show_detail(self, detail: RunDetail) -> None:
        """What had to be read: notices, settings, files."""
        self._command = detail.command
        view = detail.view
        self.health.tell((view.error_what, view.error_hint), detail.notices)
        self.spec.show_spec(detail.spec)
        self.files.show_files(view.folder, detail.files)

    def show_place(self, place: int, waiting: int) -> None:
        """Where a queued run stands among those that wait: the first can't come sooner, the last not later."""
        self.sooner.setEnabled(place > 0)
        self.later.setEnabled(place < waiting - 1)

    def leave(self) -> None:
        """No run is on show any more: what is asked is asked of none."""
        self.keep_note()
        self.run_id = ""

    def keep_note(self) -> None:
        """Hand a changed note to the page; what was typed belongs to the run that was on show then."""
        run, before = self._noted
        words = self.note.text().strip()
        if run and words != before:
            self._noted = (run, words)
            self._asked.note(run, words)

    def _show_note(self, view: RunView) -> None:
        if view.id != self._noted[0]:
            self.keep_note()
        elif self.note.hasFocus() or view.note == self._noted[1]:  # never type over a person
            return
        self._noted = (view.id, view.note)
        self.note.setText(view.note)

    def show_several(self, views: Sequence[RunView]) -> None:
        """The head over the curves of several runs."""
        self.leave()
        self.title.setText(f"{len(views)} runs side by side")
        self.state.setText("")
        self.facts.setText("  ·  ".join(view.name for view in views))
        for part in (
            self.bar, self.pause, self.resume, self.stop, self.sooner, self.later, self.delete, self.note,
        ):  # fmt: skip
            part.hide()
        self.health.tell(("", ""), ())
        self.tabs.setCurrentIndex(0)
        self._single(False)

    def _single(self, one: bool) -> None:
        for place in range(1, len(TABS)):
            self.tabs.setTabEnabled(place, one)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._command)
        self._asked.copied()

    def _head(self, theme: Theme) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        words = QVBoxLayout()
        words.setSpacing(2)
        top = QHBoxLayout()
        top.setSpacing(12)
        self.title = Elided("section", hug=True)
        self.title.setObjectName("runs.title")
        self.state = text("", "strong")
        self.state.setObjectName("runs.state")
        top.addWidget(self.title)
        top.addWidget(self.state)
        top.addStretch(1)
        words.addLayout(top)
        self.facts = text("", "quiet", wrap=True)
        self.facts.setObjectName("runs.facts")
        words.addWidget(self.facts)
        row.addLayout(words, 1)
        self.pause = wear_icon(button("Pause", "runs.pause", self._asked.pause), "pause", theme)
        self.resume = wear_icon(button("Resume", "runs.resume", self._asked.resume, "primary"), "train", theme)
        self.stop = wear_icon(button("Stop", "runs.stop", self._asked.stop), "stop", theme)
        self.sooner = wear_icon(button("Sooner", "runs.sooner", self._asked.sooner), "chevron_up", theme)
        self.later = wear_icon(button("Later", "runs.later", self._asked.later), "chevron_down", theme)
        self.sooner.setToolTip("One place up in the queue")
        self.later.setToolTip("One place down in the queue")
        self.delete = wear_icon(
            button("", "runs.delete", self._asked.delete, "flat", accessible="Delete the run"), "trash", theme
        )
        self.delete.setToolTip("Delete the run and its folder")
        for one in (self.sooner, self.later, self.pause, self.resume, self.stop, self.delete):
            row.addWidget(one)
        return row
