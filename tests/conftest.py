"""Fixtures of all rooms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real material (data, models) that lies beside the checkout, or where WORKBENCH_SHARED says."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("WORKBENCH_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"the real material is not there: {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_worker_outlives_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers outlive their application by design; those that a test started end with the session at the latest."""
    yield
    base = str(tmp_path_factory.getbasetemp())
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "worker" in words and any(word.startswith(base) for word in words):
            process.kill()
