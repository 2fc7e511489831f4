"""How a run is told in words: its state, its time, what can be done with it now. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from workbench.domain.headlines import headline
from workbench.domain.metrics import metric
from workbench.domain.runs import JobState
from workbench.gui.widgets.series import number
from workbench.gui.widgets.words import duration
from workbench.services.views import RunView

S = JobState


class Look(NamedTuple):
    """A state's word, its sign (so that colour isn't needed) and the name of its colour."""

    word: str
    sign: str
    tone: str


LOOKS: dict[JobState, Look] = {
    S.QUEUED: Look("queued", "◌", "quiet"),
    S.STARTING: Look("starting", "◔", "accent"),
    S.RUNNING: Look("running", "▶", "accent"),
    S.PAUSED: Look("paused", "‖", "warning"),
    S.STOPPED: Look("stopped", "■", "quiet"),
    S.DONE: Look("done", "✓", "good"),
    S.FAILED: Look("failed", "✕", "bad"),
    S.LOST: Look("lost", "?", "warning"),
}


class Deeds(NamedTuple):
    """What can be asked of a run in its state; `resume` is the word on the button, empty when it can't be resumed."""

    pause: bool
    resume: str
    stop: bool
    reorder: bool
    delete: bool


def deeds(state: JobState) -> Deeds:
    """Which buttons make sense."""
    resume = {S.PAUSED: "Resume", S.STOPPED: "Continue", S.FAILED: "Try again", S.LOST: "Continue"}.get(state, "")
    return Deeds(
        pause=state in {S.RUNNING, S.STARTING},
        resume=resume,
        stop=state in {S.QUEUED, S.STARTING, S.RUNNING, S.PAUSED},
        reorder=state == S.QUEUED,
        delete=state.ended,
    )


def running_time(view: RunView, now: datetime | None = None) -> str:
    """How long it has been or was at work."""
    if view.started is None:
        return ""
    end = view.ended or now or datetime.now(UTC)
    return duration((end - view.started).total_seconds())


def progress(view: RunView) -> str:
    """Step and time left: "step 120 of 400, 2 min left"."""
    if not view.steps:
        return view.phase or LOOKS[view.state].word
    words = f"step {view.step:,} of {view.steps:,}"
    if view.state == S.RUNNING and view.eta_seconds is not None:
        words += f", {duration(view.eta_seconds)} left"
    return words


def numbers(view: RunView) -> str:
    """The headline metric's newest value with its name."""
    name = view.headline or headline(view.kind)
    value = view.last.get(name)
    return "" if value is None else f"{metric(name).title} {number(value)}"


def headline_number(view: RunView) -> str:
    """The headline metric's newest value alone."""
    value = view.last.get(view.headline or headline(view.kind))
    return "" if value is None else number(value)


def matches(view: RunView, words: str) -> bool:
    """Whether every word of a search stands in the run's name, kind, state, phase or note."""
    heap = f"{view.name} {view.id} {view.kind} {LOOKS[view.state].word} {view.phase} {view.note}".lower()
    return all(word in heap for word in words.lower().split())


def in_list_order(views: Sequence[RunView]) -> list[RunView]:
    """At work first, then the queue in its order, then the rest; newest first."""
    place = {S.RUNNING: 0, S.STARTING: 0, S.QUEUED: 1}
    newest = sorted(views, key=lambda view: view.created, reverse=True)
    waiting = sorted((view for view in views if view.state == S.QUEUED), key=lambda view: view.place)
    at_work = [view for view in newest if place.get(view.state) == 0]
    rest = [view for view in newest if view.state not in place]
    return [*at_work, *waiting, *rest]
