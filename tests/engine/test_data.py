from __future__ import annotations

import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from workbench.domain.errors import RunFailed
from workbench.engine.data import need_columns, prompt_of, read_rows, row_key, split_holdout


def rows(prompts: int, each: int = 2) -> list[dict[str, object]]:
    return [
        {"prompt": [{"role": "user", "content": f"prompt {number}"}], "raw": False, "completion": f"{turn}"}
        for number in range(prompts)
        for turn in range(each)
    ]


def test_that_a_snapshot_comes_back_as_rows_with_prompts(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows(3)), path)
    read = read_rows(path)
    assert len(read) == 6
    assert prompt_of(read[4]).text == "prompt 2"
    assert not prompt_of(read[4]).raw


def test_that_rows_are_read_without_what_only_many_files_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows(1)), path)
    monkeypatch.delitem(sys.modules, "pyarrow.dataset", raising=False)
    assert len(read_rows(path)) == 2
    assert "pyarrow.dataset" not in sys.modules, "importing it takes a worker longer than reading"


@pytest.mark.parametrize("content", [None, b"", b"PAR1 torn"], ids=["missing", "empty file", "damaged"])
def test_that_data_that_cannot_be_read_is_told_in_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "data.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunFailed) as caught:
        read_rows(path)
    assert "data.parquet" in caught.value.what
    assert caught.value.hint


def test_that_a_snapshot_without_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), path)
    with pytest.raises(RunFailed, match="no rows"):
        read_rows(path)


def test_that_data_of_another_kind_is_named_by_its_columns() -> None:
    with pytest.raises(RunFailed, match="no column text; it has prompt, raw, completion"):
        need_columns(rows(1), "text")


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_that_no_prompt_is_on_both_sides_and_the_share_is_kept(share: float) -> None:
    train, held = split_holdout(rows(40), share, seed=3)
    assert len(held) == round(40 * share) * 2
    assert len(train) + len(held) == 80
    assert not {row_key(row) for row in train} & {row_key(row) for row in held}


def test_that_the_split_depends_on_seed_and_content_but_not_on_order() -> None:
    one = {row_key(row) for row in split_holdout(rows(40), 0.2, 1)[1]}
    again = {row_key(row) for row in split_holdout(rows(40)[::-1], 0.2, 1)[1]}
    other = {row_key(row) for row in split_holdout(rows(40), 0.2, 2)[1]}
    assert one == again != other


@pytest.mark.parametrize(("prompts", "share", "held"), [(1, 0.5, 0), (2, 0.01, 1), (5, 0.0, 0)])
def test_that_small_data_keeps_something_to_train_on(prompts: int, share: float, held: int) -> None:
    train, kept = split_holdout(rows(prompts, each=1), share, 0)
    assert (len(train), len(kept)) == (prompts - held, held)


def test_that_documents_are_split_by_their_text() -> None:
    documents = [{"text": "same"}, {"text": "same"}, {"text": "other"}]
    train, held = split_holdout(documents, 0.5, 0)
    assert {row["text"] for row in train}.isdisjoint(row["text"] for row in held)
