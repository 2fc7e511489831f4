"""Containers and damaged files: every whole-file trouble is one clear sentence with a hint, every bad line is listed."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench import formats
from workbench.domain.errors import BadInput
from workbench.formats import PreferenceRow

PAIRS = [{"prompt": f"Question {i}", "chosen": f"right {i}", "rejected": f"wrong {i}"} for i in range(5)]
LINES = "".join(json.dumps(p, ensure_ascii=False) + "\n" for p in PAIRS)


def texts(path: Path) -> list[tuple[int, str, str]]:
    rows = [(r.line, r.row) for r in formats.read([path])]
    assert all(isinstance(row, PreferenceRow) for _, row in rows)
    return [(n, r.prompt.text, r.candidates[0].text) for n, r in rows if isinstance(r, PreferenceRow)]


def complaint(path: Path) -> BadInput:
    """The error that reading this file ends with; it always has a hint."""
    with pytest.raises(BadInput) as caught:
        list(formats.read([path]))
    assert caught.value.hint
    return caught.value


def test_that_the_same_rows_come_out_of_every_container(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES, encoding="utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(LINES.encode(), mtime=0))
    (tmp_path / "a.json").write_text(json.dumps(PAIRS), encoding="utf-8")
    (tmp_path / "wrapped.json").write_text(json.dumps({"data": PAIRS}), encoding="utf-8")
    columns = {name: [p[name] for p in PAIRS] for name in PAIRS[0]}
    (tmp_path / "columns.json").write_text(json.dumps(columns), encoding="utf-8")
    (tmp_path / "lines.json").write_text(LINES, encoding="utf-8")
    (tmp_path / "no_ending").write_text(LINES, encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(PAIRS), tmp_path / "a.parquet")
    expected = [(i + 1, f"Question {i}", f"right {i}") for i in range(5)]
    for path in sorted(tmp_path.iterdir()):
        assert texts(path) == expected, path.name


def test_that_csv_gives_physical_lines_and_reads_messages_inside_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    chat = json.dumps([{"role": "user", "content": "Hi"}]).replace('"', '""')
    path.write_text(f'prompt,chosen,rejected\nWhy?,"two\nlines",no\n"{chat}",b,c\nshort,row\n', encoding="utf-8")
    rows = list(formats.read([path]))
    assert [r.line for r in rows] == [2, 4, 5]
    assert isinstance(rows[0].row, PreferenceRow) and rows[0].row.candidates[0].text == "two\nlines"
    assert isinstance(rows[1].row, PreferenceRow) and not rows[1].row.prompt.raw
    assert rows[2].trouble == "The row has 2 cells but the header has 3."


def test_that_messages_come_out_of_parquet_as_turns(tmp_path: Path) -> None:
    message = [{"role": "user", "content": "Hi"}]
    sides = {side: [{"role": "assistant", "content": side}] for side in ("chosen", "rejected")}
    pq.write_table(pa.Table.from_pylist([{"prompt": message, **sides}]), tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet") == [(1, "Hi", "chosen")]


def test_that_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + LINES.encode())
    assert len(texts(path)) == 5


def test_that_bad_lines_are_listed_with_their_number_and_the_good_ones_come_through(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(LINES + '{"prompt": oops}\n\n[1, 2]\n' + LINES + '{"prompt": "cut', encoding="utf-8")
    rows = list(formats.read([path]))
    bad = {r.line: str(r.trouble) for r in rows if r.trouble}
    assert sum(r.row is not None for r in rows) == 10
    assert list(bad) == [6, 8, 14]
    assert bad[6].startswith("Bad JSON: Expecting value at character 12")
    assert "should be a JSON object" in bad[8]
    assert bad[14].endswith("The file seems to be cut off here.")


def test_that_wrong_encodings_name_the_byte_and_the_likely_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES.encode() + '{"prompt": "café"}\n'.encode("cp1252"))
    error = complaint(path)
    assert f"the byte at position {len(LINES) + 15} (line 6)" in error.what
    assert "Windows-1252" in error.hint and "iconv -f CP1252" in error.hint
    path.write_bytes(LINES.encode("utf-16"))
    assert "UTF-16" in complaint(path).hint


def test_that_a_truncated_gzip_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    many = "".join(json.dumps({**PAIRS[0], "prompt": str(i * 7919)}) + "\n" for i in range(20000))
    path.write_bytes(gzip.compress(many.encode(), mtime=0)[:-5000])
    assert "truncated" in complaint(path).what
    path.write_bytes(LINES.encode())
    assert "is not a gzip file" in complaint(path).what
    path.write_bytes(gzip.compress(LINES.encode(), mtime=0)[:30] + b"\xff" * 60)
    assert "damaged gzip data" in complaint(path).what


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"  \n\n", "is empty"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("a.jsonl", b"\x7fELF\x02\x00\x00\x00", "is a binary file"),
        ("a.json", b'[{"prompt": "a"', "It seems to be cut off"),
        ("a.json", b'[{"prompt": nope}]', "is not valid JSON: Expecting value in line 1, character 13"),
        ("a.json", b"3", "holds a single JSON value"),
        ("a.json", b"[" * 200_000, "nests brackets too deeply"),
        ("a.jsonl", b"just words\n", "has no row that can be read"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"prompt,chosen,rejected\n", "has no row that can be read"),
        ("a.parquet", b"PAR1 but no more", "is not a readable Parquet file"),
        ("a.jsonl", b'{"colour": "blue"}\n', "has no known format. Its columns are: colour"),
    ],
)
def test_that_a_useless_file_gets_one_clear_sentence(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert says in complaint(path).what


def test_that_missing_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    assert "There is no file" in complaint(tmp_path / "gone.jsonl").what
    assert "is a folder" in complaint(tmp_path).what
    with pytest.raises(BadInput, match="No file was given"):
        formats.detect([])


def test_that_an_unknown_format_lists_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"colour": "blue"}\n', encoding="utf-8")
    hint = complaint(tmp_path / "a.jsonl").hint
    assert all(name in hint for name in ("trl-preference", "hh-rlhf", "alpaca", "trl-text"))


def test_that_columns_can_be_mapped_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"ask": "a", "good": "b", "bad": "c"}\n', encoding="utf-8")
    mapping = {"prompt": "ask", "chosen": "good", "rejected": "bad"}
    found = formats.detect([path], mapping=mapping)
    assert (found.format, found.mapping, found.columns) == ("trl-preference", mapping, ("ask", "good", "bad"))
    assert [r.trouble for r in formats.read([path], "trl-preference", mapping)] == [None]


@pytest.mark.parametrize(
    ("format", "mapping", "says"),
    [
        ("nonsense", {}, "There is no format 'nonsense'"),
        ("trl-preference", {"wrong": "prompt"}, "has no field 'wrong'"),
        ("trl-preference", {"chosen": "absent"}, "There is no column 'absent'"),
        ("alpaca", {}, "needs 'instruction' and 'output'"),
    ],
)
def test_that_a_wrong_mapping_is_refused_with_what_there_is(
    tmp_path: Path, format: str, mapping: dict[str, str], says: str
) -> None:
    (tmp_path / "a.jsonl").write_text(LINES, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        formats.detect([tmp_path / "a.jsonl"], format, mapping)
    assert says in caught.value.what and caught.value.hint


def test_that_a_minority_of_other_rows_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(LINES + '{"instruction": "a", "output": "b"}\n', encoding="utf-8")
    found = formats.detect([path])
    assert found.format == "trl-preference"
    assert found.notes == ("1 of 6 rows looked at fit alpaca instead.",)
    assert [r.trouble for r in formats.read([path])][-1] == "The field 'chosen' (the chosen response) is missing."


def test_that_several_files_are_read_in_order_with_their_own_line_numbers(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(LINES, encoding="utf-8")
    rows = list(formats.read([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]))
    assert [(r.file.name, r.line) for r in rows if r.file] == [
        (n, i) for n in ("a.jsonl", "b.jsonl") for i in range(1, 6)
    ]


@pytest.mark.parametrize(
    ("name", "format", "rows", "bad"),
    [
        ("hh_rlhf/harmless-base.test.jsonl.gz", "hh-rlhf", 2312, 9),
        ("llama_factory/alpaca_en_demo.json", "alpaca", 999, 0),
        ("llama_factory/identity.json", "alpaca", 91, 0),
        ("llama_factory/dpo_en_demo.json", "trl-preference", 299, 0),
        ("llama_factory/v1_sft_demo.jsonl", "trl-messages", 500, 0),
        ("self_instruct/davinci_predictions.jsonl", "alpaca", 252, 0),
        ("gsm8k/test.jsonl", "alpaca", 1319, 0),
        ("tinyshakespeare/input.txt", "text-blocks", 7222, 0),
    ],
)
def test_that_real_files_are_recognised_and_read_whole(
    shared: Path, name: str, format: str, rows: int, bad: int
) -> None:
    path = shared / "data" / name
    found = formats.detect([path])
    read = list(formats.read([path], found.format, found.mapping))
    assert (found.format, len(read), sum(r.row is None for r in read)) == (format, rows, bad)


def test_that_every_unusable_row_of_the_real_transcripts_is_listed(shared: Path) -> None:
    rows = formats.read([shared / "data/hh_rlhf/harmless-base.test.jsonl.gz"])
    troubles = {r.line: str(r.trouble) for r in rows if r.row is None}
    assert [n for n, why in troubles.items() if "chosen response is empty" in why] == [87, 517, 926, 1104]
    assert [n for n, why in troubles.items() if "do not share a prompt" in why] == [1255, 1689, 1951, 1953, 2037]


def test_that_real_files_with_thumbs_trees_and_three_votes_are_refused_not_misread(shared: Path) -> None:
    for name in ("llama_factory/kto_en_demo.json", "oasst/en_100_tree.jsonl", "pandalm/testset-v1.json"):
        with pytest.raises(BadInput, match="no known format"):
            formats.detect([shared / "data" / name])
