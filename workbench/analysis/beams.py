"""The tree of a beam search as it grows, and its hypotheses ranked again under another length rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.domain.choices import BeamLevel, BeamNode
from workbench.domain.decoding import Beam
from workbench.domain.lengths import length_divisor

Place = tuple[int, int]  # (number of the level from 0, number of the node in it)


@dataclass(frozen=True)
class Ranked:
    """A hypothesis: where it ends in the tree, its summed log-probability (nats), and that divided by the length rule."""

    place: Place
    logprob: float
    score: float
    finished: bool


class Tree:
    """Levels in which children stand in the order of their parents, the likelier first: no line crosses another one.

    A level is ordered when it comes and never again, so a tree grows while it is looked at.
    """

    def __init__(self) -> None:
        self.levels: list[tuple[BeamNode, ...]] = []
        self._parents: list[list[int]] = []
        self._slots: list[dict[int, int]] = []
        self.finished: list[Place] = []

    def __bool__(self) -> bool:
        return bool(self.levels)

    def add(self, level: BeamLevel) -> None:
        """The next level. A node whose parent isn't known stands at the end, without a line."""
        above = self._slots[-1] if self._slots else {}

        def order(node: BeamNode) -> tuple[int, float, int]:
            return above.get(node.parent, len(above)), -node.logprob, node.slot

        nodes = tuple(sorted(level.nodes, key=order))
        self.levels.append(nodes)
        self._parents.append([above.get(node.parent, -1) for node in nodes])
        self._slots.append({node.slot: number for number, node in enumerate(nodes)})
        here = len(self.levels) - 1
        self.finished += [(here, number) for number, node in enumerate(nodes) if node.state == "finished"]

    def node(self, place: Place) -> BeamNode:
        """The node at a place."""
        return self.levels[place[0]][place[1]]

    def parent(self, place: Place) -> Place | None:
        """Where a node's parent stands; None at the first level."""
        level, number = place
        found = self._parents[level][number]
        return (level - 1, found) if level > 0 and found >= 0 else None

    def children(self, place: Place) -> list[Place]:
        """Where a node's children stand; they are neighbours."""
        level, number = place
        if level + 1 >= len(self.levels):
            return []
        return [(level + 1, child) for child, parent in enumerate(self._parents[level + 1]) if parent == number]

    def path(self, place: Place) -> list[Place]:
        """From the first token to this node."""
        found = [place]
        while (above := self.parent(found[-1])) is not None:
            found.append(above)
        return found[::-1]

    def text(self, place: Place) -> str:
        """What the hypothesis says, from its first token to this node."""
        return "".join(self.node(one).text for one in self.path(place))


def ranked(tree: Tree, settings: Beam) -> list[Ranked]:
    """All hypotheses that finished, best first, then those that were alive at the last level.

    This ranks what the search has seen: under another rule the search itself might have looked elsewhere. Ties keep their order.
    """
    last = len(tree.levels) - 1
    alive = [(last, n) for n, node in enumerate(tree.levels[last]) if node.state == "live"] if tree else []
    return [*_by_score(tree, tree.finished, settings, True), *_by_score(tree, alive, settings, False)]


def _by_score(tree: Tree, places: Sequence[Place], settings: Beam, finished: bool) -> list[Ranked]:
    found = []
    for place in places:
        node = tree.node(place)
        found.append(Ranked(place, node.logprob, node.logprob / length_divisor(settings, max(1, node.step)), finished))
    return sorted(found, key=lambda one: -one.score)
