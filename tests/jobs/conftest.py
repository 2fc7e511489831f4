from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.ledger import FileLedger
from workbench.jobs.child import Child, read_launched
from workbench.protocol.run_folder import RunFolder


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[FileLedger]:
    yield FileLedger(tmp_path)
    for folder in (tmp_path / "runs").glob("*"):
        launched = read_launched(RunFolder(folder))
        if launched is not None:
            child = Child(launched.pid, launched.started)
            child.kill()
            while child.alive():
                pass
