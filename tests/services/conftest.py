"""An open workbench in a fresh folder, with ten items to judge."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.fake_runs import FakeRuns
from workbench.domain.judgement import Item
from workbench.domain.text import Candidate, Prompt
from workbench.services.workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Workbench.open(tmp_path / "workspace", create=True) as opened:
        yield opened


def make_item(name: str, candidates: int = 2) -> Item:
    offered = tuple(Candidate(text=f"answer {i} to {name}", model=f"m{i}") for i in range(candidates))
    return Item(id=name, prompt=Prompt.from_text(f"question {name}"), candidates=offered)


@pytest.fixture
def ten(bench: Workbench) -> Workbench:
    for n in range(10):
        bench.labelling.add_item("pairs", make_item(f"i{n}"))
    return bench


@pytest.fixture
def stories(shared: Path) -> Path:
    return shared / "models" / "stories260K"


@pytest.fixture
def fake(tmp_path: Path, stories: Path) -> Iterator[FakeRuns]:
    made = FakeRuns(tmp_path / "workspace", stories)
    yield made
    made.close_all()
