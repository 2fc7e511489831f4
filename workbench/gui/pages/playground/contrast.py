"""What contrastive decoding and contrastive search weighed at each token, beside the text that they weighed it against."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from workbench.domain.choices import ContrastTrace, SearchTrace, TokenChoice
from workbench.gui.pages.playground.flow import FlowText
from workbench.gui.pages.playground.option_rows import Heading, Option, OptionRows
from workbench.gui.pages.playground.token_words import name_of, percent, shown
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import text


class ContrastView(QWidget):
    """The text above, the options of the token that a person stands on below.

    How to place it: in a wide panel for a column whose strategy is contrastive or contrastive_search. `begin(pieces)` with the pieces of the
    prompt's tokens (`services.playground.reading`; penalties point into them), then `add(tokens)` as they come. `branch(position, id)`
    says that a person wants to go on from there with another token.
    """

    branch = Signal(int, int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("playground.contrast")
        self.setAccessibleName("What was weighed at each token")
        self.tokens: list[TokenChoice] = []
        self._context = 0
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        self.hint = text(
            "Walk over the text. Underlined: not what the model alone holds for the likeliest.", "quiet", wrap=True
        )
        box.addWidget(self.hint)
        halves = QSplitter(Qt.Orientation.Vertical)
        halves.setObjectName("playground.contrast.halves")
        halves.setChildrenCollapsible(False)
        self.text = FlowText(theme, "playground.contrast.text", "Prompt and text, token by token")
        self.text.pointed.connect(self._look_at)
        lower = QWidget()
        below = QVBoxLayout(lower)
        below.setContentsMargins(0, 4, 0, 0)
        below.setSpacing(8)
        self.told = text("", "strong", wrap=True)
        self.options = OptionRows(theme, "playground.contrast.options", "Options at the token")
        self.options.pointed.connect(self._link)
        self.options.opened.connect(self._open)
        below.addWidget(self.told)
        below.addWidget(self.options, 1)
        halves.addWidget(self.text)
        halves.addWidget(lower)
        halves.setSizes([200, 320])
        box.addWidget(halves, 1)

    def begin(self, context: Sequence[str]) -> None:
        """Another text behind these pieces of a prompt."""
        self.tokens, self._context = [], len(context)
        self.text.show_pieces(context, prompt=len(context))
        self._show(None)

    def add(self, tokens: Sequence[TokenChoice]) -> None:
        """The text goes on."""
        first = self._context + len(self.tokens)
        self.tokens.extend(tokens)
        for number, token in enumerate(tokens, start=first):
            if token.rank > 0:
                self.text.dotted.add(number)
        self.text.add([name_of(token) for token in tokens])
        if self.text.current is None and self.tokens:
            self._show(self.tokens[-1])

    def select(self, position: int) -> None:
        """Stand on a token of the text, counted without the prompt."""
        self.text.select(self._context + position)

    def dress(self) -> None:
        """The theme's colours and fonts."""
        self.text.dress()
        self.options.dress()

    def _look_at(self, spot: int | None) -> None:
        inside = spot is not None and spot >= self._context
        self._show(self.tokens[spot - self._context] if spot is not None and inside else None)

    def _show(self, token: TokenChoice | None) -> None:
        self.text.link(None)
        if token is None:
            self.told.setText("" if self.tokens else "The text comes here.")
            self.options.show_options((), ())
        elif token.contrast is not None:
            self.told.setText(_contrast_sentence(token, token.contrast))
            self.options.show_options(*_contrast_rows(token, token.contrast))
        elif token.search is not None:
            self.told.setText(_search_sentence(token, token.search, self.text.pieces))
            self.options.show_options(*_search_rows(token, token.search, self.text.pieces))
            self.text.link(token.search.against)
        else:
            self.told.setText("Nothing was weighed at this token: its strategy contrasts nothing.")
            self.options.show_options((), ())

    def _link(self, row: int | None) -> None:
        if row is not None and row < len(self.options.options):
            self.text.link(self.options.options[row].linked)

    def _open(self, row: int) -> None:
        option = self.options.options[row]
        spot = self.text.current
        position = len(self.tokens) - 1 if spot is None else spot - self._context
        if not option.chosen and position >= 0:
            self.branch.emit(position, option.id)


def _contrast_sentence(token: TokenChoice, told: ContrastTrace) -> str:
    return (
        f"“{shown(name_of(token))}”: expert {percent(told.expert)}, amateur {percent(told.amateur)}, score {told.score:.2f}. "
        f"Tokens to which the expert gives less than {percent(told.cut)} are implausible."
    )


def _contrast_rows(token: TokenChoice, told: ContrastTrace) -> tuple[tuple[Heading, ...], list[Option]]:
    rows = []
    for o in told.options:
        words = [f"expert {percent(o.expert)}", f"amateur {percent(o.amateur)}"]
        words.append(
            "implausible: the expert's probability is below the cut" if o.score is None else f"score {o.score:.3f}"
        )
        numbers = (
            (o.expert, percent(o.expert)), (o.amateur, percent(o.amateur)),
            (o.score, "implausible" if o.score is None else f"{o.score:.2f}"),
        )  # fmt: skip
        rows.append(Option(o.id, o.text, o.id == token.id, numbers, tuple(words), out=o.score is None))
    return (Heading("Expert", told.cut), Heading("Amateur"), Heading("Score")), rows


def _search_sentence(token: TokenChoice, told: SearchTrace, pieces: Sequence[str]) -> str:
    against = shown(pieces[told.against]) if 0 <= told.against < len(pieces) else "nothing"
    return (
        f"“{shown(name_of(token))}”: penalty {told.penalty:.2f}, most like token {told.against + 1} ({against}, outlined in the text); "
        f"score {told.score:.3f}."
    )


def _search_rows(
    token: TokenChoice, told: SearchTrace, pieces: Sequence[str]
) -> tuple[tuple[Heading, ...], list[Option]]:
    rows = []
    for o in told.options:
        against = shown(pieces[o.against]) if 0 <= o.against < len(pieces) else "nothing"
        words = (
            f"probability {percent(o.p)}",
            f"penalty {o.penalty:.3f}, most like token {o.against + 1} ({against})",
            f"score {o.score:.3f}",
        )
        numbers = (
            (o.p, percent(o.p)),
            (o.penalty, f"{o.penalty:.2f}"),
            (o.score, f"{o.score:.3f}"),
            (None, f"{against} ({o.against + 1})"),
        )
        rows.append(Option(o.id, o.text, o.id == token.id, numbers, words, linked=o.against))
    return (Heading("Probability"), Heading("Penalty"), Heading("Score"), Heading("Most like")), rows
