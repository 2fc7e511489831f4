"""What stands round a page in quick tests: a bridge that works at once or when told to, and a window that notes what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from workbench.domain.errors import WorkbenchError
from workbench.domain.settings import Settings
from workbench.gui.bridge import Ticket, unexpected
from workbench.gui.theme import Theme


class AtOnce:
    """Does what a Bridge does, in the thread that asks: at once, or while `holding` when `go_on` is called."""

    def __init__(self) -> None:
        self.holding = False
        self.held: list[Callable[[], None]] = []
        self.reported: list[WorkbenchError] = []
        self.busy = 0

    def run(
        self,
        fn: Callable[..., Any],
        *args: Any,
        then: Callable[[Any], Any] | None = None,
        failed: Callable[[WorkbenchError], Any] | None = None,
        progress: Callable[[int, int], Any] | None = None,
        ended: Callable[[], Any] | None = None,
        lane: str = "quick",
        **kw: Any,
    ) -> Ticket:
        ticket = Ticket()
        if progress is not None:
            kw["progress"] = lambda done, total: progress(done, total) or not ticket.cancelled

        def work() -> None:
            wrong: WorkbenchError | None = None
            answer = None
            try:
                answer = fn(*args, **kw)
            except WorkbenchError as error:
                wrong = error
            except Exception as error:  # noqa: BLE001 - as the bridge does
                wrong = unexpected(error)
            if not ticket.cancelled:
                if wrong is not None:
                    (failed or self.reported.append)(wrong)
                elif then is not None:
                    then(answer)
            if ended is not None:
                ended()

        if self.holding:
            self.held.append(work)
        else:
            work()
        return ticket

    def relay(self, to: Callable[..., Any]) -> Callable[..., None]:
        return lambda *told: to(*told)

    def go_on(self) -> None:
        while self.held:
            self.held.pop(0)()


class NotedShell:
    """A window that notes what a page asks of it; what is to be confirmed is confirmed by `agree`."""

    def __init__(self, theme: Theme) -> None:
        self.theme, self.settings = theme, Settings()
        self.told: list[SimpleNamespace] = []
        self.gone: list[tuple[str, dict[str, Any]]] = []
        self.kept: dict[str, Any] = {}
        self.asked: list[SimpleNamespace] = []
        self.worn: list[Settings] = []

    def notify(self, what: str, hint: str = "", kind: str = "info", action: Any = None, details: str = "") -> None:
        self.told.append(SimpleNamespace(what=what, hint=hint, kind=kind, action=action, details=details))

    def go(self, page_id: str, **arguments: Any) -> None:
        self.gone.append((page_id, arguments))

    def confirm(self, title: str, text: str, then: Callable[[], Any], verb: str = "Delete") -> None:
        self.asked.append(SimpleNamespace(title=title, text=text, then=then, verb=verb))

    def agree(self) -> None:
        self.asked.pop().then()

    def settings_changed(self, settings: Settings) -> None:
        self.settings = settings
        self.worn.append(settings)

    def remember(self, key: str, value: Any) -> None:
        self.kept[key] = value

    def recall(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)


class Calls:
    """A service that notes each call, answers what it was given to answer, and raises what it was given to raise."""

    def __init__(self, **answers: Any) -> None:
        self.made: list[tuple[Any, ...]] = []
        self.answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kw: Any) -> Any:
            self.made.append((name, *args, *([kw] if kw else [])))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer(*args, **kw) if callable(answer) else answer

        return call
