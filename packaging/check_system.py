"""Names the system libraries that Qt needs and this machine lacks, with the Debian package of each. Standard library only."""

from __future__ import annotations

import ctypes
import sys

LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
}


def missing() -> dict[str, str]:
    """Library → package, for each one that can't be loaded."""
    absent = {}
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            absent[library] = package
    return absent


def main() -> int:
    """Exit code 0 when everything is there; otherwise 1, with the command that installs what is missing."""
    absent = missing() if sys.platform == "linux" else {}
    if absent:
        sys.stderr.write(
            f"Qt needs {', '.join(absent)}.\nInstall it with: apt-get install {' '.join(absent.values())}\n"
        )
    return 1 if absent else 0


if __name__ == "__main__":
    sys.exit(main())
