import subprocess
import sys

from workbench.gui.hold_none import PLENTY, hold_none

MANY_CALLS = """
import workbench.gui
from PySide6.QtWidgets import QApplication, QLabel
app = QApplication([])
label = QLabel()
for number in range(60_000):
    label.setIndent(1)
print("alive")
"""


def test_that_many_calls_into_qt_do_not_kill_the_interpreter() -> None:
    done = subprocess.run([sys.executable, "-c", MANY_CALLS], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "alive", done.stderr
    assert done.returncode == 0


def test_that_holding_twice_changes_nothing() -> None:
    hold_none()
    before = sys.getrefcount(None)
    assert hold_none() is False
    assert abs(sys.getrefcount(None) - before) < 1000
    assert sys.version_info >= (3, 12) or before > PLENTY // 2
