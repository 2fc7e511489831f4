"""A scripted person, a real window and a million items: from the key, through the committed label, to the next item painted."""

import os
import resource
import sys
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.benchmarks.test_store_speed import ITEMS, JUDGED, fill_by_sql
from tests.gui.pages.scripted_person import judge, share
from workbench.gui.app import make_app
from workbench.gui.collecting import Collector
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import Workbench, new_workspace

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
LABELS = 1000
WARM = 20  # the first few load fonts and compile statements
GOAL_MS = 16.0  # for the 99th percentile, on a machine of one's own; printed beside what was measured
GROWTH_MIB = 8.0


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    return make_app()


def mebibytes() -> float:
    return psutil.Process(os.getpid()).memory_info().rss / 2**20


def test_that_the_next_item_is_there_within_a_frame(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> None:
    space = new_workspace(tmp_path / "space")
    bench = Workbench.open(space)
    bench.workspace.lane.do(bench.workspace.store.datasets.create, "big", "preferences")
    bench.workspace.lane.do(fill_by_sql, bench.workspace.store)
    bench.settings.change(annotator="crowd")  # half of the million is judged by this annotator
    theme = Theme(qapp)
    theme.apply("light")
    window = Window(theme, QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat))
    window.wear(bench, bench.settings.get())
    window.resize(1280, 800)
    window.show()
    window.go("annotate", dataset="big")
    page = window.deck.page("annotate")
    assert isinstance(page, AnnotatePage)
    qtbot.waitUntil(lambda: page.presentation is not None and page.ready, timeout=60_000)
    collector = Collector(qapp)
    judge(page, WARM, seed=1)
    before = mebibytes()
    day = judge(page, LABELS, seed=2, patience=600.0)
    grown = mebibytes() - before
    collector.stop()
    stored = {
        j.item: (j.outcome, j.ranking.tiers if j.ranking else None, j.strength)
        for j in bench.labelling.judgements("big")
        if j.item in day.intended and j.annotator == "crowd"
    }
    differ = sum(stored.get(item) != said for item, said in day.intended.items())
    sys.stdout.write(
        f"\n{len(day.wall)} labels among {ITEMS:,} items ({JUDGED:,} judged before): wall p50 {share(day.wall, 0.5):.1f} ms, "
        f"p90 {share(day.wall, 0.9):.1f}, p99 {share(day.wall, 0.99):.1f} (goal {GOAL_MS:.0f}), most {max(day.wall):.1f}; processor p50 "
        f"{share(day.processor, 0.5):.1f} ms, p99 {share(day.processor, 0.99):.1f}; memory {grown:+.1f} MiB; {differ} labels differ; "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw} times set aside for others; load {os.getloadavg()[0]:.1f}\n"
    )
    window.close()
    assert len(day.wall) == LABELS
    assert differ == 0
    assert grown < GROWTH_MIB
