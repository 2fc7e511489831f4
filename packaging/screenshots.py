"""Takes a picture of every page in both themes and two sizes: `python packaging/screenshots.py OUT [WORKSPACE]`.

Without a workspace a new one is made from the starter kit. The window is real, its services are real; only the screen is
not (it runs off screen unless QT_QPA_PLATFORM says otherwise).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PySide6.QtCore import QObject, QSettings, QTimer
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication

from workbench.domain.judgement import ranking_from_scores
from workbench.gui.app import Opener, make_app
from workbench.gui.page_table import PAGES
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.starter import BASE, DEMONSTRATIONS, RANKINGS, TO_RANK
from workbench.services.workbench import Workbench, new_workspace

SIZES = ((1280, 800), (1024, 640))
THEMES = ("light", "dark")
SETTLE_MS = 900


class Photographer(QObject):
    """Walks through every scene; each gets a moment to load before its picture is taken."""

    def __init__(self, window: Window, out: Path, pages: set[str]) -> None:
        super().__init__()
        self.window, self.out = window, out
        self.taken: list[Path] = []
        scenes: list[tuple[str, Callable[[], Any]]] = [
            (entry.id, lambda page=entry.id: self.go(page)) for entry in PAGES if not pages or entry.id in pages
        ]
        if not pages or "palette" in pages:
            scenes.append(("palette", window.find_anything))
        self.shots = list(product(THEMES, SIZES, scenes))

    def go(self, page: str) -> None:
        """Show a page; Runs shows a run that has a curve."""
        ended = [run.id for run in self.window.services.runs.list() if run.spark] if page == "runs" else []
        self.window.go(page, **({"run": ended[0]} if ended else {}))

    def begin(self) -> None:
        """Wait until the workspace is open, then start."""
        if self.window.services is None:
            QTimer.singleShot(100, self, self.begin)
        else:
            self.next()

    def next(self) -> None:
        """Prepare one scene."""
        if not self.shots:
            self.window.close()
            QApplication.quit()
            return
        theme, size, (name, prepare) = self.shots.pop(0)
        settings = self.window.settings
        if settings.theme != theme:
            self.window.settings_changed(settings.model_copy(update={"theme": theme}))
        self.window.palette_.leave()
        self.window.resize(*size)
        prepare()
        QTimer.singleShot(SETTLE_MS, self, lambda: self.shoot(f"{name}-{theme}-{size[0]}x{size[1]}.png"))

    def shoot(self, name: str) -> None:
        """Take the picture."""
        file = self.out / name
        self.window.grab().save(str(file))
        self.taken.append(file)
        self.next()


def fill(workspace: Path) -> None:
    """Give a new starter workspace something to show: a label, an SFT and a reward model, and a DPO run under way."""
    with Workbench.open(workspace) as bench:
        shown, _ = bench.labelling.start(TO_RANK)
        if shown is not None:
            ranking = ranking_from_scores([0.0, 1.0])
            bench.labelling.record(TO_RANK, shown, outcome="ranked", ranking=ranking, milliseconds=2400)
        small = {"batch_size": 8, "max_steps": 30, "eval_every": 10, "sample_every": 10, "checkpoint_every": 0}
        for kind, base, data, rate in (("sft", BASE, DEMONSTRATIONS, 1e-3), ("reward", "shown-sft", RANKINGS, 3e-4)):
            asked = {"name": f"shown-{kind}", "base": base, "data": data, "learning_rate": rate}
            run = bench.training.start(bench.training.draft(kind).model_copy(update={**small, **asked}))
            bench.runs.wait(run.id, 300)
        asked = {"name": "shown-dpo", "base": "shown-sft", "data": RANKINGS, "max_steps": 400}
        bench.training.start(bench.training.draft("dpo").model_copy(update={**small, **asked}))


def stop_runs(workspace: Path) -> None:
    """End what is still under way."""
    with Workbench.open(workspace) as bench:
        for run in bench.runs.list():
            if not run.state.ended:
                bench.runs.stop(run.id)
                bench.runs.wait(run.id, 60)


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; prints where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("workspace", type=Path, nargs="?")
    parser.add_argument("--pages", nargs="*", default=[], help="only these pages")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CONFIG_HOME"] = temporary
        workspace = options.workspace or new_workspace(Path(temporary) / "my-workspace", starter=True)
        if options.workspace is None:
            fill(workspace)
        app = make_app()
        theme = Theme(app)
        theme.apply("light")
        window = Window(theme, QSettings(str(Path(temporary) / "window.ini"), QSettings.Format.IniFormat))
        photographer = Photographer(window, options.out, set(options.pages))
        QCursor.setPos(4000, 3000)  # nothing looks as if the mouse were on it
        window.show()
        Opener(window).open(workspace)
        photographer.begin()
        app.exec()
        if options.workspace is None:
            stop_runs(workspace)
    sys.stdout.write(f"{len(photographer.taken)} pictures in {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
