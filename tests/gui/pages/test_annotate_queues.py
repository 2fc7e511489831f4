"""Queues in the window: chosen, made, managed; leases while an item is on screen; and people who share them."""

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.conftest import settle
from workbench.domain.judgement import Ranking
from workbench.domain.queues import QueueSpec
from workbench.domain.specs.study import read_queue
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.pages.annotate.queue_panel import QueuePanel
from workbench.gui.pages.train import TrainPage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def page(fill: Fill, visit: Visit) -> AnnotatePage:
    fill(6)
    found = visit("annotate")
    assert isinstance(found, AnnotatePage)
    return found


def entries(page: AnnotatePage) -> list[str]:
    box = page.desk.top.queue
    return [box.itemText(n) for n in range(box.count()) if box.itemText(n)]


def test_that_the_form_of_a_new_queue_makes_and_opens_it(
    page: AnnotatePage, press: Press, bench: Workbench, qtbot: QtBot, window: Window
) -> None:
    page.crew.do("new_queue")
    qtbot.waitUntil(lambda: page.desk.side.open == "queue")
    panel = page.crew.places.panel
    name = panel.form.editor("name")
    assert name.hasFocus()
    for key in "12x":
        press(key)
    assert bench.labelling.judgements("pairs") == []
    QTest.keyClick(name, Qt.Key.Key_Return, CTRL)
    qtbot.waitUntil(lambda: page.queue == "12x" and window.bridge.busy == 0)
    assert page.desk.side.open == ""
    assert [view.spec.dataset for view in bench.queues.list()] == ["pairs"]
    assert entries(page) == ["pairs", "pairs › 12x", "New queue…"]
    assert page.desk.top.queue.currentText() == "pairs › 12x"
    press("1")
    (said,) = bench.labelling.judgements("pairs")
    assert said.queue == "12x"


@pytest.mark.parametrize("known", [True, False])
def test_that_a_queue_with_a_share_of_gold_items_says_when_there_are_none(
    page: AnnotatePage, bench: Workbench, qtbot: QtBot, window: Window, known: bool
) -> None:
    if known:
        bench.queues.set_gold("pairs", "item-003", Ranking(tiers=((0,), (1,))))
    page.crew.do("new_queue")
    qtbot.waitUntil(lambda: page.desk.side.open == "queue")
    panel = page.crew.places.panel
    panel.form.set_values({"name": "checked", "dataset": "pairs", "golds": 0.2})
    panel.make()
    qtbot.waitUntil(lambda: page.queue == "checked")
    settle(qtbot, window)
    told = [notice.what for notice in window.notices.history]
    assert told == ([] if known else ["No answer is known in pairs yet."])


def test_that_a_queue_that_needs_a_model_says_so(page: AnnotatePage, press: Press, qtbot: QtBot) -> None:
    page.crew.do("new_queue")
    qtbot.waitUntil(lambda: page.desk.side.open == "queue")
    panel = page.crew.places.panel
    panel.form.set_values({"name": "sure", "dataset": "pairs", "strategy": "active", "reward_model": ""})
    panel.make()
    assert "Choose the reward model" in panel.wrong.text()
    assert panel.wrong.isVisible()
    press(Qt.Key.Key_Escape)
    assert page.desk.side.open == ""
    assert page.hasFocus()


def test_that_choosing_a_queue_is_remembered_and_a_deleted_one_is_left(
    page: AnnotatePage, press: Press, bench: Workbench, window: Window, visit: Visit, qtbot: QtBot
) -> None:
    bench.queues.create(QueueSpec(name="later", dataset="pairs", strategy="random"))
    page.arrive(dataset="pairs", queue="later")
    qtbot.waitUntil(lambda: page.presentation is not None and page.presentation.queue == "later")
    window.deck.drop_all()
    again = visit("annotate")
    assert isinstance(again, AnnotatePage)
    assert again.queue == "later"
    menu = again.crew.places.menu
    (delete,) = [action for action in menu.actions() if action.objectName() == "annotate.menu_delete"]
    delete.trigger()
    box = window.findChild(QMessageBox, "confirm")
    assert box is not None
    assert [view.name for view in bench.queues.list()] == ["later"]  # asked first: this can't be undone
    QTest.mouseClick(box.findChild(QWidget, "confirm.yes"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: again.queue == "" and window.bridge.busy == 0)
    assert bench.queues.list() == []
    assert entries(again) == ["pairs", "New queue…"]


def test_that_a_repeat_looks_like_any_other_item(
    page: AnnotatePage, fill: Fill, press: Press, bench: Workbench, qtbot: QtBot, window: Window
) -> None:
    fill(40, name="many")
    bench.queues.create(QueueSpec(name="checked", dataset="many", repeats=0.5))
    page.arrive(dataset="many", queue="checked")
    qtbot.waitUntil(lambda: page.presentation is not None and window.bridge.busy == 0 and page.ready)
    purposes, looks = [], set()
    while page.presentation is not None and len(purposes) < 40 and "repeat" not in purposes:
        purposes.append(page.presentation.purpose)
        shown = [w for w in page.findChildren(QWidget) if w.isVisible()]
        words = " ".join(w.accessibleName() + w.toolTip() + w.objectName() for w in shown).lower()
        looks.add((len(page.desk.board.cards), any(card.earlier.isVisible() for card in page.desk.board.cards)))
        assert "repeat" not in words
        press("1")
    assert purposes[-1] == "repeat"
    assert looks == {(2, False)}


def test_that_the_lease_is_renewed_while_the_item_is_on_screen_and_given_up_with_it(
    page: AnnotatePage, bench: Workbench, qtbot: QtBot, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[str] = []
    left: list[str] = []
    renew, leave = bench.queues.renew, bench.queues.leave
    monkeypatch.setattr(bench.queues, "renew", lambda p: (renewed.append(p.item.id), renew(p))[1])
    monkeypatch.setattr(bench.queues, "leave", lambda p: (left.append(p.item.id), leave(p))[1])
    bench.queues.create(QueueSpec(name="leased", dataset="pairs", lease_minutes=0.02))
    page._listed(page.crew.places.look(bench))
    page.arrive(dataset="pairs", queue="leased")
    qtbot.waitUntil(lambda: page.presentation is not None and page.presentation.queue == "leased")
    assert page.presentation is not None
    item = page.presentation.item.id
    qtbot.waitUntil(lambda: set(renewed) == {item})  # perhaps more than once, on a machine that was away
    page.arrive(dataset="pairs")
    qtbot.waitUntil(lambda: left == [item] and window.bridge.busy == 0)
    assert not page.crew.leases._timer.isActive()


def test_that_a_hidden_page_lets_others_have_the_item_and_takes_it_again(
    page: AnnotatePage, bench: Workbench, qtbot: QtBot, window: Window, visit: Visit
) -> None:
    bench.queues.create(QueueSpec(name="leased", dataset="pairs"))
    page._listed(page.crew.places.look(bench))
    page.arrive(dataset="pairs", queue="leased")
    qtbot.waitUntil(lambda: page.presentation is not None and page.presentation.queue == "leased", timeout=30_000)
    settle(qtbot, window)
    assert page.presentation is not None
    item = page.presentation.item.id
    queues = bench.workspace.store.queues

    def asked(who: str) -> str:
        turn = bench.workspace.lane.do(queues.begin, "pairs", "leased", who)
        bench.workspace.lane.do(queues.leave, "leased", who)
        assert turn.next is not None
        return turn.next.placed.item.id

    assert asked("ben") != item
    visit("settings")
    assert asked("ben") == item
    visit("annotate")
    assert page.presentation is not None
    assert page.presentation.item.id == item
    assert asked("ben") != item
    visit("settings")
    assert bench.workspace.lane.do(queues.begin, "pairs", "leased", "ben").next is not None
    visit("annotate")
    settle(qtbot, window)
    assert page.presentation is not None
    assert page.presentation.item.id != item
    assert "Somebody else has taken the item" in window.notices.history[-1].what


def test_that_another_person_begins_at_their_own_place_and_comes_back_to_it(
    page: AnnotatePage, press: Press, bench: Workbench, qtbot: QtBot, window: Window
) -> None:
    assert page.presentation is not None
    first = page.presentation.item.id
    press("1", "2")
    page.crew.people.ask_name()
    assert page.desk.side.open == "person"
    assert page.crew.people.panel.field.hasFocus()
    press(*"Ada1", Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.crew.people.now == "Ada1" and window.bridge.busy == 0 and page.ready)
    assert page.desk.side.open == ""
    assert page.crew.people.chip.text() == "Ada1"
    assert page.presentation.item.id == first
    assert bench.settings.get().annotator == "Ada1"
    press("1")
    assert {j.annotator for j in bench.labelling.judgements("pairs")} == {"me", "Ada1"}
    page.crew.people.use("me")
    qtbot.waitUntil(lambda: page.crew.people.now == "me" and window.bridge.busy == 0 and page.ready)
    assert page.desk.top.count.text() == "2 / 6"
    press(("z", CTRL))
    assert {j.annotator: j.item for j in bench.labelling.judgements("pairs")}["Ada1"] == first


def test_that_a_person_without_a_name_is_not_added(page: AnnotatePage, press: Press, bench: Workbench) -> None:
    page.crew.people.ask_name()
    press(" ", Qt.Key.Key_Return)
    assert "needs a name" in page.crew.people.panel.wrong.text()
    press(Qt.Key.Key_Escape)
    assert page.desk.side.open == ""
    assert [view.name for view in bench.profiles.list()] == ["me"]


@pytest.mark.qt_log_ignore("This plugin does not support")  # the off-screen platform can't raise windows
def test_that_q_and_p_open_their_menus_and_escape_returns_to_the_item(
    page: AnnotatePage, press: Press, qtbot: QtBot
) -> None:
    press("q")
    view = page.desk.top.queue.view()
    assert view.isVisible()
    QTest.keyClick(view, Qt.Key.Key_Escape)
    qtbot.waitUntil(page.hasFocus)


def sampling(page: AnnotatePage, qtbot: QtBot, **values: object) -> QueuePanel:
    """The form of a new queue, filled in, and the way to new answers taken."""
    page.crew.do("new_queue")
    qtbot.waitUntil(lambda: page.desk.side.open == "queue")
    panel = page.crew.places.panel
    panel.form.set_values({"dataset": "pairs", "reward_model": ""} | values)
    link = panel.findChild(QPushButton, "annotate.queue_sample")
    assert link.focusPolicy() & Qt.FocusPolicy.TabFocus
    link.click()
    return panel


def test_that_a_queue_over_new_answers_goes_on_to_the_form_of_a_study(
    page: AnnotatePage, qtbot: QtBot, window: Window, bench: Workbench
) -> None:
    sampling(page, qtbot, name="new ones", overlap=2, strategy="random", repeats=0.1)
    assert page.desk.side.open == ""
    train = window.deck.page("train")
    assert isinstance(train, TrainPage)
    settle(qtbot, window)
    assert train.chooser.kind == "study"
    assert train.form is not None
    said = train.form.values()
    assert said["items"] == "new ones"
    wanted = QueueSpec(name="new ones", dataset="new ones", overlap=2, strategy="random", repeats=0.1)
    assert read_queue(said["queue"], "new ones") == wanted
    assert bench.queues.list() == []  # it is made when there is something to ask about


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": "fresh", "strategy": "active", "reward_model": ""}, "New answers have no scores yet"),
        ({"name": "fresh", "strategy": "mistakes"}, "New answers have no scores yet"),
        ({"name": "there"}, "There is already a queue called 'there'"),
    ],
)
def test_that_a_queue_that_can_not_ask_about_new_answers_says_why(
    fill: Fill, visit: Visit, bench: Workbench, window: Window, qtbot: QtBot, values: dict[str, object], says: str
) -> None:
    fill(1)
    bench.queues.create(QueueSpec(name="there", dataset="pairs"))
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    panel = sampling(page, qtbot, **values)
    assert says in panel.wrong.text()
    assert page.desk.side.open == "queue"
    assert window.deck.page("train") is None


def test_that_a_queue_without_a_name_stays_where_it_is(page: AnnotatePage, qtbot: QtBot, window: Window) -> None:
    sampling(page, qtbot, name="")
    assert page.desk.side.open == "queue"
    assert window.deck.page("train") is None


def test_that_an_empty_desk_leads_to_a_study_whose_texts_can_be_ranked(
    visit: Visit, window: Window, qtbot: QtBot
) -> None:
    page = visit("annotate")
    assert isinstance(page, AnnotatePage)
    ways = {button.text(): button for button in page._empty.buttons}
    assert list(ways) == ["Import data", "Sample answers", "Open the playground"]
    ways["Sample answers"].click()
    settle(qtbot, window)
    train = window.deck.page("train")
    assert isinstance(train, TrainPage)
    assert train.chooser.kind == "study"
    assert train.form is not None
    assert train.form.values()["items"] == "answers"
