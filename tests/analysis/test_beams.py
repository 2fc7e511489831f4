"""The tree of a beam search and its ranking, against sums done by hand."""

import math

import pytest

from workbench.analysis.beams import Tree, ranked
from workbench.domain.choices import BeamLevel, BeamNode
from workbench.domain.decoding import Beam
from workbench.domain.lengths import length_divisor


def node(step: int, slot: int, parent: int, text: str, p: float, state: str = "live") -> BeamNode:
    return BeamNode(step=step, slot=slot, parent=parent, id=slot, text=text, logprob=math.log(p), score=math.log(p), state=state)  # type: ignore[arg-type]  # fmt: skip


def grown() -> Tree:
    """Greedy takes yes yes (.5 * .4); ok ok (.4 * .9) is likelier; one hypothesis ends at once."""
    tree = Tree()
    tree.add(
        BeamLevel(
            step=1,
            nodes=(node(1, 1, -1, "ok", 0.4), node(1, 0, -1, "yes", 0.5), node(1, 2, -1, "</s>", 0.1, "finished")),
        )
    )
    tree.add(
        BeamLevel(
            step=2,
            nodes=(
                node(2, 0, 1, " ok", 0.36, "finished"), node(2, 1, 0, " yes", 0.2, "finished"), node(2, 2, 0, " ok", 0.15),
                node(2, 3, 1, " yes", 0.04, "pruned"), node(2, 4, 0, " no", 0.15, "pruned"),
            ),
        )
    )  # fmt: skip
    return tree


def test_that_children_stand_in_their_parents_order() -> None:
    tree = grown()
    assert [n.text for n in tree.levels[0]] == ["yes", "ok", "</s>"]
    assert [n.text for n in tree.levels[1]] == [" yes", " ok", " no", " ok", " yes"]
    parents = [tree.parent((1, number)) for number in range(5)]
    assert parents == [(0, 0), (0, 0), (0, 0), (0, 1), (0, 1)], "no line crosses another"
    assert tree.children((0, 1)) == [(1, 3), (1, 4)] and tree.children((1, 0)) == []
    assert tree.parent((0, 1)) is None


def test_that_a_nodes_text_is_that_of_its_path() -> None:
    tree = grown()
    assert tree.text((1, 3)) == "ok ok"
    assert tree.path((1, 3)) == [(0, 1), (1, 3)]


def test_that_the_best_hypothesis_is_the_likeliest_by_the_raw_sum() -> None:
    found = ranked(grown(), Beam(length_penalty=0.0))
    assert [round(math.exp(one.score), 2) for one in found if one.finished] == [0.36, 0.2, 0.1]
    assert [one.place for one in found if not one.finished] == [(1, 1)]


@pytest.mark.parametrize(("rule", "divisor"), [("power", 4.0), ("gnmt", (7 / 6) ** 2)])
def test_that_ranking_divides_by_the_rule_of_the_search(rule: str, divisor: float) -> None:
    settings = Beam(length_rule=rule, length_penalty=2.0)  # type: ignore[arg-type]
    best = ranked(grown(), settings)[0]
    assert best.score == pytest.approx(math.log(0.36) / divisor) == best.logprob / length_divisor(settings, 2)


def test_that_a_negative_penalty_favours_the_short_text() -> None:
    tree = grown()
    assert tree.text(ranked(tree, Beam(length_penalty=-3.0))[0].place) == "</s>"


def test_that_an_orphan_has_no_line_and_an_empty_tree_no_ranking() -> None:
    tree = grown()
    tree.add(BeamLevel(step=3, nodes=(node(3, 0, 77, "?", 0.01),)))
    assert tree.parent((2, 0)) is None and tree.text((2, 0)) == "?"
    assert ranked(Tree(), Beam()) == [] and not Tree()
