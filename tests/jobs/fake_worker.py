"""A worker without a model: speaks the protocol as told by play.json in its run folder, resumes from its checkpoints.

Used as `fake_worker.py [PLAY] FOLDER`; PLAY is JSON that takes the place of play.json.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil

from workbench.domain.events import (
    Checkpointed,
    Failed,
    Finished,
    Halted,
    Metrics,
    Noticed,
    Planned,
    Resumed,
    SampleText,
    Started,
)
from workbench.protocol.event_log import EventWriter
from workbench.protocol.run_folder import RunFolder


def main(play_text: str, path: str) -> int:
    folder = RunFolder(Path(path))
    play = json.loads(play_text or (folder.path / "play.json").read_text())
    if play.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if play.get("silent_exit") is not None:
        return int(play["silent_exit"])
    sys.stdout.write("the fake worker is at work\n")
    log = EventWriter(folder.events)
    log.write(Started(pid=os.getpid(), pid_started=psutil.Process().create_time(), host="here", device="cpu"))
    log.write(Planned(steps=play["steps"]))
    log.write(Noticed(what="One row was left out.", hint="Look at the data."))
    done = folder.complete_checkpoints()
    step = int(done[-1].name) if done else 0
    if step:
        log.write(Resumed(step=step))
    while step < play["steps"]:
        wanted = folder.wanted()
        if wanted != "run" and not play.get("stubborn"):
            keep(folder, log, step)
            log.write(Halted(step=step, wanted=wanted))
            return 0
        time.sleep(play.get("delay", 0.01))
        step += 1
        log.write(Metrics(step=step, values={"loss": 1.0 / step, "learning_rate": 0.5}))
        if step % 10 == 0:
            log.write(SampleText(step=step, index=0, prompt="Hi", completion=f"step {step}", numbers={"reward": 1.0}))
        if step % play.get("checkpoint_every", 5) == 0:
            keep(folder, log, step)
    if play.get("fails"):
        log.write(Failed(error="bad_input", what="The data is empty.", hint="Import some rows."))
        return 1
    if play.get("model"):
        shutil.copytree(play["model"], folder.model)
    log.write(Finished(step=step, model=str(folder.model) if play.get("model") else None))
    return 0


def keep(folder: RunFolder, log: EventWriter, step: int) -> None:
    (folder.checkpoints / str(step)).mkdir(parents=True, exist_ok=True)
    log.write(Checkpointed(step=step, folder=f"checkpoints/{step}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 2 else "", sys.argv[-1]))
