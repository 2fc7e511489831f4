"""A real window that starts a real run and is then closed or killed: run by test_window_and_run, never imported.

The run's worker runs on the Python that it is told of.
"""

import os
import signal
import sys
from pathlib import Path

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication

from workbench.domain.specs.kinds import parse_spec
from workbench.gui.app import make_app
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

SEEN = 6  # points of the curve that the window has when it goes


def main(space: Path, how: str) -> None:
    app = make_app()
    theme = Theme(app)
    theme.apply("light")
    memory = QSettings(str(space.parent / "window.ini"), QSettings.Format.IniFormat)
    memory.setValue("page", "runs")
    window = Window(theme, memory)
    services = Workbench.open(space)
    window.wear(services, services.settings.get())
    window.show()
    spec = parse_spec(
        {"kind": "sft", "base": "stories", "data": "demos", "batch_size": 4, "max_steps": 20_000, "epochs": 1000.0, "checkpoint_every": 5,
         "eval_every": 100, "max_length": 64, "sample_count": 1}
    )  # fmt: skip
    run = services.training.start(spec).id
    window.go("runs", run=run)

    def look() -> None:
        page = window.deck.page("runs")
        plot = page.detail.curves.plots.get("loss") if page is not None else None  # type: ignore[attr-defined]
        if plot is None or not plot.lines or len(plot.lines[0].buffer.values) < SEEN:
            return
        timer.stop()
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        window.close()
        QApplication.quit()

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(20)
    QApplication.exec()


if __name__ == "__main__":
    sys.executable = sys.argv[3]
    main(Path(sys.argv[1]), sys.argv[2])
