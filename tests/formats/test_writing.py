"""Exports: what is written can be read again without loss, and what can't be said is counted."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workbench import formats
from workbench.domain.decoding import Sample
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Judgement, Ranking
from workbench.domain.text import Candidate, Demonstration, Prompt, Turn
from workbench.formats import PreferenceRow, Row

CHAT = Prompt(turns=(Turn(role="system", content="Sei kurz ✓"), Turn(role="user", content="Hi\n\nthere")))
RAW = Prompt.from_text("The sky is", raw=True)
BETTER = Ranking(tiers=((0,), (1,)))


def two(prompt: Prompt, **more: Any) -> PreferenceRow:
    return PreferenceRow(prompt, (Candidate(text=" good"), Candidate(text="bad\r\n")), BETTER, **more)


def again(path: Path) -> list[Row]:
    rows = list(formats.read([path]))
    assert all(r.trouble is None for r in rows)
    return [r.row for r in rows if r.row is not None]


def judged(tiers: tuple[tuple[int, ...], ...] | None, **more: Any) -> Judgement:
    facts: dict[str, Any] = {"outcome": "ranked", "ranking": Ranking(tiers=tiers)} if tiers else {"outcome": "all_bad"}
    return Judgement(
        item="i1", annotator="ann", shown=(2, 0, 1), shown_seed=5, milliseconds=900,
        created=datetime(2026, 1, 2, tzinfo=UTC), **{"id": f"j{tiers}", **facts, **more},
    )  # fmt: skip


def three(*said: Judgement) -> PreferenceRow:
    candidates = (
        Candidate(text="A", model="sft", settings=Sample(seed=4, top_k=3), seed=4, score=0.25),
        Candidate(text="B"),
        Candidate(text="C"),
    )
    return PreferenceRow(CHAT, candidates, item_id="i1", judgements=said)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json"])
@pytest.mark.parametrize("prompt", [CHAT, RAW], ids=["conversational", "standard"])
def test_that_exported_trl_preferences_come_back_the_same(tmp_path: Path, name: str, prompt: Prompt) -> None:
    rows = [
        two(prompt, annotator="ann", strength=2, extra={"source": {"page": 3}}),
        two(prompt, annotator="rule", annotator_kind="rule"),
    ]
    count, notes = formats.write(rows, "trl-preference", tmp_path / name)
    assert (count, notes) == (2, ())
    back = again(tmp_path / name)
    assert [r for r in back if isinstance(r, PreferenceRow)] == rows


def test_that_the_margin_is_written_only_when_it_says_something(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.jsonl.gz", "a.json"):
        formats.write([two(RAW), two(CHAT)], "trl-preference-standard", tmp_path / name)
        assert len(again(tmp_path / name)) == 2
    plain = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert "margin" not in plain + gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).decode()
    assert [sorted(json.loads(line)) for line in plain.splitlines()] == [["chosen", "prompt", "rejected"]] * 2
    formats.write([two(RAW), two(RAW, strength=2)], "trl-preference", tmp_path / "b.jsonl")
    margins = [json.loads(line)["margin"] for line in (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()]
    assert margins == [1.0, 2.0]


def test_that_real_transcripts_survive_export_and_import(tmp_path: Path, shared: Path) -> None:
    source = formats.read([shared / "data/hh_rlhf/harmless-base.test.jsonl.gz"])
    rows = [r.row for r in source if r.row is not None]
    count, notes = formats.write(rows, "trl-preference-conversational", tmp_path / "hh.jsonl")
    assert (count, notes) == (2303, ())
    assert again(tmp_path / "hh.jsonl") == rows


def test_that_a_ranking_of_three_becomes_its_pairs_and_ties_are_counted(tmp_path: Path) -> None:
    count, notes = formats.write([three(judged(((1,), (0, 2))))], "trl-preference", tmp_path / "a.jsonl")
    assert count == 2
    assert notes == ("1 tied pairs were left out: this format can't say that two responses are equal.",)
    pairs = [
        (r.candidates[0].text, r.candidates[1].text)
        for r in again(tmp_path / "a.jsonl")
        if isinstance(r, PreferenceRow)
    ]
    assert pairs == [("B", "A"), ("B", "C")]


def test_that_what_gives_no_pair_is_counted_not_dropped_silently(tmp_path: Path) -> None:
    rows = [three(judged(None)), three(), three(judged(((0,), (1,), (2,))))]
    count, notes = formats.write(rows, "trl-preference", tmp_path / "a.jsonl")
    assert count == 3
    assert notes == (
        "1 judgements without a ranking (skipped or all bad) were left out.",
        "1 items without a judgement were left out.",
    )


def test_that_mixed_prompts_are_written_in_one_style_with_a_note(tmp_path: Path) -> None:
    _, notes = formats.write([two(CHAT), two(RAW)], "trl-preference", tmp_path / "a.jsonl")
    assert notes == ("1 raw prompts were written as a user's message.",)
    _, notes = formats.write([two(RAW), two(CHAT)], "trl-preference", tmp_path / "b.jsonl")
    assert notes == ("1 conversations were written as plain text.",)
    last = json.loads((tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()[1])
    assert last["prompt"] == "\n\nSystem: Sei kurz ✓\n\nHuman: Hi\n\nthere\n\nAssistant:"


@pytest.mark.parametrize("prompt", [CHAT, RAW], ids=["conversational", "standard"])
def test_that_demonstrations_prompts_and_documents_come_back_the_same(tmp_path: Path, prompt: Prompt) -> None:
    shown = [Demonstration(prompt=prompt, completion=" yes"), Demonstration(prompt=prompt, completion="no")]
    formats.write(shown, "trl-prompt-completion", tmp_path / "d.jsonl")
    assert again(tmp_path / "d.jsonl") == shown
    count, notes = formats.write(shown, "trl-prompts", tmp_path / "p.jsonl")
    assert (count, notes) == (1, ("1 repeated prompts were written once.",))
    assert again(tmp_path / "p.jsonl") == [prompt]
    formats.write(["Once.\n", "Twice."], "trl-text", tmp_path / "t.jsonl")
    assert again(tmp_path / "t.jsonl") == ["Once.\n", "Twice."]


@pytest.mark.parametrize(
    "row",
    [
        "A document.",
        CHAT,
        RAW,
        Demonstration(prompt=CHAT, completion="yes"),
        three(judged(((1,), (0, 2)), strength=2, note="hm", annotator_kind="rule"), judged(None, id="j2")),
        three(judged(None, outcome="skipped", skip_reason="unsafe")),
        three(),
    ],
    ids=["document", "chat", "raw", "demonstration", "judged", "skipped", "unjudged"],
)
def test_that_the_native_format_loses_nothing(tmp_path: Path, row: Row) -> None:
    formats.write([row], "workbench", tmp_path / "a.jsonl")
    assert again(tmp_path / "a.jsonl") == [row]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"workbench": 2, "item": {}}, "has version 2 of this format"),
        ({"workbench": 1, "item": {"id": "x"}}, "doesn't hold together: prompt"),
    ],
)
def test_that_broken_native_rows_are_explained(tmp_path: Path, record: dict[str, Any], says: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert says in str(next(formats.read([tmp_path / "a.jsonl"])).trouble)


def test_that_a_native_judgement_of_another_item_is_refused(tmp_path: Path) -> None:
    formats.write([three(judged(((0,), (1,), (2,))))], "workbench", tmp_path / "a.jsonl")
    record = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8"))
    record["judgements"][0]["item"] = "another"
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert "speaks of another item" in str(next(formats.read([tmp_path / "a.jsonl"])).trouble)


def test_that_a_failed_export_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    out.write_text("old", encoding="utf-8")
    with pytest.raises(BadInput, match="can't hold this dataset"):
        formats.write([two(RAW), "a document"], "trl-preference", out)
    assert out.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("format", "name", "says"),
    [
        ("nonsense", "a.jsonl", "There is no export format"),
        ("trl-text", "a.xlsx", "no known ending"),
        ("trl-text", "gone/a.jsonl", "can't be written"),
    ],
)
def test_that_impossible_exports_are_refused(tmp_path: Path, format: str, name: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        formats.write(["x"], format, tmp_path / name)


def test_that_each_kind_knows_its_exports() -> None:
    assert formats.exports_for("documents") == ("workbench", "trl-text")
    assert "trl-preference" in formats.exports_for("preferences")
    assert formats.exports_for("prompts") == ("workbench", "trl-prompts")
