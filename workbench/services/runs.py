"""Runs: listed, read, paused, stopped, resumed, deleted; and the thread that supervises them while the workspace is open."""

from __future__ import annotations

import builtins
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from workbench.domain.errors import Conflict
from workbench.domain.runs import JobState, MetricPoint
from workbench.domain.specs.kinds import parse_spec
from workbench.domain.specs.study import StudySpec
from workbench.jobs import folders
from workbench.jobs.launch import Launcher
from workbench.jobs.supervisor import Supervisor
from workbench.services.command_line import command_line
from workbench.services.hardware import slots
from workbench.services.models import ModelsService
from workbench.services.run_feed import Feed, Feeds, Fresh
from workbench.services.run_follow import Follower
from workbench.services.run_ledger import LIVE, RunLedger
from workbench.services.run_views import RunViews
from workbench.services.settings import SettingsService
from workbench.services.studies import columns_found_again
from workbench.services.views import RunDetail, RunView, SampleView
from workbench.services.workspace import Workspace
from workbench.store.runs import RunRecord

ROUND = 0.3


class RunsService:
    """The workspace's runs. `begin` starts the thread that calls `tick` every 0.3 s until `close`."""

    def __init__(
        self,
        workspace: Workspace,
        models: ModelsService,
        settings: SettingsService,
        launcher: Launcher | None = None,
        devices: tuple[str, ...] | None = None,
    ) -> None:
        owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._workspace = workspace
        self._lane = workspace.lane
        self._store = workspace.store.runs
        self._models = models
        self._views = RunViews(workspace)
        self._feeds = Feeds()
        self._follower = Follower()
        self._shown: dict[str, RunView] = {}
        self._ledger = RunLedger(workspace, models, owner, self._views.pace)
        self._launcher = launcher or Launcher(threads=lambda: settings.get().threads)
        self._devices = devices
        self._supervisor: Supervisor | None = None
        self._ticking = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble = ""

    def begin(self) -> None:
        """Start supervising in the background."""
        self._thread = threading.Thread(target=self._supervise, name="runs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop supervising; workers go on, and whoever opens the workspace next adopts them."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        with self._ticking:
            self._ledger.release()

    def list(self) -> builtins.list[RunView]:
        """Every run, newest first."""
        return self._views.all(self._lane.do(self._store.list))

    def view(self, run: str) -> RunView:
        """One run as it stands in the list; NotFound."""
        return self._views.of(self._record(run))

    def get(self, run: str) -> RunDetail:
        """One run in full; NotFound."""
        record = self._record(run)
        spec = parse_spec(record.spec)
        return RunDetail(
            view=self._views.of(record),
            spec=spec,
            notices=tuple(self._lane.do(self._store.notices, run)),
            checkpoints=folders.checkpoint_steps(record.folder),
            files=folders.files(record.folder),
            command=command_line(spec, self._workspace.path),
        )

    def metrics(self, run: str, names: Sequence[str] | None = None) -> dict[str, builtins.list[MetricPoint]]:
        """The points of each metric, by step."""
        self._record(run)
        found: dict[str, list[MetricPoint]] = {}
        for point in self._lane.do(self._store.metrics, run, names):
            made = MetricPoint(name=point.name, step=point.step, value=point.value, time=point.time)
            found.setdefault(point.name, []).append(made)
        return found

    def samples(self, run: str) -> builtins.list[SampleView]:
        """What the model said to the fixed prompts, by step."""
        self._record(run)
        return [SampleView(*sample) for sample in self._lane.do(self._store.samples, run)]

    def log_tail(self, run: str, size: int = 65536) -> str:
        """The end of the run's log, at most `size` bytes of it."""
        return folders.log_tail(self._record(run).folder, size)

    def pause(self, run: str) -> RunView:
        """Ask a run to write a checkpoint and end; it can be resumed."""
        record = self._record(run)
        if record.state not in LIVE:
            raise Conflict(f"{run} is {record.state} and can't be paused.", "Only a run that works can be paused.")
        folders.want(record.folder, "pause")
        return self._views.of(record)

    def resume(self, run: str) -> RunView:
        """Queue a run again; it continues from its last checkpoint. On a run that works it takes back a pause or stop."""
        record = self._record(run)
        if record.state not in LIVE and not record.state.resumable:
            raise Conflict(f"{run} is {record.state} and can't be resumed.", "Only a run that has not finished can.")
        self._find_models_again(record)
        folders.want(record.folder, "run")
        if record.state.resumable:
            record = self._lane.do(self._store.move, run, JobState.QUEUED)
        return self._views.of(record)

    def stop(self, run: str) -> RunView:
        """End a run. A worker writes a checkpoint first; one that doesn't heed is terminated, then killed."""
        record = self._record(run)
        if record.state in LIVE:
            folders.want(record.folder, "stop")
        elif record.state in {JobState.QUEUED, JobState.PAUSED, JobState.LOST}:
            record = self._lane.do(self._store.move, run, JobState.STOPPED)
        else:
            raise Conflict(f"{run} is {record.state} already.", "Nothing is left to stop.")
        return self._views.of(record)

    def move_in_queue(self, run: str, place: int) -> None:
        """Put a queued run at this place; 0 is next."""
        self._lane.do(self._store.reorder, run, place)

    def note(self, run: str, text: str) -> RunView:
        """Keep a person's note with a run."""
        return self._views.of(self._lane.do(self._store.change, run, note=text))

    def delete(self, run: str) -> None:
        """Delete a run with its folder; refused while it works, and while a model of the workspace lies in that folder."""
        record = self._record(run)
        if record.state in LIVE:
            raise Conflict(f"{run} is {record.state}.", "Stop it first, then delete it.")
        owned = [model.name for model in self._models.list() if model.run == run]
        if owned:
            raise Conflict(
                f"The model {owned[0]!r} lies in the folder of {run}.",
                "Remove it on the Models page first, then delete the run.",
            )
        if record.state is JobState.QUEUED:
            self._lane.do(self._store.move, run, JobState.STOPPED)
        folders.delete_run(record.folder)
        self._lane.do(self._store.delete, run)
        self._views.forget(run)

    def wait(self, run: str, timeout: float | None = None) -> RunView:
        """Wait until a run has ended, or `timeout` seconds have passed; returns how it stands then."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            view = self._views.of(self._record(run))
            if view.state.ended or (end is not None and time.monotonic() >= end):
                return view
            if self._thread is None:
                self.tick()
            self._closing.wait(0.1)
            if self._closing.is_set():
                raise Conflict("The workspace was closed.", "Open it again; the run goes on by itself.")

    def watch(self) -> Feed:
        """A feed of news; hold on to it and `poll` it. Take it before reading metrics, so that nothing falls in between."""
        with self._ticking:
            if not self._feeds:
                self._shown.clear()
                self._follower.begin(self._lane.do(self._store.list))
            return self._feeds.new()

    def tick(self) -> None:
        """One round: supervise if nobody else does, then tell every feed what is new."""
        with self._ticking:
            if self._supervisor is None:
                self._supervisor = Supervisor(self._ledger, self._launcher, self._devices or slots())
            self._supervisor.tick()
            if self._feeds:
                self._tell(self._supervisor.in_charge)

    def _find_models_again(self, record: RunRecord) -> None:
        """A workspace may have been moved since the spec was written: point it at where its models are now."""
        spec = folders.read_spec(record.folder)
        paths = {model.name: model.path for model in self._models.list()}
        moved = {
            role: paths[name]
            for role in ("base", "reward_model")
            if (name := record.spec.get(role)) in paths and not Path(getattr(spec, role)).exists()
        }
        if isinstance(spec, StudySpec) and isinstance(asked := parse_spec(record.spec), StudySpec):
            moved["columns"] = columns_found_again(spec, asked, paths)
            if asked.judge in paths and not Path(spec.judge).exists():
                moved["judge"] = paths[asked.judge]
        if moved:
            folders.rewrite_spec(record.folder, spec.model_copy(update=moved))

    def _supervise(self) -> None:
        while not self._closing.wait(ROUND):
            try:
                self.tick()
                self._trouble = ""
            except Exception as error:  # a full disk or a locked database must not end supervision for good
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    logging.getLogger(__name__).exception("a round of supervision failed")

    def _tell(self, in_charge: bool) -> None:
        records = self._lane.do(self._store.list)
        for record, view in zip(records, self._views.all(records), strict=True):
            events = self._follower.news(record)
            if events and not in_charge:
                self._views.pace(record.id, events)
            if events or view is not self._shown.get(record.id):
                self._shown[record.id] = view
                fresh = Fresh()
                fresh.add(events)
                self._feeds.put(view, fresh)

    def _record(self, run: str) -> RunRecord:
        return self._lane.do(self._store.get, run)
