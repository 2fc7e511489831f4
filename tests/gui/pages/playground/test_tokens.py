"""The token view: laid out once, drawn from what is kept, every token found again under the pointer."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot

from workbench.domain.choices import Alternative, TokenChoice
from workbench.gui.pages.playground.heat import Legend, share_of
from workbench.gui.pages.playground.parting import Partings
from workbench.gui.pages.playground.token_layout import TokenLayout
from workbench.gui.pages.playground.token_view import TokenView, describe, name_of, shown
from workbench.gui.theme import Theme, contrast
from workbench.gui.widgets.scale import ink_on, viridis


def tokens(*pieces: str) -> list[TokenChoice]:
    made, start = [], 0
    for number, piece in enumerate(pieces):
        p = 0.9 / (number + 1)
        made.append(
            TokenChoice(
                id=number, text=piece, start=start, end=start + len(piece), p_model=p, p_used=p, logprob=-1.0, rank=0,
                entropy=0.5, kept=10, kept_mass=1.0,
                alternatives=(
                    Alternative(id=number, text=piece or "<end>", p_model=p, p_used=p),
                    Alternative(id=99, text="<b>", p_model=0.05, p_used=0.0, cut_by="top_k"),
                ),
            )
        )  # fmt: skip
        start += len(piece)
    return made


def laid_out(theme: Theme, *pieces: str) -> TokenLayout:
    layout = TokenLayout(theme.reading_font())
    layout.set(width=300, mode="probability")
    layout.add(tokens(*pieces))
    return layout


PIECES = (" Once", " upon", " a", "\n", "time", ", 😀", " é", "", "\n\nThe", " end", "")


def test_that_every_token_with_a_text_is_found_under_its_own_box(theme: Theme) -> None:
    layout = laid_out(theme, *PIECES)
    for number, piece in enumerate(PIECES):
        boxes = list(layout.boxes(number))
        if not piece:
            assert boxes == []
            continue
        inside = [layout.token_at(QPointF(box.left() + 1, box.center().y())) for box in boxes]
        assert number in inside, (number, piece)


def test_that_tokens_added_one_by_one_lie_where_they_lie_together(theme: Theme) -> None:
    together = laid_out(theme, *PIECES * 5)
    one_by_one = TokenLayout(theme.reading_font())
    one_by_one.set(width=300, mode="probability")
    for token in tokens(*PIECES * 5):
        one_by_one.add([token])
    assert one_by_one.height == together.height
    assert one_by_one.text == together.text
    for number in range(len(PIECES) * 5):
        assert list(one_by_one.boxes(number)) == list(together.boxes(number))


def test_that_a_new_token_lays_out_only_the_last_paragraph(theme: Theme) -> None:
    layout = laid_out(theme, "one\n", "two\n", "three")
    kept = layout.paragraphs[:2]
    layout.add([tokens("one\n", "two\n", "three", " four")[-1]])
    assert layout.paragraphs[0] is kept[0] and layout.paragraphs[1] is kept[1]
    assert layout.paragraphs[2].text == "three four"


def test_that_a_narrow_column_wraps_inside_words_if_it_must(theme: Theme) -> None:
    layout = TokenLayout(theme.reading_font())
    layout.set(width=60)
    layout.add(tokens("incomprehensibilities"))
    assert len(list(layout.boxes(0))) > 1
    assert all(box.right() <= 61 for box in layout.boxes(0))


def test_that_a_place_in_the_text_has_a_place_on_screen(theme: Theme) -> None:
    layout = laid_out(theme, *PIECES)
    for offset in (0, 3, 7, len(layout.text) - 1, len(layout.text)):
        assert layout.place_of(offset) is not None
    assert layout.place_of(len(layout.text) + 5) is None
    assert layout.token_of(len(layout.text)) is None
    assert layout.token_of(0) == 0


def test_that_the_view_follows_the_text_and_leaves_a_reader_alone(qtbot: QtBot, theme: Theme) -> None:
    view = TokenView(theme, "tokens")
    qtbot.addWidget(view)
    view.resize(200, 120)
    view.show()
    many = tokens(*(f"word{n}\n" for n in range(60)))
    view.add(many[:40])
    bar = view.verticalScrollBar()
    assert bar.maximum() > 0 and bar.value() == bar.maximum()
    bar.setValue(10)
    view.add(many[40:])
    assert bar.value() == 10, "who scrolls back to read is not pulled away"


def test_that_keys_walk_over_tokens_and_enter_opens_one(qtbot: QtBot, theme: Theme) -> None:
    view = TokenView(theme, "tokens")
    qtbot.addWidget(view)
    view.show()
    view.add(tokens(" a", " b", " c"))
    opened: list[int] = []
    view.opened.connect(opened.append)
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Return, Qt.Key.Key_Left):
        qtbot.keyClick(view, key)
    assert opened == [1] and view.selected == 0
    assert "token 1 of 3" in view.accessibleDescription()
    for _ in range(9):
        qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.selected == 2


def test_that_a_click_opens_the_token_under_it(qtbot: QtBot, theme: Theme) -> None:
    view = TokenView(theme, "tokens")
    qtbot.addWidget(view)
    view.resize(400, 200)
    view.show()
    view.set_mode("entropy")
    view.add(tokens(" hello", " world"))
    with qtbot.waitSignal(view.opened) as opened:
        box = next(iter(view._layout.boxes(1)))
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=(box.center() + QPointF(12, 12)).toPoint())
    assert opened.args == [1]


def test_that_heat_and_marks_are_painted(qtbot: QtBot, theme: Theme) -> None:
    view = TokenView(theme, "tokens")
    qtbot.addWidget(view)
    view.resize(300, 100)
    view.show()
    view.add(tokens(" hello", " world"))
    plain = view.grab().toImage()
    view.set_mode("probability")
    heat = view.grab().toImage()
    view.set_mark(7)
    marked = view.grab().toImage()
    assert view.mark == 6, "the mark stands before the token that differs"
    assert plain != heat != marked
    colours = {heat.pixelColor(x, y).name() for x in range(0, 300, 2) for y in range(100)}
    assert viridis(0.9).name() in colours and viridis(0.45).name() in colours


def test_that_a_token_is_described_in_plain_words_and_never_as_markup() -> None:
    words = describe(tokens(" a")[0])
    assert "90.0%" in words and "rank 1" in words and "entropy 0.50" in words
    assert "&lt;b&gt;" in words and "cut by top k" in words
    assert name_of(tokens("")[0]) == "<end>"
    assert shown(" a\n\tb") == "␣a↵⇥b"


def test_that_text_on_heat_can_be_read_on_every_colour() -> None:
    for step in range(101):
        colour = viridis(step / 100)
        assert contrast(colour.name(), ink_on(colour).name()) >= 4.5
    assert viridis(-1).name() == "#440154" and viridis(2).name() == "#fde725"


def test_that_the_scale_of_a_mode_is_told(qtbot: QtBot, theme: Theme) -> None:
    legend = Legend(theme)
    qtbot.addWidget(legend)
    legend.show_mode("entropy")
    assert "nats" in legend.accessibleName() and not legend.isHidden()
    assert not legend.grab().isNull()
    legend.show_mode("text")
    assert legend.isHidden()
    token = tokens("a")[0]
    assert share_of(token, "probability") == pytest.approx(0.9)
    assert share_of(token, "entropy") == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("texts", "done", "places"),
    [
        (["", ""], [False, False], [None, None]),
        (["the cat", "the"], [False, False], [None, None]),
        (["the cat", "the"], [False, True], [3, 3]),
        (["the cat", "the dog"], [False, False], [4, 4]),
        (["the cat", "the dog", "the cow"], [True] * 3, [4, 4, 4]),
        (["the cat", "the cat", "a"], [True] * 3, [0, 0, 0]),
        (["same", "same"], [True, True], [None, None]),
    ],
)
def test_where_columns_part(texts: list[str], done: list[bool], places: list[int | None]) -> None:
    assert Partings().look(texts, done) == places


def test_that_a_parting_once_found_stays() -> None:
    partings = Partings()
    assert partings.look(["ab", "ac"], [False, False]) == [1, 1]
    assert partings.look(["abx", "acy"], [True, True]) == [1, 1]
