"""The judge recipe on a real small model: marked judgements, kills, resumes, rules and reward models."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import events
from tests.engine.hatchery import Hatchery
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.judgement import Judgement, Ranking
from workbench.domain.specs.judge import RULES, JudgeSpec
from workbench.domain.specs.kinds import Spec
from workbench.engine.asking import Said, letters, sigmoid
from workbench.engine.judging import compare
from workbench.engine.models import load_tokenizer
from workbench.engine.rules import BUILT_IN, load_rule
from workbench.protocol.run_folder import RunFolder

MakeRun = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
Row = dict[str, Any]
KIT = Path(__file__).resolve().parents[2] / "resources" / "starter" / "model"
VOLATILE = {"items_per_second", "memory_gib"}


@pytest.fixture(scope="module")
def items(request: pytest.FixtureRequest) -> list[Row]:
    """Twelve items of two, three and four candidates; people have ranked the first four by length."""
    made = []
    for n in range(12):
        size = 2 + n % 3
        texts = [f"Lily saw {'a big red ball and ' * (k + 1)}number {n}." for k in range(size)]
        made.append(
            {
                "prompt": [{"role": "user", "content": f"Tell me about ball {n}."}],
                "raw": False,
                "item": f"i{n}",
                "candidates": texts,
                "people": [list(range(size))] if n < 4 else [],
            }
        )
    return made


def judged(folder: RunFolder) -> dict[str, dict[str, Any]]:
    found = [event for event in events(folder) if event["kind"] == "judged"]
    assert len({event["item"] for event in found}) == len(found), "an item was judged twice"
    return {event["item"]: event for event in found}


def without_names(event: dict[str, Any]) -> dict[str, Any]:
    """An event without what differs between two runs that say the same: names, times."""
    said = {key: value for key, value in event.items() if key not in {"seq", "time", "v"}}
    if said["judgement"]:
        said["judgement"] = {k: v for k, v in said["judgement"].items() if k not in {"id", "created", "milliseconds"}}
    return said


def test_that_a_model_judges_every_item_in_both_orders_and_signs(
    stories: Path, items: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(JudgeSpec(base=str(stories), device="cpu", batch_size=5, calibrate=True), items)
    said = here(folder)
    assert said[-1]["kind"] == "finished"
    assert said[-1]["model"] is None
    found = judged(folder)
    assert set(found) == {row["item"] for row in items}
    for row in items:
        event = found[row["item"]]
        size = len(row["candidates"])
        assert event["pairs"] == size * (size - 1) // 2
        assert 0 <= event["first"] <= 2 * event["pairs"]
        assert (event["judgement"] is None) == bool(event["why"])
        if event["judgement"]:
            judgement = Judgement.model_validate(event["judgement"])
            assert (judgement.annotator, judgement.annotator_kind) == ("stories260K", "model")
            assert judgement.note.startswith("P = ")
    assert any(event["judgement"] for event in found.values())
    last = [event for event in said if event["kind"] == "metrics"][-1]
    assert last["step"] == 12
    assert last["values"]["judge/judged"] == 12
    assert last["values"]["judge/kept"] == sum(event["judgement"] is not None for event in found.values())


def test_that_the_habit_of_a_letter_is_taken_out() -> None:
    """A judge that leans to A by 2 nats, and to the better response by 1: raw it says nothing, calibrated it is steady."""
    quality = [0, 1]
    said = {(i, j): Said(2.0 + quality[i] - quality[j], 0.5) for i in range(2) for j in range(2)}
    raw = compare(2, {order: one for order, one in said.items() if order[0] != order[1]}, 0.5)
    assert (raw.outcome.ranking, raw.why) == (None, "the two orders disagree")
    steady = compare(2, said, 0.5)
    assert steady.outcome.ranking == Ranking(tiers=((1,), (0,)))
    assert steady.outcome.probability == pytest.approx(1 / (1 + math.exp(-1)))
    assert steady.outcome.first == 1


@pytest.mark.parametrize("lean", [-800.0, -1.0, 0.0, 2.0, 800.0])
def test_that_log_odds_become_a_probability_without_overflow(lean: float) -> None:
    assert sigmoid(lean) == pytest.approx(1 - sigmoid(-lean))
    assert 0 <= sigmoid(lean) <= 1


def test_that_unsure_and_partial_verdicts_say_so() -> None:
    close = {(0, 1): Said(0.1, 1.0), (1, 0): Said(-0.1, 1.0)}
    assert compare(2, close, 0.9).why == "the verdict is unsure"
    part = {(i, j): Said(3.0, 1.0) for i in range(3) for j in range(3) if i != j} | {(1, 0): Said(-3.0, 1.0)}
    assert compare(3, part, 0.5).why == "too few consistent pairs to rank all candidates"
    assert compare(3, {}, 0.5).why == "a question is longer than max_length"


@pytest.mark.parametrize(("name", "chat"), [("stories", False), ("kit", True)])
def test_that_the_two_answers_are_other_tokens_and_single_ones_where_they_can_be(
    stories: Path, name: str, chat: bool
) -> None:
    tokenizer = load_tokenizer(stories if name == "stories" else KIT)
    found = letters(tokenizer, after_space=not chat)
    assert found.before == []
    assert not set(found.first) & set(found.second)
    for ids, letter in ((found.first, "A"), (found.second, "B")):
        assert {tokenizer.decode([one]).strip() for one in ids} == {letter}


@pytest.mark.parametrize("form", ["plain", "auto"])
def test_that_the_place_of_a_response_in_the_row_doesn_t_decide(
    loaded: Any, stories: Path, items: list[Row], make_run: MakeRun, here: Here, form: str
) -> None:
    turned = [row | {"candidates": row["candidates"][::-1], "people": []} for row in items]
    folders = [
        make_run(JudgeSpec(base=str(stories), device="cpu", chat_format=form, calibrate=True), rows, name)
        for name, rows in (("one", items), ("other", turned))
    ]
    for folder in folders:
        here(folder)
    one, other = (judged(folder) for folder in folders)
    seen = 0
    for row in items:
        size = len(row["candidates"])
        a, b = one[row["item"]]["judgement"], other[row["item"]]["judgement"]
        assert (a is None) == (b is None)
        if a and b:
            seen += 1
            assert [sorted(tier) for tier in a["ranking"]["tiers"]] == [
                sorted(size - 1 - i for i in tier) for tier in b["ranking"]["tiers"]
            ]

    assert seen


def test_that_a_killed_judge_goes_on_where_it_was_and_says_the_same(
    stories: Path, items: list[Row], make_run: MakeRun, here: Here, hatch: Hatchery
) -> None:
    spec = JudgeSpec(base=str(stories), device="cpu", batch_size=3, calibrate=True)
    whole = make_run(spec, items, "whole")
    here(whole)
    killed = make_run(spec, items, "killed")
    assert hatch(killed, "judged") == -signal.SIGKILL
    lines = killed.events.read_bytes().splitlines(keepends=True)
    # A kill in the midst of a batch: only its first verdict has reached the file, and half of the next line.
    cut = next(n for n, line in enumerate(lines) if b'"kind":"judged"' in line) + 1
    killed.events.write_bytes(b"".join(lines[:cut]) + b'{"v":1,"seq":99,"ti')
    assert hatch(killed) == 0
    a, b = judged(whole), judged(killed)
    assert {k: without_names(v) for k, v in a.items()} == {k: without_names(v) for k, v in b.items()}
    assert [e["step"] for e in events(killed) if e["kind"] == "resumed"] == [0]
    ends = [[e for e in events(f) if e["kind"] == "metrics"][-1]["values"] for f in (whole, killed)]
    assert len({json.dumps({k: v for k, v in e.items() if k not in VOLATILE}, sort_keys=True) for e in ends}) == 1


def test_that_a_pause_is_heeded_between_batches_and_a_resume_finishes(
    items: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(JudgeSpec(judge="rule", rule="longer", device="cpu", batch_size=4), items)
    folder.want("pause")
    assert here(folder)[-1]["kind"] == "halted"
    assert judged(folder) == {}
    folder.want("run")
    assert here(folder)[-1]["kind"] == "finished"
    assert len(judged(folder)) == 12


def test_that_a_rule_ranks_by_its_scores_and_agrees_with_people_as_counted(
    items: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(JudgeSpec(judge="rule", rule="longer", device="cpu"), items)
    last = [event for event in here(folder) if event["kind"] == "metrics"][-1]["values"]
    for row in items:
        judgement = Judgement.model_validate(judged(folder)[row["item"]]["judgement"])
        size = len(row["candidates"])
        assert judgement.ranking is not None
        assert judgement.ranking.tiers == tuple((k,) for k in reversed(range(size)))
        assert (judgement.annotator, judgement.annotator_kind) == ("longer", "rule")
    assert last["judge/agreement"] == 0  # people liked them short
    assert "judge/inconsistent" not in last
    other = make_run(JudgeSpec(judge="rule", rule="shorter", annotator="Brief", device="cpu"), items, "other")
    assert [event for event in here(other) if event["kind"] == "metrics"][-1]["values"]["judge/agreement"] == 1
    assert {event["judgement"]["annotator"] for event in judged(other).values()} == {"Brief"}


def test_that_scores_within_the_margin_are_a_tie(items: list[Row], make_run: MakeRun, here: Here) -> None:
    folder = make_run(JudgeSpec(judge="rule", rule="longer", tie_margin=100, device="cpu"), items[:1])
    here(folder)
    assert judged(folder)["i0"]["judgement"]["ranking"]["tiers"] == [[0, 1]]


def test_that_a_reward_model_judges_by_its_scores(
    judge_folder: Path, items: list[Row], make_run: MakeRun, here: Here
) -> None:
    folder = make_run(JudgeSpec(base=str(judge_folder), annotator="rm", device="cpu"), items)
    assert here(folder)[-1]["kind"] == "finished"
    for event in judged(folder).values():
        shown = event["judgement"]["note"].removeprefix("scores ").split(", ")
        order = [i for tier in event["judgement"]["ranking"]["tiers"] for i in tier]
        assert order == sorted(order, key=lambda i: -float(shown[i]))
        assert event["judgement"]["annotator_kind"] == "model"


def test_that_a_long_question_gets_no_judgement_and_is_counted(
    stories: Path, items: list[Row], make_run: MakeRun, here: Here
) -> None:
    long = items[1] | {"candidates": ["word " * 400, "short", "word"]}
    folder = make_run(JudgeSpec(base=str(stories), device="cpu"), [items[0], long])
    said = here(folder)
    assert judged(folder)["i1"]["judgement"] is None
    assert any(
        ("max_length" in event["what"] and event["what"].startswith("1 items")) or "2 items" in event["what"]
        for event in said
        if event["kind"] == "noticed"
    )


def test_that_a_limit_draws_by_the_seed(items: list[Row], make_run: MakeRun, here: Here) -> None:
    drawn = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        folder = make_run(JudgeSpec(judge="rule", rule="longer", limit=4, seed=seed, device="cpu"), items, name)
        here(folder)
        drawn.append(list(judged(folder)))
    assert drawn[0] == drawn[1] != drawn[2]
    assert {len(names) for names in drawn} == {4}


def test_that_a_function_of_a_file_judges(items: list[Row], make_run: MakeRun, here: Here) -> None:
    folder = make_run(JudgeSpec(judge="rule", rule="rule.py:taste", device="cpu"), items[:2])
    (folder.path / "rule.py").write_text("def taste(prompt, completion):\n    return -len(completion)\n")
    here(folder)
    assert judged(folder)["i0"]["judgement"]["ranking"]["tiers"] == [[0], [1]]


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("def taste(prompt, completion):\n    return float('nan')\n", RunFailed, "gave nan"),
        ("def taste(prompt, completion):\n    raise KeyError('x')\n", RunFailed, "KeyError"),
        ("def taste(prompt, completion):\n    return 'good'\n", RunFailed, "ValueError"),
        ("taste = 3\n", BadInput, "no function called taste"),
        ("import nothing_like_this\n", BadInput, "can't be run"),
    ],
)
def test_that_a_rule_that_can_not_be_used_ends_the_run_with_a_sentence(
    items: list[Row], make_run: MakeRun, here: Here, source: str, error: type[Exception], words: str
) -> None:
    spec: Spec = JudgeSpec(judge="rule", rule="rule.py:taste", device="cpu")
    folder = make_run(spec, items[:2])
    (folder.path / "rule.py").write_text(source)
    with pytest.raises(error, match=words):
        here(folder)


def test_that_every_rule_that_a_spec_may_name_is_there(tmp_path: Path) -> None:
    assert set(BUILT_IN) == set(RULES)
    assert load_rule("story_rule", tmp_path)("Tell me a story about Mia and a bell.", "no") == 0.0
    assert load_rule("longer", tmp_path)("", "a b c") > load_rule("longer", tmp_path)("", "a")
    with pytest.raises(BadInput, match="is not there"):
        load_rule("gone.py:good", tmp_path)
