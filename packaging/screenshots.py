"""Takes a picture of every page in both themes and two sizes: `python packaging/screenshots.py OUT [WORKSPACE]`.

Without a workspace a new one is made from the starter kit. `--desk` takes every state of the annotation desk and of statistics
in its place (`desk_scenes.py`), over a workspace made for it. The window is real, its services are real; only the screen is
not (it runs off screen unless QT_QPA_PLATFORM says otherwise).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from desk_scenes import SCENES, Scene, press
from desk_scenes import fill as fill_desk
from PySide6.QtCore import QObject, QSettings, QTimer
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication, QDialog

from workbench.domain.judgement import ranking_from_scores
from workbench.gui.app import Opener, make_app
from workbench.gui.page_table import PAGES
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.starter import BASE, DEMONSTRATIONS, RANKINGS, TO_RANK
from workbench.services.workbench import Workbench, new_workspace

SIZES = ("1280x800", "1024x640")
THEMES = ("light", "dark")
SETTLE_MS = 900


class Photographer(QObject):
    """Walks through every scene; each gets a moment to load, and one after its keys, before its picture is taken."""

    def __init__(
        self, window: Window, out: Path, scenes: Sequence[Scene], themes: Sequence[str], sizes: Sequence[str]
    ) -> None:
        super().__init__()
        self.window, self.out = window, out
        self.taken: list[Path] = []
        self.shots = list(product(themes, [tuple(map(int, size.split("x"))) for size in sizes], scenes))

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
        theme, size, scene = self.shots.pop(0)
        settings = self.window.settings
        if settings.theme != theme:
            self.window.settings_changed(settings.model_copy(update={"theme": theme}))
        self.window.palette_.leave()
        self.window.resize(*size)
        scene.go(self.window)
        name = f"{scene.name}-{theme}-{size[0]}x{size[1]}.png"

        def shoot() -> None:
            QTimer.singleShot(SETTLE_MS if scene.keys else 0, self, lambda: self.shoot(name, scene))

        keys = shoot if scene.at_once else partial(press, self.window, scene.keys, shoot)
        QTimer.singleShot(SETTLE_MS, self, keys)

    def shoot(self, name: str, scene: Scene) -> None:
        """Take the picture: of the window, or of the small one that stands over it."""
        over = [w for w in self.window.findChildren(QDialog) if w.isVisible()]
        file = self.out / name
        (over[-1] if over else self.window).grab().save(str(file))
        self.taken.append(file)
        for panel in over:
            panel.close()
        press(self.window, scene.back, lambda: self.leave(scene))

    def leave(self, scene: Scene) -> None:
        """Put back what the scene has changed, then go on."""
        scene.leave(self.window)
        self.begin()


def page_scenes(pages: set[str]) -> list[Scene]:
    """Every page as it opens, and the palette."""
    scenes = [Scene(entry.id, partial(_go, entry.id)) for entry in PAGES if not pages or entry.id in pages]
    return scenes + (
        [] if pages and "palette" not in pages else [Scene("palette", lambda window: window.find_anything())]
    )


def _go(page: str, window: Window) -> None:
    """Show a page; Runs shows a run that has a curve."""
    ended = [run.id for run in window.services.runs.list() if run.spark] if page == "runs" else []
    window.go(page, **({"run": ended[0]} if ended else {}))


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
    parser.add_argument("--pages", nargs="*", default=[], help="only these pages, or with --desk only these scenes")
    parser.add_argument("--desk", action="store_true", help="every state of the desk and of statistics")
    parser.add_argument("--themes", nargs="*", default=THEMES, choices=THEMES)
    parser.add_argument("--sizes", nargs="*", default=SIZES, metavar="WIDTHxHEIGHT")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CONFIG_HOME"] = temporary
        workspace = options.workspace or Path(temporary) / "my-workspace"
        if options.workspace is None and options.desk:
            fill_desk(workspace)
        elif options.workspace is None:
            fill(new_workspace(workspace, starter=True))
        wanted = set(options.pages)
        scenes = page_scenes(wanted)
        if options.desk:
            scenes = [scene for scene in SCENES if not wanted or scene.name in wanted]
        app = make_app()
        theme = Theme(app)
        theme.apply("light")
        window = Window(theme, QSettings(str(Path(temporary) / "window.ini"), QSettings.Format.IniFormat))
        photographer = Photographer(window, options.out, scenes, options.themes, options.sizes)
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
