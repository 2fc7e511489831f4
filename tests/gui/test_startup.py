"""What the window may have loaded when it appears, and how the application starts and stops."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.services.workbench import Workbench, new_workspace

HEAVY = {
    "torch",
    "transformers",
    "peft",
    "pyqtgraph",
    "alembic",
    "pyarrow",
    "scipy",
    "sqlalchemy",
    "markdown_it",
    "pygments",
}
HEAVY_WHEN_OPEN = {"torch", "transformers", "peft", "pyqtgraph", "pyarrow", "scipy", "markdown_it", "pygments"}
PROGRAM = """
import json, sys, time
started = time.monotonic()
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from workbench.gui import app, window

class Watched(window.Window):
    def showEvent(self, event):
        super().showEvent(event)
        seen["shown"] = roots()
        QTimer.singleShot(50, self, self.look)
    def look(self):
        page = self.deck.page("home")
        if page is None and time.monotonic() - started < 30:
            QTimer.singleShot(50, self, self.look)
            return
        seen["open"] = roots()
        seen["page"] = type(page).__name__
        seen["title"] = self.windowTitle()
        self.close()
        QApplication.quit()

def roots():
    return sorted({name.split(".")[0] for name in sys.modules})

seen = {}
app.Window = Watched
code = app.main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
print(json.dumps(seen))
sys.exit(code)
"""


def start(home: Path, *arguments: str) -> dict[str, object]:
    """Start the window in a process of its own; what it saw."""
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
    env["XDG_DATA_HOME"] = str(home / "data")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return seen


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    home = tmp_path_factory.mktemp("home")
    workspace = new_workspace(home / "space")
    return start(home, str(workspace))


def test_that_the_window_appears_before_anything_heavy_is_loaded(seen: dict[str, object]) -> None:
    assert not HEAVY & set(seen["shown"])  # type: ignore[call-overload]


def test_that_an_open_workspace_shows_home_without_learning_or_plotting_libraries(seen: dict[str, object]) -> None:
    assert seen["page"] == "HomePage"
    assert not HEAVY_WHEN_OPEN & set(seen["open"])  # type: ignore[call-overload]


def test_that_the_window_names_its_workspace(seen: dict[str, object]) -> None:
    assert str(seen["title"]).startswith("space")


def test_that_the_last_workspace_is_opened_when_none_is_named(tmp_path: Path) -> None:
    workspace = new_workspace(tmp_path / "remembered")
    start(tmp_path, str(workspace))
    assert str(start(tmp_path)["title"]).startswith("remembered")
    Workbench.open(workspace).close()
