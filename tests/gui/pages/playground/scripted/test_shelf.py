"""Models in the decoder's memory can be seen, let go, and bounded, by keys alone."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from workbench.domain.settings import Settings
from workbench.gui.pages.playground.shelf import ShelfPanel
from workbench.services.views import LoadedModel, MemoryView

MIB = 2**20
HELD = MemoryView(
    (
        LoadedModel("judge", "/models/judge", "reward", 100 * MIB),
        LoadedModel("stories", "/models/stories", "policy", 300 * MIB),
    ),
    400 * MIB,
    1600 * MIB,
)


def opened(stage: Any, held: MemoryView = HELD) -> Any:
    stage.said.held = held
    stage.pick("Models in memory")
    panel = stage.page.drawer.content
    assert isinstance(panel, ShelfPanel) and stage.page.drawer.title.text() == "Models in memory"
    return panel


def test_that_what_is_loaded_stands_there_with_its_share_of_the_budget(stage: Any) -> None:
    panel = opened(stage)
    assert panel.told.text() == "400.0 MiB of 1.6 GiB" and panel.bar.value() == 250
    assert panel.bar.accessibleName() == "Memory of the playground's models: 400.0 MiB of 1.6 GiB"
    told = stage.words(panel)
    assert told.index("speaks · 300.0 MiB · used last") < told.index("reward model · 100.0 MiB"), "the last used first"
    assert stage.find("playground.shelf.0.free").accessibleName() == "Free stories"


def test_that_nothing_loaded_says_when_something_will_be(stage: Any) -> None:
    panel = opened(stage, MemoryView())
    assert panel.told.text() == "Nothing is loaded" and not panel.bar.isVisible()
    assert "when a column first speaks" in stage.words(panel)


def test_that_a_budget_that_one_model_exceeds_fills_the_bar_and_no_more(stage: Any) -> None:
    panel = opened(stage, MemoryView(HELD.models, 4000 * MIB, 1000 * MIB))
    assert panel.bar.value() == panel.bar.maximum()


def test_that_a_model_is_freed_by_a_key_and_waits_until_it_is_idle(stage: Any) -> None:
    panel = opened(stage)
    free = stage.find("playground.shelf.1.free")
    free.setFocus()
    QTest.keyClick(free, Qt.Key.Key_Space)
    assert stage.said.freed == ["/models/judge"]
    waiting = stage.find("playground.shelf.1.free")
    assert not waiting.isEnabled() and "nothing uses it" in waiting.toolTip()
    assert stage.find("playground.shelf.0.free").isEnabled()
    stage.said.held = MemoryView(HELD.models[1:], 300 * MIB, 1600 * MIB)
    panel.looked.emit()
    assert panel.told.text() == "300.0 MiB of 1.6 GiB"
    stage.said.held = HELD
    panel.looked.emit()
    assert stage.find("playground.shelf.1.free").isEnabled(), "loaded again, it can be freed again"


def test_that_looking_again_leaves_the_focus_where_it_is(stage: Any) -> None:
    panel = opened(stage)
    free = stage.find("playground.shelf.0.free")
    panel.looked.emit()
    assert stage.find("playground.shelf.0.free") is free


def test_that_the_panel_looks_only_while_it_can_be_seen(stage: Any) -> None:
    panel = opened(stage)
    assert panel._timer.isActive()
    QTest.keyClick(stage.page, Qt.Key.Key_Escape)
    assert not panel.isVisible() and not panel._timer.isActive()


def test_that_the_budget_is_set_by_typing_kept_and_told_at_once(stage: Any) -> None:
    panel = opened(stage)
    assert panel.budget.text() == "half of all"
    panel.budget.setFocus()
    panel.budget.selectAll()
    QTest.keyClicks(panel.budget, "12")
    assert stage.said.budgets == [], "half a number is none"
    QTest.keyClick(panel.budget, Qt.Key.Key_Return)
    assert stage.said.budgets == [12] and stage.changed == {"decoder_memory": 12}
    assert stage.shell.settings.decoder_memory == 12 and panel.budget.text() == "12 GiB"


def test_that_a_budget_changed_on_the_settings_page_reaches_the_decoder_once(stage: Any) -> None:
    stage.shell.settings_changed(Settings(annotator="else"))
    assert stage.said.budgets == []
    for _ in range(2):
        stage.shell.settings_changed(Settings(decoder_memory=3))
    assert stage.said.budgets == [3] and stage.changed == {}


def test_that_a_blind_round_keeps_its_models_to_itself(stage: Any) -> None:
    opened(stage)
    stage.page.bar.blind.setChecked(True)
    stage.ask()
    assert stage.page.drawer.isHidden() and not isinstance(stage.page.drawer.content, ShelfPanel)
    stage.pick("Models in memory")
    assert stage.page.drawer.isHidden()
