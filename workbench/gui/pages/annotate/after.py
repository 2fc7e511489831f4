"""Aftercare on the desk: what a label will do, retraining the reward model, and what that model gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QTimer

from workbench.domain.errors import BadInput
from workbench.domain.judgement import Outcome, Ranking
from workbench.domain.queues import QueueSpec
from workbench.domain.runs import JobState
from workbench.domain.specs.score import ScoreSpec
from workbench.gui.pages.annotate.draft import all_in_words, tiers_in_words
from workbench.gui.pages.annotate.reach import Reach
from workbench.services.views import Accuracy, Effect, Presentation, RunView
from workbench.services.workbench import Workbench

LOOK_MS = 1_000
SETTLE_MS = 60


class Effects(QObject):
    """Keeps the strip up to date while it is open; it asks nothing while it is closed."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self._timer = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._timer.timeout.connect(self._ask)

    def toggle(self) -> None:
        """Fold the strip out or in."""
        strip = self._reach.desk.effects
        strip.setVisible(strip.isHidden())
        self._reach.desk.bottom.buttons["effects"].setChecked(not strip.isHidden())
        self._ask()

    def changed(self) -> None:
        """Another item, another ranking."""
        if not self._reach.desk.effects.isHidden():
            self._timer.start()

    def _ask(self) -> None:
        strip, services = self._reach.desk.effects, self._reach.services
        if strip.isHidden():
            return
        here, sheet = self._reach.desk.presentation, self._reach.desk.sheet
        if here is None:
            self._reach.run(last_label, services, self._reach.place()[0], then=self._show)
            return
        ranking, strength, whole = sheet.proposed()
        if not whole:
            strip.show_effects("Rank all of them to see what the label will do.", ())
            return
        title = f"If you say {tiers_in_words(here.shown, ranking, strength)}"
        asked = partial(as_shown, services, here, ranking, "ranked", strength)
        self._reach.run(asked, then=lambda found: self._show((title, found)))

    def _show(self, found: tuple[str, list[Effect]]) -> None:
        self._reach.desk.effects.show_effects(*found)


def as_shown(
    services: Workbench, here: Presentation, ranking: Ranking | None, outcome: Outcome, strength: int
) -> list[Effect]:
    """The effects of a label, in the letters that stand over the cards."""
    item = here.item.model_copy(update={"candidates": tuple(here.item.candidates[c] for c in here.shown)})
    if ranking is not None:
        places = tuple(tuple(sorted(here.shown.index(c) for c in tier)) for tier in ranking.tiers)
        ranking = Ranking(tiers=places)
    return services.aftercare.effects(item, ranking, outcome, strength)


def last_label(services: Workbench, dataset: str) -> tuple[str, list[Effect]]:
    """What the last label of this annotator did."""
    judged = services.labelling.last_presentation(dataset)
    if judged is None or judged.previous is None:
        return "Nothing is judged yet.", []
    said = judged.previous
    return f"Your last label, {all_in_words(said)}", as_shown(
        services, judged, said.ranking, said.outcome, said.strength
    )


class RunWatch(QObject):
    """Follows one run until it has ended."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self.run = ""
        self._ended: Callable[[RunView], Any] = lambda _: None
        self._timer = QTimer(self, interval=LOOK_MS)
        self._timer.timeout.connect(self._look)

    def follow(self, run: str, ended: Callable[[RunView], Any]) -> None:
        """Call `ended` with the run once it is over."""
        self.run, self._ended = run, ended
        self._timer.start()

    def stop(self) -> None:
        """Follow it no more; the run goes on."""
        self._timer.stop()
        self.run = ""

    def _look(self) -> None:
        if self.run:
            self._reach.run(self._reach.services.runs.view, self.run, then=self._seen, failed=lambda _: self.stop())

    def _seen(self, view: RunView) -> None:
        if view.id == self.run and view.state.ended:
            self.stop()
            self._ended(view)


class Retraining(QObject):
    """One key trains the reward model on the labels so far; when it is done, the held-out accuracy is told, before and after."""

    def __init__(self, reach: Reach, parent: QObject) -> None:
        super().__init__(parent)
        self._reach = reach
        self._training, self._scoring = RunWatch(reach, self), RunWatch(reach, self)

    def stop(self) -> None:
        """The page goes; runs go on."""
        self._training.stop()
        self._scoring.stop()

    def retrain(self) -> None:
        """Train again as the newest reward model of this dataset was trained, or with the defaults."""
        dataset, _ = self._reach.place()
        started = partial(self._started, dataset)
        self._reach.bridge.run(self._reach.services.aftercare.retrain, dataset, then=started, lane="long")

    def _started(self, dataset: str, view: RunView) -> None:
        services = self._reach.services
        self._training.follow(view.id, partial(self._trained, dataset))
        stop = ("Stop it", lambda: self._reach.run(services.runs.stop, view.id))
        self._reach.shell.notify(f"{view.name} trains on your labels.", "The desk tells when it is done.", action=stop)

    def _trained(self, dataset: str, view: RunView) -> None:
        if view.state is JobState.DONE:  # the window tells what went wrong
            accuracy = self._reach.services.aftercare.accuracy
            self._reach.run(accuracy, dataset, then=partial(self._tell, dataset, view))

    def _tell(self, dataset: str, view: RunView, accuracy: Accuracy) -> None:
        words = told(accuracy.before, accuracy.now)
        self._reach.desk.effects.say_trained(f"{view.name}: {words}")
        wrong = ("Judge what it gets wrong", lambda: self.mistakes(view.model or "", dataset))
        self._reach.shell.notify(f"{view.name} is trained: {words}.", "", "good", wrong)

    def mistakes(self, model: str = "", dataset: str = "") -> None:
        """Score the dataset with its newest reward model, and then judge what that gets wrong with most confidence."""
        dataset = dataset or self._reach.place()[0]
        if self._scoring.run:
            self._reach.shell.notify("The reward model is scoring already.", "The queue opens when it is done.", "info")
            return
        self._reach.bridge.run(
            start_scoring, self._reach.services, dataset, model, then=partial(self._scores, dataset), lane="long"
        )

    def _scores(self, dataset: str, answer: tuple[RunView, str]) -> None:
        view, model = answer
        self._scoring.follow(view.id, partial(self._scored, dataset, model))
        self._reach.shell.notify(f"{model} scores {dataset}.", "The queue opens when it is done.", "info")

    def _scored(self, dataset: str, model: str, view: RunView) -> None:
        if view.state is JobState.DONE:
            opened = partial(self._opened, dataset)
            self._reach.run(queue_of_mistakes, self._reach.services, dataset, model, then=opened, lane="long")

    def _opened(self, dataset: str, queue: str) -> None:
        if self._reach.place()[0] == dataset:
            self._reach.choose((dataset, queue))


def told(before: float | None, after: float | None) -> str:
    """How the accuracy on held-out labels moved."""
    if after is None:
        return "no labels were held out, so its accuracy isn't known"
    moved = f"{before:.1%} → {after:.1%}" if before is not None else f"{after:.1%}"
    return f"held-out accuracy {moved}"


def start_scoring(services: Workbench, dataset: str, model: str = "") -> tuple[RunView, str]:
    """Queue the scoring of a dataset by its newest reward model."""
    rewards = [m.name for m in services.models.list() if m.kind == "reward"]
    chosen = model or (rewards[-1] if rewards else "")
    if not chosen:
        raise BadInput(
            "There is no reward model yet.", "Train one on your labels with L, then look what it gets wrong."
        )
    return services.training.start(ScoreSpec(base=chosen, data=dataset)), chosen


def queue_of_mistakes(services: Workbench, dataset: str, model: str) -> str:
    """The queue of what a reward model gets wrong, made or put in order again."""
    name = f"{dataset}: mistakes of {model}"[:80]
    if any(queue.name == name for queue in services.queues.list(dataset)):
        services.queues.refresh(name)
        return name
    spec = QueueSpec(name=name, dataset=dataset, strategy="mistakes", reward_model=model, random_share=0.0)
    return services.queues.create(spec).name
