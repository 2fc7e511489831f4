"""Opening a dataset or a queue: it can be cancelled, and what nobody waits for any more is given back."""

import threading
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.conftest import settle
from workbench.domain.errors import StorageFailed
from workbench.domain.queues import QueueSpec
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench


@pytest.fixture
def page(fill: Callable[..., None], visit: Callable[..., QWidget], bench: Workbench) -> AnnotatePage:
    fill(3)
    fill(2, name="others")
    bench.queues.create(QueueSpec(name="both", dataset="pairs"))
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


@pytest.fixture
def slow(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The next openings wait until this is set."""
    go_on, start = threading.Event(), bench.labelling.start

    def waiting(*place: str) -> object:
        assert go_on.wait(30)
        return start(*place)

    monkeypatch.setattr(bench.labelling, "start", waiting)
    yield go_on
    go_on.set()


def shown(page: AnnotatePage) -> str:
    front = page._stack.currentWidget()
    return front.objectName() if front is not page.desk else "stopped" if page.desk.ends.stopped.isVisible() else "desk"


def press_cancel(page: AnnotatePage, _qtbot: QtBot) -> None:
    page._busy.findChild(QPushButton, "annotate.busy.cancel").click()


def press_escape(page: AnnotatePage, qtbot: QtBot) -> None:
    qtbot.keyClick(page, Qt.Key.Key_Escape)


@pytest.mark.parametrize("cancel", [press_cancel, press_escape])
def test_that_an_opening_is_cancelled_and_made_up_for(
    page: AnnotatePage, slow: threading.Event, qtbot: QtBot, window: Window, cancel: Callable[..., None]
) -> None:
    page.arrive("pairs", "both")
    assert shown(page) == "annotate.busy"
    cancel(page, qtbot)
    assert shown(page) == "stopped"
    assert page.desk.top.queue.isVisible()
    assert not page.desk.ends.done.isVisible()
    slow.set()
    settle(qtbot, window)
    assert (shown(page), page.presentation) == ("stopped", None)  # the answer that came after all changes nothing
    page.desk.ends.stopped.buttons[0].click()
    settle(qtbot, window)
    assert shown(page) == "desk"
    assert page.presentation is not None
    assert page.presentation.queue == "both"


def test_that_another_dataset_is_chosen_while_nothing_is_open(
    page: AnnotatePage, slow: threading.Event, qtbot: QtBot, window: Window
) -> None:
    page.arrive("pairs", "both")
    press_escape(page, qtbot)
    slow.set()
    page.arrive("others")
    settle(qtbot, window)
    assert shown(page) == "desk"
    assert page.presentation is not None
    assert (page.dataset, page.presentation.queue) == ("others", "")


@pytest.mark.parametrize("leave", [press_escape, lambda page, _: page.arrive("others")])
def test_that_an_item_that_nobody_waits_for_goes_to_others(
    page: AnnotatePage, slow: threading.Event, qtbot: QtBot, window: Window, bench: Workbench,
    leave: Callable[..., None],
) -> None:  # fmt: skip
    page.arrive("pairs", "both")
    leave(page, qtbot)
    slow.set()
    settle(qtbot, window)
    bench.settings.change(annotator="anna")
    first, _ = bench.labelling.start("pairs", "both")
    assert first is not None
    assert first.item.id == "item-000"


def test_that_a_cancelled_opening_says_nothing_of_its_failure(
    page: AnnotatePage, qtbot: QtBot, window: Window, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: str) -> None:
        raise StorageFailed("The server is gone.")

    monkeypatch.setattr(bench.labelling, "start", failing)
    page.arrive("others")
    press_escape(page, qtbot)
    settle(qtbot, window)
    assert shown(page) == "stopped"
    page.desk.ends.stopped.buttons[0].click()
    qtbot.waitUntil(lambda: shown(page) == "annotate.error")


def test_that_coming_back_to_the_page_opens_what_was_cancelled(
    page: AnnotatePage, slow: threading.Event, qtbot: QtBot, window: Window
) -> None:
    page.arrive("others")
    press_escape(page, qtbot)
    slow.set()
    settle(qtbot, window)
    window.go("settings")
    window.go("annotate")
    settle(qtbot, window)
    assert shown(page) == "desk"
    assert page.dataset == "others"


def test_that_escape_closes_nothing_once_an_item_is_shown(page: AnnotatePage, qtbot: QtBot) -> None:
    before = page.presentation
    press_escape(page, qtbot)
    assert shown(page) == "desk"
    assert page.presentation is before


def test_that_a_list_that_comes_after_the_cancel_opens_nothing(
    page: AnnotatePage, slow: threading.Event, qtbot: QtBot, window: Window
) -> None:
    page.arrive("others")
    page.shown()  # asks which datasets there are, and waits behind the opening
    press_escape(page, qtbot)
    slow.set()
    settle(qtbot, window)
    assert shown(page) == "stopped"
