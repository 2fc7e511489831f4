"""The bridge: work in threads, answers in the GUI thread, order, errors, cancelling, closing."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from workbench.domain.errors import BadInput, WorkbenchError
from workbench.gui.bridge import Bridge


@pytest.fixture
def told() -> list[WorkbenchError]:
    return []


@pytest.fixture
def bridge(qtbot: QtBot, told: list[WorkbenchError]) -> Iterator[Bridge]:
    made = Bridge(told.append)
    yield made
    made.close()


def test_that_work_leaves_the_gui_thread_and_its_answer_comes_back_to_it(bridge: Bridge, qtbot: QtBot) -> None:
    answers: list[tuple[threading.Thread, threading.Thread]] = []
    bridge.run(threading.current_thread, then=lambda where: answers.append((where, threading.current_thread())))
    qtbot.waitUntil(lambda: bool(answers))
    worked, answered = answers[0]
    assert worked is not threading.main_thread()
    assert answered is threading.main_thread()


def test_that_the_quick_lane_keeps_the_order(bridge: Bridge, qtbot: QtBot) -> None:
    answers: list[int] = []
    for number in range(200):
        bridge.run(lambda n=number: n, then=answers.append)
    qtbot.waitUntil(lambda: len(answers) == 200)
    assert answers == list(range(200))


def test_that_long_work_does_not_hold_up_quick_work(bridge: Bridge, qtbot: QtBot) -> None:
    door = threading.Event()
    answers: list[str] = []
    bridge.run(lambda: door.wait(10) and "long", then=answers.append, lane="long")
    bridge.run(lambda: "quick", then=answers.append)
    qtbot.waitUntil(lambda: answers == ["quick"])
    door.set()
    qtbot.waitUntil(lambda: answers == ["quick", "long"])


def fail(error: Exception) -> None:
    raise error


def test_that_an_error_reaches_the_one_who_asked(bridge: Bridge, qtbot: QtBot, told: list[WorkbenchError]) -> None:
    errors: list[WorkbenchError] = []
    bridge.run(fail, BadInput("The file is empty.", "Choose another."), failed=errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    assert errors[0].hint == "Choose another."
    assert not told


def test_that_an_error_nobody_asked_for_is_told_to_the_user(
    bridge: Bridge, qtbot: QtBot, told: list[WorkbenchError]
) -> None:
    bridge.run(fail, ValueError("boom"))
    qtbot.waitUntil(lambda: bool(told))
    assert "ValueError: boom" in told[0].what
    assert told[0].hint
    assert "Traceback" in told[0].details


def test_that_a_cancelled_answer_is_dropped_but_its_end_is_told(bridge: Bridge, qtbot: QtBot) -> None:
    door, answers, ended = threading.Event(), [], []
    ticket = bridge.run(lambda: door.wait(10), then=answers.append, ended=lambda: ended.append(True))
    ticket.cancel()
    door.set()
    qtbot.waitUntil(lambda: bool(ended))
    assert not answers
    assert bridge.busy == 0


def test_that_progress_is_shown_and_cancelling_stops_the_work(bridge: Bridge, qtbot: QtBot) -> None:
    steps: list[tuple[int, int]] = []
    reached: list[int] = []

    def work(progress: Callable[[int, int], bool]) -> None:
        for step in range(10_000):
            reached.append(step)
            if not progress(step, 10_000):
                return
            time.sleep(0.001)

    ended: list[bool] = []
    ticket = bridge.run(
        work, progress=lambda done, total: steps.append((done, total)), ended=lambda: ended.append(True), lane="long"
    )
    qtbot.waitUntil(lambda: len(steps) > 3)
    ticket.cancel()
    qtbot.waitUntil(lambda: bool(ended))
    assert len(reached) < 10_000
    assert steps[0] == (0, 10_000)


def test_that_the_answer_for_a_page_that_is_gone_is_dropped(
    bridge: Bridge, qtbot: QtBot, told: list[WorkbenchError]
) -> None:
    import shiboken6

    label, done = QLabel(), []
    bridge.run(lambda: (time.sleep(0.05), "late")[1], then=label.setText, ended=lambda: done.append(True))
    shiboken6.delete(label)
    qtbot.waitUntil(lambda: bool(done))
    assert not told


def test_that_a_page_that_is_gone_is_known_through_bound_arguments(
    bridge: Bridge, qtbot: QtBot, told: list[WorkbenchError]
) -> None:
    import shiboken6

    class Page(QLabel):
        def heard(self, item: str, answer: str) -> None:
            self.setText(item + answer)

    page, done = Page(), []
    then = partial(partial(page.heard, "item"))
    bridge.run(lambda: (time.sleep(0.05), "late")[1], then=then, ended=lambda: done.append(True))
    shiboken6.delete(page)
    qtbot.waitUntil(lambda: bool(done))
    assert not told


def test_that_a_flood_of_answers_arrives_whole(bridge: Bridge, qtbot: QtBot) -> None:
    heard: list[int] = []

    def flood(progress: Callable[[int, int], bool]) -> None:
        for number in range(50_000):
            progress(number, 50_000)

    bridge.run(flood, progress=lambda done, _total: heard.append(done), lane="long")
    qtbot.waitUntil(lambda: len(heard) == 50_000, timeout=20_000)
    assert heard == list(range(50_000))


def test_that_short_writes_asked_for_before_closing_still_happen_in_order() -> None:
    bridge = Bridge(lambda _: None)
    door = threading.Event()
    written: list[int] = []
    bridge.run(lambda: (door.wait(10), written.append(0)))
    for number in range(1, 20):
        bridge.run(written.append, number)
    threading.Timer(0.05, door.set).start()
    bridge.close()
    assert written == list(range(20))


def test_that_a_closed_bridge_takes_no_work_and_leaves_no_thread(qtbot: QtBot) -> None:
    bridge = Bridge(lambda _: None)
    answers: list[int] = []
    bridge.run(lambda: 1, then=answers.append)
    bridge.run(lambda: 1, then=answers.append, lane="long")
    bridge.close()
    bridge.close()
    bridge.run(lambda: 1, then=answers.append)
    assert not [t for t in threading.enumerate() if t.name.startswith("bridge")]
    assert not answers


class Asker(QLabel):
    """A page that asks with a lambda, as pages do."""

    def ask(self, bridge: Bridge, heard: list[str]) -> None:
        bridge.run(
            lambda: "news", then=lambda words: (heard.append(words), self.setText(words)), ended=lambda: self.clear()
        )


def test_that_a_lambda_of_a_page_that_is_gone_is_not_called(bridge: Bridge, qtbot: QtBot) -> None:
    import shiboken6

    heard: list[str] = []
    asker = Asker()
    asker.ask(bridge, heard)
    shiboken6.delete(asker)
    qtbot.waitUntil(lambda: bridge.busy == 0)
    assert heard == []
