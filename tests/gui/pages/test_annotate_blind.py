"""Nothing in the window tells who wrote what before it is judged: looked for where a screen reader looks, and everywhere else."""

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QComboBox, QWidget

from workbench.domain.judgement import Ranking
from workbench.domain.queues import Dimension
from workbench.gui.pages.annotate import AnnotatePage
from workbench.gui.window import Window
from workbench.services.workbench import Workbench

Visit = Callable[..., QWidget]
Fill = Callable[..., None]
Press = Callable[..., None]
DEEPEST = 40
SHIFT = Qt.KeyboardModifier.ShiftModifier


def told(interface: QAccessibleInterface, depth: int = 0) -> Iterator[str]:
    """Every text of the accessibility tree below an interface."""
    if depth > DEEPEST or not interface.isValid():
        return
    for kind in (QAccessible.Text.Name, QAccessible.Text.Description, QAccessible.Text.Value, QAccessible.Text.Help):
        yield interface.text(kind)
    if (words := interface.textInterface()) is not None:
        yield words.text(0, words.characterCount())
    for place in range(interface.childCount()):
        if (child := interface.child(place)) is not None:
            yield from told(child, depth + 1)


def everything(window: Window) -> str:
    """All texts that the window holds, shown or not, told to a screen reader or not."""
    found = [window.windowTitle()]
    tree = QAccessible.queryAccessibleInterface(window)
    assert tree is not None
    found += told(tree)
    for widget in [window, *window.findChildren(QWidget)]:
        found += [widget.toolTip(), widget.statusTip(), widget.whatsThis(), widget.objectName()]
        found += [widget.accessibleName(), widget.accessibleDescription(), widget.windowTitle()]
        for name in ("text", "toPlainText", "placeholderText"):
            reader = getattr(widget, name, None)
            if callable(reader):
                found.append(str(reader()))
        if isinstance(widget, QComboBox):
            found += [widget.itemText(n) for n in range(widget.count())]
    return "\n".join(found)


@pytest.mark.parametrize("candidates", [2, 4, 9])
def test_that_no_name_of_a_model_is_in_the_window_before_judging(
    fill: Fill, visit: Visit, press: Press, window: Window, bench: Workbench, candidates: int
) -> None:
    fill(3, candidates=candidates, name="blind")
    bench.guidelines.write("blind", "Prefer the truth.", (Dimension(name="Helpful"),))
    page = visit("annotate", dataset="blind")
    assert isinstance(page, AnnotatePage)
    for name in ("item-000", "item-001"):
        bench.queues.set_gold("blind", name, Ranking(tiers=(tuple(range(candidates)),)))
    golds = ("k", SHIFT)
    for keys in (
        (),
        "d",
        "g",
        "w",
        "h",
        "h",
        "k",
        "k",
        "v",
        (golds,),
        (Qt.Key.Key_Space,),
        (golds,),
        (("e", SHIFT),),
        "e",
    ):
        press(*keys)
        texts = everything(window)
        assert "Tell story number 0." in texts  # the walk reaches what is read
        assert "told in the" in texts
        assert "secret-model" not in texts
    press("r")
    assert "secret-model" not in everything(window)
    press("x", "r")
    assert "secret-model" in everything(window)
    press("x", "r", "x")
    assert "secret-model" not in everything(window)


def test_that_an_undone_item_is_blind_again(fill: Fill, visit: Visit, press: Press, window: Window) -> None:
    fill(2, name="blind")
    page = visit("annotate", dataset="blind")
    assert isinstance(page, AnnotatePage)
    press("1", "r")
    assert "secret-model" in everything(window)
    page.undo()
    press()
    visit("annotate")
    assert "secret-model" not in everything(window)
