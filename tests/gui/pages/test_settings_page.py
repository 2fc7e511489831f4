"""Settings act at once and are kept; the machine's checks; keyboard, names, errors and sizes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSpinBox,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from workbench.domain.errors import Conflict
from workbench.domain.settings import Settings
from workbench.gui.pages.settings import SettingsPage, diagnostics
from workbench.gui.theme import Theme
from workbench.gui.window import Window
from workbench.services.views import Check
from workbench.services.workbench import Workbench

Calm = Callable[[], None]


@pytest.fixture
def calm(window: Window, qtbot: QtBot) -> Calm:
    def wait() -> None:
        page = window.deck.page("settings")
        if isinstance(page, SettingsPage):
            qtbot.waitUntil(lambda: not page._pause.isActive())
        qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)
        QTest.qWait(0)

    return wait


@pytest.fixture
def page(visit: Callable[..., QWidget], theme: Theme, calm: Calm) -> Iterator[SettingsPage]:
    found = visit("settings")
    assert isinstance(found, SettingsPage)
    calm()
    yield found
    theme.apply("light")


def words(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]


@pytest.mark.parametrize(
    ("field", "value"), [("font_size", 17), ("reading_size", 21), ("threads", 3), ("raw_text", True)]
)
def test_that_every_setting_acts_at_once_and_is_there_after_reopening(
    page: SettingsPage, bench: Workbench, window: Window, calm: Calm, field: str, value: Any
) -> None:
    editor = page.form.editor(field)
    if isinstance(editor, QSpinBox):
        editor.setValue(value)
    else:
        assert isinstance(editor, QCheckBox)
        editor.setChecked(value)
    calm()
    assert getattr(window.settings, field) == value
    assert getattr(bench.settings.get(), field) == value
    space = bench.path
    window.leave_workspace().close()
    with Workbench.open(space) as again:
        assert getattr(again.settings.get(), field) == value


def test_that_a_larger_text_is_worn_by_the_window(page: SettingsPage, theme: Theme, calm: Calm) -> None:
    editor = page.form.editor("font_size")
    assert isinstance(editor, QSpinBox)
    before = page.fontMetrics().height()
    editor.setValue(22)
    calm()
    assert theme.font_size == 22
    assert page.fontMetrics().height() > before


def test_that_typing_is_kept_once_it_pauses_and_not_for_every_letter(
    page: SettingsPage, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    editor = page.form.editor("annotator")
    assert isinstance(editor, QLineEdit)
    editor.selectAll()
    qtbot.keyClicks(editor, "Grace")
    assert bench.settings.get().annotator == "me"
    calm()
    assert bench.settings.get().annotator == "Grace"


@pytest.mark.parametrize("name", ["عائشة", "明美", "a b & <c>", "x" * 80])
def test_that_an_annotator_may_be_called_anything(page: SettingsPage, bench: Workbench, calm: Calm, name: str) -> None:
    editor = page.form.editor("annotator")
    assert isinstance(editor, QLineEdit)
    editor.setText(name)
    editor.textEdited.emit(name)
    calm()
    assert bench.settings.get().annotator == name


def test_that_labels_are_signed_with_the_new_name(
    page: SettingsPage, bench: Workbench, fill: Callable[..., None], calm: Calm
) -> None:
    fill(1)
    editor = page.form.editor("annotator")
    assert isinstance(editor, QLineEdit)
    editor.setText("ada")
    editor.textEdited.emit("ada")
    calm()
    presentation, _ = bench.labelling.start("pairs")
    assert presentation is not None
    said = bench.labelling.record("pairs", presentation, outcome="all_bad", milliseconds=5)
    assert said.judgement.annotator == "ada"


def test_that_an_arrow_sets_a_changed_field_back(
    page: SettingsPage, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    editor = page.form.editor("reading_size")
    assert isinstance(editor, QSpinBox)
    editor.setValue(30)
    calm()
    backs = [b for b in page.form.findChildren(QToolButton) if b.isVisibleTo(page) and b.isEnabled()]
    named = [b for b in backs if "eading" in (b.accessibleName() + b.objectName())]
    assert len(named) == 1
    qtbot.mouseClick(named[0], Qt.MouseButton.LeftButton)
    calm()
    assert bench.settings.get().reading_size == Settings().reading_size


def test_that_settings_changed_elsewhere_are_shown(page: SettingsPage, window: Window, calm: Calm) -> None:
    window.settings_changed(Settings(annotator="elsewhere", threads=2))
    shown = page.form.values()
    assert (shown["annotator"], shown["threads"]) == ("elsewhere", 2)
    calm()


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_that_the_palette_changes_the_theme(
    page: SettingsPage, bench: Workbench, theme: Theme, calm: Calm, mode: str
) -> None:
    actions = {action.id: action.run for action in page.actions()}
    actions["settings.dark" if mode == "light" else "settings.light"]()
    calm()
    actions[f"settings.{mode}"]()
    calm()
    assert theme.dark == (mode == "dark")
    assert bench.settings.get().theme == mode
    combo = page.form.editor("theme")
    assert isinstance(combo, QComboBox)
    assert combo.currentText() == mode
    assert (page.grab().toImage().pixelColor(3, 3).lightness() < 90) == (mode == "dark")


def test_that_a_setting_that_cannot_be_kept_is_told_and_taken_back(
    page: SettingsPage, window: Window, calm: Calm
) -> None:
    before = window.settings
    window.settings_changed(before.model_copy(update={"annotator": "lost"}))
    page._not_kept(Conflict("The disk is full.", "Free some space."), before)
    told = window.notices.history[-1]
    assert (told.what, told.hint, told.kind) == ("The disk is full.", "Free some space.", "bad")
    assert window.settings == before
    assert page.form.values()["annotator"] == before.annotator
    calm()


def test_that_a_check_that_failed_comes_first_with_its_hint(page: SettingsPage) -> None:
    page._show_checks([Check("qt", True, "Qt is there."), Check("disk", False, "The disk is full.", "Free some.")])
    QTest.qWait(0)
    seen = words(page)
    assert "1 of 2 checks need attention" in seen
    assert seen.index("The disk is full.") < seen.index("Qt is there.")
    assert "Free some." in seen
    names = [w.accessibleName() for w in page.findChildren(QWidget) if w.accessibleName().startswith("disk:")]
    assert names == ["disk: needs attention. The disk is full. Free some."]


def test_that_checks_are_painted_anew_in_another_theme(page: SettingsPage, theme: Theme) -> None:
    page._show_checks([Check("qt", True, "Qt is there.")])
    theme.apply("dark")
    QTest.qWait(0)
    assert words(page).count("Qt is there.") == 1
    assert "Everything is in order" in words(page)


def test_that_checking_again_waits_for_the_answer(page: SettingsPage, qtbot: QtBot, calm: Calm) -> None:
    calm()
    qtbot.mouseClick(page.again, Qt.MouseButton.LeftButton)
    assert not page.again.isEnabled()
    calm()
    assert page.again.isEnabled()


def test_that_leaving_the_workspace_during_a_check_does_no_harm(
    page: SettingsPage, window: Window, qtbot: QtBot
) -> None:
    page.check()
    window.deck.drop_all()
    qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)
    window.go("settings")
    again = window.deck.page("settings")
    assert isinstance(again, SettingsPage)
    qtbot.waitUntil(lambda: window.bridge.busy == 0, timeout=20_000)
    assert again.again.isEnabled()


def test_that_diagnostics_hold_no_names_of_data(
    page: SettingsPage, bench: Workbench, window: Window, calm: Calm
) -> None:
    bench.datasets.create("very-secret", "prompts")
    page.copy()
    copied = QGuiApplication.clipboard().text()
    assert "very-secret" not in copied
    assert str(bench.path) in copied
    assert window.notices.history[-1].what == "Diagnostics copied"
    calm()


def test_that_diagnostics_without_checks_still_name_versions() -> None:
    lines = diagnostics([], "/w").splitlines()
    assert len(lines) == 4
    assert lines[-1] == "workspace /w"


def test_that_the_keyboard_reaches_and_changes_every_setting(
    page: SettingsPage, bench: Workbench, qtbot: QtBot, calm: Calm
) -> None:
    for field in Settings.model_fields:
        assert page.form.editor(field).focusPolicy() & Qt.FocusPolicy.TabFocus, field
    spin = page.form.editor("font_size")
    spin.setFocus()
    qtbot.keyClick(spin, Qt.Key.Key_Up)
    box = page.form.editor("raw_text")
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Space)
    calm()
    kept = bench.settings.get()
    assert (kept.font_size, kept.raw_text) == (14, True)


def test_that_everything_to_use_has_its_names(page: SettingsPage) -> None:
    for each in page.findChildren(QWidget):
        if isinstance(each, QAbstractButton | QComboBox | QSpinBox) and each.isVisibleTo(page):
            assert each.objectName().startswith("settings"), each
            assert each.accessibleName() or each.property("text"), each.objectName()


@pytest.mark.parametrize("size", [(1024, 640), (1280, 800)])
def test_that_nothing_needs_sideways_scrolling(
    page: SettingsPage, window: Window, calm: Calm, size: tuple[int, int]
) -> None:
    window.resize(*size)
    calm()
    for area in page.findChildren(QScrollArea):
        assert area.widget().width() <= area.viewport().width(), area.objectName()


def test_that_the_window_opens_with_the_settings_that_were_kept(
    page: SettingsPage, bench: Workbench, theme: Theme, memory: QSettings, calm: Calm
) -> None:
    page._set_theme("dark")
    calm()
    theme.apply("light")
    second = Window(theme, memory)
    second.wear(bench, bench.settings.get())
    assert theme.dark
    second.leave_workspace()
    second.close()
    second.deleteLater()


def test_that_a_workspace_on_a_server_says_where_its_labels_are(
    bench: Workbench, visit: Callable[..., QWidget], calm: Calm
) -> None:
    bench.server = "postgresql+psycopg://anna@db.example.org/team, schema workbench"
    found = visit("settings")
    calm()
    said = "\n".join(words(found))
    assert f"Datasets and labels are on {bench.server}." in said
    assert str(bench.path) in said
    assert "Nothing leaves this machine" not in said
