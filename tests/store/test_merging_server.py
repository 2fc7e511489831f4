"""Merging into a workspace on a PostgreSQL server, and out of one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench.domain.errors import BadInput
from workbench.domain.judgement import Item, Judgement
from workbench.domain.queues import Dimension, QueueSpec
from workbench.store import other_workspace
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.fixture
def file(tmp_path: Path, item: Callable[..., Item], judge: Callable[..., Judgement]) -> Path:
    """A workspace in a file: two judgements by anna, one of them taken back, guidelines, and demonstrations."""
    store = open_store(tmp_path / "file")
    store.datasets.create("pairs", "preferences")
    turned = item("i1")
    turned = turned.model_copy(update={"id": "elsewhere", "candidates": turned.candidates[::-1]})
    store.datasets.append("pairs", [NewRow((turned, [])), NewRow((item("new"), []))])
    store.datasets.create("texts", "documents")
    store.datasets.append("texts", ["a", "a", "ünïcode 👋"])
    store.guidelines.write("pairs", "how", [Dimension(name="kind")], "anna")
    for n, name in enumerate(("elsewhere", "new")):
        when = NOON + timedelta(seconds=n, microseconds=123457)
        store.labels.add(judge(name, f"j{n}", "anna", guideline=1, created=when), "pairs")
    store.labels.undo("pairs", "anna")
    store.close()
    return tmp_path / "file"


def test_that_a_file_is_merged_into_a_server_once(ten: Store, file: Path) -> None:
    done = ten.merging.merge(file, {})
    assert (done.items, done.judgements, done.guidelines, done.rows) == (1, 2, 1, 3)
    (said,) = ten.labels.current("pairs")
    assert (said.id, said.item, said.guideline) == ("j0", "i1", 1)
    assert said.ranking is not None
    assert said.ranking.tiers == ((1,), (0,))
    assert ten.labels.progress("pairs", "anna").judged == 1
    again = ten.merging.merge(file, {})
    assert (again.items, again.judgements, again.guidelines, again.rows, again.moves) == (0,) * 5
    assert again.duplicates == 2
    assert ten.labels.redo("pairs", "anna").id == "j1"


def test_that_a_trial_on_a_server_brings_nothing_and_tells_the_same(ten: Store, file: Path) -> None:
    theirs = open_store(file)
    theirs.queues.create(QueueSpec(name="q", dataset="pairs", strategy="random"))
    theirs.drafts.save("pairs", "new", "anna", {"tiers": [[0]]})
    theirs.close()
    trial = ten.merging.merge(file, {}, dry_run=True)
    assert (ten.datasets.get("pairs").rows, ten.labels.all("pairs"), ten.queues.list("anna")) == (10, [], [])
    assert ten.merging.merge(file, {}) == trial
    assert (trial.queues, trial.drafts, ten.queues.get("q", "anna").size) == (1, 1, 2)


def test_that_a_server_is_merged_into_a_file(ten: Store, file: Path, judge: Callable[..., Judgement]) -> None:
    ten.labels.add(judge("i1", "theirs", "ben"), "pairs")
    ten.merging.merge(file, {})
    store = open_store(file)
    done = store.merging.merge(ten._workspace, {})
    assert (done.items, done.judgements, done.duplicates) == (9, 1, 2)
    assert {j.id for j in store.labels.current("pairs")} == {"j0", "theirs"}
    store.close()


def test_that_a_server_of_another_age_is_not_read(ten: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(file)
    monkeypatch.setattr(other_workspace, "SCHEMA_VERSION", 99)
    with pytest.raises(BadInput, match="another age"):
        store.merging.merge(ten._workspace, {})
    store.close()
