"""The doctor looks at this machine and says what to install."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.services import hardware
from workbench.services.hardware import Gpu, HardwareService, parse_gpu
from workbench.services.workbench import Workbench


def test_that_the_machine_and_the_workspace_are_checked(bench: Workbench) -> None:
    checks = {c.name: c for c in bench.hardware.checks()}
    assert {"python", "torch", "gpu", "disk", "workspace", "PySide6-Essentials"} <= set(checks)
    assert checks["workspace"].ok
    assert str(bench.path) in checks["workspace"].what
    assert all(c.hint for c in checks.values() if not c.ok)


def test_that_a_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "QT_LIBRARIES", {"surely-absent": "libsurely0"})
    missing = [c for c in HardwareService().checks() if c.name == "libsurely-absent"]
    if sys.platform.startswith("linux"):
        assert [(c.ok, c.hint) for c in missing] == [(False, "apt-get install libsurely0")]


def test_that_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "PACKAGES", ("surely-absent",))
    (check,) = [c for c in HardwareService().checks() if c.name == "surely-absent"]
    assert not check.ok
    assert "make setup" in check.hint


def test_that_little_space_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "LITTLE_SPACE", 2**80)
    (check,) = [c for c in HardwareService().checks(tmp_path / "not" / "made" / "yet") if c.name == "disk"]
    assert not check.ok
    assert str(tmp_path) in check.what


def test_that_a_damaged_database_is_reported_by_the_doctor(tmp_path: Path) -> None:
    with Workbench.open(tmp_path, create=True) as bench:
        rows = ["a long text " * 50 + str(n) for n in range(200)]
        bench.datasets.create("texts", "documents")
        bench.workspace.lane.do(bench.workspace.store.datasets.append, "texts", rows)
    path = tmp_path / "workbench.db"
    content = bytearray(path.read_bytes())
    content[-80_000:-40_000] = b"\x55" * 40_000
    path.write_bytes(content)
    with Workbench.open(tmp_path) as bench:
        (check,) = [c for c in bench.hardware.checks() if c.name == "workspace"]
    assert not check.ok
    assert "backups" in check.hint


@pytest.mark.parametrize(
    ("line", "gpu"),
    [
        ("NVIDIA H200, 63, 11469, 143771", Gpu("NVIDIA H200", 63.0, 11469 / 1024, 143771 / 1024)),
        ("Odd, Name, [N/A], 0, 8192", Gpu("Odd, Name", 0.0, 0.0, 8.0)),
        ("nothing", None),
    ],
)
def test_that_lines_of_nvidia_smi_are_understood(line: str, gpu: Gpu | None) -> None:
    assert parse_gpu(line) == gpu


def test_that_gpus_are_read_from_the_real_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'Card A, 5, 1024, 24576'\necho 'Card B, 7, 0, 24576'\n")
    fake.chmod(fake.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    summary = HardwareService().summary()
    assert [g.name for g in summary.gpus] == ["Card A", "Card B"]
    assert summary.gpus[0].used_gib == 1.0
    fake.write_text("#!/bin/sh\nexit 9\n")
    assert HardwareService().summary().gpus == ()


def test_that_memory_is_told_in_gib() -> None:
    summary = HardwareService().summary()
    assert 0 < summary.memory_used_gib < summary.memory_total_gib
    assert 0 <= summary.cpu <= 100


def test_that_looking_at_the_machine_loads_neither_torch_nor_qt(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.services.workbench import Workbench; "
        f"bench = Workbench.open(Path({str(tmp_path)!r}), create=True); bench.hardware.checks(); bench.close(); "
        "print([m for m in ('torch', 'PySide6', 'transformers', 'pyarrow', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
