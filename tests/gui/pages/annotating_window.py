"""A real window that judges until it is killed: run by test_killed_window and by the benchmark of kills.

Before each key it writes `said ITEM BEST`, and once the next item is shown `kept ITEM`, straight to the file descriptor, so
that what a killed process has told is on record. With a number of labels it kills itself after so many.
"""

import os
import signal
import sys
from pathlib import Path

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from workbench.gui.app import make_app
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

ENDLESS = -1


def main(space: Path, labels: int = ENDLESS, tell: int = 1) -> None:
    app = make_app()
    theme = Theme(app)
    theme.apply("light")
    memory = QSettings(str(space.parent / "window.ini"), QSettings.Format.IniFormat)
    memory.setValue("page", "annotate")
    window = Window(theme, memory)
    services = Workbench.open(space)
    window.wear(services, services.settings.get())
    window.show()
    page = window.deck.page("annotate")
    assert isinstance(page, AnnotatePage)
    said: list[str] = []

    def judge() -> None:
        here = page.presentation
        if not page.ready or (here is not None and here.item.id in said[-1:]):
            return
        if said:
            os.write(tell, f"kept {said[-1]}\n".encode())
        if len(said) == labels or here is None:  # the item after the last label shows: the label must be safe by now
            os.kill(os.getpid(), signal.SIGKILL)
            return
        said.append(here.item.id)
        os.write(tell, f"said {here.item.id} {here.shown[0]}\n".encode())
        QTest.keyClick(page, "1")

    timer = QTimer()
    timer.timeout.connect(judge)
    timer.start(1)
    QApplication.exec()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
