"""Rounds that ended are kept; earlier ones are searched, opened again, and written into files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QBuffer, QIODevice, QObject, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from workbench.domain.choices import Aside, TokenChoice
from workbench.domain.rounds import Round as Kept
from workbench.domain.rounds import RoundColumn
from workbench.gui.bridge import Bridge
from workbench.gui.pages.playground.columns_row import ColumnsRow
from workbench.gui.pages.playground.drawer import Drawer
from workbench.gui.pages.playground.history_panel import HistoryPanel
from workbench.gui.pages.playground.picture import picture_of
from workbench.gui.pages.playground.round import Asked, Round
from workbench.gui.shell import Shell
from workbench.services.rounds import RoundsService
from workbench.services.views import Column, ColumnNews

ENDINGS = {"json": "json", "markdown": "md", "png": "png"}


class Keeping(QObject):
    """The page's memory of rounds. A blind round is kept at once; the history stays closed until it is revealed."""

    opened = Signal(object)

    def __init__(
        self, service: RoundsService, bridge: Bridge, shell: Shell, round: Round, row: ColumnsRow, drawer: Drawer
    ) -> None:
        super().__init__()
        self._service, self._bridge, self._shell = service, bridge, shell
        self._round, self._row, self._drawer = round, row, drawer
        self.panel: HistoryPanel | None = None

    def keep(self) -> None:
        """Keep what is on the page, when a round has ended or numbers have come."""
        asked = self._round.asked
        if asked is not None and any(card.tokens for card in self._row.cards):
            self._bridge.run(self._service.keep, self._kept(asked), self._tokens(), self._asides())

    def open_history(self) -> None:
        """The rounds that were played before."""
        if not self._row.masked:
            self.panel = HistoryPanel(self._shell.theme, self._search, self.open, self._forget)
            self._drawer.open("History", self.panel)
            self._search("")

    def open(self, id: str) -> None:
        """Bring a round back onto the page."""
        if self._round.running:
            self._shell.notify("A round is under way.", "Stop it first (Esc), then open the other one.")
        else:
            self._bridge.run(self._service.open, id, then=lambda found: self._show(*found))

    def ask_where(self, parent: QWidget, format: str) -> None:
        """Where to write the round that is on the page."""
        if self._round.asked is None or self._row.masked or self._round.running:
            self._shell.notify(
                "There is no round to write.", "Let the columns speak first; a blind round has to be revealed."
            )
            return
        name = f"round.{ENDINGS[format]}"
        dialog = QFileDialog(parent, "Save the round", name)
        dialog.setObjectName("playground.save_dialog")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.selectFile(name)
        dialog.fileSelected.connect(lambda file: self.export(format, Path(file)))
        dialog.open()

    def export(self, format: str, out: Path) -> None:
        """Write the round that is on the page."""
        asked = self._round.asked
        if asked is None:
            return
        if format == "png":
            self._bridge.run(self._service.write, out, self.picture(asked), then=self._written, lane="long")
        else:
            told = self._kept(asked), self._tokens(), format, out, self._asides()
            self._bridge.run(self._service.export, *told, then=self._written, lane="long")

    def picture(self, asked: Asked) -> bytes:
        """The columns with all of their texts, as a PNG."""
        shot = picture_of(self._shell.theme, asked, self._row)
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        shot.save(buffer, "PNG")
        return bytes(buffer.data().data())

    def _kept(self, asked: Asked) -> Kept:
        columns = []
        for card, column in zip(self._row.cards, asked.columns, strict=True):
            news = card.news
            columns.append(
                RoundColumn(
                    model=column.model,
                    settings=column.settings,
                    text=card.said,
                    completion=news.completion if news else "",
                    reason=news.reason if news else "",
                    error=f"{news.error_what} {news.error_hint}".strip() if news else "",
                    numbers=card.numbers,
                )
            )
        return Kept(
            id=asked.id,
            created=asked.created,
            prompt=asked.prompt,
            prefill=asked.prefill,
            seed=asked.columns[0].settings.seed,
            columns=tuple(columns),
            order=asked.order,
            order_seed=asked.order_seed,
        )

    def _tokens(self) -> tuple[tuple[TokenChoice, ...], ...]:
        return tuple(card.tokens for card in self._row.cards)

    def _asides(self) -> tuple[tuple[Aside, ...], ...]:
        return tuple(tuple(card.asides) for card in self._row.cards)

    def _show(self, kept: Kept, tokens: Any, asides: Any) -> None:
        columns = [Column(c.model, c.settings) for c in kept.columns]
        news = [
            ColumnNews(
                place,
                tokens=told,
                asides=beside,
                text=c.text,
                done=True,
                completion=c.completion,
                numbers=c.numbers,
                error_what=c.error,
                reason=c.reason,
                stopped=c.reason == "stopped",
            )
            for place, (c, told, beside) in enumerate(zip(kept.columns, tokens, asides, strict=True))
        ]
        asked = Asked(
            kept.prompt,
            tuple(columns),
            kept.order or tuple(range(len(columns))),
            kept.order_seed,
            kept.prefill,
            kept.id,
            kept.created,
        )
        if not self._round.running:
            self.opened.emit(asked)
            self._round.show(asked, news)

    def _search(self, words: str) -> None:
        self._bridge.run(self._service.list, words, then=self._list)

    def _list(self, found: list[Kept]) -> None:
        if self.panel is not None and not self._row.masked:
            self.panel.show_rounds(found, datetime.now(UTC))

    def _forget(self, id: str) -> None:
        words = self.panel.search.text() if self.panel is not None else ""
        self._bridge.run(self._service.remove, id, then=lambda _: self._search(words))

    def _written(self, file: Path) -> None:
        self._shell.notify(f"The round was written to {file.name}.", str(file), "good")
