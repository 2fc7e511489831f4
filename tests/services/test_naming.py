"""Checkpoints by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.domain.errors import NotFound
from workbench.services.naming import checkpoint_folder


def test_that_a_checkpoint_is_named_by_run_and_step(tmp_path: Path) -> None:
    for step in (100, 200):
        (tmp_path / "dpo-1" / "checkpoints" / str(step)).mkdir(parents=True)
    (tmp_path / "dpo-1" / "checkpoints" / ".300.tmp").mkdir()
    assert checkpoint_folder(tmp_path, "dpo-1@100") == tmp_path / "dpo-1" / "checkpoints" / "100"
    assert checkpoint_folder(tmp_path, "dpo-1@latest") == tmp_path / "dpo-1" / "checkpoints" / "200"
    assert checkpoint_folder(tmp_path, "dpo-1") is None
    assert checkpoint_folder(tmp_path, "/a/folder@home/model") is None
    with pytest.raises(NotFound, match="no checkpoint of step 150") as refused:
        checkpoint_folder(tmp_path, "dpo-1@150")
    assert "100, 200" in refused.value.hint
    with pytest.raises(NotFound, match="sft-9 has no checkpoints"):
        checkpoint_folder(tmp_path, "sft-9@100")
