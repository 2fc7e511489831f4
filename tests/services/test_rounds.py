"""Rounds of the playground are kept as files, found by their words, and written out for other eyes."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from workbench.domain.choices import BeamLevel, BeamNode, DraftedToken, DraftRound, TokenChoice
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import BadInput, NotFound, StorageFailed
from workbench.domain.rounds import MOST_KEPT, Round, RoundColumn, bounded
from workbench.domain.text import Prompt, Turn
from workbench.services.rounds import RoundsService
from workbench.services.workspace import Workspace


@pytest.fixture
def rounds(tmp_path: Path) -> RoundsService:
    (tmp_path / "space").mkdir()
    return RoundsService(cast(Workspace, SimpleNamespace(path=tmp_path / "space")))


def token(text: str, logprob: float = -0.5) -> TokenChoice:
    return TokenChoice(
        id=7, text=text, start=0, end=len(text), p_model=0.6, p_used=0.7, logprob=logprob, rank=0, entropy=1.0, kept=9, kept_mass=1.0
    )  # fmt: skip


def played(id: str = "one", prompt: str = "Tell of a dragon", text: str = " Once there was", **more: object) -> Round:
    columns = (
        RoundColumn(model="tiny", settings=Greedy(max_new_tokens=8), text=text, completion=text.strip(), reason="length",
                    numbers={"tokens": 3.0, "logprob": -4.25}),
        RoundColumn(model="other", settings=Sample(temperature=0.7), text="", error="other can't be loaded. Look."),
    )  # fmt: skip
    fields = {
        "id": id,
        "created": datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
        "prompt": Prompt.from_text(prompt),
        "seed": 5,
    }
    return Round.model_validate({**fields, "columns": columns, "order": (1, 0), **more})


def test_that_a_round_comes_back_with_every_token(rounds: RoundsService) -> None:
    tokens = ((token(" Once"), token("", float("-inf"))), ())
    rounds.keep(played(), tokens)
    assert rounds.open("one") == (played(), tokens, ((), ()))
    rounds.keep(played(text=" Once there was a"), tokens)
    assert [r.columns[0].text for r in rounds.list()] == [" Once there was a"], "the same round, gone on, is one"


def level(step: int, live: int, pruned: int) -> BeamLevel:
    states = ["live"] * live + ["pruned"] * pruned
    return BeamLevel(
        step=step,
        nodes=tuple(
            BeamNode(step=step, slot=n, parent=0, id=n, text="x", logprob=float("-inf"), score=-1.0, state=state)  # type: ignore[arg-type]
            for n, state in enumerate(states)
        ),
    )


def drafts(count: int) -> DraftRound:
    one = DraftedToken(id=1, text="a", p=0.5, q=0.5, u=0.1, verdict="accepted", expected=1.0)
    return DraftRound(round=0, drafted=(one,) * count, added=None)


def test_that_a_round_comes_back_with_what_was_considered(rounds: RoundsService) -> None:
    asides = ((level(1, 2, 1), level(2, 2, 2)), (drafts(3),))
    rounds.keep(played(), ((token("a"),), ()), asides)
    assert rounds.open("one") == (played(), ((token("a"),), ()), asides)
    assert rounds.open("one")[2][0][0].nodes[0].logprob == float("-inf")


def test_that_the_tokens_of_a_round_kept_before_asides_were_are_read(rounds: RoundsService) -> None:
    rounds.keep(played(), ((token("a"),), ()), ((drafts(1),), ()))
    old = json.loads(gzip.decompress(rounds._tokens("one").read_bytes()))
    del old["asides"]
    rounds._tokens("one").write_bytes(gzip.compress(json.dumps(old).encode()))
    assert rounds.open("one") == (played(), ((token("a"),), ()), ((), ()))


def test_that_asides_are_kept_whole_or_without_the_dropped_or_not_at_all() -> None:
    tree = (level(1, 2, 3), level(2, 1, 4))
    assert bounded(tree, 10) == tree
    lean = bounded(tree, 9)
    assert [[node.state for node in one.nodes] for one in lean] == [["live", "live"], ["live"]], "every step is there"
    assert bounded(tree, 3) == lean and bounded(tree, 2) == ()
    rounds = (drafts(4), drafts(0))
    assert bounded(rounds, 6) == rounds and bounded(rounds, 5) == (), "a round counts as a token too"


def test_that_a_tree_beyond_all_bounds_is_not_written(rounds: RoundsService) -> None:
    huge = BeamLevel.model_construct(step=1, nodes=level(1, 1, 0).nodes * (MOST_KEPT + 1))
    rounds.keep(played(), ((token("a"),), ()), ((huge,), (drafts(1),)))
    assert rounds.open("one")[2] == ((), (drafts(1),))


def test_that_rounds_are_found_by_their_words_newest_first(rounds: RoundsService, tmp_path: Path) -> None:
    for number, (name, prompt) in enumerate(
        (("one", "Tell of a dragon"), ("two", "Tell of a Bell"), ("three", "Count"))
    ):
        rounds.keep(played(name, prompt), ((), ()))
        os.utime(rounds._file(name), ns=(number, number))
    assert [r.id for r in rounds.list()] == ["three", "two", "one"]
    assert [r.id for r in rounds.list("bell tell")] == ["two"]
    assert [r.id for r in rounds.list("greedy tiny")] == ["three", "two", "one"]
    assert [r.id for r in rounds.list("once THERE", limit=1)] == ["three"] and rounds.list("zebra") == []
    rounds.remove("two")
    rounds.remove("two")
    assert [r.id for r in rounds.list()] == ["three", "one"]
    with pytest.raises(NotFound):
        rounds.open("two")


def test_that_what_cant_be_read_is_left_out_and_nothing_else(rounds: RoundsService) -> None:
    assert rounds.list() == []
    rounds.keep(played("good"), ((token("a"),), ()))
    rounds.keep(played("torn"), ((), ()))
    rounds._file("torn").write_text('{"id": "torn"')
    assert [r.id for r in rounds.list()] == ["good"]
    for content in (b"no gzip", gzip.compress(b'{"columns": [["?"]]}'), b""):
        rounds._tokens("good").write_bytes(content)
        assert rounds.open("good") == (played("good"), ((), ()), ((), ())), "the texts are there without the tokens"
    for name in ("../secret", "", "a/b"):
        with pytest.raises(BadInput):
            rounds.open(name)


def test_that_json_has_everything_and_is_json(rounds: RoundsService, tmp_path: Path) -> None:
    out = rounds.export(played(), ((token(" Once", float("-inf")),), ()), "json", tmp_path / "round.json")
    read = json.loads(out.read_text(encoding="utf-8"), parse_constant=lambda word: pytest.fail(word))
    first = read["columns"][0]
    assert (
        first["model"] == "tiny" and first["settings"]["max_new_tokens"] == 8 and first["numbers"]["logprob"] == -4.25
    )
    assert first["tokens"][0]["text"] == " Once" and first["tokens"][0]["logprob"] is None
    assert read["order"] == [1, 0] and read["seed"] == 5
    assert "asides" not in first, "where none were told"


def test_that_markdown_can_be_read_whatever_the_texts_hold(rounds: RoundsService, tmp_path: Path) -> None:
    prompt = Prompt(turns=(Turn(role="system", content="Be brief."), Turn(role="user", content="# Hi\n```py\nx\n```")))
    made = played(text="```\n````\n# no heading", prefill="Well,", order_seed=99).model_copy(update={"prompt": prompt})
    words = rounds.export(made, ((), ()), "markdown", tmp_path / "round.md").read_text(encoding="utf-8")
    assert words.startswith("# \\# Hi ```py") and "**System**" in words and "shuffled by the seed 99" in words
    assert "`````text\nWell,```\n````\n# no heading\n`````" in words, "the fence is longer than any in the text"
    assert "## A: tiny, greedy" in words and "`max_new_tokens = 8`" in words and "| logprob | -4.25 |" in words
    assert "## B: other, sample" in words and "*other can't be loaded. Look.*" in words
    plain = played(columns=(RoundColumn(model="m", settings=Beam()),), order=())
    assert "All settings at their defaults." in rounds.export(plain, ((),), "markdown", tmp_path / "b.md").read_text()


def test_that_a_file_that_cant_be_written_is_told(rounds: RoundsService, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"round\.md can't be written"):
        rounds.export(played(), ((), ()), "markdown", tmp_path / "nowhere" / "round.md")
    (tmp_path / "space" / "rounds").write_text("a file")
    with pytest.raises(StorageFailed, match="can't be kept"):
        rounds.keep(played(), ((), ()))
