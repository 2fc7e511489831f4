"""The item judged last, as it was arranged: what the key r looks at."""

import pytest

from tests.services.conftest import make_item
from workbench.domain.errors import NotFound
from workbench.domain.judgement import Ranking
from workbench.services.views import Presentation
from workbench.services.workbench import Workbench


def judge(bench: Workbench, dataset: str = "pairs") -> Presentation:
    presentation, _ = bench.labelling.start(dataset)
    assert presentation is not None
    ranking = Ranking(tiers=((presentation.shown[0],), (presentation.shown[1],)))
    bench.labelling.record(dataset, presentation, outcome="ranked", ranking=ranking, milliseconds=5)
    return presentation


def test_that_there_is_no_last_one_before_the_first(ten: Workbench) -> None:
    assert ten.labelling.last_presentation("pairs") is None


def test_that_the_last_one_is_arranged_as_it_was_shown(ten: Workbench) -> None:
    judge(ten)
    second = judge(ten)
    last = ten.labelling.last_presentation("pairs")
    assert last is not None
    assert (last.item, last.shown, last.seed, last.position) == (
        second.item, second.shown, second.seed, second.position,
    )  # fmt: skip
    assert last.previous is not None
    assert last.previous.shown == second.shown


def test_that_the_last_one_is_known_after_opening_again(ten: Workbench) -> None:
    shown = judge(ten)
    with Workbench.open(ten.path) as again:
        last = again.labelling.last_presentation("pairs")
        assert last is not None
        assert (last.item.id, last.shown) == (shown.item.id, shown.shown)
        assert again.labelling.reveal(last) == ("m0", "m1")


def test_that_undo_and_redo_change_which_is_last(ten: Workbench) -> None:
    first, second = judge(ten), judge(ten)
    ten.labelling.undo("pairs")
    last = ten.labelling.last_presentation("pairs")
    assert last is not None
    assert last.item.id == first.item.id
    ten.labelling.redo("pairs")
    last = ten.labelling.last_presentation("pairs")
    assert last is not None
    assert last.item.id == second.item.id


def test_that_each_dataset_has_its_own_last_one(ten: Workbench) -> None:
    ten.labelling.add_item("other", make_item("i9"))
    judge(ten)
    assert ten.labelling.last_presentation("other") is None


def test_that_another_annotator_has_not_judged_yet(ten: Workbench) -> None:
    judge(ten)
    ten.settings.change(annotator="somebody else")
    assert ten.labelling.last_presentation("pairs") is None


def test_that_a_dataset_that_is_not_there_is_not_found(ten: Workbench) -> None:
    with pytest.raises(NotFound):
        ten.labelling.last_presentation("nothing")
