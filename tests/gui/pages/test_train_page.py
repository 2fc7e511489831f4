"""The Train page over a real workspace: every kind from form to queued run, wrong values, narrow windows, keys."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLabel, QLineEdit, QScrollArea, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.pages.conftest import unsupervised
from workbench.domain.errors import BadInput
from workbench.domain.specs.common import TrainingSpec
from workbench.domain.specs.kinds import SPECS
from workbench.gui.pages.runs import RunsPage
from workbench.gui.pages.train import TrainPage
from workbench.gui.pages.train import page as train_page
from workbench.gui.widgets import spec_form
from workbench.gui.window import Window
from workbench.services.workbench import Workbench, new_workspace

Visit = Callable[..., QWidget]
Wait = Callable[..., None]
KINDS = list(SPECS)
LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")  # the off-screen platform has no window manager
TRAINING = [kind for kind, spec in SPECS.items() if issubclass(spec, TrainingSpec)]
DATA = {
    "sft": "asks", "reward": "pairs", "dpo": "pairs", "ppo": "pairs", "grpo": "pairs", "weighted": "pairs",
    "pretrain": "texts", "judge": "pairs", "revise": "pairs", "score": "pairs", "study": "pairs",
}  # fmt: skip


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """A workspace in which every kind of run can start, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("furnished")
    texts = folder / "texts.txt"
    texts.write_text("\n\n".join(f"Once upon a time there was story {n}." for n in range(40)))
    place = new_workspace(folder / "space")
    with unsupervised(place) as bench:
        bench.models.add_folder(shared / "models" / "stories260K", "stories")
        bench.models.add_folder(shared / "models" / "stories260K", "judge", kind="reward")
        demo = shared / "data" / "llama_factory"
        bench.datasets.import_files([demo / "alpaca_en_demo.json"], "asks", skip_bad=True)
        bench.datasets.import_files([demo / "dpo_en_demo.json"], "pairs", skip_bad=True)
        bench.datasets.import_files([texts], "texts", skip_bad=True)
    return place


@pytest.fixture
def bench(furnished: Path, tmp_path: Path) -> Workbench:
    shutil.copytree(furnished, tmp_path / "space")
    return unsupervised(tmp_path / "space")


@pytest.fixture
def page(visit: Visit, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> TrainPage:
    monkeypatch.setattr(train_page, "CHECK_AFTER", 5)
    found = visit("train")
    assert isinstance(found, TrainPage)
    qtbot.waitUntil(lambda: found.start.isEnabled())
    return found


@pytest.fixture
def checked(page: TrainPage, qtbot: QtBot) -> Wait:
    return lambda ready=True: qtbot.waitUntil(lambda: page.start.isEnabled() == ready)


def words(part: QWidget) -> str:
    return "\n".join(label.text() for label in part.findChildren(QLabel) if not label.isHidden())


def editor(page: TrainPage, path: str) -> QWidget:
    assert page.form is not None
    return page.form.editor(path)


def write(page: TrainPage, path: str, text: str) -> None:
    line = editor(page, path)
    assert isinstance(line, QLineEdit)
    line.selectAll()
    QTest.keyClick(line, Qt.Key.Key_Delete)
    QTest.keyClicks(line, text)


def choose(page: TrainPage, kind: str) -> None:
    button = page.findChild(QWidget, f"train.kind_{kind}")
    assert button is not None
    QTest.mouseClick(button, LEFT)


@pytest.mark.parametrize("kind", TRAINING)
def test_that_every_kind_goes_from_its_form_to_a_queued_run(
    page: TrainPage, bench: Workbench, qtbot: QtBot, window: Window, checked: Wait, kind: str
) -> None:
    page.chooser.choose_kind(kind)
    write(page, "learning_rate", "0.00025")
    steps = editor(page, "max_steps")
    assert isinstance(steps, QSpinBox)
    steps.setValue(3)
    checked()
    QTest.keyClicks(page.chooser.name, f"my-{kind}")
    checked()
    QTest.mouseClick(page.start, LEFT)
    qtbot.waitUntil(lambda: isinstance(window.deck.currentWidget(), RunsPage))
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    (view,) = bench.runs.list()
    spec = bench.runs.get(view.id).spec
    assert (view.name, view.kind, view.state.value) == (f"my-{kind}", kind, "queued")
    assert (spec.base, spec.data, spec.learning_rate, spec.max_steps) == ("stories", DATA[kind], 0.00025, 3)
    assert getattr(spec, "reward_model", "judge") == "judge"
    assert (view.folder / "spec.json").is_file()
    assert (view.folder / "data.parquet").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_that_an_untouched_form_is_the_declared_defaults(page: TrainPage, kind: str) -> None:
    page.chooser.choose_kind(kind)
    spec, fresh = page.spec(), SPECS[kind]()
    chosen = {"kind", "name", "base", "data", "reward_model"}
    assert spec.model_dump(exclude=chosen) == fresh.model_dump(exclude=chosen)
    assert page.form is not None
    assert page.form.changed_fields() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_that_the_command_of_every_kind_names_what_was_chosen(
    page: TrainPage, qtbot: QtBot, checked: Wait, kind: str
) -> None:
    choose(page, kind)
    qtbot.waitUntil(lambda: page.chooser.data.chosen == DATA[kind])  # what the services propose
    checked()
    line = page.side.command.line.toPlainText()
    assert line.split()[:2] == ["workbench", "train"]
    assert f" {kind} --base {'judge' if kind == 'score' else 'stories'} " in line
    assert f"--data {DATA[kind]}" in line
    assert ("reward_model=judge" in line) == (kind in {"ppo", "grpo", "weighted", "study"})


def test_that_a_changed_field_is_marked_and_can_be_put_back(page: TrainPage, checked: Wait) -> None:
    assert page.form is not None
    reset = page.form.findChild(QWidget, "train.form.learning_rate.reset")
    assert reset is not None
    assert reset.isHidden()
    write(page, "learning_rate", "0.5")
    assert reset.isVisible()
    assert page.form.changed_fields() == {"learning_rate": 0.5}
    checked()
    assert "--set learning_rate=0.5" in page.side.command.line.toPlainText()
    QTest.mouseClick(reset, LEFT)
    assert reset.isHidden()
    assert page.form.changed_fields() == {}
    checked()
    assert "learning_rate" not in page.side.command.line.toPlainText()
    assert page.spec().learning_rate == SPECS["sft"]().learning_rate


@pytest.mark.parametrize("keyed", [True, False])
def test_that_a_field_can_be_put_back_by_keyboard(page: TrainPage, checked: Wait, keyed: bool) -> None:
    write(page, "epochs", "7")
    assert page.form is not None
    reset = page.form.findChild(QWidget, "train.form.epochs.reset")
    assert reset is not None
    assert reset.focusPolicy() & Qt.FocusPolicy.TabFocus
    if keyed:
        QTest.keyClick(reset, Qt.Key.Key_Space)
    assert page.spec().epochs == (1.0 if keyed else 7.0)


def test_that_each_kind_keeps_what_was_changed_in_it(page: TrainPage, checked: Wait) -> None:
    page.chooser.choose_kind("dpo")
    write(page, "beta", "0.4")
    page.chooser.choose_kind("sft")
    page.chooser.choose_kind("dpo")
    assert page.spec().beta == 0.4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("sft", "learning_rate", "0"), ("sft", "learning_rate", "-1"), ("sft", "learning_rate", "2"),
        ("sft", "learning_rate", ""), ("sft", "learning_rate", "1e"), ("sft", "epochs", "0"), ("sft", "warmup", "1"),
        ("dpo", "beta", "0"), ("dpo", "beta", "101"), ("ppo", "clip", "-0.2"), ("reward", "center", "11"),
    ],
)  # fmt: skip
def test_that_a_wrong_value_is_refused_with_a_sentence(
    page: TrainPage, qtbot: QtBot, checked: Wait, bench: Workbench, kind: str, path: str, value: str
) -> None:
    page.chooser.choose_kind(kind)
    checked()
    before = words(page.form) if page.form else ""
    write(page, path, value)
    assert not page.start.isEnabled()
    qtbot.waitUntil(lambda: path in words(page.side.fit))
    field = editor(page, path)
    assert field.property("wrong") is True
    assert words(page.form) != before if page.form else False
    with pytest.raises(BadInput) as refused:
        page.spec()
    assert refused.value.what
    assert refused.value.what in words(page.side.fit)
    QTest.keyClick(page, Qt.Key.Key_Return, CTRL)
    assert bench.runs.list() == []


def test_that_a_mended_value_can_start_again(page: TrainPage, qtbot: QtBot, checked: Wait) -> None:
    write(page, "learning_rate", "9")
    qtbot.waitUntil(lambda: editor(page, "learning_rate").property("wrong") is True)
    write(page, "learning_rate", "0.9")
    checked()
    assert editor(page, "learning_rate").property("wrong") is False


def test_that_letters_are_not_taken_for_a_number(page: TrainPage) -> None:
    write(page, "learning_rate", "0.x1y")
    line = editor(page, "learning_rate")
    assert isinstance(line, QLineEdit)
    assert line.text() == "0.1"


def test_that_a_wrong_value_among_the_advanced_ones_is_shown(page: TrainPage, qtbot: QtBot) -> None:
    assert page.form is not None
    assert not page.form.advanced.isChecked()
    assert editor(page, "weight_decay").isHidden()
    write(page, "weight_decay", "5")
    qtbot.waitUntil(lambda: page.form is not None and page.form.advanced.isChecked())
    assert editor(page, "weight_decay").isVisible()


def test_that_the_formula_of_ppo_follows_its_penalty(page: TrainPage, qtbot: QtBot, checked: Wait) -> None:
    page.chooser.choose_kind("ppo")
    checked()
    write(page, "kl_coefficient", "0.123")
    qtbot.waitUntil(lambda: "0.123" in words(page.side.formula))


def test_that_the_formula_of_a_reward_model_follows_the_margin(page: TrainPage, qtbot: QtBot, checked: Wait) -> None:
    page.chooser.choose_kind("reward")
    checked()
    before = words(page.side.formula)
    margin = editor(page, "margin")
    assert isinstance(margin, QCheckBox)
    QTest.keyClick(margin, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: words(page.side.formula) != before)
    QTest.keyClick(margin, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: words(page.side.formula) == before)


def test_that_an_added_imitation_loss_stands_in_the_formula(page: TrainPage, qtbot: QtBot, checked: Wait) -> None:
    page.chooser.choose_kind("dpo")
    checked()
    before = words(page.side.formula)
    write(page, "sft_weight", "0.35")
    qtbot.waitUntil(lambda: "0.35" in words(page.side.formula))
    write(page, "sft_weight", "0")
    qtbot.waitUntil(lambda: words(page.side.formula) == before)


def test_that_the_adapter_is_chosen_by_keyboard_and_brings_its_settings(page: TrainPage, checked: Wait) -> None:
    method = editor(page, "method")
    assert isinstance(method, QComboBox)
    method.setFocus()
    QTest.keyClick(method, Qt.Key.Key_Down)
    assert page.spec().method == "lora"
    assert editor(page, "lora.rank").isVisible()
    checked()
    QTest.keyClick(method, Qt.Key.Key_Up)
    assert editor(page, "lora.rank").isHidden()


def test_that_the_kind_is_chosen_with_the_arrows(page: TrainPage) -> None:
    button = page.findChild(QWidget, "train.kind_sft")
    assert button is not None
    button.setFocus()
    right, left, down = Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Down
    way = [
        (right, "pretrain"),
        (left, "sft"),
        (down, "reward"),
        (right, "dpo"),
        (left, "reward"),
        (down, "ppo"),
        (right, "grpo"),
    ]
    way += [
        (right, "weighted"),
        (left, "grpo"),
        (left, "ppo"),
        (down, "judge"),
        (right, "revise"),
        (right, "score"),
        (left, "revise"),
        (left, "judge"),
        (down, "study"),
    ]
    assert {kind for _, kind in way} == set(SPECS)
    for key, kind in way:
        focus = QApplication.focusWidget()
        assert focus is not None
        QTest.keyClick(focus, key)
        assert page.chooser.kind == kind
        assert page.form is not None
        assert page.form.model is SPECS[kind]


def test_that_ctrl_enter_starts(page: TrainPage, bench: Workbench, qtbot: QtBot, window: Window, checked: Wait) -> None:
    {action.id: action.run for action in page.actions()}["train.start"]()
    assert not page.start.isEnabled()
    {action.id: action.run for action in page.actions()}["train.start"]()
    qtbot.waitUntil(lambda: isinstance(window.deck.currentWidget(), RunsPage))
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    assert len(bench.runs.list()) == 1


def test_that_the_palette_offers_every_kind(page: TrainPage) -> None:
    actions = {action.id: action for action in page.actions()}
    assert actions["train.start"].keys == "Ctrl+Return"
    for kind in KINDS:
        actions[f"train.{kind}"].run()
        assert page.chooser.kind == kind


def test_that_a_second_run_queues_and_says_how_many_are_ahead(
    page: TrainPage, bench: Workbench, qtbot: QtBot, window: Window, visit: Visit, checked: Wait
) -> None:
    assert page.start.text().strip() == "Start"
    assert page.ahead.text() == ""
    QTest.mouseClick(page.start, LEFT)
    qtbot.waitUntil(lambda: isinstance(window.deck.currentWidget(), RunsPage))
    visit("train")
    assert page.start.text().strip() == "Queue"
    assert page.ahead.text() == "1 run ahead"
    assert page.chooser.name.text() == ""


def test_that_a_data_set_deleted_meanwhile_is_told_and_nothing_starts(
    page: TrainPage, bench: Workbench, qtbot: QtBot, window: Window, checked: Wait
) -> None:
    bench.datasets.delete("asks")
    QTest.mouseClick(page.start, LEFT)
    qtbot.waitUntil(lambda: window.bridge.busy == 0)
    assert bench.runs.list() == []
    assert window.deck.currentWidget() is page
    assert page.start.text().strip() == "Start"


@pytest.mark.parametrize("kind", ["sft", "ppo"])
def test_that_a_narrow_window_cuts_nothing_off_sideways(
    page: TrainPage, window: Window, qtbot: QtBot, checked: Wait, kind: str
) -> None:
    window.resize(1024, 640)
    page.chooser.choose_kind(kind)
    assert page.form is not None
    page.form.advanced.setChecked(True)
    checked()
    qtbot.waitUntil(lambda: window.width() == 1024)
    for area in page.findChildren(QScrollArea):
        inner = area.widget()
        qtbot.waitUntil(lambda area=area, inner=inner: inner.width() <= area.viewport().width())  # type: ignore[misc]
        for part in inner.findChildren(QWidget):
            if part.isVisible() and part.focusPolicy() != Qt.FocusPolicy.NoFocus:
                right = part.mapTo(inner, part.rect().topRight()).x()
                assert right <= inner.width(), part.objectName()
    assert page.start.isVisible()
    assert page.start.mapTo(window, page.start.rect().bottomRight()).y() <= window.height()


def test_that_a_name_that_no_model_can_have_is_refused_with_one_that_can(
    page: TrainPage, qtbot: QtBot, checked: Wait
) -> None:
    QTest.keyClicks(page.chooser.name, "my run")
    qtbot.waitUntil(lambda: "for example my-run" in words(page.side.fit))
    assert not page.start.isEnabled()
    assert page.chooser.name.property("wrong") is True
    page.chooser.name.selectAll()
    QTest.keyClicks(page.chooser.name, "my-run")
    checked()
    assert page.chooser.name.property("wrong") is False


def test_that_a_key_in_the_name_dresses_no_settings_again(page: TrainPage, monkeypatch: pytest.MonkeyPatch) -> None:
    dressed: list[object] = []
    monkeypatch.setattr(spec_form, "restyle", lambda widget, **_: dressed.append(widget))
    QTest.keyClicks(page.chooser.name, "abc")
    assert dressed == []


def test_that_a_long_name_ends_somewhere(page: TrainPage) -> None:
    QTest.keyClicks(page.chooser.name, "x" * 100)
    assert len(page.chooser.name.text()) == 80


def test_that_a_run_may_be_rewarded_by_rules_instead_of_a_model(page: TrainPage, qtbot: QtBot, checked: Wait) -> None:
    page.chooser.choose_kind("grpo")
    checked()
    assert page.chooser.reward.chosen == "judge"
    page.chooser.reward.box.setCurrentIndex(page.chooser.reward.box.findData(""))
    qtbot.waitUntil(lambda: "another source of rewards" in words(page.side.fit))
    assert not page.start.isEnabled()
    write(page, "rewards.pattern", "once")
    checked()
    assert page.spec().scored
    assert "score = [pattern]" in words(page.side.formula)
