"""Numbers below the columns that need a further model: chosen once in a panel, taken after every round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QSpinBox, QVBoxLayout, QWidget

from workbench.domain.choices import Aligned
from workbench.domain.runs import ModelRef
from workbench.gui.bridge import Bridge, Ticket
from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.drawer import Drawer
from workbench.gui.pages.playground.round import Asked, Round
from workbench.gui.shell import Shell
from workbench.gui.widgets.basics import text
from workbench.services.column_numbers import ColumnNumbersService, Measures, Said, Taken

NONE = "–"


class Measuring(QObject):
    """Takes the chosen numbers of a round that has ended; a blind one waits until it is revealed."""

    taken = Signal()

    def __init__(
        self,
        service: ColumnNumbersService,
        bridge: Bridge,
        shell: Shell,
        round: Round,
        row: ColumnsRow,
        drawer: Drawer,
        aligned: Callable[..., Any],
    ) -> None:
        super().__init__()
        self._service, self._bridge, self._shell, self._aligned = service, bridge, shell, aligned
        self._round, self._row, self._drawer = round, row, drawer
        self._ticket: Ticket | None = None
        self.models: Sequence[ModelRef] = ()
        self.measures = Measures()

    def recall(self) -> None:
        """Read what was chosen."""
        self._bridge.run(self._service.chosen, then=self._set)

    def open_panel(self) -> None:
        """Choose reward model, reference and samples."""
        if not self._row.masked:
            panel = MeasuresPanel(self.models, self.measures, self._choose)
            self._drawer.open("Numbers below the columns", panel)

    def take(self) -> None:
        """Take the numbers of what is on the page."""
        if self._ticket is not None:
            self._ticket.cancel()
        asked = self._round.asked
        cards = [card for card in self._row.cards if card.news is not None and card.news.completion]
        if asked is None or self._round.running or not self.measures.any or not cards:
            return
        places = [self._row.cards.index(card) for card in cards]
        said = [
            Said(asked.columns[p], c.news.completion, c.news.reason == "end")
            for p, c in zip(places, cards, strict=True)
            if c.news is not None
        ]
        texts = [card.said for card in cards]

        def show(taken: Taken) -> None:
            if self._round.asked is asked and [card.said for card in cards] == texts:
                for card, numbers in zip(cards, taken.numbers, strict=True):
                    card.show_measured(numbers)
                for words in taken.trouble:
                    if not self._row.masked:
                        self._shell.notify("A number couldn't be taken.", words, "warning")
                for place in places:
                    self._take_kl(asked, place)
                self.taken.emit()

        self._ticket = self._bridge.run(
            self._service.take, asked.prompt, said, self.measures, then=show, failed=lambda _: None, lane="long"
        )

    def _take_kl(self, asked: Asked, place: int) -> None:
        """KL to the reference for the heat of a column, where its text is cut into the tokens that were said."""
        card = self._row.cards[place]
        news = card.news
        if news is None or not self.measures.reference:
            return
        pairs = [(asked.prompt, news.completion)]

        def show(found: list[tuple[Aligned, ...]]) -> None:
            ids = [choice.id for choice in card.tokens]
            if self._round.asked is asked and found and [one.id for one in found[0]][: len(ids)] == ids:
                card.view.set_kl([one.kl for one in found[0]][: len(ids)])

        self._bridge.run(
            self._aligned, asked.columns[place].model, self.measures.reference, pairs,
            then=show, failed=lambda _: None, lane="long",
        )  # fmt: skip

    def _choose(self, measures: Measures) -> None:
        self.measures = measures
        self._bridge.run(self._service.choose, measures, then=lambda _: self.take())

    def _set(self, measures: Measures) -> None:
        self.measures = measures


class MeasuresPanel(QWidget):
    """What to take below every column; every choice is told at once."""

    def __init__(self, models: Sequence[ModelRef], measures: Measures, chosen: Callable[[Measures], Any]) -> None:
        super().__init__()
        self._chosen = chosen
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 8, 0)
        box.setSpacing(12)
        box.addWidget(text("Taken for every round once its columns have ended, and kept with it.", "quiet", wrap=True))
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        form.setVerticalSpacing(4)
        rewards = [m.name for m in models if m.kind == "reward"]
        others = [m.name for m in models if m.kind != "reward"]
        self.reward = _chooser("reward", "Reward model", rewards, measures.reward)
        self.reference = _chooser("reference", "Reference", others, measures.reference)
        self.samples = QSpinBox()
        self.samples.setObjectName("playground.measures.samples")
        self.samples.setAccessibleName("Samples of each column for self-BLEU")
        self.samples.setRange(0, 16)
        self.samples.lineEdit().setTextMargins(7, 0, 0, 0)
        self.samples.setSpecialValueText("none")
        self.samples.setValue(measures.samples)
        for words, editor, sentence in (
            ("Reward model", self.reward, "scores each text" if rewards else "there is no reward model in this workspace yet"),
            ("Reference", self.reference, "how likely it finds each text, and how far the column's model has moved away"),
            ("Samples", self.samples, "this many texts of each column tell how alike they are (self-BLEU); they take their time"),
        ):  # fmt: skip
            form.addRow(text(words, "strong"), editor)
            form.addRow(text(sentence, "quiet", wrap=True))
        box.addLayout(form)
        box.addStretch(1)
        for chooser in (self.reward, self.reference):
            chooser.currentIndexChanged.connect(lambda _: self._tell())
        self.samples.editingFinished.connect(self._tell)
        self._told = measures

    def _tell(self) -> None:
        measures = Measures(
            reward=self.reward.currentData(), reference=self.reference.currentData(), samples=self.samples.value()
        )
        if measures != self._told:
            self._told = measures
            self._chosen(measures)


def _chooser(name: str, accessible: str, names: Sequence[str], chosen: str) -> QComboBox:
    box = QComboBox()
    box.setObjectName(f"playground.measures.{name}")
    box.setAccessibleName(accessible)
    box.addItem(NONE, "")
    for one in dict.fromkeys([*([chosen] if chosen else []), *names]):
        box.addItem(one, one)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    return box
