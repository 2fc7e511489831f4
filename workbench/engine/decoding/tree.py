"""The tree of hypotheses that beam search grows: nodes know their parents only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.engine.decoding.measure import Measured


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One token of the tree. The root is what the answer had before the search, and has no token."""

    parent: Node | None
    chosen: Measured | None
    depth: int


def tokens(node: Node) -> list[int]:
    """The tokens from the root to this node."""
    return [chosen.id for chosen in between(None, node)]


def between(above: Node | None, node: Node) -> Iterator[Measured]:
    """The choices after `above` down to `node`."""
    path: list[Measured] = []
    here: Node | None = node
    while here is not None and here is not above and here.chosen is not None:
        path.append(here.chosen)
        here = here.parent
    return reversed(path)


def agreed(nodes: Sequence[Node], settled: Node) -> Node:
    """The deepest node that all these hypotheses pass through, at or below `settled`."""
    depth = min(node.depth for node in nodes)
    level = {_ancestor(node, depth) for node in nodes}
    while len(level) > 1:
        level = {node.parent for node in level if node.parent is not None}
    common = level.pop()
    return common if common.depth > settled.depth else settled


def _ancestor(node: Node, depth: int) -> Node:
    while node.depth > depth and node.parent is not None:
        node = node.parent
    return node
