"""Models: the family tree, a list, and the card of one model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from workbench.domain.errors import WorkbenchError
from workbench.domain.runs import ModelRef
from workbench.gui.bridge import Bridge
from workbench.gui.pages.model_card import ModelCard
from workbench.gui.pages.model_export import ExportPanel
from workbench.gui.pages.model_serve import ServePanel
from workbench.gui.shell import Action, Shell
from workbench.gui.widgets.asking import ask_folder
from workbench.gui.widgets.basics import Card, button, wear_icon
from workbench.gui.widgets.lineage import LineageView, Member
from workbench.gui.widgets.states import BusyState, EmptyState, show_error
from workbench.gui.widgets.two_line_list import Line, TwoLineList
from workbench.gui.widgets.words import short


class ModelsPage(QWidget):
    """Where each model came from, what it is, and what can be done with it."""

    help_text = (
        "Models shows every model of this workspace and where it came from.\n\n"
        "- The **family tree** grows from left to right: base, SFT, reward model, PPO and DPO. A dashed line joins a policy "
        "with the reward model that taught it.\n"
        "- **Add a folder** registers a model where it is: a folder with config.json and safetensors weights, or a PEFT "
        "adapter. Nothing is copied, no code in the folder is run, and pickled weights are refused.\n"
        "- **Open in playground** lets the model answer a prompt.\n"
        "- **Export** writes the model for use elsewhere: merged safetensors, GGUF for llama.cpp or ONNX, with a card of its lineage.\n"
        "- **Serve** puts the model behind OpenAI's interface on this machine, with an address and a key to copy.\n"
        "- **Remove** takes a model off the list; its files stay where they are.\n"
    )

    def __init__(self, services: Any, bridge: Bridge, shell: Shell) -> None:
        super().__init__()
        self.setObjectName("models")
        self._services, self._bridge, self._shell = services, bridge, shell
        self._models: dict[str, ModelRef] = {}
        self._wanted = ""
        self._build()

    # -- what the window calls -----------------------------------------------------------------------------------------

    def shown(self) -> None:
        """Ask which models there are."""
        self.serve.watch(True)
        self._bridge.run(self._services.models.list, then=self._show_models, failed=self._broken)

    def hidden(self) -> None:
        """Keep the layout; the server goes on unwatched."""
        self.serve.watch(False)
        self._shell.remember("models.splitter", self.splitter.saveState())

    def closing(self) -> None:
        """Look no more."""
        self.serve.watch(False)

    def arrive(self, model: str = "", add: bool = False) -> None:
        """Show a model, or ask for a folder to add."""
        if model:
            self._wanted = model
            self._choose(model)
        if add:
            self.choose_folder()

    def actions(self) -> list[Action]:  # type: ignore[override]
        """What can be done here."""
        made = [Action("models.add", "Add a model folder", "Ctrl+O", self.choose_folder)]
        if name := self.list.key():
            if self._models[name].kind != "reward":  # it scores, and writes nothing
                made.append(Action("models.play", f"Open {name} in the playground", "", lambda: self._play(name)))
            made.append(Action("models.train", f"Train from {name}", "", lambda: self._train(name)))
            made.append(Action("models.export", f"Export {name}", "", lambda: self._open_export(name)))
            if self._models[name].kind != "reward":
                made.append(Action("models.serve", f"Serve {name}", "", lambda: self._open_serve(name)))
            made.append(Action("models.remove", f"Remove {name}", "", lambda: self._ask_remove(name)))
        return made

    def choose_folder(self) -> None:
        """Let the user choose a model's folder."""
        title = "Choose a folder with config.json and safetensors weights"
        ask_folder(self, "models.folder_dialog", title, self.add_folder)

    def add_folder(self, folder: Path) -> None:
        """Register a folder where it is."""
        self._bridge.run(
            self._services.models.add_folder,
            folder,
            free_name(fit_name(folder.name), self._models),
            then=self._added,
            lane="long",
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self.stack = QStackedWidget()
        outer.addWidget(self.stack)
        content = QWidget()
        row = QHBoxLayout(content)
        row.setContentsMargins(24, 16, 24, 16)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setObjectName("models.splitter")
        self.splitter.setChildrenCollapsible(False)
        self.card = ModelCard(
            self._shell, play=self._play, train=self._train, remove=self._ask_remove, rename=self._rename,
            export=self._open_export, serve=self._open_serve,
        )  # fmt: skip
        self.export = ExportPanel(
            self._services.exports, self._bridge, self._shell, lambda: self.side.setCurrentWidget(self.card)
        )
        self.side = QStackedWidget()
        self.side.addWidget(self.card)
        self.side.addWidget(self.export)
        self.serve = ServePanel(
            self._services.serving, self._bridge, self._shell, lambda: self.side.setCurrentWidget(self.card)
        )
        self.side.addWidget(self.serve)
        for part in (self._build_list(), self._build_tree(), self.side):
            self.splitter.addWidget(part)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([196, 704, 280])
        if (state := self._shell.recall("models.splitter")) is not None:
            self.splitter.restoreState(state)
        row.addWidget(self.splitter)
        self.empty = EmptyState(
            "No model yet",
            "Training starts from a base model: a folder with config.json and safetensors weights on this machine.",
            ("Add a model folder", self.choose_folder),
            name="models.empty",
            glyph="models",
            theme=self._shell.theme,
        )
        for state_of_page in (BusyState("Reading the models", name="models.busy"), content, self.empty):
            self.stack.addWidget(state_of_page)

    def _build_list(self) -> Card:
        card = Card("Models")
        card.setMinimumWidth(190)
        card.column.setContentsMargins(8, 12, 8, 12)
        card.top.setContentsMargins(8, 0, 0, 0)
        self.list = TwoLineList(self._shell.theme, "models.list", "Models")
        self.list.chosen.connect(self._chosen)
        card.column.addWidget(self.list, 1)
        add = wear_icon(
            button("Add a folder", "models.add", self.choose_folder, tip="Ctrl+O"), "plus", self._shell.theme
        )
        add.setShortcut("Ctrl+O")
        card.column.addWidget(add)
        return card

    def _build_tree(self) -> Card:
        card = Card("Family tree")
        card.setMinimumWidth(260)
        self.tree = LineageView(self._shell.theme, "models.lineage")
        self.tree.chosen.connect(self._choose)
        self.tree.opened.connect(self._play)
        self.tree_area = QScrollArea()
        self.tree_area.setObjectName("models.lineage_scroll")
        self.tree_area.setWidgetResizable(True)
        self.tree_area.setWidget(self.tree)
        card.column.addWidget(self.tree_area, 1)
        return card

    def _show_models(self, models: Sequence[ModelRef]) -> None:
        self._models = {m.name: m for m in models}
        self.stack.setCurrentIndex(1 if models else 2)
        with QSignalBlocker(self.tree):
            self.tree.show_members([Member(m.name, m.kind, short(m.parameters), m.parents) for m in models])
        self.list.show_lines([Line(m.name, m.name, under(m), "synthetic" if m.synthetic else "") for m in models])
        wanted, self._wanted = self._wanted, ""
        if not (wanted and self._choose(wanted)) and models:
            self._choose(self.list.key() or models[-1].name)

    def _broken(self, error: WorkbenchError) -> None:
        show_error(self.stack, error, self.shown, "models.error", self._shell.theme)

    def _choose(self, name: str) -> bool:
        if name and self.list.key() == name:
            self._chosen(name)
            return True
        return self.list.choose(name)

    def _chosen(self, name: str) -> None:
        with QSignalBlocker(self.tree):
            self.tree.choose(name)
        if name in self._models:
            spot = self.tree.box(name).center().toPoint()
            self.tree_area.ensureVisible(spot.x(), spot.y(), 80, 40)
            self.card.show_model(self._models[name])
            self.export.show_model(name)
            self.serve.show_model(name)
            self._bridge.run(self._services.models.card, name, then=lambda facts: self.card.show_facts(name, facts))

    def _added(self, model: ModelRef) -> None:
        self._wanted = model.name
        self._shell.notify(
            f"{model.name} is added", f"{model.form} weights, {short(model.parameters)} parameters", "good"
        )
        self.shown()

    def _open_serve(self, name: str) -> None:
        self.serve.show_model(name)
        self.side.setCurrentWidget(self.serve)

    def _open_export(self, name: str) -> None:
        self.export.show_model(name)
        self.side.setCurrentWidget(self.export)
        self.export.form.setFocus()

    def _play(self, name: str) -> None:
        if self._models[name].kind != "reward":
            self._shell.go("playground", model=name)

    def _train(self, name: str) -> None:
        self._shell.go("train", base=name)

    def _rename(self, name: str, new: str) -> None:
        self._wanted = new
        self._bridge.run(
            self._services.models.rename, name, new, then=lambda _: self.shown(), failed=self._rename_refused
        )

    def _rename_refused(self, error: WorkbenchError) -> None:
        self._wanted = ""
        self._shell.notify(error.what, error.hint, "bad", details=error.details)
        self.shown()

    def _ask_remove(self, name: str) -> None:
        model = self._models[name]
        words = f"It leaves the list of models. Its files stay in {model.path}, and it can be added again."
        self._shell.confirm(f"Remove {name}?", words, lambda: self._remove(name), "Remove")

    def _remove(self, name: str) -> None:
        self._bridge.run(self._services.models.remove, name, then=lambda _: self.shown())


def under(model: ModelRef) -> str:
    """The line below a model's name."""
    form = ", adapter" if model.form == "adapter" else ""
    return f"{model.kind}{form} · {short(model.parameters)}"


def fit_name(folder: str) -> str:
    """A folder's name as a model may be called: letters, digits, dots, hyphens and underscores, at most 80."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-._")[:80] or "model"


def free_name(wanted: str, taken: dict[str, ModelRef]) -> str:
    """The name, with a number behind it when it is taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name
