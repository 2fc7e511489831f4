"""What a person without Qt's system libraries is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "packaging" / "check_system.py"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="package names are Debian's")


def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as the Makefile does, in an environment of its own."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]} | environment,
        check=False,
    )


def without(tmp_path: Path, library: str) -> dict[str, str]:
    """An environment in which one library can't be loaded: a file of that name that is no library comes first."""
    (tmp_path / library).write_text("this is no library")
    return {"LD_LIBRARY_PATH": str(tmp_path)}


def test_that_a_missing_library_is_named_with_its_package(tmp_path: Path) -> None:
    done = check(**without(tmp_path, "libEGL.so.1"))
    assert done.returncode == 1
    assert "libEGL.so.1" in done.stderr
    assert "apt-get install" in done.stderr
    assert "libegl1" in done.stderr.split("apt-get install")[1]


def test_that_libraries_of_the_x11_plugin_are_asked_for_only_when_a_window_is_to_open(tmp_path: Path) -> None:
    lacking = without(tmp_path, "libxcb-cursor.so.0")
    assert "libxcb-cursor0" in check("--window", DISPLAY=":9", **lacking).stderr
    for other in (check(**lacking), check("--window", **lacking)):
        assert "libxcb-cursor0" not in other.stderr


@pytest.mark.parametrize("other", [{"QT_QPA_PLATFORM": "offscreen"}, {"WAYLAND_DISPLAY": "wayland-0"}])
def test_that_another_platform_plugin_needs_no_x11(tmp_path: Path, other: dict[str, str]) -> None:
    lacking = without(tmp_path, "libxcb-cursor.so.0")
    assert "xcb" not in check("--window", DISPLAY=":9", **other, **lacking).stderr
