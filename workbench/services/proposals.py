"""Which datasets suit a kind of job, and which of them a person most likely means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workbench.domain.rows import usable_as
from workbench.domain.specs.common import TrainingSpec
from workbench.domain.specs.kinds import DATA_KIND, SPECS
from workbench.services.views import DatasetView

# A word of a name: held-out, heldout, hold_out, test, eval, evaluation, validation, dev.
_SET_APART = re.compile(r"(?<![a-z])(held?[-_ ]?out|hold[-_ ]?out|test|eval(uation)?|valid(ation)?|dev)(?![a-z])")
_SMALL = 0.1  # of the rows of the largest that suits as well


def suiting(kind: str, datasets: Sequence[DatasetView]) -> list[DatasetView]:
    """The datasets that a kind of job can use, the likeliest first, newest first among equals.

    Exact matches stand before those that only have prompts. To train on, what is called held out or a test stands behind, and so does what has
    less than a tenth of the rows of the largest; to judge, what has nothing left to judge.
    """
    wanted = DATA_KIND[kind]
    fitting = [view for view in datasets if usable_as(view.kind, wanted)]
    fitting.sort(key=lambda view: view.created, reverse=True)
    if not issubclass(SPECS[kind], TrainingSpec):
        return sorted(fitting, key=lambda view: (view.kind != wanted, kind == "judge" and view.judged == view.rows))
    largest = {view.kind: max(_rows(other, kind) for other in fitting if other.kind == view.kind) for view in fitting}

    def behind(view: DatasetView) -> tuple[bool, bool, bool]:
        return view.kind != wanted, set_apart(view), _rows(view, kind) < _SMALL * largest[view.kind]

    return sorted(fitting, key=behind)


def set_apart(view: DatasetView) -> bool:
    """Whether a dataset's name says that it isn't to be trained on."""
    return _SET_APART.search(view.name.lower()) is not None


def _rows(view: DatasetView, kind: str) -> int:
    """How many rows a job of this kind would have of it."""
    return view.judged if DATA_KIND[kind] == "preferences" else view.rows
