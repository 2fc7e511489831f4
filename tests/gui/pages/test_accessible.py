"""Everything that a person can act on has a name: for tests (object name) and for screen readers (accessible name)."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QTabWidget,
    QTextEdit,
    QWidget,
)

from tests.gui.pages.conftest import item, unsupervised
from workbench.domain.specs.sft import SftSpec
from workbench.gui.page_table import PAGES
from workbench.services.workbench import Workbench, new_workspace

Visit = Callable[..., QWidget]
ACTED_ON = (
    QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit,
    QTabWidget, QTextEdit,
)  # fmt: skip


def inside_another(widget: QWidget) -> bool:
    """Qt's own parts of a field, a list or a tab widget, which speak through their owner."""
    if widget.objectName().startswith("qt_") or isinstance(widget, QScrollBar | QHeaderView):
        return True
    owner = widget.parentWidget()
    while owner is not None:
        if isinstance(owner, QAbstractSpinBox | QComboBox | QLineEdit | QAbstractItemView):
            return True
        owner = owner.parentWidget()
    return type(widget).__name__ in {"QTabBar", "QToolButton"} and type(widget.parentWidget()).__name__ == "QTabBar"


def acted_on(page: QWidget) -> list[QWidget]:
    return [w for w in page.findChildren(QWidget) if isinstance(w, ACTED_ON) and not inside_another(w)]


def spoken(widget: QWidget) -> str:
    heard = QAccessible.queryAccessibleInterface(widget)
    return widget.accessibleName() or (heard.text(QAccessible.Text.Name) if heard is not None else "")


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """A workspace with something on every page, made once and copied for each test."""
    place = new_workspace(tmp_path_factory.mktemp("furnished") / "space")
    with unsupervised(place) as bench:
        for number in range(2):
            bench.labelling.add_item("pairs", item(number, 3))
        bench.models.add_folder(shared / "models" / "stories260K", "stories")
        bench.datasets.import_files([shared / "data" / "llama_factory" / "alpaca_en_demo.json"], "asks", skip_bad=True)
        bench.training.start(SftSpec(name="first", base="stories", data="asks", device="cpu", max_steps=6))
    return place


@pytest.fixture
def bench(furnished: Path, tmp_path: Path) -> Workbench:
    shutil.copytree(furnished, tmp_path / "space")
    return unsupervised(tmp_path / "space")


@pytest.mark.parametrize("page_id", [entry.id for entry in PAGES])
def test_that_everything_to_act_on_has_an_object_name_and_an_accessible_name(visit: Visit, page_id: str) -> None:
    page = visit(page_id)
    found = acted_on(page)
    assert found
    nameless = [f"{type(w).__name__} in {w.parentWidget().objectName()!r}" for w in found if not w.objectName()]
    unspoken = [w.objectName() or type(w).__name__ for w in found if not spoken(w).strip()]
    assert (nameless, unspoken) == ([], [])


@pytest.mark.parametrize("page_id", ["annotate", "train", "runs"])
def test_that_no_two_visible_things_have_the_same_object_name(visit: Visit, page_id: str) -> None:
    names = [w.objectName() for w in acted_on(visit(page_id)) if w.isVisible()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("page_id", ["train", "runs"])
def test_that_everything_visible_can_be_reached_with_tab(visit: Visit, page_id: str) -> None:
    page = visit(page_id)
    for widget in acted_on(page):
        if widget.isVisible() and widget.isEnabled():
            assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus, widget.objectName()


def test_that_everything_on_annotate_has_a_key_or_can_be_reached_with_tab(visit: Visit) -> None:
    page = visit("annotate")
    keyed = {
        "annotate." + name
        for name in (
            "undo",
            "redo",
            "reveal",
            "level",
            "accept",
            "all_bad",
            "skip",
            "note",
            "together",
            "comment",
            "effects",
            "history",
        )
    }
    keyed |= {
        "annotate.write",
        "annotate.differences",
        "annotate.guidelines_button",
        *(f"annotate.place_{n}" for n in range(1, 10)),
    }
    keyed |= {f"annotate.card_{n}.repair" for n in range(1, 10)}
    reading = {"annotate.prompt", *(f"annotate.card_{n}.text" for n in range(1, 10))}  # Page Up, Page Down and Space
    for widget in acted_on(page):
        if widget.isVisible() and widget.objectName() not in keyed | reading:
            assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus, widget.objectName()
