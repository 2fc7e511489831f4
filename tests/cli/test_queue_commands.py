"""`label queue` and `label gold` on a real workspace."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.services.conftest import make_item
from workbench.cli.main import main
from workbench.cli.queues import parse_ranking, write_ranking
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Ranking
from workbench.services.workbench import Workbench

Run = Callable[..., Any]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A workspace with ten items to rank."""
    with Workbench.open(tmp_path / "work", create=True) as bench:
        for n in range(10):
            bench.labelling.add_item("pairs", make_item(f"i{n}"))
    return tmp_path / "work"


@pytest.fixture
def run(work: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command of `label queue` (or `label gold`); returns what it prints, or its complaint when it fails."""

    def command(*words: str, fails: int = 0) -> str:
        verbs = 1 if words[0] == "gold" else 2
        assert main(["label", *words[:verbs], str(work), *words[verbs:]]) == fails
        out, err = capsys.readouterr()
        return str(err if fails else out)

    return command


def test_that_a_queue_is_made_and_listed(run: Run) -> None:
    assert run("queue", "list") == "There is no queue.\n"
    told = run("queue", "create", "monday", "pairs", "--strategy", "random", "--overlap", "2", "--set", "repeats=0.05")
    assert told == "monday: 10 items of pairs, 10 left for you\n"
    listed = run("queue", "list", "--dataset", "pairs")
    assert "monday" in listed and "random" in listed
    assert run("queue", "list", "--dataset", "other") == "There is no queue.\n"


def test_that_a_queue_is_printed_for_machines(run: Run, work: Path) -> None:
    run("queue", "create", "monday", "pairs", "--overlap", "3")
    with Workbench.open(work) as bench:
        view = bench.queues.get("monday")
    assert (view.spec.overlap, view.spec.strategy) == (3, "in_order")
    assert '"left_for_you": 10' in run("queue", "list", "--json")


def test_that_a_queue_is_closed_opened_ordered_again_and_deleted(run: Run, work: Path) -> None:
    run("queue", "create", "monday", "pairs", "--strategy", "random")
    assert "monday is closed" in run("queue", "close", "monday")
    assert "monday is open: 0 of 10" in run("queue", "reopen", "monday")
    with Workbench.open(work) as bench:
        bench.labelling.add_item("pairs", make_item("late"))
    assert "0 of 11 items" in run("queue", "refresh", "monday")
    assert "what was said in it stays" in run("queue", "delete", "monday")
    assert "There is no queue called 'monday'" in run("queue", "close", "monday", fails=1)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("x", "absent"), "There is no dataset"),
        (("x", "pairs", "--strategy", "best"), "strategy"),
        (("x", "pairs", "--overlap", "0"), "overlap"),
        (("x", "pairs", "--strategy", "active"), "names the reward model"),
        (("x", "pairs", "--strategy", "active", "--reward-model", "rm"), "rm has scored no item of pairs"),
        (("x", "pairs", "--set", "speed=3"), "speed"),
        (("  ", "pairs"), "name"),
    ],
)
def test_that_a_queue_that_makes_no_sense_is_refused_in_a_sentence(
    run: Run, words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in run("queue", "create", *words, fails=1)
    assert run("queue", "list") == "There is no queue.\n"


def test_that_known_answers_are_set_listed_and_cleared(run: Run) -> None:
    assert run("gold", "pairs") == "No answer is known in pairs.\n"
    run("gold", "pairs", "i3", "b > a")
    assert run("gold", "pairs", "i5", "A=B") == "i3: B>A\ni5: A=B\n"
    assert run("gold", "pairs", "i3", "--clear") == "i5: A=B\n"
    assert "no known answer" in run("gold", "pairs", "i3", "--clear", fails=1)
    assert "What is the answer?" in run("gold", "pairs", "i3", fails=1)
    assert "has 2" in run("gold", "pairs", "i3", "A>B>C", fails=1)


def test_that_rankings_are_read_as_they_are_written() -> None:
    for text in ("A>B", "C>A=B", "A=B=C", "I>A>B>C>D>E>F>G>H"):
        assert write_ranking(parse_ranking(text)) == text
    assert parse_ranking("c > a = b") == Ranking(tiers=((2,), (0, 1)))
    for wrong in ("", "A>A", "A>C", "A>>B", "1>2", "AB"):
        with pytest.raises(BadInput, match="ranks no candidates"):
            parse_ranking(wrong)
