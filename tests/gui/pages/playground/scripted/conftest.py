"""The Playground page over services that say what a test tells them to: no decoder, no threads, no waiting.

What a round says is put in with `stage.tell(news)`; what the page asked for is in `stage.said.asked`. Rounds are kept in a real folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.choices import Aligned, Alternative, Aside, Distribution, TokenChoice
from workbench.domain.decoding import DecodingSettings, Greedy, Sample
from workbench.domain.errors import WorkbenchError
from workbench.domain.runs import ModelRef
from workbench.domain.settings import Settings
from workbench.domain.text import Prompt
from workbench.gui.bridge import Bridge, Ticket
from workbench.gui.pages.playground.memory import Remembered
from workbench.gui.pages.playground.page import PlaygroundPage
from workbench.gui.shell import Action
from workbench.gui.theme import Theme
from workbench.services.column_numbers import Measures, Taken
from workbench.services.rounds import RoundsService
from workbench.services.views import Column, ColumnNews, MemoryView, Preset
from workbench.services.workbench import Workbench


def model(name: str, kind: str = "sft") -> ModelRef:
    return ModelRef(name=name, path=f"/models/{name}", kind=kind, created=datetime(2026, 1, 2, tzinfo=UTC))  # type: ignore[arg-type]


def said(*words: str, start: int = 0) -> tuple[TokenChoice, ...]:
    """Tokens of a text: each has itself, " other" and a token that top-k has cut as alternatives."""
    found = []
    for number, word in enumerate(words):
        others = (
            Alternative(id=number, text=word, p_model=0.5, p_used=0.8),
            Alternative(id=900, text=" other", p_model=0.2, p_used=0.2),
            Alternative(id=901, text=" cut", p_model=0.1, p_used=0.0, cut_by="top_k"),
        )
        found.append(
            TokenChoice(
                id=number, text=word, start=start, end=start + len(word), p_model=0.5, p_used=0.8, logprob=-0.69, rank=0,
                entropy=1.0, kept=2, kept_mass=0.7, alternatives=others,
            )
        )  # fmt: skip
        start += len(word)
    return tuple(found)


def ended(place: int, *words: str, reason: str = "length", asides: Sequence[Aside] = (), **more: Any) -> ColumnNews:
    """A column's whole text at once, with its end."""
    text = "".join(words)
    numbers = {"tokens": float(len(words)), "tokens_per_second": 50.0, "first_token_seconds": 0.02, "logprob": -1.5}
    made: dict[str, Any] = {
        "tokens": said(*words), "asides": tuple(asides), "text": text, "completion": text.strip(), "done": True,
        "reason": reason, "stopped": reason == "stopped", "numbers": numbers,
    }  # fmt: skip
    return ColumnNews(place, **(made | more))


class Straight:
    """A bridge that calls at once; `held` work waits until `release`, `told` are errors that nobody else took."""

    busy = 0

    def __init__(self) -> None:
        self.told: list[WorkbenchError] = []
        self.hold: Callable[..., Any] | None = None
        self._held: list[Callable[[], object]] = []

    def report(self, error: WorkbenchError) -> None:
        self.told.append(error)

    def run(self, fn: Callable[..., Any], *args: Any, lane: str = "quick", **kw: Any) -> Ticket:
        ticket = Ticket()
        if self.hold is not None and fn == self.hold:
            self._held.append(lambda: self._call(ticket, fn, args, dict(kw)))
        else:
            self._call(ticket, fn, args, dict(kw))
        return ticket

    def release(self) -> None:
        held, self._held, self.hold = self._held, [], None
        for work in held:
            work()

    def _call(self, ticket: Ticket, fn: Callable[..., Any], args: tuple[Any, ...], kw: dict[str, Any]) -> None:
        then, failed, ended_ = kw.pop("then", None), kw.pop("failed", None), kw.pop("ended", None)
        if (progress := kw.pop("progress", None)) is not None:
            kw["progress"] = lambda done, total: (progress(done, total), not ticket.cancelled)[1]
        try:
            answer = fn(*args, **kw)
        except WorkbenchError as error:
            if not ticket.cancelled:
                (failed or self.report)(error)
        else:
            if then is not None and not ticket.cancelled:
                then(answer)
        if ended_ is not None:
            ended_()


@dataclass
class Asked:
    """What the page asked the decoder to begin."""

    prompt: Prompt
    columns: tuple[Column, ...]
    prefill: str
    places: tuple[int, ...]


@dataclass
class Decoder:
    """Stands in for the playground's service."""

    asked: list[Asked] = field(default_factory=list)
    news: list[ColumnNews] = field(default_factory=list)
    stops: int = 0
    refuses: WorkbenchError | None = None
    kept: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    distribution: Distribution | WorkbenchError | None = None
    distributed: list[tuple[int, int, DecodingSettings]] = field(default_factory=list)
    votes: list[dict[str, Any]] = field(default_factory=list)
    sent: list[tuple[str, Prompt, tuple[Any, ...]]] = field(default_factory=list)
    held: MemoryView = field(default_factory=MemoryView)
    freed: list[str] = field(default_factory=list)
    budgets: list[int] = field(default_factory=list)

    def start(self, prompt: Prompt, columns: Sequence[Column], *, prefill: str = "", places: Sequence[int] = ()) -> int:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append(Asked(prompt, tuple(columns), prefill, tuple(places)))
        return len(self.asked)

    def poll(self) -> list[ColumnNews]:
        found, self.news = self.news, []
        return found

    def stop(self) -> None:
        self.stops += 1

    def presets(self) -> list[Preset]:
        return [Preset(name, columns) for name, columns in sorted(self.kept.items())]

    def save_preset(self, name: str, columns: Sequence[Column]) -> None:
        self.kept[name] = tuple(columns)

    def delete_preset(self, name: str) -> None:
        self.kept.pop(name)

    def distribute(self, place: int, position: int, settings: DecodingSettings) -> Distribution:
        self.distributed.append((place, position, settings))
        if isinstance(self.distribution, WorkbenchError):
            raise self.distribution
        assert self.distribution is not None
        return self.distribution

    def reading(self, model: str, prompt: Prompt, prefill: str = "") -> list[tuple[int, str]]:
        return [(n, word) for n, word in enumerate((prompt.text + prefill).split())]

    def align(self, model: str, reference: str, pairs: Sequence[tuple[Prompt, str]]) -> list[tuple[Aligned, ...]]:
        raise NotImplementedError

    def vote(self, dataset: str, prompt: Prompt, candidates: Sequence[Any], **more: Any) -> Any:
        self.votes.append({"dataset": dataset, "prompt": prompt, "candidates": tuple(candidates), **more})
        return SimpleNamespace(annotator="me")

    def send_to_ranking(self, dataset: str, prompt: Prompt, candidates: Sequence[Any]) -> str:
        self.sent.append((dataset, prompt, tuple(candidates)))
        return "item"

    def memory(self) -> MemoryView:
        return self.held

    def free(self, model: str) -> None:
        self.freed.append(model)

    def rebudget(self, gibibytes: int) -> None:
        self.budgets.append(gibibytes)


class Shell:
    """A window without one: what was told, remembered and asked of it."""

    def __init__(self, theme: Theme) -> None:
        self.theme, self.settings = theme, Settings()
        self.told: list[tuple[str, str, str]] = []
        self.kept: dict[str, Any] = {}
        self.went: list[str] = []
        self.page: PlaygroundPage | None = None

    def notify(self, what: str, hint: str = "", kind: str = "info", action: Any = None, details: str = "") -> None:
        self.told.append((what, hint, kind))

    def go(self, page_id: str, **arguments: Any) -> None:
        self.went.append(page_id)

    def confirm(self, title: str, text: str, then: Callable[[], Any], verb: str = "Delete") -> None:
        then()

    def settings_changed(self, settings: Settings) -> None:
        self.settings = settings
        if self.page is not None:
            self.page.settings_changed(settings)

    def remember(self, key: str, value: Any) -> None:
        self.kept[key] = value

    def recall(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)


class Stage:
    """A page with what stands behind it; `models` are there from the beginning, two columns ask the first of them."""

    def __init__(self, theme: Theme, folder: Path, models: Sequence[ModelRef]) -> None:
        self.said, self.shell, self.bridge = Decoder(), Shell(theme), Straight()
        self.models = list(models)
        self.measures = Measures()
        self.taken = Taken(())
        self.changed: dict[str, Any] = {}
        self.rounds = RoundsService(cast(Any, SimpleNamespace(path=folder)))
        numbers = SimpleNamespace(
            chosen=lambda: self.measures, choose=lambda measures: None, take=lambda prompt, said, measures: self.taken
        )
        listed = SimpleNamespace(list=lambda: self.models, family=lambda name: self.models)
        services = SimpleNamespace(
            playground=self.said, rounds=self.rounds, column_numbers=numbers, models=listed,
            settings=SimpleNamespace(change=lambda **fields: self.changed.update(fields)),
        )  # fmt: skip
        self.page = PlaygroundPage(cast(Workbench, services), cast(Bridge, self.bridge), self.shell)
        self.shell.page = self.page
        self.page.resize(1184, 720)

    def begin(self, folder: Path) -> None:
        """As if nothing had happened yet."""
        page, theme = self.page, self.shell.theme
        page.settings_changed(Settings())
        page.panels.forget()
        page.lab.close()
        vars(self.said).update(vars(Decoder()))
        vars(self.bridge).update(vars(Straight()))
        vars(self.shell).update(vars(Shell(theme)), page=page)
        self.rounds._folder = folder / "rounds"
        self.models[:] = [model("stories")]
        self.measures = page.measuring.measures = Measures()
        self.taken, self.changed = Taken(()), {}
        page.bar.prompt.clear()
        page.bar.set_state(Remembered())
        page.bar.mode.setCurrentIndex(0)
        page.resize(1184, 720)
        page.shown()
        self._two_columns(Greedy(max_new_tokens=8), Sample(max_new_tokens=8, temperature=0.7))
        self.shell.kept.clear()
        page.show()

    def _two_columns(self, *settings: DecodingSettings) -> None:
        """Two columns that have never spoken; making new ones takes half of a test's time."""
        row, name = self.page.row, self.models[0].name
        row.disclose()
        if len(row.cards) != len(settings):
            self.columns(*settings)
            return
        row.arrange(range(len(settings)))
        for card, one in zip(row.cards, settings, strict=True):
            card.head.set_models([name], name)
            card.head._kept.clear()
            card.head.set_settings(one, quietly=True)
            card.reset()
        row.numbered.emit()
        self.tell()  # a round that the last test left under way ends here

    def columns(self, *settings: DecodingSettings, names: Sequence[str] = ()) -> None:
        """Put columns on the page."""
        names = names or [self.models[0].name] * len(settings)
        self.page.row.set_columns([Column(name, one) for name, one in zip(names, settings, strict=True)])

    def ask(self, prompt: str = "Once upon a time") -> None:
        """Start a round."""
        self.page.bar.prompt.setPlainText(prompt)
        self.page.start()

    def tell(self, *news: ColumnNews) -> None:
        """The decoder says this, and the page looks."""
        self.said.news.extend(news)
        self.page.round._look()

    def play(self, *texts: Sequence[str]) -> None:
        """A whole round, each column with its words."""
        self.ask()
        self.tell(*(ended(place, *words) for place, words in enumerate(texts)))

    def act(self, id: str) -> None:
        """What the palette would do."""
        actions: list[Action] = self.page.actions()
        next(action for action in actions if action.id == id).run()

    def pick(self, title: str) -> None:
        """An entry of the menu More."""
        next(action for action in self.page.bar.menu.actions() if action.text() == title).trigger()

    def find(self, name: str) -> Any:
        """A widget that can be seen, by its object name."""
        QCoreApplication.processEvents()  # layouts show what was put into them
        found = [one for one in self.page.findChildren(QWidget, name) if one.isVisibleTo(self.page)]
        assert len(found) == 1, f"{len(found)} are called {name}"
        return found[0]

    def words(self, widget: QWidget) -> str:
        """Everything that labels in it say, from top to bottom."""
        QCoreApplication.processEvents()
        return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget))

    @property
    def notices(self) -> list[str]:
        """What the window was asked to say."""
        return [what for what, _, _ in self.shell.told]


@pytest.fixture(scope="module")
def standing(theme: Theme, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Making a page takes longer than what is tested on it, so the tests of a file share one."""
    made = Stage(theme, tmp_path_factory.mktemp("rounds"), [model("stories")])
    made.page.shown()
    yield made
    made.page.closing()
    made.page.close()
    made.page.deleteLater()


@pytest.fixture
def stage(standing: Stage, qtbot: QtBot, tmp_path: Path) -> Iterator[Stage]:
    """The page as it is when it is first shown, with a greedy and a sampling column of one model."""
    standing.begin(tmp_path)
    yield standing
    standing.page.hidden()
    standing.page.hide()
