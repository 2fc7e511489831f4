"""The page where a run is put together: kind → model → data → settings → fit check → start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QSplitter, QVBoxLayout, QWidget

from workbench.domain.errors import BadInput, WorkbenchError
from workbench.domain.runs import ModelRef
from workbench.domain.specs.kinds import SPECS, Spec, parse_spec
from workbench.domain.specs.online import OnlineSpec
from workbench.gui.bridge import Bridge, Ticket
from workbench.gui.pages.train.choices import KINDS, missing, takes_rewards, wrong_name
from workbench.gui.pages.train.chooser import Chooser
from workbench.gui.pages.train.side import Side
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.basics import button, restyle, retitle, text, wear_icon
from workbench.gui.widgets.spec_form import SpecForm
from workbench.gui.widgets.words import count
from workbench.services.formula import formula
from workbench.services.views import DatasetView, Fit, RunView
from workbench.services.workbench import Workbench

CHOSEN_ABOVE = ("kind", "name", "base", "data", "reward_model")
CHECK_AFTER = 350  # milliseconds after the last change


class TrainPage(QWidget):
    """Puts a spec together, says whether it fits, and starts it."""

    help_text = (
        "Choose what to train, from which model and on which data. Every setting says what it does; changed ones are bold and "
        "can be put back. At the right you see whether the run fits, what exactly is computed, and the same run as a command. "
        "A run goes on when this window is closed."
    )

    def __init__(self, services: Workbench, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self._services, self._bridge, self._shell = services, bridge, shell
        self._wanted: dict[str, Any] = {}
        self._given: set[str] = set()
        self._fit: Fit | None = None
        self._checking: Ticket | None = None
        self._starting = False
        self._start_word = "Start"
        self.form: SpecForm | None = None
        self._forms: dict[str, SpecForm] = {}
        self.setObjectName("train")
        self.setAccessibleName("Train")
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(CHECK_AFTER)
        self._soon.timeout.connect(self._check)
        self._build()
        self._take_kind(self.chooser.kind)

    def arrive(self, kind: str = "", spec: Mapping[str, Any] | None = None, **chosen: str) -> None:
        """Start from a kind, from names (base, data, reward_model), or from another run's whole spec."""
        values = dict(spec or {})
        kind = kind or str(values.get("kind", ""))
        wanted = {k: v for k, v in {**values, **chosen}.items() if k in CHOSEN_ABOVE and v}
        self._want(wanted)
        if kind:
            self.chooser.choose_kind(kind)
            self._want(wanted)  # the kind's own proposals don't outdo what was asked for
            if values:
                self._take_values(kind, values)
        self._choose_wanted()

    def shown(self) -> None:
        """Look which models and datasets there are."""
        self._bridge.run(self._things, then=lambda things: self._listed(*things))

    def actions(self) -> list[Action]:  # type: ignore[override]
        """What this page can do, for the palette and the list of keys."""
        kinds = [
            Action(f"train.{k.id}", f"Train: {k.title}", "", partial(self.chooser.choose_kind, k.id)) for k in KINDS
        ]
        return [Action("train.start", "Start the run", "Ctrl+Return", self._start), *kinds]

    def spec(self) -> Spec:
        """What stands on the page; BadInput names what is wrong."""
        assert self.form is not None
        name = self.chooser.name.text().strip()
        if wrong := wrong_name(name):
            raise BadInput(*wrong)
        values = self.form.values() | {
            "kind": self.chooser.kind,
            "name": name,
            "base": "" if self._by_rule else self.chooser.base.chosen,
            "data": self.chooser.data.chosen,
        }
        if takes_rewards(self.chooser.kind):
            values["reward_model"] = self.chooser.reward.chosen
        return parse_spec(values)

    def _things(self) -> tuple[list[ModelRef], list[DatasetView], list[RunView]]:
        return self._services.models.list(), self._services.datasets.list(), self._services.runs.list()

    def _listed(self, models: list[ModelRef], datasets: list[DatasetView], runs: list[RunView]) -> None:
        self.chooser.show_things(models, datasets)
        self._choose_wanted()
        if not self._wanted:
            self._propose()
        before = sum(1 for run in runs if not run.state.ended)
        self._start_word = "Queue" if before else "Start"
        retitle(self.start, self._start_word)
        self.ahead.setText(f"{count(before, 'run')} ahead" if before else "")
        self._edited()

    def _want(self, names: dict[str, Any]) -> None:
        self._wanted, self._given = names, set()

    def _choose_wanted(self) -> None:
        pickers = {"base": self.chooser.base, "data": self.chooser.data, "reward_model": self.chooser.reward}
        for name, picker in pickers.items():
            if name not in self._given and picker.choose(str(self._wanted.get(name, ""))):
                self._given.add(name)  # once: what a person chooses after that stays, however often the page is shown

    def _propose(self) -> None:
        """Choose the model and data that the services think of first for this kind."""
        kind = self.chooser.kind
        self._bridge.run(self._services.training.draft, kind, then=partial(self._proposed, kind), failed=lambda _: None)

    def _proposed(self, kind: str, draft: Spec) -> None:
        if kind == self.chooser.kind and not self._wanted:
            self._want({k: v for k, v in draft.model_dump().items() if k in CHOSEN_ABOVE and v})
            self._choose_wanted()

    def _take_kind(self, kind: str) -> None:
        if kind not in self._forms:
            made = self._forms[kind] = SpecForm(SPECS[kind], self._shell.theme, "train.form", hidden=CHOSEN_ABOVE)
            made.changed.connect(self._edited)
            self._settings.addWidget(made)
        self.form = self._forms[kind]
        for other in self._forms.values():
            other.setVisible(other is self.form)
        self._want({})
        self._propose()
        self._edited()

    def _take_values(self, kind: str, values: Mapping[str, Any]) -> None:
        self._forms[kind].set_values({k: v for k, v in values.items() if k not in CHOSEN_ABOVE})
        self._edited()

    @property
    def _by_rule(self) -> bool:
        return self.form is not None and self.chooser.kind == "judge" and self.form.values()["judge"] == "rule"

    def _edited(self) -> None:
        self.chooser.show_base(not self._by_rule)
        self._fit = None
        self.start.setEnabled(False)
        if self._checking is not None:
            self._checking.cancel()  # its answer is about what stood here before
        self._soon.start()

    def _check(self) -> None:
        if self.form is None:
            return
        try:
            spec = self.spec()
        except BadInput as error:
            self.form.result()  # marks the fields
            self._mark_name()
            self.side.fit.say(f"{error.what} {error.hint}")
            return
        self._mark_name()
        self.form.explain({})
        card = formula(spec)
        self.side.formula.show_formula(card.lines, card.terms, card.note)
        chooser = self.chooser
        scored = isinstance(spec, OnlineSpec) and spec.scored
        wanting = missing(chooser.kind, chooser.base.chosen, chooser.data.chosen, scored, by_rule=self._by_rule)
        if wanting:
            self.side.fit.say(wanting)
            self.side.command.show_command("")
            return
        self.side.fit.say("Checking …")
        if self._checking is not None:
            self._checking.cancel()
        self._checking = self._bridge.run(
            lambda: (self._services.training.command(spec), self._services.training.fit(spec)),
            then=self._checked,
            failed=self._unfit,
            lane="long",
        )

    def _mark_name(self) -> None:
        restyle(self.chooser.name, wrong=bool(wrong_name(self.chooser.name.text().strip())))

    def _checked(self, answer: tuple[str, Fit]) -> None:
        command, self._fit = answer
        self.side.command.show_command(command)
        self.side.fit.show_fit(self._fit)
        self.start.setEnabled(not self._fit.trouble and not self._starting)

    def _unfit(self, error: WorkbenchError) -> None:
        self.side.fit.say(f"{error.what} {error.hint}")

    def _start(self) -> None:
        if not self.start.isEnabled():
            return
        try:
            spec = self.spec()
        except BadInput as error:
            self._shell.notify(error.what, error.hint, "bad")
            return
        self._starting = True
        self.start.setEnabled(False)
        retitle(self.start, "Freezing the data …")
        self._bridge.run(self._services.training.start, spec, then=self._started, failed=self._not_started, lane="long")

    def _started(self, run: RunView) -> None:
        self._starting = False
        self.chooser.name.clear()
        retitle(self.start, self._start_word)
        self._shell.notify(f"{run.name} is on its way.", "It goes on when this window is closed.", "good")
        self._shell.go("runs", run=run.id)

    def _not_started(self, error: WorkbenchError) -> None:
        self._starting = False
        retitle(self.start, self._start_word)
        self.start.setEnabled(True)
        self._shell.notify(error.what, error.hint, "bad", details=error.details)

    def _build(self) -> None:
        theme = self._shell.theme
        self.chooser = Chooser(self._take_kind, self._edited)
        self.side = Side(theme, lambda: self._shell.notify("The command is in the clipboard.", kind="good"))
        left = QWidget()
        self._settings = QVBoxLayout(left)
        self._settings.setContentsMargins(24, 16, 20, 16)
        self._settings.setSpacing(16)
        self._settings.addWidget(self.chooser)
        self._settings.addWidget(text("Settings", "heading"))
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setObjectName("train.split")
        split.setChildrenCollapsible(False)
        for part in (left, self.side):
            area = QScrollArea()
            area.setWidgetResizable(True)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setFrameShape(QFrame.Shape.NoFrame)
            area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            area.setWidget(part)
            area.setMinimumWidth(320)
            split.addWidget(area)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setSizes([620, 460])
        self.start = wear_icon(button("Start", "train.start", self._start, "primary"), "train", theme)
        self.start.setToolTip("Ctrl+Enter")
        for key in ("Ctrl+Return", "Ctrl+Enter"):
            QShortcut(QKeySequence(key), self).activated.connect(self._start)
        self.ahead = text("", "quiet")
        bottom = QHBoxLayout()
        bottom.setContentsMargins(24, 8, 24, 12)
        bottom.setSpacing(12)
        bottom.addWidget(text("The data are frozen when you start; the run can be repeated from its folder.", "quiet"))
        bottom.addStretch(1)
        bottom.addWidget(self.ahead)
        bottom.addWidget(self.start)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(split, 1)
        column.addLayout(bottom)
