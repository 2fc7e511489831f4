import subprocess
import sys

from workbench.gui.immortal import CONSTANTS, PLENTY, hold_constants

MANY_CALLS = """
import workbench.gui
from PySide6.QtWidgets import QApplication, QCheckBox
app = QApplication([])
box = QCheckBox()
box.toggled.connect(lambda on: box.setText("on" if on else ""))
for number in range(60_000):
    box.setChecked(number % 2 == 0)
print("alive")
"""


def test_that_many_calls_into_qt_do_not_kill_the_interpreter() -> None:
    done = subprocess.run([sys.executable, "-c", MANY_CALLS], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "alive", done.stderr
    assert done.returncode == 0


def test_that_holding_twice_changes_nothing() -> None:
    hold_constants()
    before = sys.getrefcount(None)
    assert hold_constants() == 0
    assert abs(sys.getrefcount(None) - before) < 1000


def test_that_every_constant_is_out_of_reach_where_python_does_not_see_to_it() -> None:
    hold_constants()
    assert sys.version_info >= (3, 12) or all(sys.getrefcount(constant) > PLENTY // 2 for constant in CONSTANTS)
