"""Users' files at their worst: each malformed line has its reason, its neighbours come through, and nothing is changed silently."""

from __future__ import annotations

import decimal
import gzip
import json
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench import formats
from workbench.domain.errors import BadInput
from workbench.domain.text import Demonstration, Prompt
from workbench.formats import PreferenceRow, Read
from workbench.formats.containers import records, suffix_of, text
from workbench.services.importing import preview

GOOD = {"prompt": "Why?", "chosen": "good", "rejected": "bad"}
LINE = json.dumps(GOOD) + "\n"
START = '{"prompt": "a", "chosen": "b", "rejected": "c", '


def written(folder: Path, content: str | bytes, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(folder: Path, content: str | bytes, name: str = "a.jsonl", format: str = "auto") -> list[Read]:
    return list(formats.read([written(folder, content, name)], format))


def between(folder: Path, line: str) -> str:
    """What is said about a line between two good ones, which have to come through."""
    before, found, after = rows(folder, LINE + line + "\n" + LINE)
    assert before.trouble is None and after.trouble is None
    assert (before.line, found.line, after.line) == (1, 2, 3)
    assert found.row is None
    told = preview([folder / "a.jsonl"], "auto", {}).left_out
    assert [(trouble.line, trouble.reason) for trouble in told] == [(2, found.trouble)]
    return str(found.trouble)


def refusal(folder: Path, content: str | bytes, name: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        rows(folder, content, name)
    assert caught.value.hint
    return caught.value


def pair(read: Read) -> PreferenceRow:
    assert isinstance(read.row, PreferenceRow), read.trouble
    return read.row


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"prompt": "a", "chosen": "b", "chosen": "d", "rejected": "c"}', "Bad JSON: the name 'chosen' stands twice in one object."),
        (START + '"more": {"x": 1, "y": 2, "x": 1}}', "Bad JSON: the name 'x' stands twice in one object."),
        (START + f'"n": {"1" * 5000}}}', "Bad JSON: a number has 5000 digits, too many to be read."),
        (START + f'"n": -{"1" * 5000}}}', "Bad JSON: a number has 5000 digits, too many to be read."),
        (START + f'"n": {"[" * 100_000}', "Bad JSON: brackets are nested too deeply."),
        (START + '"margin": "much"}', "The field 'margin' should be a number but is text."),
        (START + '"margin": [2]}', "The field 'margin' should be a number but is a list."),
        (START + '"system": 5}', "The field 'system' should be text but is a number."),
        (START + '"system": ["x"]}', "The field 'system' should be text but is a list."),
        (START + '"system": "\\ud800"}', "The field 'system' has a broken character at position 0 (half of a surrogate pair)."),
        (START + '"annotator": "an\\udfff"}', "The field 'annotator' has a broken character at position 2 (half of a surrogate pair)."),
        ('{"prompt": "a\\ud83d", "chosen": "b", "rejected": "c"}', "The field 'prompt' has a broken character at position 1 (half of a surrogate pair)."),
        ('{"prompt": "a", "chosen": "b", "rejected": "c",}', "Bad JSON: "),
        ("{'prompt': 'a', 'chosen': 'b', 'rejected': 'c'}", "Bad JSON: Expecting property name enclosed in double quotes at character 2."),
        (LINE.strip() + LINE.strip(), f"Bad JSON: Extra data at character {len(LINE)}."),
        ("\ufeff" + LINE.strip(), "Bad JSON: "),
        ("null", "The line should be a JSON object with named fields but is null."),
        ('"' + "x" * 90 + '"', f'The line should be a JSON object with named fields but is "{"x" * 39}.'),
        ("{}", "The field 'chosen' (the chosen response) is missing."),
        ('{"prompt": "a", "chosen": null, "rejected": "c"}', "The field 'chosen' (the chosen response) is missing."),
        ('{"prompt": "a", "chosen": "b"}', "The field 'rejected' (the rejected response) is missing."),
        ('{"prompt": "a", "chosen": NaN, "rejected": "c"}', "The field 'chosen' should be a list of messages but is a number."),
        ('{"prompt": true, "chosen": "b", "rejected": "c"}', "The field 'prompt' should be a list of messages but is true or false."),
        ('{"chosen": {"role": "bot"}, "rejected": {"role": "bot", "content": "c"}}', "Message 1 of 'chosen' should have text as content but has nothing."),
        ('{"prompt": "a\\tb", "chosen": "b\tc", "rejected": "c"}', "Bad JSON: Invalid control character at"),
    ],
)  # fmt: skip
def test_that_each_malformed_line_gets_its_reason_and_costs_no_other(tmp_path: Path, line: str, says: str) -> None:
    assert between(tmp_path, line).startswith(says)


@pytest.mark.parametrize(
    ("margin", "strength"),
    [
        ("1" + "0" * 400, 2), ("-1" + "0" * 400, 1), ("1e999", 2), ("-1e999", 1), ("NaN", 1), ("2", 2), ("1.999", 1), ("0", 1),
        ('"2.0"', 2), ('""', 1), ("null", 1), ("-3", 1), ('"inf"', 2),
    ],
)  # fmt: skip
def test_that_two_and_more_is_much_better_whatever_number_it_is(tmp_path: Path, margin: str, strength: int) -> None:
    assert pair(rows(tmp_path, START + f'"margin": {margin}}}\n')[0]).strength == strength


@pytest.mark.parametrize(("kind", "read"), [("rule", "rule"), ("model", "model"), ("robot", "person"), (7, "person")])
def test_that_an_unknown_kind_of_annotator_is_a_person(tmp_path: Path, kind: Any, read: str) -> None:
    row = pair(rows(tmp_path, json.dumps({**GOOD, "annotator": 7, "annotator_kind": kind}))[0])
    assert (row.annotator_kind, row.annotator) == (read, "7")


MARKS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\u00a0", "\u200b", "\x00"]


@pytest.mark.parametrize(
    ("mark", "escaped"), [(m, True) for m in MARKS] + [(m, False) for m in MARKS if ord(m) >= 0x20], ids=ascii
)
def test_that_marks_which_look_like_line_ends_stay_inside_their_text(tmp_path: Path, mark: str, escaped: bool) -> None:
    said = {"prompt": f"a{mark}b", "chosen": f"{mark}c", "rejected": f"d{mark}"}
    line = json.dumps(said, ensure_ascii=escaped) + "\n"
    found = rows(tmp_path, line + LINE)
    assert [(r.line, r.trouble) for r in found] == [(1, None), (2, None)]
    row = pair(found[0])
    assert (row.prompt.text, *(c.text for c in row.candidates)) == tuple(said.values())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r\n\r\n", "\n \t\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("zipped", [False, True])
def test_that_line_ends_byte_order_marks_and_gzip_change_nothing(
    tmp_path: Path, end: str, mark: bytes, zipped: bool
) -> None:
    content = mark + end.join(json.dumps({**GOOD, "prompt": f"q{n}"}) for n in range(3)).encode()
    found = rows(tmp_path, gzip.compress(content, mtime=0) if zipped else content)
    assert [pair(r).prompt.text for r in found] == ["q0", "q1", "q2"]
    step = end.count("\n")
    assert [r.line for r in found] == [1, 1 + step, 1 + 2 * step]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n\n", b"\xef\xbb\xbf\n ", b"\n" * 9000])
def test_that_a_file_without_an_ending_is_told_by_its_first_character(tmp_path: Path, mark: bytes) -> None:
    listed = written(tmp_path, mark + json.dumps([GOOD]).encode(), "list")
    lined = written(tmp_path, mark + LINE.encode(), "lines.dat")
    words = written(tmp_path, mark + b"Once upon a time", "words")
    assert [suffix_of(path) for path in (listed, lined, words)] == [".json", ".jsonl", ".txt"]
    for path in (listed, lined):
        (found,) = formats.read([path])
        assert pair(found).prompt.text == "Why?"


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n\n", b"\n" * 9000])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.md", "a", "a.jsonl.gz"])
def test_that_a_file_without_a_word_is_empty_whatever_it_is_called(tmp_path: Path, content: bytes, name: str) -> None:
    packed = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    assert refusal(tmp_path, packed, name).what == f"{name} is empty."


def test_that_rows_behind_many_blank_lines_are_found_with_their_number(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, "\n" * 9000 + LINE)
    assert (found.line, found.trouble) == (9001, None)


def test_that_numbers_that_are_not_finite_stay_with_their_row(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, START + '"score": NaN, "best": Infinity, "big": 123456789012345678901234567890}\n')
    assert found.extra["score"] != found.extra["score"]
    assert (found.extra["best"], found.extra["big"]) == (float("inf"), 123456789012345678901234567890)


def test_that_columns_may_stand_in_any_order_and_others_come_along(tmp_path: Path) -> None:
    more = {"id": 7, "tags": ["x", {"y": None}]}
    for order in (["prompt", "chosen", "rejected"], ["rejected", "chosen", "prompt"], ["chosen", "prompt", "rejected"]):
        shuffled = {"id": more["id"], **{name: GOOD[name] for name in order}, "tags": more["tags"]}
        (found,) = rows(tmp_path, json.dumps(shuffled))
        row = pair(found)
        assert (row.prompt.text, row.candidates[0].text, row.candidates[1].text) == ("Why?", "good", "bad")
        assert (row.extra, found.extra) == (more, more)


# JSON files


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[{"prompt": "a", "chosen": "b", "chosen": "d", "rejected": "c"}]', "the name 'chosen' stands twice in one object"),
        ('[{"n": ' + "1" * 5000 + "}]", "a number has 5000 digits"),
        ('{"prompt": ["a", "b"], "chosen": ["b"], "rejected": ["c", "d"]}', "have different lengths (prompt: 2, chosen: 1, rejected: 2)"),
        ("[]", "has no row that can be read"),
        ('{"data": []}', "has no row that can be read"),
        ("[3, null]", "line 1: The line should be a JSON object with named fields but is 3."),
        ('"text"', "holds a single JSON value"),
        ("[1, 2", "Expecting ',' delimiter in line 1, character 6. It seems to be cut off."),
        ("[1,\n 2 3]", "Expecting ',' delimiter in line 2, character 4."),
    ],
)  # fmt: skip
def test_that_a_json_file_is_refused_with_what_is_wrong(tmp_path: Path, content: str, says: str) -> None:
    what = refusal(tmp_path, content, "a.json").what
    assert says in what
    assert ("cut off" in what) == ("cut off" in says)


def test_that_an_entry_that_is_no_object_costs_no_other(tmp_path: Path) -> None:
    found = rows(tmp_path, json.dumps([GOOD, 3, GOOD]), "a.json")
    assert [(r.line, r.trouble is None) for r in found] == [(1, True), (2, False), (3, True)]


def test_that_one_object_is_one_row(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, json.dumps(GOOD, indent=2), "a.json")
    assert pair(found).prompt.text == "Why?"


def test_that_an_empty_list_within_columns_is_no_reason_to_give_up(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, json.dumps({"text": "Once.", "tags": []}), "a.json")
    assert (found.row, found.extra) == ("Once.", {"tags": []})


# CSV


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(("name", "comma"), [("a.csv", ","), ("a.tsv", "\t"), ("a.CSV", ",")])
def test_that_tables_are_read_with_every_line_end(tmp_path: Path, end: str, mark: bytes, name: str, comma: str) -> None:
    table = end.join(comma.join(line) for line in (["rejected", "prompt", "chosen"], ["c", "a", "b"], ["f", "d", "e"]))
    found = rows(tmp_path, mark + table.encode(), name)
    assert [(r.line, pair(r).prompt.text, pair(r).candidates[0].text) for r in found] == [(2, "a", "b"), (3, "d", "e")]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a,b", "The row has 2 cells but the header has 3."),
        ("a,b,c,d", "The row has 4 cells but the header has 3."),
        ('a,b,"He said "hi" to me"', "Bad CSV: ',' expected after '\"'."),
        (",b,b", "The chosen and the rejected response are identical, so the pair prefers nothing."),
        ("a,,c", "The chosen response is empty."),
    ],
)
def test_that_each_malformed_line_of_a_table_gets_its_reason(tmp_path: Path, line: str, says: str) -> None:
    found = rows(tmp_path, f"prompt,chosen,rejected\n1,2,3\n{line}\n\n4,5,6\n", "a.csv")
    assert [(r.line, r.trouble) for r in found] == [(2, None), (3, says), (5, None)]


def test_that_a_quote_which_is_never_closed_is_told_and_not_taken_for_an_answer(tmp_path: Path) -> None:
    first, last = rows(tmp_path, 'prompt,chosen,rejected\n1,2,3\na,b,"cut off in the mid', "a.csv")
    assert first.trouble is None
    assert last.row is None and last.line == 3
    assert last.trouble == "Bad CSV: unexpected end of data. A quote is not closed; the file may be cut off."


def test_that_a_table_cut_anywhere_inside_its_quotes_never_yields_a_changed_row(tmp_path: Path) -> None:
    content = "prompt,chosen,rejected\n" + "".join(f'"q {n}","good, {n}","bad ""{n}"""\n' for n in range(2))
    whole = [r.row for r in rows(tmp_path, content, "a.csv")]
    assert len(whole) == 2
    for cut in range(content.index("\n") + 1, len(content)):
        try:
            got = [r.row for r in rows(tmp_path, content[:cut], "a.csv") if r.row is not None]
        except BadInput:
            continue
        if got != whole[: len(got)]:  # a quote that is doubled looks closed when it is cut between its two marks
            assert content[cut - 1 : cut + 1] == '""', content[:cut]
            assert got[:-1] == whole[: len(got) - 1]


@pytest.mark.parametrize(
    "header", ["prompt,chosen,chosen,rejected", "x,prompt,chosen,rejected,x", ",prompt,chosen,rejected,"]
)
def test_that_columns_that_can_not_be_told_apart_are_refused(tmp_path: Path, header: str) -> None:
    error = refusal(tmp_path, f"{header}\n1,2,3,4,5\n", "a.csv")
    assert "several columns called" in error.what and error.hint == "Rename them."


def test_that_a_broken_header_is_refused(tmp_path: Path) -> None:
    assert "is not valid CSV: ',' expected after '\"' in its header" in refusal(tmp_path, '"a"b,c\n1,2\n', "a.csv").what


@pytest.mark.parametrize("cell", ["[{", '[{"role": ', '{"a": 1, "a": 2}', '[{"x":' + "[" * 50_000, "[1, 2]", "{x}"])
def test_that_a_cell_that_only_looks_like_json_is_text(tmp_path: Path, cell: str) -> None:
    table = "text\n" + '"' + cell.replace('"', '""') + '"\n'
    (found,) = rows(tmp_path, table, "a.csv")
    assert found.row == cell


def test_that_a_cell_may_be_very_long_and_hold_lines(tmp_path: Path) -> None:
    long = "word\r\n" * 50_000
    (found,) = rows(tmp_path, f'text\n"{long}"\n', "a.csv")
    assert found.row == long


# Parquet


def parquet(folder: Path, **columns: Any) -> list[Read]:
    pq.write_table(pa.table(columns), folder / "a.parquet")
    return list(formats.read([folder / "a.parquet"]))


WHEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([WHEN], pa.timestamp("us", "UTC")), "2024-05-06T07:08:09+00:00"),
        (pa.array([WHEN.replace(tzinfo=None)]), "2024-05-06T07:08:09"),
        (pa.array([date(2024, 5, 6)]), "2024-05-06"),
        (pa.array([clock(7, 8, 9)]), "07:08:09"),
        (pa.array([timedelta(minutes=1, milliseconds=500)]), 60.5),
        (pa.array([decimal.Decimal("12.50")]), 12.5),
        (pa.array([b"caf\xc3\xa9"]), "café"),
        (pa.array([b"\xff\x00"]), "\\xff\x00"),
        (pa.array([[("k", 1), ("l", None)]], pa.map_(pa.string(), pa.int64())), {"k": 1, "l": None}),
        (pa.array([[]], pa.map_(pa.string(), pa.int64())), []),
        (pa.array([[{"when": date(2024, 5, 6), "n": [1, None]}]]), [{"when": "2024-05-06", "n": [1, None]}]),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array([2**63 - 1]), 2**63 - 1),
        (pa.array([1.5], pa.float32()), 1.5),
        (pa.array([True]), True),
        (pa.array([None]), None),
        (pa.array(["Ω"], pa.large_string()), "Ω"),
    ],
)  # fmt: skip
def test_that_every_type_of_parquet_comes_along_as_json_has_it(tmp_path: Path, column: Any, expected: Any) -> None:
    (found,) = parquet(tmp_path, prompt=["a"], chosen=["b"], rejected=["c"], more=column)
    assert found.extra == {"more": expected}
    assert json.loads(json.dumps(found.extra)) == {"more": expected}
    count, notes = formats.write([pair(found)], "workbench", tmp_path / "out.jsonl")
    assert (count, notes) == (1, ())
    (back,) = formats.read([tmp_path / "out.jsonl"])
    assert back.extra == {"more": expected}


def test_that_texts_kept_as_bytes_are_texts(tmp_path: Path) -> None:
    (found,) = parquet(tmp_path, text=pa.array(["Grüße".encode()]))
    assert found.row == "Grüße"


def test_that_rows_of_several_batches_are_numbered_through(tmp_path: Path) -> None:
    found = parquet(tmp_path, text=[f"t{n}" for n in range(2100)])
    assert [r.line for r in found] == list(range(1, 2101))
    assert [found[n].row for n in (0, 1023, 1024, 2099)] == ["t0", "t1023", "t1024", "t2099"]


def test_that_a_missing_value_in_parquet_is_a_reason_of_its_row(tmp_path: Path) -> None:
    found = parquet(tmp_path, prompt=["a", "b"], chosen=["c", None], rejected=["d", "e"])
    assert [r.trouble for r in found] == [None, "The field 'chosen' (the chosen response) is missing."]


def test_that_a_table_without_rows_says_so(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="has no row that can be read"):
        formats.detect([tmp_path / "a.parquet"])


def test_that_parquet_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["Once."]}), tmp_path / "stories")
    assert suffix_of(tmp_path / "stories") == ".parquet"
    assert [r.row for r in formats.read([tmp_path / "stories"])] == ["Once."]


# Encodings and gzip


@pytest.mark.parametrize(
    ("content", "guess", "code", "position"),
    [
        ("naïve\n".encode("cp1252"), "Windows-1252", "CP1252", 2),
        (b"ab\x81\n", "Latin-1", "LATIN1", 2),
        ("ab".encode("utf-16-le").join([b"\xff\xfe", b""]), "UTF-16", "UTF-16", 0),
        ("ab".encode("utf-16-be").join([b"\xfe\xff", b""]), "UTF-16", "UTF-16", 0),
        (b"\xef\xbb\xbfab\xe9\n", "Windows-1252", "CP1252", 5),
        (b"fine\nab\xe9\n", "Windows-1252", "CP1252", 7),
    ],
)
def test_that_the_first_byte_that_is_no_utf8_is_named(
    tmp_path: Path, content: bytes, guess: str, code: str, position: int
) -> None:
    path = written(tmp_path, content, "a.txt")
    with pytest.raises(BadInput) as caught:
        text(path)
    line = 1 + content[:position].count(b"\n")
    assert caught.value.what == f"a.txt is not UTF-8: the byte at position {position} (line {line}) can't be decoded."
    assert guess in caught.value.hint and f"iconv -f {code} -t UTF-8 a.txt > converted.txt" in caught.value.hint


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz", "a.csv.gz", "a.txt.gz", "a.gz", "a.jsonl"])
def test_that_every_container_may_be_zipped(tmp_path: Path, name: str) -> None:
    content = {"a.json.gz": json.dumps([{"text": "Once."}]), "a.csv.gz": "text\nOnce.\n", "a.txt.gz": "Once."}
    plain = content.get(name, '{"text": "Once."}\n')
    assert [r.row for r in rows(tmp_path, gzip.compress(plain.encode(), mtime=0), name)] == ["Once."]


def test_that_gzip_files_put_one_after_the_other_are_one(tmp_path: Path) -> None:
    part = gzip.compress(LINE.encode(), mtime=0)
    assert len(rows(tmp_path, part + part, "a.jsonl.gz")) == 2


@pytest.mark.parametrize("cut", [3, 9, 10, 15, 40, -9, -8, -4, -1])
def test_that_a_gzip_file_cut_anywhere_is_never_half_a_dataset(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress((LINE * 50).encode(), mtime=0)
    assert "truncated" in refusal(tmp_path, packed[:cut], "a.jsonl.gz").what


def test_that_rubbish_behind_a_gzip_file_is_damage(tmp_path: Path) -> None:
    assert (
        "damaged gzip data" in refusal(tmp_path, gzip.compress(LINE.encode(), mtime=0) + b"rubbish", "a.jsonl.gz").what
    )


def test_that_a_pipe_is_refused_since_files_are_read_twice(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(BadInput, match="is not an ordinary file"):
        formats.detect([tmp_path / "pipe.jsonl"])


# The workbench's own lines

ITEM = {
    "id": "x",
    "prompt": {"turns": [{"role": "user", "content": "a"}]},
    "candidates": [{"text": "b"}, {"text": "c"}],
}
OWN = {"workbench": 1, "item": ITEM, "judgements": []}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({**OWN, "judgements": 5}, "The field 'judgements' should be a list but is a number."),
        ({**OWN, "judgements": None}, "The field 'judgements' should be a list but is nothing."),
        ({**OWN, "judgements": {"id": 1}}, "The field 'judgements' should be a list but is an object."),
        ({**OWN, "judgements": [None]}, "The row doesn't hold together"),
        ({**OWN, "item": None}, "The row doesn't hold together"),
        ({**OWN, "item": {**ITEM, "more": 1}}, "The row doesn't hold together: more: Extra inputs"),
        ({**OWN, "item": {**ITEM, "candidates": [{"text": "b\ud800"}, {"text": "c"}]}}, "The row has a broken character at position"),
        ({**OWN, "workbench": None}, "The row has version None of this format"),
        ({**OWN, "workbench": "1"}, "The row has version '1' of this format"),
        ({"workbench": 1}, "The row has neither a document, a prompt nor an item."),
        ({"workbench": 1, "document": 3}, "The field 'document' should be text but is a number."),
        ({"workbench": 1, "prompt": ITEM["prompt"], "completion": None}, "The field 'completion' (the completion) is missing."),
        ({"workbench": 1, "prompt": "a"}, "The row doesn't hold together"),
    ],
)  # fmt: skip
def test_that_a_broken_line_of_our_own_gets_its_reason(tmp_path: Path, line: dict[str, Any], says: str) -> None:
    content = "".join(json.dumps(record) + "\n" for record in (OWN, line, OWN))
    first, found, last = rows(tmp_path, content, format="workbench-preferences")
    assert first.trouble is None and last.trouble is None
    assert found.row is None and str(found.trouble).startswith(says)


def test_that_columns_of_the_source_never_replace_what_our_own_lines_say(tmp_path: Path) -> None:
    taken = {"item": 7, "item_": 8, "workbench": 9, "judgements": "none", "source": "web"}
    (found,) = rows(tmp_path, json.dumps({**GOOD, **taken}), format="trl-preference")
    formats.write([pair(found)], "workbench", tmp_path / "out.jsonl")
    (back,) = formats.read([tmp_path / "out.jsonl"])
    assert back.trouble is None
    row = pair(back)
    assert [c.text for c in row.candidates] == ["good", "bad"] and len(row.judgements) == 1
    assert sorted(map(str, row.extra.values())) == sorted(map(str, taken.values()))
    assert (row.extra["item_"], row.extra["item__"]) == (8, 7)


@pytest.mark.parametrize("format", ["workbench", "trl-preference"])
@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.jsonl.gz"])
def test_that_half_a_character_in_a_column_that_came_along_can_be_written_and_read(
    tmp_path: Path, format: str, name: str
) -> None:
    more = {"note": "half \ud83d", "Ω": "ß"}
    (found,) = rows(tmp_path, json.dumps({**GOOD, **more}))
    formats.write([pair(found)], format, tmp_path / name)
    (back,) = formats.read([tmp_path / name])
    assert (back.trouble, back.extra) == (None, more)


# Alpaca's history and conversations


@pytest.mark.parametrize(
    ("history", "says"),
    [
        ([["a\ud800", "b"]], "The field 'history' has a broken character at position 1 (half of a surrogate pair)."),
        ([["a", 3]], "The field 'history' should be a list of [question, answer] but has a list in it."),
        (["a", "b"], "The field 'history' should be a list of [question, answer] but has text in it."),
        ("a", "The field 'history' should be a list of [question, answer] but has text in it."),
        ([["a", "b", "c"]], "The field 'history' should be a list of [question, answer] but has a list in it."),
    ],
)
def test_that_a_history_that_is_none_gets_its_reason(tmp_path: Path, history: Any, says: str) -> None:
    record = {"instruction": "a", "output": "b"}
    content = json.dumps(record) + "\n" + json.dumps({**record, "history": history}) + "\n"
    good, bad = rows(tmp_path, content)
    assert isinstance(good.row, Demonstration)
    assert (bad.row, bad.trouble) == (None, says)


@pytest.mark.parametrize("history", [None, [], ""])
def test_that_no_history_is_none(tmp_path: Path, history: Any) -> None:
    (found,) = rows(tmp_path, json.dumps({"instruction": "a", "output": "b", "history": history}))
    assert found.row == Demonstration(prompt=Prompt.from_text("a"), completion="b")


@pytest.mark.parametrize(
    ("spelled", "role"),
    [("human", "user"), ("Prompter", "user"), ("GPT", "assistant"), ("chatgpt", "assistant"), ("model", "assistant"), ("bot", "assistant")],
)  # fmt: skip
def test_that_roles_are_known_in_every_spelling(tmp_path: Path, spelled: str, role: str) -> None:
    asked, answered = {"role": "user", "content": "q"}, {"role": "assistant", "content": "w"}
    turn = {"from": spelled, "value": "said"}
    (found,) = rows(tmp_path, json.dumps({"messages": [turn, answered] if role == "user" else [asked, turn]}))
    assert isinstance(found.row, Demonstration)
    expected = ("said", "w") if role == "user" else ("q", "said")
    assert (found.row.prompt.text, found.row.completion) == expected


def test_that_a_record_iterator_looks_at_the_file_before_it_is_asked_for_a_row(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no file"):
        records(tmp_path / "gone.jsonl")


@pytest.mark.parametrize("completions", [[], "a", 7, None, ["a", "b"], [{"response": "a"}, "b"], {"response": "a"}])
def test_that_completions_that_are_no_list_of_objects_get_their_reason(tmp_path: Path, completions: Any) -> None:
    good = {"instruction": "a", "completions": [{"response": "b"}, {"response": "c"}]}
    content = json.dumps(good) + "\n" + json.dumps({**good, "completions": completions}) + "\n"
    first, found = rows(tmp_path, content)
    assert first.trouble is None and found.row is None
    assert str(found.trouble).startswith(
        ("The field 'completions' should be a list of objects", "The row has 0 completions")
    )


@pytest.mark.parametrize("vote", ["rejected_text", "rejected_response", "kto_tag", "label"])
def test_that_rows_with_another_kind_of_verdict_are_no_documents(tmp_path: Path, vote: str) -> None:
    with pytest.raises(BadInput, match="has no known format"):
        rows(tmp_path, json.dumps({"text": "Once.", vote: "x"}))


def test_that_a_name_that_promises_gzip_is_held_to_it(tmp_path: Path) -> None:
    error = refusal(tmp_path, LINE, "a.jsonl.gz")
    assert error.what == "a.jsonl.gz is not a gzip file although its name ends in .gz."
    assert error.hint == "Remove .gz from its name or compress it."
