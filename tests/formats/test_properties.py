"""Properties over generated input: what is written is read again unchanged, and no input ends in anything but a sentence."""

import gzip
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import formats
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Ranking
from workbench.domain.text import Candidate, Demonstration, Prompt, Turn
from workbench.formats import PreferenceRow, Row

said = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(lambda t: bool(t.strip()))
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@st.composite
def conversations(draw: st.DrawFn) -> Prompt:
    """System or not, then user and assistant in turn, the user last."""
    system = (Turn(role="system", content=draw(anything)),) if draw(st.booleans()) else ()
    texts = draw(st.lists(anything, min_size=1, max_size=5).filter(lambda t: len(t) % 2 == 1))
    turns = tuple(Turn(role="user" if i % 2 == 0 else "assistant", content=text) for i, text in enumerate(texts))
    return Prompt(turns=system + turns)


raws = said.map(lambda text: Prompt.from_text(text, raw=True))


@st.composite
def pairs(draw: st.DrawFn, prompts: st.SearchStrategy[Prompt]) -> PreferenceRow:
    chosen, rejected = draw(st.lists(said, min_size=2, max_size=2, unique=True))
    extra = draw(st.dictionaries(st.sampled_from(["source", "Ωmega", "id"]), st.integers() | anything, max_size=2))
    return PreferenceRow(
        draw(prompts), (Candidate(text=chosen), Candidate(text=rejected)), Ranking(tiers=((0,), (1,))),
        strength=draw(st.sampled_from([1, 2])), annotator=draw(st.sampled_from(["", "ann"])),
        annotator_kind=draw(st.sampled_from(["person", "rule", "model"])), extra=extra,
    )  # fmt: skip


def round_trip(rows: list[Row], format: str, name: str) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        count, notes = formats.write(rows, format, path)
        assert (count, notes) == (len(rows), ())
        read = list(formats.read([path]))
    assert [r.trouble for r in read] == [None] * len(rows)
    return [r.row for r in read if r.row is not None]


names = st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.json"])
few = settings(max_examples=60, deadline=None)


@few
@given(st.lists(pairs(conversations()), min_size=1, max_size=4), names)
def test_that_conversational_preferences_survive(rows: list[Row], name: str) -> None:
    assert round_trip(rows, "trl-preference", name) == rows


@few
@given(st.lists(pairs(raws), min_size=1, max_size=4), names)
def test_that_standard_preferences_survive(rows: list[Row], name: str) -> None:
    assert round_trip(rows, "trl-preference", name) == rows


@few
@given(st.lists(pairs(conversations() | raws), min_size=1, max_size=4), names)
def test_that_native_preferences_keep_who_said_what(rows: list[PreferenceRow], name: str) -> None:
    back = round_trip(list(rows), "workbench", name)
    for before, after in zip(rows, back, strict=True):
        assert isinstance(after, PreferenceRow)
        assert (after.prompt, after.candidates, after.extra) == (before.prompt, before.candidates, before.extra)
        (judgement,) = after.judgements
        assert (judgement.ranking, judgement.strength) == (before.ranking, before.strength)
        assert judgement.annotator_kind == before.annotator_kind


@few
@given(st.lists(st.builds(Demonstration, prompt=conversations(), completion=said), min_size=1, max_size=4), names)
def test_that_demonstrations_survive(rows: list[Row], name: str) -> None:
    assert round_trip(rows, "trl-prompt-completion", name) == rows
    assert round_trip(rows, "workbench", name) == rows


@few
@given(st.lists(said, min_size=1, max_size=4), names)
def test_that_documents_survive(rows: list[Row], name: str) -> None:
    assert round_trip(rows, "trl-text", name) == rows
    assert round_trip(rows, "workbench", name) == rows


def read_whatever(path: Path, format: str) -> None:
    """Every row comes out with a number, and either a value or a sentence; or the file is refused with a hint."""
    try:
        for row in formats.read([path], format):
            assert row.line >= 1
            assert (row.row is None) != (row.trouble is None)
            assert row.trouble is None or (row.trouble[0].isupper() and row.trouble.endswith((".", "!", "?")))
    except BadInput as error:
        complaint = error
    else:
        return
    assert "." in complaint.what
    assert complaint.hint


values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | anything | said,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "type", "text", "turns"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
fields = st.sampled_from(
    "prompt chosen rejected completion messages instruction input output history system text margin annotator workbench item"
    " judgements document conversations".split()
)
records = st.dictionaries(fields, values | st.just(1), min_size=1, max_size=5)


@settings(max_examples=300, deadline=None)
@given(st.lists(records | values, min_size=1, max_size=3), st.sampled_from(["auto", *formats.FORMATS]))
def test_that_no_record_ends_in_anything_but_a_row_or_a_sentence(rows: list[object], format: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
        read_whatever(path, format)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from(["jsonl", "json", "csv", "tsv", "txt", "parquet", "jsonl.gz", "strange"])
)
def test_that_no_bytes_end_in_anything_but_a_row_or_a_sentence(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        path.write_bytes(content)
        read_whatever(path, "auto")


@pytest.mark.parametrize("container", ["jsonl", "jsonl.gz", "json", "parquet"])
def test_that_a_file_cut_anywhere_never_yields_a_changed_row(tmp_path: Path, container: str) -> None:
    rows = [{"prompt": f"Question {i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(20)]
    path = tmp_path / f"a.{container}"
    plain = "".join(json.dumps(r) + "\n" for r in rows).encode()
    if container == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_bytes(
            {"jsonl": plain, "jsonl.gz": gzip.compress(plain, mtime=0), "json": json.dumps(rows).encode()}[container]
        )
    whole = [r.row for r in formats.read([path])]
    content = path.read_bytes()
    for cut in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:cut])
        got: list[Row] = []
        try:
            for read in formats.read([path]):
                if read.row is not None:
                    got.append(read.row)
        except BadInput:
            pass  # the cut was noticed
        assert got == whole[: len(got)]
