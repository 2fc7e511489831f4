"""The starter kit in a workspace: everything once, marked as synthetic, and what is there is left alone."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.domain.errors import NotFound, StorageFailed
from workbench.services import starter
from workbench.services.starter import (
    BASE,
    DEMONSTRATIONS,
    HELD_OUT,
    PROMPTS,
    RANKINGS,
    TO_RANK,
    fill_with_starter,
    kit_folder,
)
from workbench.services.workbench import Workbench, new_workspace

KINDS = {
    DEMONSTRATIONS: "demonstrations", PROMPTS: "prompts", HELD_OUT: "prompts", RANKINGS: "preferences",
    TO_RANK: "preferences",
}  # fmt: skip
FILES = {
    DEMONSTRATIONS: "demonstrations.jsonl", PROMPTS: "prompts.jsonl", HELD_OUT: "heldout.jsonl",
    RANKINGS: "items.jsonl", TO_RANK: "to_rank.jsonl",
}  # fmt: skip


def fill(bench: Workbench) -> None:
    fill_with_starter(bench.workspace, bench.models, bench.datasets)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A workspace made with the kit; the tests that share it only read."""
    path = new_workspace(tmp_path_factory.mktemp("starter") / "work", starter=True)
    with Workbench.open(path) as bench:
        yield bench


@pytest.fixture
def small_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit with three lines of each file, in a place of its own."""
    kit = tmp_path / "package-root" / starter.KIT
    kit.mkdir(parents=True)
    for file in FILES.values():
        lines = (kit_folder() / file).read_text(encoding="utf-8").splitlines(keepends=True)
        (kit / file).write_text("".join(lines[:3]), encoding="utf-8")
    shutil.copytree(kit_folder() / "model", kit / "model")
    monkeypatch.setattr(starter, "kit_folder", lambda: kit)
    return kit


def test_that_every_dataset_of_the_kit_is_there_in_its_kind_and_marked_synthetic(filled: Workbench) -> None:
    views = {d.name: d for d in filled.datasets.list()}
    assert {name: view.kind for name, view in views.items()} == KINDS
    assert all(view.synthetic and view.source == "starter kit (synthetic)" for view in views.values())


@pytest.mark.parametrize("name", sorted(KINDS))
def test_that_every_line_of_the_kit_has_become_a_row(filled: Workbench, name: str) -> None:
    lines = (kit_folder() / FILES[name]).read_text(encoding="utf-8").splitlines()
    assert filled.datasets.get(name).rows == len(lines) > 0
    (last,) = filled.datasets.page(name, len(lines) - 1, 5)
    assert ("Line in the source", str(len(lines))) in last.facts


def test_that_rankings_are_judged_and_pairs_to_rank_are_not(filled: Workbench) -> None:
    views = {d.name: d for d in filled.datasets.list()}
    assert views[RANKINGS].judged == views[RANKINGS].rows
    assert (views[TO_RANK].judged, views[TO_RANK].rows >= 5) == (0, True)


def test_that_the_kit_s_labels_are_those_of_a_rule_and_count_as_nobody_s_work(filled: Workbench) -> None:
    said = filled.labelling.judgements(RANKINGS)
    assert {j.annotator_kind for j in said} == {"rule"}
    assert filled.labelling.counts() == (0, 0)


def test_that_no_held_out_prompt_is_trained_on(filled: Workbench) -> None:
    held = {p.key() for p in filled.datasets.values(HELD_OUT)}
    assert not held & {p.key() for p in filled.datasets.values(PROMPTS)}
    assert not held & {d.prompt.key() for d in filled.datasets.values(DEMONSTRATIONS)}
    assert not held & {i.prompt.key() for i in filled.datasets.values(RANKINGS)}


def test_that_a_demonstration_is_the_prompt_and_the_answer_of_its_line(filled: Workbench) -> None:
    line = json.loads((kit_folder() / "demonstrations.jsonl").read_text(encoding="utf-8").splitlines()[0])
    first = filled.datasets.values(DEMONSTRATIONS, limit=1)[0]
    assert [t.model_dump() for t in first.prompt.turns] == line["prompt"]
    assert first.completion == line["completion"][0]["content"]


def test_that_the_model_is_the_workspace_s_own_copy(filled: Workbench) -> None:
    base = filled.models.get(BASE)
    assert (base.kind, base.synthetic, base.form) == ("base", True, "full")
    assert Path(base.path) == filled.workspace.models / BASE
    for file in (kit_folder() / "model").iterdir():
        assert (Path(base.path) / file.name).read_bytes() == file.read_bytes()


def test_that_filling_twice_changes_nothing(bench: Workbench, small_kit: Path) -> None:
    fill(bench)
    before = (bench.datasets.list(), bench.models.list())
    fill(bench)
    assert (bench.datasets.list(), bench.models.list()) == before
    assert {d.rows for d in bench.datasets.list()} == {3}


def test_that_filling_goes_on_where_it_was_interrupted(bench: Workbench, small_kit: Path) -> None:
    fill(bench)
    bench.datasets.delete(RANKINGS)
    bench.models.remove(BASE)
    fill(bench)
    assert {d.name for d in bench.datasets.list()} == set(KINDS)
    assert bench.models.get(BASE).parameters > 0


def test_that_a_dataset_of_the_person_s_own_keeps_its_name_and_its_rows(bench: Workbench, small_kit: Path) -> None:
    bench.datasets.create(PROMPTS, "documents")
    fill(bench)
    mine = bench.datasets.get(PROMPTS)
    assert (mine.kind, mine.rows, mine.synthetic) == ("documents", 0, False)


def test_that_a_damaged_line_leaves_no_half_of_its_dataset(bench: Workbench, small_kit: Path) -> None:
    file = small_kit / "prompts.jsonl"
    file.write_text(file.read_text(encoding="utf-8") + '{"prompt": []}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="turns"):
        fill(bench)
    assert PROMPTS not in {d.name for d in bench.datasets.list()}


def test_that_a_model_that_cannot_be_copied_is_one_sentence(bench: Workbench, small_kit: Path) -> None:
    bench.workspace.models.mkdir(exist_ok=True)
    (bench.workspace.models / BASE).write_text("a file in its place")
    with pytest.raises(StorageFailed, match="starter model can't be copied") as caught:
        fill(bench)
    assert caught.value.hint
    assert bench.models.list() == []


def test_that_a_missing_kit_is_said_before_a_workspace_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "KIT", Path("nowhere") / "at all")
    with pytest.raises(NotFound, match="starter kit is in none of") as caught:
        new_workspace(tmp_path / "work", starter=True)
    assert "make starter" in caught.value.hint
    assert not (tmp_path / "work").exists()
