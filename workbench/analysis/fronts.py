"""Which columns of a study no other column beats in two measures at once."""

from __future__ import annotations

from workbench.domain.study import Study, measure_of


def front(study: Study, one: str, other: str) -> list[int]:
    """Numbers of the columns that aren't beaten: no column is at least as good in both measures and better in one.

    A measure without a good direction counts as if more were better; columns without one of the figures are left out.
    """
    points = []
    for number, column in enumerate(study.columns):
        if one in column.figures and other in column.figures:
            points.append((number, _worth(study, number, one), _worth(study, number, other)))
    return [number for number, x, y in points if not any(a >= x and b >= y and (a > x or b > y) for _, a, b in points)]


def best(study: Study, name: str) -> list[int]:
    """Numbers of the columns with the best figure of a measure; none where neither direction is good."""
    if measure_of(name).good == "none":
        return []
    known = {n: _worth(study, n, name) for n, column in enumerate(study.columns) if name in column.figures}
    return [number for number, worth in known.items() if worth == max(known.values())]


def _worth(study: Study, number: int, name: str) -> float:
    value = study.columns[number].figures[name].value
    return -value if measure_of(name).good == "down" else value
