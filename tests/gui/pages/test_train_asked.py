"""The Train page over services that answer by hand: what is chosen and kept, when it may start, and what is asked of the services."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.at_once import AtOnce, Calls, NotedShell
from workbench.domain.errors import BadInput, Conflict
from workbench.domain.runs import JobState, ModelRef
from workbench.domain.specs.kinds import SPECS, Spec
from workbench.gui.pages.train import TrainPage
from workbench.gui.pages.train.choices import about_model, takes_rewards
from workbench.gui.pages.train.chooser import Picker
from workbench.gui.pages.train.side import CommandCard, FitCard, FormulaCard
from workbench.gui.theme import Theme
from workbench.services.views import DatasetView, Fit, RunView

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier
GOOD = Fit((), ("The rows are short.",), 1_200, 40, 1.25, 8.0)


def model(name: str, kind: Any = "base", **facts: Any) -> ModelRef:
    given: dict[str, Any] = {"name": name, "path": f"/m/{name}", "kind": kind, "parameters": 260_000, "created": NOON}
    return ModelRef(**(given | facts))


def data(name: str, kind: Any = "preferences", rows: int = 20, judged: int = 12) -> DatasetView:
    return DatasetView(name, kind, rows, judged, NOON)


def run(state: JobState = JobState.QUEUED) -> RunView:
    return RunView("r1", "sft-1", "sft", state, 0, 0, NOON, None, None, Path("/r"))


class Around(SimpleNamespace):
    """The one page of this module and what stands round it: making the forms anew for each test would take most of the time."""


def _draft(kind: str) -> Spec:
    proposed: dict[str, Any] = {"base": "first", "data": "asks" if kind == "sft" else "pairs"}
    if takes_rewards(kind):
        proposed["reward_model"] = "judge"
    return SPECS[kind].model_construct(**proposed)  # type: ignore[no-any-return]


def _afresh(services: SimpleNamespace) -> None:
    services.models = Calls(list=[model("first"), model("second"), model("judge", "reward")])
    sets = [data("asks", "demonstrations", judged=0), data("more", "demonstrations", judged=0), data("pairs")]
    services.datasets, services.runs = Calls(list=sets), Calls(list=[])
    services.training = Calls(
        draft=_draft, fit=GOOD, command=lambda spec: f"workbench train /w {spec.kind} --base {spec.base}"
    )
    services.training.answers["start"] = run()


@pytest.fixture(scope="module")
def around(theme: Theme) -> Iterator[Around]:
    services, bridge, shell = SimpleNamespace(), AtOnce(), NotedShell(theme)
    _afresh(services)
    page = TrainPage(services, bridge, shell)  # type: ignore[arg-type]
    page.resize(964, 548)
    page.show()
    yield Around(page=page, services=services, bridge=bridge, shell=shell)
    page._soon.stop()
    page.close()
    page.deleteLater()


@pytest.fixture
def services(around: Around) -> SimpleNamespace:
    return around.services  # type: ignore[no-any-return]


@pytest.fixture
def bridge(around: Around) -> AtOnce:
    return around.bridge  # type: ignore[no-any-return]


@pytest.fixture
def shell(around: Around) -> NotedShell:
    return around.shell  # type: ignore[no-any-return]


@pytest.fixture
def page(around: Around) -> TrainPage:
    page: TrainPage = around.page
    _afresh(around.services)
    around.bridge.holding = False
    for noted in (around.bridge.held, around.bridge.reported, around.shell.told, around.shell.gone):
        noted.clear()
    for form in page._forms.values():
        if form.changed_fields():
            form.set_values({})
    page._starting = False
    page.chooser.name.clear()
    if page.chooser.kind != "sft":
        page.chooser.choose_kind("sft")
    page.resize(964, 548)
    page.activateWindow()
    page.shown()
    page.arrive(base="first", data="asks")
    page._edited()
    check(page)
    return page


def check(page: TrainPage) -> None:
    """What the clock does a moment after the last change."""
    page._soon.stop()
    page._check()


def chosen(page: TrainPage) -> tuple[str, str, str]:
    return page.chooser.base.chosen, page.chooser.data.chosen, page.chooser.reward.chosen


def words(part: QWidget) -> list[str]:
    gone = Qt.WidgetAttribute.WA_WState_ExplicitShowHide  # a label that was hidden, not one that waits to be shown
    labels = [label for label in part.findChildren(QLabel) if not (label.isHidden() and label.testAttribute(gone))]
    return [label.text() for label in labels if label.text()]


# -- what is chosen and kept -------------------------------------------------------------------------------------------


def test_that_a_fresh_page_stands_on_the_proposal_and_can_start(page: TrainPage) -> None:
    page.chooser.base.choose("second")
    page.chooser.choose_kind("dpo")
    page.chooser.choose_kind("sft")
    check(page)
    assert chosen(page)[:2] == ("first", "asks")
    assert page.start.isEnabled()


def test_that_what_a_person_chose_stays_when_the_page_is_shown_again(page: TrainPage) -> None:
    page.chooser.base.choose("second")
    page.chooser.data.choose("more")
    page.chooser.name.setText("mine")
    for _ in range(3):
        page.shown()
    assert chosen(page)[:2] == ("second", "more")
    assert page.chooser.name.text() == "mine"


def test_that_what_another_page_asked_for_outdoes_the_proposal_that_is_on_its_way(
    page: TrainPage, bridge: AtOnce
) -> None:
    bridge.holding = True
    page.arrive(kind="dpo", base="second")
    bridge.go_on()
    assert (page.chooser.kind, page.chooser.base.chosen) == ("dpo", "second")


def test_that_what_another_page_asked_for_is_taken_once(page: TrainPage) -> None:
    page.arrive(base="second")
    assert page.chooser.base.chosen == "second"
    page.chooser.base.choose("first")
    page.shown()
    assert page.chooser.base.chosen == "first"
    page.arrive(base="second")
    assert page.chooser.base.chosen == "second"


def test_that_a_model_that_is_not_there_yet_is_taken_when_it_comes(page: TrainPage, services: SimpleNamespace) -> None:
    page.arrive(base="coming")
    assert page.chooser.base.chosen == "first"
    services.models.answers["list"] = [model("first"), model("coming")]
    page.shown()
    assert page.chooser.base.chosen == "coming"


def test_that_a_model_that_went_gives_way_to_one_that_is_there(page: TrainPage, services: SimpleNamespace) -> None:
    page.chooser.base.choose("second")
    services.models.answers["list"] = [model("first")]
    page.shown()
    assert page.chooser.base.chosen == "first"


def test_that_each_kind_keeps_its_own_settings_and_names_are_shared(page: TrainPage) -> None:
    page.chooser.base.choose("second")
    page.form.editor("epochs").setText("7")  # type: ignore[union-attr,attr-defined]
    page.chooser.name.setText("mine")
    page.chooser.choose_kind("dpo")
    page.chooser.choose_kind("sft")
    assert page.form.values()["epochs"] == 7.0  # type: ignore[union-attr]
    assert page.chooser.name.text() == "mine"


@pytest.mark.parametrize("kind", list(SPECS))
def test_that_every_kind_has_its_form_its_formula_and_what_it_needs(page: TrainPage, kind: str) -> None:
    page.chooser.choose_kind(kind)
    check(page)
    assert page.form is not None
    assert page.form.model is SPECS[kind]
    assert [form for form in page._forms.values() if not form.isHidden()] == [page.form]
    assert page.chooser.reward.isHidden() == (not takes_rewards(kind))
    assert not {"base", "data", "name", "kind", "reward_model"} & set(page.form.values())
    assert len(words(page.side.formula)) > 1


def test_that_a_whole_spec_comes_back_with_its_values(page: TrainPage) -> None:
    spec = SPECS["dpo"](base="second", data="pairs", name="old", beta=0.25, lora={"rank": 4})
    page.arrive(spec=spec.model_dump())
    assert page.chooser.kind == "dpo"
    assert page.chooser.base.chosen == "second"
    values = page.form.values()  # type: ignore[union-attr]
    assert (values["beta"], values["lora"]["rank"]) == (0.25, 4)
    check(page)
    assert page.spec().beta == 0.25  # type: ignore[union-attr]


# -- when it may start -------------------------------------------------------------------------------------------------


def test_that_every_edit_forbids_starting_until_it_is_checked(page: TrainPage) -> None:
    field = page.form.editor("epochs")  # type: ignore[union-attr]
    assert isinstance(field, QLineEdit)
    field.selectAll()
    QTest.keyClicks(field, "2")
    assert not page.start.isEnabled()
    check(page)
    assert page.start.isEnabled()


def test_that_an_answer_about_what_stood_there_before_is_dropped(
    page: TrainPage, services: SimpleNamespace, bridge: AtOnce
) -> None:
    bridge.holding = True
    check(page)
    page._edited()
    services.training.answers["fit"] = Fit(("Too large.",), (), 1, 1, 9.0, 8.0)
    bridge.go_on()
    assert not page.start.isEnabled()
    assert words(page.side.fit)[-1] == "Checking …"


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_that_control_enter_starts_from_wherever_the_keyboard_is(
    page: TrainPage, services: SimpleNamespace, shell: NotedShell, qtbot: QtBot, key: Qt.Key
) -> None:
    page.chooser.name.setFocus()
    qtbot.waitUntil(page.chooser.name.hasFocus)
    QTest.keyClick(page.chooser.name, key, CTRL)
    assert [call[0] for call in services.training.made].count("start") == 1
    assert shell.gone == [("runs", {"run": "r1"})]


def test_that_control_enter_starts_nothing_that_is_not_checked(page: TrainPage, services: SimpleNamespace) -> None:
    page._edited()
    QTest.keyClick(page.chooser.name, Qt.Key.Key_Return, CTRL)
    assert "start" not in {call[0] for call in services.training.made}


def test_that_every_key_the_page_tells_is_a_key_it_has(page: TrainPage) -> None:
    live = {shortcut.key().toString() for shortcut in page.findChildren(QShortcut)}
    assert {action.keys for action in page.actions() if action.keys} <= live


def test_that_two_presses_start_one_run(page: TrainPage, services: SimpleNamespace, bridge: AtOnce) -> None:
    bridge.holding = True
    QTest.mouseClick(page.start, LEFT)
    assert (page.start.text().strip(), page.start.isEnabled()) == ("Freezing the data …", False)
    QTest.mouseClick(page.start, LEFT)
    page._start()
    bridge.go_on()
    assert [call[0] for call in services.training.made].count("start") == 1


def test_that_a_check_that_ends_while_it_starts_frees_nothing(page: TrainPage, bridge: AtOnce) -> None:
    bridge.holding = True
    check(page)
    page.start.setEnabled(True)
    page._start()
    bridge.held.pop(0)()
    assert not page.start.isEnabled()


def test_that_a_start_that_is_refused_says_why_and_can_be_tried_again(
    page: TrainPage, services: SimpleNamespace, shell: NotedShell
) -> None:
    page.chooser.name.setText("mine")
    services.training.answers["start"] = Conflict("The dataset is gone.", "Choose another.")
    page._start()
    assert [(notice.what, notice.kind) for notice in shell.told] == [("The dataset is gone.", "bad")]
    assert (page.start.isEnabled(), page.start.text().strip()) == (True, "Start")
    assert page.chooser.name.text() == "mine"
    assert shell.gone == []


@pytest.mark.parametrize(
    ("under_way", "word", "ahead"),
    [
        ([], "Start", ""),
        ([JobState.DONE, JobState.PAUSED], "Start", ""),
        ([JobState.RUNNING], "Queue", "1 run ahead"),
        ([JobState.RUNNING, JobState.QUEUED, JobState.FAILED], "Queue", "2 runs ahead"),
    ],
)
def test_that_the_button_says_whether_the_run_will_wait(
    page: TrainPage, services: SimpleNamespace, under_way: list[JobState], word: str, ahead: str
) -> None:
    services.runs.answers["list"] = [run(state) for state in under_way]
    page.shown()
    assert (page.start.text().strip(), page.start.accessibleName(), page.ahead.text()) == (word, word, ahead)
    services.training.answers["start"] = Conflict("No.", "")
    check(page)
    page._start()
    assert page.start.text().strip() == word


def test_that_trouble_forbids_starting_and_is_said_first(page: TrainPage, services: SimpleNamespace) -> None:
    services.training.answers["fit"] = Fit(("It needs 9 GiB.",), ("Rows are long.",), 1, 1, 9.0, 8.0)
    check(page)
    assert not page.start.isEnabled()
    assert words(page.side.fit) == [
        "Fit check", "✕  It can't start like this.", "It needs 9 GiB.", "1 row, 1 step, about 9.0 of 8.0 GiB memory", "Rows are long.",
    ]  # fmt: skip


def test_that_a_fit_that_cannot_be_told_is_told_in_its_place(
    page: TrainPage, services: SimpleNamespace, shell: NotedShell, bridge: AtOnce
) -> None:
    services.training.answers["fit"] = BadInput("The model can't be read.", "Add it again.")
    page._edited()
    check(page)
    assert words(page.side.fit)[-1] == "The model can't be read. Add it again."
    assert not page.start.isEnabled()
    assert (shell.told, bridge.reported) == ([], [])


@pytest.mark.parametrize(("name", "right"), [("mine", True), ("", True), ("a b", False), ("ä/ö", False)])
def test_that_a_name_that_no_model_can_have_is_marked_at_its_field(page: TrainPage, name: str, right: bool) -> None:
    page.chooser.name.setText(name)
    page._edited()
    check(page)
    assert bool(page.chooser.name.property("wrong")) != right
    assert page.start.isEnabled() == right


def test_that_a_wrong_value_is_marked_at_its_field_and_mended_in_place(page: TrainPage) -> None:
    field = page.form.editor("learning_rate")  # type: ignore[union-attr]
    assert isinstance(field, QLineEdit)
    field.setText("-1")
    page._edited()
    check(page)
    assert field.property("wrong")
    assert not page.start.isEnabled()
    field.setText("0.001")
    page._edited()
    check(page)
    assert not field.property("wrong")
    assert page.start.isEnabled()


def test_that_without_models_the_page_asks_for_one_and_offers_no_command(
    qtbot: QtBot, theme: Theme, bridge: AtOnce, shell: NotedShell
) -> None:
    services = SimpleNamespace()
    _afresh(services)
    services.models.answers["list"] = []
    services.training.answers["draft"] = BadInput("There is no model.", "")
    page = TrainPage(services, bridge, shell)  # type: ignore[arg-type]
    qtbot.addWidget(page)
    page.shown()
    check(page)
    assert words(page.side.fit)[-1] == "Choose the model that training starts from."
    assert page.side.command.line.toPlainText() == ""
    assert not page.side.command.copy.isEnabled()
    assert (shell.told, bridge.reported) == ([], []), "an empty workspace is no trouble"
    assert not page.chooser.base.box.isEnabled()


# -- the parts ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def picker(qtbot: QtBot) -> tuple[Picker, list[str]]:
    told: list[str] = []
    made = Picker("base", "Base model", lambda: told.append(made.chosen))
    qtbot.addWidget(made)
    return made, told


def test_that_offering_anew_keeps_the_choice_and_tells_nobody(picker: tuple[Picker, list[str]]) -> None:
    made, told = picker
    made.offer({"a": "about a", "b": "about b"}, "nothing")
    assert made.choose("b")
    assert told == ["b"]
    made.offer({"c": "", "b": "other words", "a": ""}, "nothing")
    assert (made.chosen, made.about.text(), told) == ("b", "other words", ["b"])
    made.offer({"c": "", "a": ""}, "nothing")
    assert (made.chosen, told) == ("c", ["b"])
    assert made.about.isHidden()


def test_that_nothing_to_choose_is_said_and_cannot_be_opened(picker: tuple[Picker, list[str]]) -> None:
    made, _ = picker
    made.offer({}, "no model yet", "none; elsewhere")
    assert (made.chosen, made.box.currentText(), made.box.isEnabled()) == ("", "no model yet", False)
    made.offer({"a": ""}, "no model yet", "none; elsewhere")
    assert [made.box.itemText(n) for n in range(made.box.count())] == ["a", "none; elsewhere"]
    assert made.box.isEnabled()


@pytest.mark.parametrize("name", ["", "unknown"])
def test_that_a_name_that_is_not_offered_changes_nothing(picker: tuple[Picker, list[str]], name: str) -> None:
    made, told = picker
    made.offer({"a": "", "b": ""}, "nothing", "none")
    made.choose("b")
    assert not made.choose(name)
    assert (made.chosen, told) == ("b", ["b"])


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (model("m", parameters=0), "base"),
        (model("m", parameters=999), "base, 999 parameters"),
        (
            model("m", "ppo", parameters=7_240_000_000, parents=("sft", "judge")),
            "ppo, 7.24 B parameters, from sft and judge",
        ),
        (model("m", "sft", form="adapter", parents=("base",)), "sft, 260 k parameters, from base, adapter"),
    ],
)
def test_that_a_line_on_a_model_says_kind_size_parents_and_form(one: ModelRef, told: str) -> None:
    assert about_model(one) == told


def test_that_a_fit_counts_rows_and_steps_in_their_plurals(qtbot: QtBot, theme: Theme) -> None:
    card = FitCard()
    qtbot.addWidget(card)
    card.show_fit(GOOD)
    assert words(card) == [
        "Fit check",
        "✓  It can start.",
        "1,200 rows, 40 steps, about 1.2 of 8.0 GiB memory",
        "The rows are short.",
    ]
    card.show_fit(Fit((), (), 1, 1, 0.0, 0.0))
    assert words(card) == ["Fit check", "✓  It can start.", "1 row, 1 step"]
    card.say("Checking …")
    assert words(card) == ["Fit check", "Checking …"]


def test_that_a_formula_replaces_the_one_before_with_its_terms(qtbot: QtBot, theme: Theme) -> None:
    card = FormulaCard(theme)
    qtbot.addWidget(card)
    card.show_formula(["L = a < b"], [("a", "one"), ("b", "two")], "A note.")
    assert sorted(words(card)) == sorted(["What is computed", "L = a < b", "A note.", "a", "one", "b", "two"])
    card.show_formula(["L = c"], [("c", "three")])
    assert sorted(words(card)) == sorted(["What is computed", "L = c", "c", "three"])


def test_that_a_command_is_copied_as_it_stands(qtbot: QtBot, theme: Theme) -> None:
    told: list[int] = []
    card = CommandCard(theme, lambda: told.append(1))
    qtbot.addWidget(card)
    card.show_command("workbench train /w sft --set name='a b'")
    card.copy.click()
    assert QGuiApplication.clipboard().text() == "workbench train /w sft --set name='a b'"
    assert told == [1]
    card.show_command("")
    assert not card.copy.isEnabled()


@pytest.mark.parametrize("width", [844, 964, 1220])
def test_that_nothing_is_cut_off_sideways(page: TrainPage, width: int) -> None:
    page.resize(width, 548)
    for part in page.findChildren(QWidget):
        if part.isVisible() and isinstance(part, QLineEdit | QSpinBox):
            right = part.mapTo(page, part.rect().topRight()).x()
            assert right <= width, part.objectName()
    start = page.start.mapTo(page, page.start.rect().bottomRight())
    assert page.rect().contains(start)
