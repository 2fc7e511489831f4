"""How far annotators agree over a whole workspace, asked for every few seconds."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.services.conftest import make_item
from workbench.domain.judgement import Judgement, Ranking
from workbench.services.workbench import Workbench

Say = Callable[..., None]


@pytest.fixture
def say(ten: Workbench) -> Say:
    def said(item: str, annotator: str, *tiers: tuple[int, ...], dataset: str = "pairs", **more: object) -> None:
        fields = {
            "id": uuid.uuid4().hex, "item": item, "annotator": annotator, "outcome": "ranked",
            "ranking": Ranking(tiers=tiers) if tiers else None, "shown": (0, 1), "shown_seed": 3, "milliseconds": 900,
            "created": datetime.now(UTC),
        }  # fmt: skip
        ten.labelling.add_judgement(dataset, Judgement.model_validate(fields | more))

    return said


def test_that_a_workspace_without_labels_has_no_agreement(bench: Workbench) -> None:
    assert bench.labelling.agreement() is None


def test_that_items_judged_once_say_nothing_about_agreement(ten: Workbench, say: Say) -> None:
    say("i0", "ada", (0,), (1,))
    say("i1", "bob", (0,), (1,))
    assert ten.labelling.agreement() is None


def test_that_agreement_is_the_share_of_votes_on_the_same_responses_that_agree(ten: Workbench, say: Say) -> None:
    for item, (mine, yours) in enumerate((((0,), (0,)), ((1,), (1,)), ((0,), (0,)), ((0,), (1,)))):
        say(f"i{item}", "ada", mine, (1 - mine[0],))
        say(f"i{item}", "bob", yours, (1 - yours[0],))
    say("i9", "ada", (0,), (1,))
    assert ten.labelling.agreement() == pytest.approx(3 / 4)
    raw = ten.statistics.report("pairs").labels.agreement.raw
    assert raw is not None and ten.labelling.agreement() == raw.value


def test_that_a_tie_and_a_preference_differ(ten: Workbench, say: Say) -> None:
    say("i0", "ada", (0, 1))
    say("i0", "bob", (0,), (1,))
    assert ten.labelling.agreement() == 0.0


def test_that_a_skip_is_no_vote(ten: Workbench, say: Say) -> None:
    say("i0", "ada", (0,), (1,))
    say("i0", "bob", outcome="skipped", skip_reason="unclear")
    assert ten.labelling.agreement() is None


def test_that_agreement_follows_undo_redo_and_a_second_opinion(ten: Workbench, say: Say) -> None:
    say("i0", "ada", (0,), (1,))
    say("i0", "me", (1,), (0,))
    assert ten.labelling.agreement() == 0.0
    ten.labelling.undo("pairs")
    assert ten.labelling.agreement() is None
    ten.labelling.redo("pairs")
    assert ten.labelling.agreement() == 0.0
    ten.labelling.undo("pairs")
    say("i0", "me", (0,), (1,))
    assert ten.labelling.agreement() == 1.0


def test_that_items_of_the_same_name_in_two_datasets_are_two_items(ten: Workbench, say: Say) -> None:
    ten.labelling.add_item("others", make_item("i0"))
    say("i0", "ada", (0,), (1,))
    say("i0", "bob", (1,), (0,), dataset="others")
    assert ten.labelling.agreement() is None
    say("i0", "bob", (0,), (1,))
    say("i0", "ada", (0,), (1,), dataset="others")
    assert ten.labelling.agreement() == pytest.approx(1 / 2)


def test_that_a_deleted_dataset_counts_no_more(ten: Workbench, say: Say) -> None:
    say("i0", "ada", (0,), (1,))
    say("i0", "bob", (0,), (1,))
    assert ten.labelling.agreement() == 1.0
    ten.datasets.delete("pairs")
    assert ten.labelling.agreement() is None
