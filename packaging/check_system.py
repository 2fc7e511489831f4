"""Names the system libraries that Qt needs and this machine lacks, with the Debian package of each. Standard library only."""

from __future__ import annotations

import argparse
import ctypes
import os
import sys

LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
}
# What Qt's X11 plugin links against. Nothing else needs it, so a machine that can test may still be unable to show a window.
X11_LIBRARIES = {
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}


def missing(wanted: dict[str, str]) -> dict[str, str]:
    """Library → package, for each one that can't be loaded."""
    absent = {}
    for library, package in wanted.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            absent[library] = package
    return absent


def main() -> int:
    """Exit code 0 when everything is there; otherwise 1, with the command that installs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", action="store_true", help="also what a window on this display needs")
    window = parser.parse_args().window
    only_x11 = bool(os.environ.get("DISPLAY")) and not os.environ.get("WAYLAND_DISPLAY")
    x11 = window and only_x11 and os.environ.get("QT_QPA_PLATFORM", "xcb").startswith("xcb")
    absent = missing(LIBRARIES | (X11_LIBRARIES if x11 else {})) if sys.platform == "linux" else {}
    if absent:
        sys.stderr.write(
            f"Qt needs {', '.join(absent)}.\nInstall it with: apt-get install {' '.join(absent.values())}\n"
        )
    return 1 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
