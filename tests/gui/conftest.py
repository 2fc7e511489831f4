"""Tests of the window run off screen, and fail when they leave a thread, a running timer or a window behind."""

import gc
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QEvent, QSettings, QTimer
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.at_once import AtOnce, NotedShell
from workbench.gui.app import make_app
from workbench.gui.collecting import collect_what_is_due
from workbench.gui.theme import Theme

PATIENCE = 20.0  # seconds until a thread that is about to end has ended


@pytest.fixture(scope="session")
def qapp_cls() -> type[QApplication]:
    return QApplication


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    make_app()
    made = Theme(qapp)
    made.apply("light")
    return made


@pytest.fixture
def qtbot(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> QtBot:
    """Waits half a minute unless a test says otherwise: what is asserted is that it happens, not how busy the machine was."""
    monkeypatch.setattr(qtbot, "waitUntil", partial(qtbot.waitUntil, timeout=30_000))
    return qtbot


@pytest.fixture
def room(qtbot: QtBot) -> QWidget:
    """An empty window of the smallest size, for something to stand in."""
    made = QWidget()
    qtbot.addWidget(made)
    made.resize(1024, 640)
    made.show()
    return made


@pytest.fixture
def memory(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture(scope="module", autouse=True)
def garbage_on_this_thread() -> Iterator[None]:
    """As in the window: a thread that works for a page must not take widgets apart (workbench/gui/collecting.py)."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def nothing_is_left_behind(qapp: QApplication) -> Iterator[None]:
    before = set(threading.enumerate())
    shown_before = {id(w) for w in qapp.topLevelWidgets() if w.isVisible()}
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    begun = [t for t in threading.enumerate() if t not in before]
    for thread in begun:
        thread.join(PATIENCE)  # who reads a pipe ends when the process at its other end has gone
    left = [t.name for t in begun if t.is_alive()]
    assert not left, f"threads left running: {left}"
    windows = [w for w in qapp.topLevelWidgets() if w.isVisible() and id(w) not in shown_before]
    timers = [
        t for w in qapp.topLevelWidgets() for t in w.findChildren(QTimer) if t.isActive() and not t.isSingleShot()
    ]
    names = [w.objectName() for w in windows]
    for window in windows:
        window.close()
    assert not names, f"windows left open: {names}"
    collect_what_is_due()
    assert not timers, f"timers left running: {[t.parent() for t in timers]}"


@pytest.fixture
def bridge() -> AtOnce:
    return AtOnce()


@pytest.fixture
def shell(theme: Theme) -> NotedShell:
    return NotedShell(theme)


@pytest.fixture(params=["light", "dark"])
def either(theme: Theme, request: pytest.FixtureRequest) -> Iterator[Theme]:
    """Both themes, one after the other."""
    theme.apply(request.param)
    yield theme
    theme.apply("light")
