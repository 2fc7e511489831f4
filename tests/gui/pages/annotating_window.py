"""A real window that judges and is then killed: run by test_killed_window, never imported."""

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


def main(space: Path, labels: int) -> None:
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
        if here is None or not page.ready or here.item.id in said:
            return
        if len(said) == labels:  # the item after the last label shows: the label must be safe by now
            os.kill(os.getpid(), signal.SIGKILL)
        said.append(here.item.id)
        sys.stdout.write(f"{here.item.id} {here.shown[0]}\n")
        sys.stdout.flush()
        QTest.keyClick(page, "1")

    timer = QTimer()
    timer.timeout.connect(judge)
    timer.start(1)
    QApplication.exec()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
