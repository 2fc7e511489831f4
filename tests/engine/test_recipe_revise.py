"""The recipe of constitutional revision on a real small model: what is kept, what is left out, kills and resumes."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import events
from tests.engine.hatchery import Hatchery
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.text import Prompt
from workbench.engine import revising
from workbench.engine.models import load_tokenizer
from workbench.engine.revising import CUT, EMPTY, TOO_LONG, UNCHANGED, Draft, as_event
from workbench.engine.text import plain
from workbench.protocol.run_folder import RunFolder

MakeRun = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Row = dict[str, Any]
VOLATILE = {"items_per_second", "tokens_per_second", "memory_gib"}
PRINCIPLES = "Be happy.\n# not this one\n\nBe short."


def asked(stories: Path, **more: Any) -> ReviseSpec:
    """Short requests, so that the small model's 512 positions hold a dialogue."""
    usual: dict[str, Any] = {
        "base": str(stories), "device": "cpu", "principles": PRINCIPLES, "critique_request": "What is wrong? {principle}",
        "revision_request": "Say it again. {principle}", "max_new_tokens": 24, "keep_cut": True, "batch_size": 3,
    }  # fmt: skip
    return ReviseSpec(**(usual | more))


@pytest.fixture
def rows() -> list[Row]:
    words = "red big sad small old kind wet".split()
    return [{"prompt": [{"role": "user", "content": f"Tell of a {word} dog."}], "raw": False} for word in words]


def revised(folder: RunFolder) -> list[dict[str, Any]]:
    found = [event for event in events(folder) if event["kind"] == "revised"]
    assert len({event["row"] for event in found}) == len(found), "a row was revised twice"
    return sorted(found, key=lambda event: int(event["row"]))


def content(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in {"seq", "time", "milliseconds"}}


def test_that_each_row_is_answered_criticised_and_revised(
    stories: Path, rows: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(asked(stories, rounds=2), rows)
    said = here(folder)
    assert said[-1]["kind"] == "finished"
    assert said[-1]["model"] is None
    found = revised(folder)
    assert [event["row"] for event in found] == list(range(7))
    drawn = Counter(principle for event in found for principle in event["principles"])
    assert set(drawn) == {"Be happy.", "Be short."}
    for event in found:
        assert event["why"] == ""
        assert event["original"]
        assert event["revision"]
        assert event["revision"] != event["original"]
        assert (len(event["principles"]), len(event["critiques"])) == (2, 2)
    last = [event["values"] for event in said if event["kind"] == "metrics"][-1]
    assert (last["revise/kept"], last["revise/left_out"], last["revise/unchanged"]) == (7, 0, 0)
    assert 0 < last["revise/changed_words"] <= 1
    assert any("REVISION" in event["completion"] for event in said if event["kind"] == "sample")


def test_that_given_completions_are_revised_and_not_sampled(
    stories: Path, rows: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(asked(stories), [rows[0] | {"completion": "The dog ran."}, rows[1] | {"completion": "  "}])
    here(folder)
    first, second = revised(folder)
    assert (first["original"], first["given"], first["why"]) == ("The dog ran.", True, "")
    assert second["why"] == EMPTY.format(what="original")


def test_that_a_killed_reviser_goes_on_and_says_the_same(
    stories: Path, rows: list[Row], make_run: MakeRun, here: Here, hatch: Hatchery
) -> None:
    whole = make_run(asked(stories), rows, "whole")
    here(whole)
    killed = make_run(asked(stories), rows, "killed")
    assert hatch(killed, "revised") == -signal.SIGKILL
    lines = killed.events.read_bytes().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if b'"kind":"revised"' in line) + 1
    killed.events.write_bytes(b"".join(lines[:cut]) + b'{"v":1,"se')
    here(killed)
    assert [content(event) for event in revised(whole)] == [content(event) for event in revised(killed)]
    ends = [[e for e in events(f) if e["kind"] == "metrics"][-1]["values"] for f in (whole, killed)]
    assert len({json.dumps({k: v for k, v in e.items() if k not in VOLATILE}, sort_keys=True) for e in ends}) == 1


def test_that_a_paused_reviser_goes_on_with_the_next_batch(
    stories: Path, rows: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(asked(stories), rows[:4])
    folder.want("stop")
    assert [event["wanted"] for event in here(folder) if event["kind"] == "halted"] == ["stop"]
    folder.want("run")
    assert here(folder)[-1]["kind"] == "finished"
    assert len(revised(folder)) == 4


def test_that_what_can_not_be_used_is_counted_and_told(
    stories: Path, rows: list[Row], make_run: MakeRun, here: Here
) -> None:
    long = {"prompt": [{"role": "user", "content": "word " * 600}], "raw": False}
    folder = make_run(asked(stories, keep_cut=False), [rows[0], long])
    said = here(folder)
    assert [event["why"] for event in revised(folder)] == [CUT.format(what="response"), TOO_LONG]
    (notice,) = [event for event in said if event["kind"] == "noticed" and "gave no revision" in event["what"]]
    assert notice["what"].startswith("2 of 2 rows")
    assert notice["hint"]


def test_that_the_same_words_again_are_no_revision() -> None:
    draft = Draft(
        3, Prompt.from_text("Hello?"), given=True, original="Hi  there.", text="Hi there.", critiques=["Fine."]
    )
    assert as_event(draft, 5).why == UNCHANGED
    draft.text = "Hi there!"
    assert (as_event(draft, 5).why, as_event(draft, 5).revision) == ("", "Hi there!")


def test_that_a_dialogue_reads_as_plain_lines(stories: Path) -> None:
    draft = Draft(0, Prompt.from_text("Hello?"), given=False, text="Hi.")
    assert plain(draft.dialogue("Why?", "Too short.", "Again!")) == (
        "Human: Hello?\n\nAssistant: Hi.\n\nHuman: Why?\n\nAssistant: Too short.\n\nHuman: Again!\n\nAssistant:"
    )
    assert load_tokenizer(stories).chat_template is None


def test_that_without_a_principle_nothing_is_revised(
    stories: Path, rows: list[Row], make_run: MakeRun, here: Here
) -> None:
    with pytest.raises(RunFailed, match="no principle"):
        here(make_run(asked(stories, principles="# nothing\n\n"), rows))


def test_that_a_limit_draws_rows_by_the_seed(stories: Path, rows: list[Row], make_run: MakeRun, here: Here) -> None:
    folder = make_run(asked(stories, limit=2, max_new_tokens=4), rows)
    here(folder)
    assert len(revised(folder)) == 2


def test_that_a_dialogue_that_the_template_refuses_leaves_out_its_row_alone(
    stories: Path, rows: list[Row], make_run: MakeRun, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = revising.encode_prompt

    def choosy(tokenizer: Any, prompt: Prompt, chat_format: str) -> list[int]:
        if "big" in prompt.transcript and len(prompt.turns) > 1:
            raise BadInput("The model's chat template refuses a conversation: two in a row.", "Leave it out.")
        return really(tokenizer, prompt, chat_format)

    folder = make_run(asked(stories), rows[:3])
    monkeypatch.setattr(revising, "encode_prompt", choosy)
    assert here(folder)[-1]["kind"] == "finished"
    whys = [event["why"] for event in revised(folder)]
    assert whys[1] == "The model's chat template refuses a conversation: two in a row"
    assert not any("refuses" in why for why in (whys[0], whys[2]))
