"""What a person can ask of the run on show: pause, resume, stop, sooner, later, note, delete, train again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from workbench.domain.runs import JobState
from workbench.gui.bridge import Bridge
from workbench.gui.pages.runs.telling import LOOKS
from workbench.gui.shell import Shell
from workbench.services.runs import RunsService
from workbench.services.views import RunDetail, RunView


class Steering:
    """Sends the wish through the bridge and tells what comes of it. `current` gives the run on show."""

    def __init__(
        self,
        runs: RunsService,
        bridge: Bridge,
        shell: Shell,
        current: Callable[[], RunView | None],
        changed: Callable[[RunView], Any],
        relist: Callable[[], Any],
        place: Callable[[str], int],
    ) -> None:
        self._runs, self._bridge, self._shell = runs, bridge, shell
        self._current, self._changed, self._relist, self._place = current, changed, relist, place

    def pause(self) -> None:
        """Write a checkpoint and end, to go on later."""
        self._ask(self._runs.pause, "pauses after its step and keeps a checkpoint.")

    def resume(self) -> None:
        """Go on from the last checkpoint."""
        self._ask(self._runs.resume, "is queued again and goes on from its checkpoint.")

    def stop(self) -> None:
        """End, with a checkpoint."""
        self._ask(self._runs.stop, "stops after its step and keeps a checkpoint.")

    def sooner(self) -> None:
        """One place up in the queue."""
        self._shift(-1)

    def later(self) -> None:
        """One place down in the queue."""
        self._shift(1)

    def note(self, run: str, words: str) -> None:
        """Keep a person's note with a run."""
        self._bridge.run(self._runs.note, run, words, then=self._changed)

    def again(self) -> None:
        """Open the Train page with this run's settings."""
        if view := self._current():
            self._bridge.run(self._runs.get, view.id, then=self._train)

    def delete(self) -> None:
        """Delete the run and its folder, after a question."""
        if view := self._current():
            self._shell.confirm(
                f"Delete {view.name}?",
                "Its folder with curves, samples, checkpoints and log is deleted. This can't be undone.",
                partial(self._bridge.run, self._runs.delete, view.id, then=lambda _: self._relist()),
            )

    def _shift(self, places: int) -> None:
        view = self._current()
        if view is not None and view.state is JobState.QUEUED:
            place = max(0, self._place(view.id) + places)
            self._bridge.run(self._runs.move_in_queue, view.id, place, then=lambda _: self._relist())

    def _ask(self, deed: Callable[[str], RunView], words: str) -> None:
        if view := self._current():
            self._bridge.run(deed, view.id, then=partial(self._asked, words))

    def _asked(self, words: str, view: RunView) -> None:
        told = f"{view.name} is {LOOKS[view.state].word}." if view.state.ended else f"{view.name} {words}"
        self._shell.notify(told)
        self._changed(view)

    def _train(self, detail: RunDetail) -> None:
        self._shell.go("train", spec=detail.spec.model_dump())
