"""Fixtures of all rooms."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real material (data, models) that lies beside the checkout, or where WORKBENCH_SHARED says."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("WORKBENCH_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"the real material is not there: {folder}")
    return folder
