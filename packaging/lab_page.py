"""Every state of the Playground page in the real window, over a real decoder: what `lab_pictures.py` draws besides the single views."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QCursor
from PySide6.QtTest import QTest
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.domain.decoding import (
    Beam,
    Contrastive,
    ContrastiveSearch,
    DecodingSettings,
    Greedy,
    Sample,
    Speculative,
)
from workbench.domain.specs.study import StudySpec
from workbench.gui.app import Opener
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.starter import BASE, TO_RANK
from workbench.services.views import Column
from workbench.services.workbench import Workbench, new_workspace

THEMES, SIZES = ("light", "dark"), ((1280, 800), (1024, 640))
PROMPT = "Once upon a time, there was a little girl named Lily. One day, she"
PATIENCE = 240.0  # seconds until something that doesn't come is given up
MOMENT = 120  # milliseconds in which what was asked for is drawn
FAMILY = {"lily-sft": "sft", "lily-dpo": "dpo", "lily-ppo": "ppo"}
Shoot = Callable[[str], None]


def take_page(out: Path, model: Path, theme: Theme, folder: Path) -> int:
    """Draw the page in all of its states, both themes and two sizes; returns how many pictures that were. `folder` is scratch."""
    workspace = folder / "my-workspace"
    _fill(workspace, model, folder)
    window = Window(theme, QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat))
    window.resize(*SIZES[0])
    QCursor.setPos(4000, 3000)  # nothing looks as if the mouse were on it
    window.show()
    Opener(window).open(workspace)
    _until(lambda: window.services is not None)
    window.go("playground")
    page: Any = window.deck.page("playground")
    _until(lambda: bool(page.row.cards))
    taken = 0

    def shoot(name: str) -> None:
        nonlocal taken
        for mode, size in product(THEMES, SIZES):
            window.settings_changed(window.settings.model_copy(update={"theme": mode}))
            window.resize(*size)
            QTest.qWait(MOMENT)
            window.grab().save(str(out / f"page-{name}-{mode}-{size[0]}x{size[1]}.png"))
            taken += 1
        window.resize(*SIZES[0])

    try:
        scenes = Scenes(page, window, shoot)
        for scene in (
            scenes.rounds,
            scenes.panels,
            scenes.views,
            scenes.history,
            scenes.judged,
            scenes.troubles,
            scenes.study,
        ):
            scene()
    finally:
        window.close()
    return taken


class Scenes:
    """Brings the page into one state after another as a person would, by its own verbs, and lets each be drawn."""

    def __init__(self, page: Any, window: Window, shoot: Shoot) -> None:
        self.page, self.window, self.shoot = page, window, shoot

    def rounds(self) -> None:
        """A fresh page, a round under way, one that was stopped, one that has ended, as heat, six columns at once."""
        page = self.page
        page.bar.kind.setCurrentIndex(1)
        page.bar.prompt.setPlainText(PROMPT)
        self._columns(Greedy(max_new_tokens=96), Sample(max_new_tokens=96, temperature=0.9))
        self.shoot("fresh")
        slow = ContrastiveSearch(max_new_tokens=400, top_k=64)
        self._columns(slow, slow.model_copy(update={"alpha": 0.4}))
        page.start()
        _until(lambda: all(len(card.tokens) > 12 for card in page.row.cards))
        self.shoot("busy")
        page.round.stop()
        self._ended()
        self.shoot("stopped")
        settings = (
            Greedy(max_new_tokens=60),
            Sample(max_new_tokens=60, temperature=0.9, top_p=0.95),
            Beam(max_new_tokens=40),
        )
        self._columns(*settings)
        self._play()
        self.shoot("ended")
        page.bar.mode.setCurrentIndex(1)
        self._keys(page.row.cards[1].view, Qt.Key.Key_Home, *[Qt.Key.Key_Right] * 8)
        self.shoot("heat")
        page.bar.mode.setCurrentIndex(0)
        self._columns(*(Sample(max_new_tokens=40, temperature=0.5 + 0.2 * n) for n in range(6)))
        self._play()
        self.shoot("six")

    def panels(self) -> None:
        """What opens at the right, each over the same round."""
        page = self.page
        self._columns(Greedy(max_new_tokens=60), Sample(max_new_tokens=60, temperature=0.9, top_k=20, top_p=0.9))
        page.measuring.measures = page.measuring.measures.model_copy(update={"reference": "lily-sft", "samples": 3})
        self._play()
        _until(lambda: "reference" in page.row.cards[1].foot.numbers)
        page.panels.open_token(1, 9)
        self.shoot("token")
        page.row.cards[1].head.tune.click()
        self.shoot("settings")
        self._service_preset()
        page.panels.open_presets()
        self._idle()
        self.shoot("presets")
        for title, name in (
            ("Numbers below the columns", "numbers"), ("Models in memory", "memory"),
            ("The prompt as the model reads it", "reading"), ("A study of these columns", "study-panel"),
        ):  # fmt: skip
            self._more(title)
            self._idle()
            self.shoot(name)
        page.panels.close()
        page.bar.context.setChecked(True)
        self.shoot("context")
        page.bar.context.setChecked(False)

    def views(self) -> None:
        """The lab over columns: rules at work, stale text, tree, drafts, what was weighed, a family over one text."""
        page = self.page
        self._columns(Greedy(max_new_tokens=60), Sample(max_new_tokens=60, temperature=0.9, top_k=20, top_p=0.9))
        self._play()
        page.lab.open_distribution(1, 9)
        self._idle()
        self.shoot("distribution")
        view = page.lab.pane.content
        view.sliders.sliders["temperature"].setValue(1)
        self._idle()
        self.shoot("distribution-moved")
        view.use.click()
        page.lab.close()
        self.shoot("stale")
        settings = (
            Beam(max_new_tokens=32, num_beams=5), Speculative(draft="lily-sft", max_new_tokens=80, temperature=0.8),
            Contrastive(amateur="lily-sft", max_new_tokens=60), ContrastiveSearch(max_new_tokens=60),
        )  # fmt: skip
        self._columns(*settings)
        self._play()
        for place, name in enumerate(("beams", "drafts", "contrastive", "contrastive-search")):
            page.lab.open(place)
            self._idle()
            self.shoot(name)
            page.lab.close()
        self._columns(Greedy(max_new_tokens=60))
        page.row.cards[0].head.model.setCurrentText(BASE)
        self._more("One family on this prompt")
        _until(lambda: page.lab.pane.content is not None)
        self._idle()
        self.shoot("family")
        page.lab.close()

    def history(self) -> None:
        """Rounds that were played, and an earlier search with its tree."""
        page = self.page
        self._more("History of rounds")
        self._idle()
        page.keeping.panel.search.setFocus()
        QTest.keyClicks(page.keeping.panel.search, "beam")
        QTest.qWait(400)
        self._idle()
        self.shoot("history")
        page.keeping.panel.open_chosen()
        self._idle()
        page.panels.close()
        page.lab.open(next(n for n, card in enumerate(page.row.cards) if card.column.settings.strategy == "beam"))
        self.shoot("reopened-beams")
        page.lab.close()

    def judged(self) -> None:
        """A blind round before its vote and after it."""
        page = self.page
        self._columns(Greedy(max_new_tokens=60), Sample(max_new_tokens=60, temperature=0.9))
        page.bar.blind.setChecked(True)
        self._play()
        self.shoot("blind")
        page.voting.bar.best[0].click()
        self._idle()
        self.shoot("voted")
        page.bar.blind.setChecked(False)

    def troubles(self) -> None:
        """A prompt beyond the context, in one column of two."""
        page = self.page
        self._columns(Greedy(max_new_tokens=30), Contrastive(amateur="lily-sft", max_new_tokens=30))
        page.bar.prompt.setPlainText("word " * 3000)
        self._play()
        self.shoot("failed")
        page.bar.prompt.setPlainText(PROMPT)

    def study(self) -> None:
        """A study's table and plots within the page."""
        services = self.window.services
        if services is None:
            return
        columns = "greedy\nsample temperature=0.5\nsample temperature=1\nsample temperature=1.5\nbeam num_beams=4\n"
        spec = StudySpec(base=BASE, data=TO_RANK, columns=columns, limit=6, samples=3, max_new_tokens=32)
        run = services.training.start(spec)
        services.runs.wait(run.id, PATIENCE)
        self.page.studies.open(run.id)
        _until(lambda: bool(self.page.studies.sheet.view.study.columns))
        self.shoot("study")
        self.page.lab.close()

    def _columns(self, *settings: DecodingSettings) -> None:
        self.page.row.set_columns([Column(BASE, one) for one in settings])

    def _play(self) -> None:
        self.page.start()
        self._ended()

    def _ended(self) -> None:
        _until(lambda: not self.page.round.running)
        self._idle()

    def _idle(self) -> None:
        _until(lambda: self.window.bridge.busy == 0)
        QTest.qWait(MOMENT)

    def _more(self, title: str) -> None:
        next(action for action in self.page.bar.menu.actions() if action.text() == title).trigger()

    def _keys(self, widget: Any, *keys: Qt.Key) -> None:
        widget.setFocus()
        for key in keys:
            QTest.keyClick(widget, key)

    def _service_preset(self) -> None:
        services = self.window.services
        if services is not None:
            services.playground.save_preset("greedy or not", self.page.row.chosen())


def _fill(workspace: Path, model: Path, folder: Path) -> None:
    """A workspace with the starter kit, and relatives of its model: its first layers alone, as SFT, DPO and PPO."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    whole = AutoModelForCausalLM.from_pretrained(model).config.num_hidden_layers
    with Workbench.open(new_workspace(workspace, starter=True)) as bench:
        for number, (name, kind) in enumerate(FAMILY.items()):
            layers = max(1, whole - 2 + number % 2)
            AutoModelForCausalLM.from_pretrained(model, num_hidden_layers=layers).save_pretrained(folder / name)
            tokenizer.save_pretrained(folder / name)
            bench.models.add_folder(folder / name, name, kind=kind, parents=(BASE,))  # type: ignore[arg-type]


def _until(true: Callable[[], bool]) -> None:
    """Let the window live until something holds."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("what a picture needs has not come")
        QTest.qWait(20)
