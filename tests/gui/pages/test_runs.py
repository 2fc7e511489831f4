from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from workbench.domain.runs import JobState, MetricPoint
from workbench.domain.specs.sft import SftSpec
from workbench.gui.pages.runs import RunsPage
from workbench.gui.pages.runs.curves import CurvesTab
from workbench.gui.pages.runs.detail import Health
from workbench.gui.pages.runs.tabs import LogTab, SamplesTab, SpecTab, sample_number, spec_lines
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.views import RunView, SampleView
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Start = Callable[..., RunView]
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def wait_until_seen(qtbot: QtBot, tab: CurvesTab) -> None:
    qtbot.waitUntil(lambda: not tab.plots["loss"].visibleRegion().isEmpty())
    tab.redraw()


def points(name: str, values: list[float], first: int = 1) -> list[MetricPoint]:
    return [MetricPoint(name=name, step=first + i, value=value, time=NOW) for i, value in enumerate(values)]


@pytest.fixture
def start(bench: Workbench, shared: Path) -> Start:
    bench.models.add_folder(shared / "models" / "stories260K", "stories")
    bench.datasets.import_files([shared / "data" / "llama_factory" / "alpaca_en_demo.json"], "asks", skip_bad=True)

    def begin(name: str = "first", **settings: object) -> RunView:
        values = {"name": name, "base": "stories", "data": "asks", "device": "cpu", "max_steps": 6, "batch_size": 2}
        return bench.training.start(SftSpec.model_validate(values | {"max_length": 64} | settings))

    return begin


@pytest.fixture
def tab(qtbot: QtBot, theme: Theme) -> CurvesTab:
    made = CurvesTab(theme)
    qtbot.addWidget(made)
    made.resize(800, 600)
    made.show()
    return made


def test_that_held_out_values_lie_over_their_training_twin(tab: CurvesTab) -> None:
    tab.show_runs([("r", "run", "sft")])
    tab.fill("r", {"loss": points("loss", [3, 2, 1]), "eval/loss": points("eval/loss", [2.5], 3)})
    assert list(tab.plots) == ["loss"]
    assert [line.held_out for line in tab.plots["loss"].lines] == [False, True]


def test_that_headlines_come_first(tab: CurvesTab) -> None:
    tab.show_runs([("r", "run", "dpo")])
    tab.fill("r", {name: points(name, [1.0]) for name in ("epoch", "kl", "loss", "learning_rate")})
    assert list(tab.plots)[:2] == ["loss", "kl"]


def test_that_new_points_are_drawn_once_and_nothing_is_drawn_without_any(tab: CurvesTab, qtbot: QtBot) -> None:
    tab.show_runs([("r", "run", "sft")])
    tab.fill("r", {"loss": points("loss", [3, 2, 1])})
    wait_until_seen(qtbot, tab)
    drawn = tab.plots["loss"].draws
    for _ in range(5):
        tab.redraw()
    assert tab.plots["loss"].draws == drawn
    tab.add("r", {"loss": points("loss", [0.5], 4)})
    tab.redraw()
    assert tab.plots["loss"].draws == drawn + 1


def test_that_a_hidden_tab_draws_nothing(tab: CurvesTab, qtbot: QtBot) -> None:
    tab.show_runs([("r", "run", "sft")])
    tab.fill("r", {"loss": points("loss", [3, 2, 1])})
    wait_until_seen(qtbot, tab)
    tab.hide()
    drawn = tab.plots["loss"].draws
    tab.add("r", {"loss": points("loss", [0.5], 4)})
    tab.redraw()
    assert tab.plots["loss"].draws == drawn


def test_that_a_resumed_run_forgets_what_it_superseded(tab: CurvesTab) -> None:
    tab.show_runs([("r", "run", "sft")])
    tab.fill("r", {"loss": points("loss", [5, 4, 3, 2])})
    tab.cut("r", 2)
    tab.add("r", {"loss": points("loss", [30.0], 3)})
    assert tab.plots["loss"].lines[0].buffer.values.tolist() == [5, 4, 30]


def test_that_several_runs_share_a_plot_with_a_line_each(tab: CurvesTab) -> None:
    tab.show_runs([("a", "one", "dpo"), ("b", "two", "dpo")])
    tab.fill("a", {"loss": points("loss", [3, 2])})
    tab.fill("b", {"loss": points("loss", [4, 1]), "kl": points("kl", [0.1])})
    assert [line.label for line in tab.plots["loss"].lines] == ["one", "two"]
    assert [line.label for line in tab.plots["kl"].lines] == ["two"]


def test_that_the_slider_smooths_and_the_scale_can_be_logarithmic(tab: CurvesTab) -> None:
    tab.show_runs([("r", "run", "sft")])
    tab.fill("r", {"loss": points("loss", [4, 0, 4, 0])})
    tab.slider.setValue(0)
    assert tab.weight == 0
    assert tab.plots["loss"].lines[0].buffer.smooth.tolist() == [4, 0, 4, 0]
    tab.slider.setValue(100)
    assert tab.weight == pytest.approx(0.99)
    assert 1 < tab.plots["loss"].lines[0].buffer.smooth[-1] < 3
    tab.log.setChecked(True)
    assert tab.plots["loss"].log


def test_that_a_value_that_is_not_a_number_is_said_not_hidden(tab: CurvesTab, qtbot: QtBot) -> None:
    tab.show_runs([("r", "run", "sft")])
    tab.fill("r", {"loss": points("loss", [3.0, float("nan")])})
    wait_until_seen(qtbot, tab)
    last = tab.plots["loss"].findChild(QWidget, "runs.plot.loss.last")
    assert last is not None
    assert last.text() == "not a number"  # type: ignore[attr-defined]
    assert last.property("role") == "bad"


def test_that_plots_wear_the_theme(tab: CurvesTab, theme: Theme) -> None:
    tab.show_runs([("r", "run", "sft")])
    tab.fill("r", {"loss": points("loss", [3.0, 2.0])})
    theme.apply("dark")
    assert tab.plots["loss"]._plot.backgroundBrush().color().name().upper() == theme.colours.surface.upper()
    theme.apply("light")


def test_that_samples_follow_the_newest_step_until_a_person_looks_back(qtbot: QtBot, theme: Theme) -> None:
    tab = SamplesTab(theme)
    qtbot.addWidget(tab)
    at = {step: SampleView(step, 0, "Tell me.", f"Story at {step}.", {}) for step in (10, 20, 30)}
    tab.show_samples([at[10], at[20]])
    assert tab.step.text() == "20"
    tab.show_samples(list(at.values()))
    assert tab.step.text() == "30"
    tab.slider.setValue(0)
    tab.show_samples([*at.values(), SampleView(40, 0, "Tell me.", "Story at 40.", {})])
    assert tab.step.text() == "10"


def test_that_numbers_of_a_sample_are_words() -> None:
    assert sample_number("length", 96.0) == "96 tokens"
    assert sample_number("ended", 0.0) == "cut at the length limit"
    assert sample_number("reward/score", 1.25) == "score 1.25"


def test_that_the_log_stays_where_a_person_reads(qtbot: QtBot) -> None:
    tab = LogTab()
    qtbot.addWidget(tab)
    tab.resize(300, 120)
    tab.show()
    tab.show_log("\n".join(map(str, range(100))))
    bar = tab.pane.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.setValue(3)
    tab.show_log("\n".join(map(str, range(120))))
    assert bar.value() == 3


def test_that_the_spec_lists_every_setting_with_its_sentence(qtbot: QtBot) -> None:
    spec = SftSpec(base="b", data="d", max_steps=7)
    lines = {path: (value, default, sentence) for path, value, default, sentence in spec_lines(spec)}
    assert lines["max_steps"] == (7, 0, "Stop after this many optimizer steps (0 = by epochs).")
    assert "lora.rank" in lines
    tab = SpecTab(lambda: None, lambda: None)
    qtbot.addWidget(tab)
    tab.show_spec(spec)
    assert tab.tree.topLevelItemCount() == len(lines)
    tab.only_changed.setChecked(True)
    assert [tab.tree.topLevelItem(i).text(0) for i in range(tab.tree.topLevelItemCount())] == [
        "base",
        "data",
        "max_steps",
    ]


def test_that_health_speaks_only_when_there_is_something_to_say(qtbot: QtBot) -> None:
    strip = Health()
    qtbot.addWidget(strip)
    strip.tell(("", ""), ())
    assert strip.isHidden()
    strip.tell(("The loss is not a number.", "Lower the learning rate."), [("3 rows were cut.", "")])
    assert not strip.isHidden()


def test_that_without_runs_the_page_leads_to_train(visit: Visit, qtbot: QtBot, window: Window) -> None:
    page = visit("runs")
    step = page.findChild(QPushButton, "runs.empty.step1")
    assert step is not None
    QTest.mouseClick(step, Qt.MouseButton.LeftButton)
    assert window.deck.currentWidget().objectName() == "train"
    qtbot.waitUntil(lambda: window.bridge.busy == 0)


def test_that_a_queued_run_can_be_found_stopped_and_deleted(
    start: Start, visit: Visit, bench: Workbench, qtbot: QtBot, window: Window
) -> None:
    start("first")
    second = start("second")
    page = visit("runs", run=second.id)
    assert isinstance(page, RunsPage)
    assert page.detail.title.text() == "second"
    page.roster.field.setText("first")
    assert [view.name for view in page.roster.model.shown] == ["first"]
    page.roster.field.setText("")
    page.roster.choose(second.id)
    QTest.mouseClick(page.detail.stop, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bench.runs.get(second.id).view.state is JobState.STOPPED)
    qtbot.waitUntil(lambda: page.detail.delete.isVisible())
    QTest.mouseClick(page.detail.delete, Qt.MouseButton.LeftButton)
    dialog = next(d for d in window.findChildren(QDialog) if d.isVisible())
    agree = next(b for b in dialog.findChildren(QPushButton) if "Delete" in b.text())
    QTest.mouseClick(agree, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: [view.name for view in bench.runs.list()] == ["first"])
    qtbot.waitUntil(lambda: window.bridge.busy == 0)


@pytest.mark.usefixtures("warm")
@pytest.mark.slow
def test_that_a_run_in_another_process_draws_itself_live(
    start: Start, visit: Visit, bench: Workbench, qtbot: QtBot, window: Window
) -> None:
    bench.runs.begin()
    run = start("live", eval_every=2, sample_count=1)
    page = visit("runs", run=run.id)
    assert isinstance(page, RunsPage)
    qtbot.waitUntil(lambda: "done" in page.detail.state.text(), timeout=200_000)
    qtbot.waitUntil(lambda: "loss" in page.detail.curves.plots)
    plot = page.detail.curves.plots["loss"]
    qtbot.waitUntil(lambda: plot.lines[0].buffer.steps.tolist() == [1, 2, 3, 4, 5, 6])
    stored = [point.value for point in bench.runs.metrics(run.id)["loss"]]
    assert plot.lines[0].buffer.values.tolist() == stored
    assert plot.draws > 0
    page.detail.tabs.setCurrentIndex(1)
    qtbot.waitUntil(lambda: page.detail.samples.step.text() == "6")
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
