"""A scripted person labels as fast as the window can: what is stored is what was meant."""

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from tests.gui.pages.scripted_person import judge, share
from workbench.gui.pages.annotate import AnnotatePage
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]


def test_that_no_label_of_a_fast_person_differs_from_what_was_meant(fill: Fill, visit: Visit, bench: Workbench) -> None:
    fill(80)
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    day = judge(page, 80)
    assert len(day.intended) == len(day.wall) == 80
    stored = {
        j.item: (j.outcome, j.ranking.tiers if j.ranking else None, j.strength)
        for j in bench.labelling.judgements("pairs")
    }
    assert stored == day.intended
    assert share(day.processor, 0.5) < 100.0  # milliseconds; the benchmark holds the goal of 16
