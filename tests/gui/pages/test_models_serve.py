"""Serving from the Models page: a real server started, watched and stopped by real clicks, and what the panel shows of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.conftest import settle
from workbench.domain.serving import Serving
from workbench.gui.pages.model_serve import ServePanel
from workbench.gui.pages.models import ModelsPage
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.usefixtures("all_warm")


@pytest.fixture
def page(bench: Workbench, shared: Path, visit: Callable[..., QWidget], qtbot: QtBot) -> ModelsPage:
    for name, kind in (("stories", "sft"), ("judge", "reward")):
        bench.models.add_folder(shared / "models" / "stories260K", name, kind=kind)  # type: ignore[arg-type]
    found = visit("models", model="stories")
    assert isinstance(found, ModelsPage)
    qtbot.waitUntil(lambda: found.card.title.text() == "stories")
    return found


def click(qtbot: QtBot, window: Window, within: QWidget, name: str) -> None:
    settle(qtbot, window)
    found = within.findChild(QPushButton, name)
    assert isinstance(found, QPushButton)
    qtbot.waitUntil(lambda: found.isVisibleTo(window) and found.isEnabled())
    qtbot.mouseClick(found, Qt.MouseButton.LeftButton)
    settle(qtbot, window)


@pytest.fixture
def panel(page: ModelsPage, window: Window, qtbot: QtBot) -> ServePanel:
    click(qtbot, window, page, "models.serve.open")
    assert page.side.currentWidget() is page.serve
    return page.serve


@pytest.fixture
def told(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Lets the service say that a server fares in some way."""
    with monkeypatch.context() as patched:

        def tell(**facts: object) -> None:
            patched.setattr(bench.serving, "state", lambda: Serving(models=("stories",), **facts))  # type: ignore[arg-type]
            patched.setattr(bench.serving, "_keys", ("sk-0123456789abcdefghij",))

        yield tell


def test_that_a_server_is_started_used_and_stopped_from_the_page(
    panel: ServePanel, page: ModelsPage, window: Window, qtbot: QtBot, bench: Workbench
) -> None:
    panel.record.setChecked(True)
    click(qtbot, window, panel, "models.serve.start")
    qtbot.waitUntil(lambda: panel.state.text() == "listening", timeout=120_000)
    assert panel.title.text() == "Serving stories"
    click(qtbot, window, panel, "models.serve.copy_address")
    address = QGuiApplication.clipboard().text()
    assert address.startswith("http://127.0.0.1:")
    click(qtbot, window, panel, "models.serve.copy_key")
    key = QGuiApplication.clipboard().text()
    assert key == bench.serving.key
    assert key not in panel.key.text()
    client = openai.OpenAI(base_url=address, api_key=key, max_retries=0, timeout=60)
    client.completions.create(model="stories", prompt="Once", max_tokens=2)
    qtbot.waitUntil(lambda: "1 request" in panel.counts.text() and "2 tokens" in panel.counts.text())
    assert panel.recording.isVisibleTo(window)
    assert (bench.path / "asked.jsonl").read_text(encoding="utf-8").count("\n") == 1
    # Leaving the page leaves the server alone; coming back shows it.
    window.go("settings")
    window.go("models")
    settle(qtbot, window)
    assert client.models.list().data
    click(qtbot, window, panel, "models.serve.stop")
    qtbot.waitUntil(lambda: panel.state.text() == "not running", timeout=60_000)
    assert panel.title.text() == "Serve stories"
    click(qtbot, window, panel, "models.serve.back")
    assert page.side.currentWidget() is page.card


def test_that_reward_models_are_not_offered(page: ModelsPage, window: Window, qtbot: QtBot) -> None:
    page.list.choose("judge")
    settle(qtbot, window)
    assert not page.card.serve.isVisibleTo(window)
    assert "models.serve" not in {action.id for action in page.actions()}
    page.list.choose("stories")
    settle(qtbot, window)
    assert page.card.serve.isVisibleTo(window)
    assert "models.serve" in {action.id for action in page.actions()}


def test_that_the_panel_tells_each_state_in_words(panel: ServePanel, window: Window, told: Callable[..., None]) -> None:
    assert panel.state.text() == "not running"
    assert panel.start.isVisibleTo(window) and not panel.stop.isVisibleTo(window)
    told(state="loading", loading="stories")
    panel.look()
    assert panel.sentence.text().startswith("Loading stories")
    assert not panel.findChild(QPushButton, "models.serve.copy_key").isEnabled()  # type: ignore[union-attr]
    told(
        state="ready",
        address="http://127.0.0.1:8080/v1",
        live=3,
        rows=5,
        waiting=2,
        speed=1234.5,
        requests=9,
        tokens=4321,
    )
    panel.look()
    assert panel.speed.text() == "1,234 tokens/s"
    assert panel.counts.text().startswith(
        "3 live requests, 5 texts being written, 2 waiting. 9 requests and 4,321 tokens"
    )
    assert panel.address.text() == "http://127.0.0.1:8080/v1"
    assert panel.key.text() == "sk-012…ghij"
    assert not panel.recording.isVisibleTo(window)
    told(state="stopping", address="http://127.0.0.1:8080/v1", live=1)
    panel.look()
    assert panel.stop.text() == "Stop at once"
    told(state="failed", what="Nothing can listen on 127.0.0.1, port 80.", hint="Choose another port.")
    panel.look()
    assert panel.trouble.text() == "Nothing can listen on 127.0.0.1, port 80. Choose another port."
    assert panel.trouble.isVisibleTo(window) and panel.start.isVisibleTo(window)


def test_that_what_the_service_refuses_is_told_in_the_panel(
    panel: ServePanel, window: Window, qtbot: QtBot, bench: Workbench
) -> None:
    bench.models.remove("stories")
    click(qtbot, window, panel, "models.serve.start")
    qtbot.waitUntil(lambda: "stories" in panel.trouble.text())
    assert panel.start.isEnabled()


def test_that_everything_has_its_names_and_fits_a_small_window_in_both_themes(
    panel: ServePanel, window: Window, qtbot: QtBot, theme: Theme, told: Callable[..., None]
) -> None:
    told(state="ready", address="https://[2001:db8::dead:beef:1234:5678]:65535/v1", speed=12.0)
    window.resize(1024, 640)
    for mode in ("dark", "light"):
        theme.apply(mode)
        panel.look()
        settle(qtbot, window)
        for each in panel.findChildren(QAbstractButton):
            if each.isVisibleTo(window):
                assert each.objectName().startswith("models.serve.")
                assert each.accessibleName()
                assert panel.rect().contains(
                    each.geometry().bottomRight() + each.parentWidget().mapTo(panel, each.rect().topLeft())
                )
        assert panel.minimumSizeHint().width() <= panel.width()
        assert not panel.grab().isNull()
