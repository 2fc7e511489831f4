"""Garbage is collected on the window's thread, and by nobody else."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from workbench.gui import collecting
from workbench.gui.collecting import Collector, collect_what_is_due


class Circle:
    """Garbage that only a collector finds."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def limits() -> Iterator[None]:
    """Small thresholds, so that a test needn't make much garbage."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(50, 2, 2)
    yield
    gc.set_threshold(*before)


def litter(count: int = 200) -> list[weakref.ref[Circle]]:
    return [weakref.ref(Circle()) for _ in range(count)]


@pytest.mark.usefixtures("limits")
def test_that_a_collector_takes_garbage_on_its_own_thread(qapp: QApplication, qtbot: QtBot) -> None:
    threads = set[int]()

    def note(phase: str, _: object) -> None:
        threads.add(threading.get_ident())

    gc.enable()  # as it is when a program begins
    collector = Collector(qapp)
    assert not gc.isenabled()
    left = list[weakref.ref[Circle]]()
    gc.callbacks.append(note)
    try:
        thread = threading.Thread(target=lambda: left.extend(litter()))
        thread.start()
        thread.join()
        assert all(circle() is not None for circle in left), "the other thread took nothing apart"
        qtbot.waitUntil(lambda: all(circle() is None for circle in left))
    finally:
        gc.callbacks.remove(note)
        collector.stop()
        collector.deleteLater()
    assert threads == {threading.get_ident()}
    assert gc.isenabled()
    gc.disable()  # as the fixture of this room wants it


@pytest.mark.usefixtures("limits")
def test_that_what_is_due_is_the_oldest_generation_above_its_limit() -> None:
    gc.collect()
    assert collect_what_is_due() is None
    found = []
    for _ in range(40):
        kept = litter()
        found.append(collect_what_is_due())
        assert all(circle() is None for circle in kept)
    assert found[0] == 0
    assert 1 in found
    assert 2 in found


def test_that_a_limit_of_zero_means_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting.gc, "get_threshold", lambda: (0, 0, 0))
    monkeypatch.setattr(collecting.gc, "get_count", lambda: (10_000, 100, 100))
    monkeypatch.setattr(collecting.gc, "collect", lambda number: pytest.fail("nothing is due"))
    assert collect_what_is_due() is None


def test_that_the_window_s_program_has_a_collector(monkeypatch: pytest.MonkeyPatch, qapp: QApplication) -> None:
    from workbench.gui import app

    made = list[object]()
    monkeypatch.setattr(app, "Collector", made.append)
    monkeypatch.setattr(app, "Window", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        app.main()
    assert made == [qapp]
