"""Repairs: a mended response gives a pair and a demonstration, both or neither."""

import pytest

from tests.services.conftest import make_item
from workbench.domain.errors import BadInput
from workbench.services.views import Presentation
from workbench.services.workbench import Workbench


def shown(bench: Workbench) -> Presentation:
    presentation, _ = bench.labelling.start("pairs")
    assert presentation is not None
    return presentation


def test_that_the_repaired_response_beats_the_original_and_is_a_demonstration(ten: Workbench) -> None:
    here = shown(ten)
    assert ten.repairs.repair("pairs", here, 1, "a mended answer 👋") == "pairs-repairs"
    (item,) = ten.datasets.values("pairs-repairs")
    assert item.prompt == here.item.prompt
    assert item.candidates[0].text == "a mended answer 👋"
    assert item.candidates[1] == here.item.candidates[1]
    (said,) = ten.labelling.judgements("pairs-repairs")
    assert said.ranking is not None
    assert (said.annotator, said.ranking.tiers, said.milliseconds) == ("me", ((0,), (1,)), 0)
    (written,) = ten.datasets.values("pairs-demonstrations")
    assert (written.prompt, written.completion) == (here.item.prompt, "a mended answer 👋")
    facts = dict(ten.datasets.page("pairs-repairs", 0, 1)[0].facts)
    assert facts["Repaired from"] == "pairs, item i0, response B"


def test_that_a_repair_is_no_judgement_of_the_item_itself(ten: Workbench) -> None:
    ten.repairs.repair("pairs", shown(ten), 0, "mended")
    assert ten.labelling.judgements("pairs") == []
    assert shown(ten).item.id == "i0"


def test_that_a_model_learns_to_prefer_the_repair(ten: Workbench) -> None:
    ten.repairs.repair("pairs", shown(ten), 0, "mended")
    frozen = ten.datasets.freeze("pairs-repairs", "preferences")
    assert (frozen.rows, frozen.synthetic) == (1, False)
    assert ten.datasets.freeze("pairs-demonstrations", "demonstrations").rows == 1


def test_that_the_same_repair_twice_is_one_and_two_people_s_meet_on_one_item(ten: Workbench) -> None:
    here = shown(ten)
    for _ in range(2):
        ten.repairs.repair("pairs", here, 0, "mended")
    assert ten.datasets.get("pairs-repairs").rows == 1
    assert ten.datasets.get("pairs-demonstrations").rows == 1
    ten.settings.change(annotator="anna")
    ten.repairs.repair("pairs", here, 0, "mended")
    assert ten.datasets.get("pairs-repairs").rows == ten.datasets.get("pairs-demonstrations").rows == 1
    assert [j.annotator for j in ten.labelling.judgements("pairs-repairs")] == ["me", "anna"]


def test_that_repairs_of_both_candidates_are_two_pairs(ten: Workbench) -> None:
    here = shown(ten)
    for candidate in (0, 1):
        ten.repairs.repair("pairs", here, candidate, "mended")
    assert ten.datasets.get("pairs-repairs").rows == 2


def test_that_a_repair_that_was_undone_can_be_made_again(ten: Workbench) -> None:
    here = shown(ten)
    ten.repairs.repair("pairs", here, 0, "mended")
    ten.labelling.undo("pairs-repairs")
    ten.repairs.repair("pairs", here, 0, "mended")
    assert len(ten.labelling.judgements("pairs-repairs")) == 1
    assert ten.datasets.get("pairs-repairs").rows == ten.datasets.get("pairs-demonstrations").rows == 1


@pytest.mark.parametrize(
    ("candidate", "text", "what"),
    [
        (0, " \n", "can't be empty"),
        (0, "answer 0 to i0", "as it was"),
        (2, "x", "no candidate 2"),
        (-1, "x", "no cand"),
    ],
)
def test_that_what_is_no_repair_is_refused(ten: Workbench, candidate: int, text: str, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        ten.repairs.repair("pairs", shown(ten), candidate, text)
    assert [d.name for d in ten.datasets.list()] == ["pairs"]


@pytest.mark.parametrize("taken", ["pairs-repairs", "pairs-demonstrations"])
def test_that_neither_half_is_kept_when_a_name_belongs_to_data_of_another_kind(ten: Workbench, taken: str) -> None:
    ten.datasets.create(taken, "prompts")
    with pytest.raises(BadInput, match=f"{taken} holds prompts"):
        ten.repairs.repair("pairs", shown(ten), 0, "mended")
    assert [(d.name, d.rows) for d in ten.datasets.list()] == [("pairs", 10), (taken, 0)]


def test_that_a_repair_of_one_of_nine_says_which(bench: Workbench) -> None:
    bench.labelling.add_item("pairs", make_item("wide", 9))
    bench.repairs.repair("pairs", shown(bench), 8, "mended")
    assert dict(bench.datasets.page("pairs-repairs", 0, 1)[0].facts)["Repaired from"].endswith("response I")
