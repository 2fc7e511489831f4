"""PandaLM's published agreement, read off the page of statistics, and the same from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from tests.services.pandalm import PEOPLE, write_pandalm
from workbench.cli.main import main
from workbench.gui.pages.statistics import StatisticsPage
from workbench.services.workbench import Workbench

PUBLISHED = {"annotator1|annotator2": 0.85, "annotator1|annotator3": 0.88, "annotator2|annotator3": 0.86}


def test_that_the_page_shows_pandalm_s_published_kappas_as_the_command_line_does(
    bench: Workbench, visit: Callable[..., QWidget], shared: Path, tmp_path: Path, qtbot: QtBot,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bench.datasets.import_files([write_pandalm(shared, tmp_path / "pandalm.jsonl")], "pandalm")
    page = visit("statistics", dataset="pandalm")
    assert isinstance(page, StatisticsPage)
    qtbot.waitUntil(lambda: page.report is not None and bool(page.boards["agreement"].cards))
    assert page.basis.text() == f"2,997 judgements of 999 items by {', '.join(PEOPLE)}"
    board = page.boards["agreement"]
    shown = {card.figure.name: [label.text() for label in card.findChildren(QLabel)] for card in board.cards}
    assert "0.86" in shown["agreement.fleiss_kappa"]
    assert "0.86" in shown["agreement.alpha_nominal"]
    (pairs,) = [plot.plot for plot in board.plots if plot.plot.name == "pairs"]
    read = {words.split(":")[0].replace(" · ", "|"): float(words.split(": ")[1].split(" ")[0]) for words in pairs.words}
    assert read == PUBLISHED
    assert main(["label", "stats", str(bench.path), "pandalm", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["agreement"]
    assert {pair: round(kappa, 2) for pair, kappa in told["cohen_kappa"].items()} == PUBLISHED
    values = {card.figure.name: card.figure.value for card in board.cards}
    for name in ("fleiss_kappa", "alpha_nominal", "raw"):
        assert values[f"agreement.{name}"] == told[name]
    assert told["fleiss_kappa"] == pytest.approx(0.8642, abs=5e-5)
    assert told["alpha_nominal"] == pytest.approx(0.8642, abs=5e-5)
