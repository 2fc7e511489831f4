"""Opens the views of the lab over a column and feeds them: beam tree, rounds of drafts, what was weighed, models over one text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from workbench.domain.choices import BeamLevel, DraftRound
from workbench.domain.decoding import Beam, Contrastive, ContrastiveSearch, DecodingSettings, Speculative
from workbench.domain.errors import WorkbenchError
from workbench.gui.bridge import Bridge, Ticket
from workbench.gui.pages.playground.aligned import AlignedView, ModelOnText
from workbench.gui.pages.playground.beam_view import BeamView
from workbench.gui.pages.playground.chain_sliders import sample_of, with_chain
from workbench.gui.pages.playground.column_card import LETTERS
from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.contrast import ContrastView
from workbench.gui.pages.playground.distribution import DistributionView
from workbench.gui.pages.playground.lab_pane import LabPane
from workbench.gui.pages.playground.round import Round
from workbench.gui.pages.playground.rounds import RoundsView
from workbench.gui.shell import Shell
from workbench.gui.theme import Theme
from workbench.services.playground import PlaygroundService
from workbench.services.views import ColumnNews

NAMES = {"beam": "Beam tree", "speculative": "Rounds of drafts", "contrastive": "What was weighed",
         "contrastive_search": "What was weighed"}  # fmt: skip
NOT_KEPT = "This round was kept without what was considered in it: it is too old, or that was too large. Start again to see it."


def _nothing() -> None:
    """Leaving most views changes nothing in the columns."""


class Lab(QObject):
    """One view at a time, over the column at `place`; news of that column go on into it."""

    shown = Signal(bool)

    def __init__(
        self, service: PlaygroundService, bridge: Bridge, shell: Shell, round: Round, row: ColumnsRow, pane: LabPane
    ) -> None:
        super().__init__()
        self._service, self._bridge, self._shell = service, bridge, shell
        self._round, self._row, self.pane = round, row, pane
        self.place: int | None = None
        self._feed: Callable[[ColumnNews], Any] | None = None
        self._ticket: Ticket | None = None
        self._leave: Callable[[], Any] = _nothing
        row.looked.connect(self.open)
        row.told.connect(self._take)

    @property
    def _theme(self) -> Theme:
        return self._shell.theme

    def open(self, place: int) -> None:
        """The view that belongs to a column's strategy."""
        asked = self._round.asked
        if asked is None or self._row.masked or place >= len(asked.columns):
            self._shell.notify("There is nothing to look into yet.", "Let the columns speak first.")
            return
        settings = asked.columns[place].settings
        if isinstance(settings, Beam):
            self._open_beams(place, settings)
        elif isinstance(settings, Speculative):
            self._open_rounds(place, settings)
        elif isinstance(settings, Contrastive | ContrastiveSearch):
            self._open_contrast(place)

    def open_distribution(self, place: int, position: int) -> None:
        """The distribution at a token, with its rules to be moved."""
        card = self._row.cards[place]
        if self._round.asked is None or self._row.masked or position >= len(card.tokens):
            return
        view = DistributionView(self._theme)
        settings = self._round.asked.columns[place].settings

        def ask(wanted: DecodingSettings) -> None:
            self._bridge.run(
                self._service.distribute, place, view.position, wanted,
                then=view.take, failed=lambda error: view.fail(f"{error.what} {error.hint}".strip()),
            )  # fmt: skip

        view.asked.connect(ask)
        view.stale.connect(card.set_stale)
        view.moved.connect(lambda at: self.pane.name(_titled(place, f"Distribution at token {at + 1}")))
        view.branch.connect(lambda at, token: self._branch(place, at, token))
        view.used.connect(lambda chain: self._use(place, with_chain(settings, chain)))
        self._leave = lambda: card.set_stale(None)
        self.put(place, f"Distribution at token {position + 1}", view)
        view.begin(sample_of(settings), card.tokens[position].id, card.tokens, position)

    def open_aligned(self, place: int, reference: str = "") -> None:
        """All models of the round over one column's text, beside a reference: the first column's model where none is named."""
        asked, news = self._round.asked, self._row.cards[place].news
        if asked is None or self._row.masked or news is None or not news.completion:
            self._shell.notify("There is no text to compare models over.", "Let the columns speak first.")
            return
        models = list(dict.fromkeys(column.model for column in asked.columns))
        reference = reference or models[0]
        rewards = {
            c.model: card.foot.numbers.get("reward") for c, card in zip(asked.columns, self._row.cards, strict=True)
        }
        view = AlignedView(self._theme)

        def compare() -> list[ModelOnText]:
            pairs = [(asked.prompt, news.completion)]
            told = [(model, self._service.align(model, reference, pairs)[0]) for model in models]
            return [ModelOnText(model, tokens, rewards.get(model)) for model, tokens in told]

        def failed(error: WorkbenchError) -> None:
            view.told.setText(f"{error.what} {error.hint}".strip())

        self.put(place, f"{len(models)} models over this text", view)
        view.told.setText("Reading the text with every model …")
        self._bridge.run(compare, then=lambda found: view.show_models(found, reference), failed=failed, lane="long")

    def close(self) -> None:
        """Back to the columns."""
        self._leave()
        self._leave = _nothing
        self.place, self._feed = None, None
        if self._ticket is not None:
            self._ticket.cancel()
        self.pane.forget()
        self.shown.emit(False)

    def begin(self) -> None:
        """A round begins anew: views of what comes begin anew with it, others speak of what is gone."""
        if self.pane.content is not None:
            place, again = self.place, isinstance(self.pane.content, BeamView | RoundsView | ContrastView)
            self.close()
            if place is not None and again:
                self.open(place)

    def put(
        self, place: int | None, title: str, view: QWidget, feed: Callable[[ColumnNews], Any] | None = None
    ) -> None:
        """Show a view; `feed` gets the column's news from now on."""
        if self.pane.content is not None:
            self.pane.forget()
        self.place, self._feed = place, feed
        self.pane.put(_titled(place, title), view, alone=place is None)
        self.shown.emit(True)

    def _open_beams(self, place: int, settings: Beam) -> None:
        view = BeamView(self._theme)
        view.begin(settings, *self._excuse(place))
        view.used.connect(partial(self._use, place))

        def feed(asides: Sequence[object]) -> None:
            for aside in asides:
                if isinstance(aside, BeamLevel):
                    view.add(aside)

        feed(self._row.cards[place].asides)
        self.put(place, NAMES["beam"], view, lambda news: feed(news.asides))

    def _excuse(self, place: int) -> tuple[str, ...]:
        """What a view says that would wait for nothing: the text is there, but nothing of how it came about."""
        card = self._row.cards[place]
        return (NOT_KEPT,) if card.done and card.tokens and not card.asides else ()

    def _open_rounds(self, place: int, settings: Speculative) -> None:
        view = RoundsView(self._theme)
        view.begin(*self._excuse(place))
        view.test_wanted.connect(partial(self._test, place, settings, view))
        view.stop_wanted.connect(self._stop_test)

        def feed(asides: Sequence[object]) -> None:
            for aside in asides:
                if isinstance(aside, DraftRound):
                    view.add(aside)

        feed(self._row.cards[place].asides)
        self.put(place, NAMES["speculative"], view, lambda news: feed(news.asides))

    def _open_contrast(self, place: int) -> None:
        view, asked = ContrastView(self._theme), self._round.asked
        if asked is None:
            return
        view.branch.connect(lambda position, token: self._branch(place, position, token))

        def begin(pieces: Sequence[tuple[int, str]]) -> None:
            if self.pane.content is view:
                view.begin([piece for _, piece in pieces])
                view.add(self._row.cards[place].tokens)
                self._feed = lambda news: view.add(news.tokens)

        self.put(place, NAMES["contrastive"], view)
        model = asked.columns[place].model
        self._bridge.run(self._service.reading, model, asked.prompt, asked.prefill, then=begin, lane="long")

    def _test(self, place: int, settings: Speculative, view: RoundsView, samples: int) -> None:
        asked = self._round.asked
        if asked is None:
            return

        def failed(error: WorkbenchError) -> None:
            view.card.fail(f"{error.what} {error.hint}".strip())

        view.card.progress(0, samples)
        self._ticket = self._bridge.run(
            self._service.lossless, asked.columns[place].model, asked.prompt, settings, samples,
            progress=view.card.progress, then=view.card.show_report, failed=failed, lane="long",
        )  # fmt: skip

    def _stop_test(self) -> None:
        if self._ticket is not None:
            self._ticket.cancel()
        if isinstance(view := self.pane.content, RoundsView):
            view.card.fail("Stopped.")

    def _branch(self, place: int, position: int, token: int) -> None:
        self.close()
        self._round.branch(place, position, token, new=not self._row.full)

    def _use(self, place: int, settings: DecodingSettings) -> None:
        self._leave = _nothing  # what the settings would change stays marked
        self._row.cards[place].head.set_settings(settings)
        self._shell.notify(f"Column {LETTERS[place]} has these settings now.", "Start again to use them.", "good")

    def _take(self, news: ColumnNews) -> None:
        if news.column == self.place and self._feed is not None and (news.asides or news.tokens):
            self._feed(news)


def _titled(place: int | None, title: str) -> str:
    return title if place is None else f"{LETTERS[place]} · {title}"
