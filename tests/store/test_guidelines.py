"""Versions of guidelines: appended, never rewritten, each with its dimensions."""

from collections.abc import Callable

import pytest

from workbench.domain.errors import NotFound
from workbench.domain.judgement import Aspect, Judgement, Ranking
from workbench.domain.queues import Dimension
from workbench.store.store import Store, open_store

HARMLESS = Dimension(name="harmless", description="Nobody could come to harm by it.")
TRUE = Dimension(name="truthful")


def test_that_versions_count_from_one_and_the_newest_is_shown(ten: Store) -> None:
    assert ten.guidelines.get("pairs") is None
    first = ten.guidelines.write("pairs", "Prefer the kinder one.", [], "anna")
    second = ten.guidelines.write("pairs", "Prefer the kinder one.", [HARMLESS], "ben")
    assert (first.version, second.version) == (1, 2)
    assert ten.guidelines.get("pairs") == second
    assert ten.guidelines.history("pairs") == [first, second]


def test_that_the_same_words_give_the_same_version_and_older_words_a_new_one(ten: Store) -> None:
    first = ten.guidelines.write("pairs", "one", [], "anna")
    assert ten.guidelines.write("pairs", "one", [], "ben") == first
    ten.guidelines.write("pairs", "two", [], "anna")
    assert ten.guidelines.write("pairs", "one", [], "anna").version == 3


def test_that_guidelines_come_back_to_the_letter_after_a_restart(ten: Store) -> None:
    text = "# Regeln\n\n- freundlich 👋\n- مرحبا\n\x00'; DROP TABLE guidelines; --"
    written = ten.guidelines.write("pairs", text, [HARMLESS, TRUE], "安娜")
    ten.close()
    again = open_store(ten._workspace)
    assert again.guidelines.get("pairs") == written
    again.close()


def test_that_each_dataset_has_guidelines_of_its_own_and_they_go_with_it(ten: Store) -> None:
    ten.datasets.create("other", "preferences")
    ten.guidelines.write("pairs", "one", [], "anna")
    assert ten.guidelines.get("other") is None
    number = ten.datasets.hide("pairs")
    while ten.datasets.drop_some(number):
        pass
    with pytest.raises(NotFound):
        ten.guidelines.get("pairs")
    ten.datasets.create("pairs", "preferences")
    assert ten.guidelines.history("pairs") == []


def test_that_dimensions_are_those_of_all_versions_and_those_that_judgements_speak_of(
    ten: Store, judge: Callable[..., Judgement]
) -> None:
    ten.guidelines.write("pairs", "one", [HARMLESS], "anna")
    ten.guidelines.write("pairs", "two", [TRUE], "anna")
    kind = Aspect(name="kind", ranking=Ranking(tiers=((1,), (0,))))
    ten.labels.add(judge("i0", aspects=(kind,)), "pairs")
    ten.labels.add(judge("i1"), "pairs")
    assert ten.guidelines.dimensions("pairs") == ["harmless", "truthful", "kind"]
