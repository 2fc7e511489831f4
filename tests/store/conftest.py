"""Stores in fresh folders, over both kinds of databases, and small items to judge."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.text import Candidate, Prompt
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database: every test with a store runs over both. A module that is about one has a fixture of this name."""
    return str(request.param)


@pytest.fixture
def workspace(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder for a workspace, which is yet to be made or is on a server."""
    folder = tmp_path / "workspace"
    return folder if kind == "sqlite" else request.getfixturevalue("join")(folder)


@pytest.fixture
def store(workspace: Path) -> Iterator[Store]:
    opened = open_store(workspace)
    yield opened
    opened.close()


@pytest.fixture
def item() -> Callable[..., Item]:
    def make(name: str, candidates: int = 2) -> Item:
        offered = tuple(Candidate(text=f"answer {i} to {name}", model=f"m{i}") for i in range(candidates))
        return Item(id=name, prompt=Prompt.from_text(f"question {name}"), candidates=offered)

    return make


@pytest.fixture
def judge() -> Callable[..., Judgement]:
    def make(
        item: str,
        name: str = "",
        annotator: str = "me",
        tiers: tuple[tuple[int, ...], ...] = ((0,), (1,)),
        **more: object,
    ) -> Judgement:
        fields = {
            "id": name or f"judgement of {item} by {annotator} at {datetime.now(UTC)}", "item": item,
            "annotator": annotator, "outcome": "ranked", "ranking": Ranking(tiers=tiers),
            "shown": tuple(range(sum(map(len, tiers)))), "shown_seed": 7, "milliseconds": 1200,
            "created": datetime.now(UTC),
        }  # fmt: skip
        return Judgement.model_validate(fields | more)

    return make


@pytest.fixture
def ten(store: Store, item: Callable[..., Item]) -> Store:
    """A store with ten items in the dataset "pairs"."""
    store.datasets.create("pairs", "preferences")
    store.datasets.append("pairs", [NewRow((item(f"i{n}"), [])) for n in range(10)])
    return store
