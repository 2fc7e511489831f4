"""This machine: what `workbench doctor` checks, and the numbers in the status line. Never imports torch or Qt."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from workbench.domain.errors import WorkbenchError
from workbench.services.views import Check
from workbench.services.workspace import Workspace

PACKAGES = (
    "PySide6-Essentials", "pyqtgraph", "transformers", "peft", "tokenizers", "safetensors", "SQLAlchemy", "alembic",
    "pydantic", "pyarrow", "numpy", "scipy",
)  # fmt: skip
QT_LIBRARIES = {
    "EGL": "libegl1", "GL": "libgl1", "xkbcommon": "libxkbcommon0", "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1", "freetype": "libfreetype6", "glib-2.0": "libglib2.0-0",
}  # fmt: skip
X11_LIBRARIES = {
    "xcb-cursor": "libxcb-cursor0", "xkbcommon-x11": "libxkbcommon-x11-0", "xcb-icccm": "libxcb-icccm4",
    "xcb-keysyms": "libxcb-keysyms1", "xcb-shape": "libxcb-shape0", "xcb-image": "libxcb-image0",
    "xcb-render-util": "libxcb-render-util0",
}  # fmt: skip
LITTLE_SPACE = 2 * 2**30
PATIENCE = 5.0


@dataclass(frozen=True)
class Gpu:
    """One GPU as nvidia-smi sees it; memory in GiB, load in percent."""

    name: str
    load: float
    used_gib: float
    total_gib: float


@dataclass(frozen=True)
class HardwareSummary:
    """How busy the machine is: processor in percent, memory in GiB, GPUs if there are any."""

    cpu: float
    memory_used_gib: float
    memory_total_gib: float
    gpus: tuple[Gpu, ...] = ()


class HardwareService:
    """The machine on which this process runs, and the health of the open workspace."""

    def __init__(self, workspace: Workspace | None = None) -> None:
        self._workspace = workspace
        self._asks_gpu = shutil.which("nvidia-smi") is not None
        psutil.cpu_percent(None)

    def summary(self) -> HardwareSummary:
        """How busy the machine is since the last call; a few milliseconds without a GPU."""
        memory = psutil.virtual_memory()
        gpus = read_gpus() if self._asks_gpu else ()
        return HardwareSummary(
            psutil.cpu_percent(None), (memory.total - memory.available) / 2**30, memory.total / 2**30, gpus
        )

    def checks(self, workspace: Path | None = None) -> list[Check]:
        """Everything that the workbench needs, each with what to do when it is missing."""
        place = workspace or (self._workspace.path if self._workspace else None)
        found = [_python(), *_packages(), _torch(), _gpu(), *_libraries(), _disk(place or Path.home())]
        if self._workspace is not None:
            found.append(self._health(self._workspace))
        return found

    def _health(self, workspace: Workspace) -> Check:
        try:
            trouble = workspace.lane.do(workspace.store.check)
        except WorkbenchError as error:
            return Check("workspace", False, error.what, error.hint)
        if trouble:
            hint = "Close the workbench and put the newest file from the workspace's backups folder in its place."
            if workspace.store.server:
                hint = "Ask who looks after the server to restore its backup."
            return Check("workspace", False, f"The database is damaged: {trouble[0]}", hint)
        where = f"; its datasets and labels are on {workspace.store.server}" if workspace.store.server else ""
        return Check("workspace", True, f"{workspace.path} is sound{where}.")


def read_gpus() -> tuple[Gpu, ...]:
    """The GPUs that nvidia-smi lists; none when it isn't there or doesn't answer."""
    query = ["nvidia-smi", "--query-gpu=name,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(gpu for line in answer.splitlines() if (gpu := parse_gpu(line)) is not None)


def slots() -> tuple[str, ...]:
    """The places where a run can work: "cpu", and "cuda:0" and so on for each GPU that a worker would see."""
    count = len(read_gpus())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        count = min(count, _usable(visible))
    return ("cpu", *(f"cuda:{number}" for number in range(count)))


def _usable(visible: str) -> int:
    """How many GPUs CUDA_VISIBLE_DEVICES leaves: the list ends at the first number that no device can have."""
    words = [word.strip() for word in visible.split(",") if word.strip()]
    return next((n for n, word in enumerate(words) if word.startswith("-")), len(words))


def parse_gpu(line: str) -> Gpu | None:
    """One line of nvidia-smi's CSV; a value that it doesn't know counts as 0."""
    parts = [part.strip() for part in line.rsplit(",", 3)]
    if len(parts) != 4:
        return None
    load, used, total = (float(p) if p.replace(".", "", 1).isdigit() else 0.0 for p in parts[1:])
    return Gpu(parts[0], load, used / 1024, total / 1024)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    return Check("python", good, f"Python {version}", "" if good else "Install Python 3.11 or newer.")


def _packages() -> list[Check]:
    return [_package(name) for name in PACKAGES]


def _package(name: str) -> Check:
    try:
        return Check(name, True, f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, f"{name} is not installed.", "Run `make setup`, or: pip install rlhf-workbench")


def _torch() -> Check:
    try:
        return Check("torch", True, f"torch {importlib.metadata.version('torch')}")
    except importlib.metadata.PackageNotFoundError:
        hint = "Run `make setup`. Labelling goes on without torch; training and decoding need it."
        return Check("torch", False, "torch is not installed.", hint)


def _gpu() -> Check:
    gpus = read_gpus()
    if not gpus:
        return Check("gpu", True, "No NVIDIA GPU found; jobs compute on the processor.")
    return Check("gpu", True, "; ".join(f"{g.name}, {g.total_gib:.0f} GiB" for g in gpus))


def _libraries() -> list[Check]:
    """Shared libraries that Qt loads; only on Linux are they the system's, and those of X11 only where a display is."""
    if not sys.platform.startswith("linux"):
        return []
    wanted = {**QT_LIBRARIES, **(X11_LIBRARIES if os.environ.get("DISPLAY") else {})}
    return [_library(name, package) for name, package in wanted.items()]


def _library(name: str, package: str) -> Check:
    found = ctypes.util.find_library(name)
    if found:
        return Check(f"lib{name}", True, f"{found} is installed.")
    return Check(f"lib{name}", False, f"lib{name} is missing; the window needs it.", f"apt-get install {package}")


def _disk(place: Path) -> Check:
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:.1f} GiB free at {place}"
    return Check(
        "disk", free >= LITTLE_SPACE, text, "" if free >= LITTLE_SPACE else "Free some space: checkpoints need it."
    )
