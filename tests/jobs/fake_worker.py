"""A worker without a model: speaks the protocol as told by play.json in its run folder, resumes from its checkpoints."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil

from workbench.domain.events import Checkpointed, Failed, Finished, Halted, Metrics, Planned, Resumed, Started
from workbench.protocol.event_log import EventWriter
from workbench.protocol.run_folder import RunFolder


def main(path: str) -> int:
    folder = RunFolder(Path(path))
    play = json.loads((folder.path / "play.json").read_text())
    if play.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if play.get("silent_exit") is not None:
        return int(play["silent_exit"])
    sys.stdout.write("the fake worker is at work\n")
    log = EventWriter(folder.events)
    log.write(Started(pid=os.getpid(), pid_started=psutil.Process().create_time(), host="here", device="cpu"))
    log.write(Planned(steps=play["steps"]))
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
        log.write(Metrics(step=step, values={"loss": 1.0 / step}))
        if step % play.get("checkpoint_every", 5) == 0:
            keep(folder, log, step)
    if play.get("fails"):
        log.write(Failed(error="bad_input", what="The data is empty.", hint="Import some rows."))
        return 1
    log.write(Finished(step=step))
    return 0


def keep(folder: RunFolder, log: EventWriter, step: int) -> None:
    (folder.checkpoints / str(step)).mkdir(parents=True, exist_ok=True)
    log.write(Checkpointed(step=step, folder=f"checkpoints/{step}"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
