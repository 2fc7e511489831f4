"""The token view: laid out once, drawn from what is kept, every token found again under the pointer."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from workbench.domain.choices import Alternative, BeamTrace, ContrastTrace, DraftTrace, SearchTrace, TokenChoice
from workbench.gui.pages.playground.heat import MODES, SCALES, Legend, Mode, relative, share_of
from workbench.gui.pages.playground.parting import Partings
from workbench.gui.pages.playground.token_layout import MOST_LINES, TokenLayout
from workbench.gui.pages.playground.token_panel import TokenPanel
from workbench.gui.pages.playground.token_view import TokenView
from workbench.gui.pages.playground.token_words import describe, facts, name_of, percent, shown
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


@pytest.mark.parametrize("mode", ["text", "probability"])
def test_that_a_long_paragraph_is_divided_at_line_ends_and_reads_as_before(theme: Theme, mode: Mode) -> None:
    words = [f" word{n}" if n % 7 else " 😀" for n in range(900)]
    layout = TokenLayout(theme.reading_font())
    layout.set(width=300, mode=mode)
    for token in tokens(*words):
        layout.add([token])
    assert len(layout.paragraphs) > 3
    assert max(p.layout.lineCount() for p in layout.paragraphs) <= MOST_LINES
    assert "".join(p.text for p in layout.paragraphs) == layout.text
    seen = [layout.token_at(box.center()) for n in range(900) for box in layout.boxes(n)]
    assert sorted(set(seen)) == list(range(900)), "each token is found under its box"  # type: ignore[type-var]
    tops = [box.top() for n in range(900) for box in layout.boxes(n)]
    assert tops == sorted(tops)
    whole = TokenLayout(theme.reading_font())
    whole.set(width=300, mode=mode)
    whole.add(tokens(*words))
    assert whole.height == layout.height


def test_that_tokens_without_a_text_are_named_as_heat_and_take_no_room_as_text(theme: Theme) -> None:
    layout = laid_out(theme, "a", "", "b")
    assert len(list(layout.boxes(1))) == 1 and "⟨end⟩" in layout.paragraphs[0].layout.text()
    layout.set(mode="text")
    assert list(layout.boxes(1)) == [] and layout.paragraphs[0].layout.text() == "ab"


def test_that_controls_in_a_token_are_written_out(theme: Theme) -> None:
    layout = laid_out(theme, "a", "\u202eb", "c")
    assert "⟦RLO⟧" in layout.paragraphs[0].layout.text()
    (box,) = layout.boxes(2)
    assert layout.token_at(box.center()) == 2 and layout.place_of(3) == QRectF(box.left(), box.top(), 2.0, box.height())


def test_that_up_and_down_find_the_token_on_the_next_line(theme: Theme) -> None:
    layout = laid_out(theme, "one", " two\n", "\n", "three", " four")
    assert layout.next_line(1, down=True) == 2 and layout.next_line(2, down=True) == 3
    assert layout.next_line(4, down=False) == 2 and layout.next_line(0, down=False) is None
    assert layout.next_line(4, down=True) is None


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
        box = next(view._layout.boxes(1))
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
    assert "&lt;b&gt;" in words and "cut by top-k" in words
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


def test_that_each_mode_has_a_scale_between_nothing_and_all() -> None:
    first, second = tokens("a", "b")
    likely = second.model_copy(update={"alternatives": (Alternative(id=9, text="x", p_model=0.9, p_used=0.9),)})
    assert relative(first) == 1.0 and relative(likely) == pytest.approx(0.5)
    assert share_of(likely, "relative") == pytest.approx(0.5)
    assert share_of(first, "kl") is None and share_of(first, "kl", 1.0) == 0.5 and share_of(first, "kl", 99.0) == 1.0
    assert [mode for mode, _ in MODES] == list(SCALES) and all(scale.sentence for scale in SCALES.values())


def test_that_a_tiny_probability_is_not_called_nothing() -> None:
    assert [percent(p) for p in (0.0, 1.0, 0.125, 0.0001, 2e-12)] == ["0.0%", "100.0%", "12.5%", "0.010%", "<0.001%"]


def test_that_a_tiny_probability_is_no_markup() -> None:
    unlikely = Alternative(id=8, text=" x", p_model=1e-9, p_used=1e-9)
    words = describe(tokens("a")[0].model_copy(update={"alternatives": (unlikely,), "logprob": -0.001}))
    assert words.count("&lt;0.001%") == 2 and "log p 0.00" in words


def test_that_what_a_strategy_knows_of_a_token_is_told() -> None:
    token = tokens("a")[0].model_copy(
        update={
            "draft": DraftTrace(round=3, position=1, p=0.5, q=0.25, u=0.125, verdict="accepted"),
            "beam": BeamTrace(index=0, parent=2, score=-1.5),
            "search": SearchTrace(penalty=0.75, against=3, score=0.1),
            "contrast": ContrastTrace(expert=0.2, amateur=0.1, score=0.69, cut=0.02),
        }
    )
    told = "\n".join(facts(token, kl=0.25))
    for words in ("round 3: accepted, p 50.0%, q 25.0%, u 0.125", "beam 1, from beam 3", "token 4", "amateur 10.0%", "KL to the reference 0.250"):  # fmt: skip
        assert words in told


def shown_view(qtbot: QtBot, theme: Theme, *pieces: str) -> TokenView:
    view = TokenView(theme, "tokens")
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.show()
    view.add(tokens(*pieces))
    return view


def test_that_walking_and_pointing_say_what_a_token_is(qtbot: QtBot, theme: Theme) -> None:
    view = shown_view(qtbot, theme, " a", " b", " c")
    view.set_mode("relative")
    pointed: list[int] = []
    view.pointed.connect(pointed.append)
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.selected == 2 and "rank 1" in view.bubble.words and "cut by top-k" in view.bubble.words
    note = view.findChild(QLabel)
    assert note is not None and note.isVisible() and not note.isWindow(), "it is in the window's pictures"
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert view.selected == 0 and pointed == [2, 0]
    view.bubble.hide()
    box = next(view._layout.boxes(1)).translated(12, 12)
    qtbot.mouseMove(view.viewport(), box.center().toPoint())
    qtbot.waitUntil(lambda: "45.0%" in view.bubble.words)
    view.hide()
    assert not view.bubble.words, "nothing is said about what can't be seen"


def test_that_text_behind_a_changed_choice_is_drawn_and_told_as_stale(qtbot: QtBot, theme: Theme) -> None:
    view = shown_view(qtbot, theme, " once", " upon", " a", " time")
    before = view.grab().toImage()
    view.set_stale(2)
    after = view.grab().toImage()
    assert before != after and "stale from token 3" in view.accessibleDescription()
    box = next(view._layout.boxes(0)).translated(12, 12).toAlignedRect()
    assert before.copy(box) == after.copy(box), "what stands before the change is as it was"
    view.set_stale(None)
    assert view.grab().toImage() == before
    view.set_stale(1)
    view.clear()
    assert view.stale is None


def test_that_kl_colours_only_tokens_that_were_measured(qtbot: QtBot, theme: Theme) -> None:
    view = shown_view(qtbot, theme, " one", " two", " three")
    view.set_mode("kl")
    view.set_kl([0.0, None, 2.0])
    picture = view.grab().toImage()

    def colours(token: int) -> set[str]:
        box = next(view._layout.boxes(token)).translated(12, 12).toAlignedRect().adjusted(2, 2, -2, -2)
        return {
            picture.pixelColor(x, y).name()
            for x in range(box.left(), box.right())
            for y in range(box.top(), box.bottom())
        }

    assert viridis(0.0).name() in colours(0) and viridis(1.0).name() in colours(2)
    assert not {viridis(0.0).name(), viridis(1.0).name()} & colours(1)


def test_that_an_alternative_branches_by_click_and_by_key(qtbot: QtBot, theme: Theme) -> None:
    panel = TokenPanel(theme, tokens(" a", " b")[1], 1)
    qtbot.addWidget(panel)
    panel.resize(360, 300)
    panel.show()
    wishes: list[tuple[int, int]] = []
    panel.branch.connect(lambda position, token: wishes.append((position, token)))
    stands, other = panel.rows
    assert other.accessibleName() == "<b>: 5.0%, used 0.0%, cut by top-k" and "chosen" in stands.accessibleName()
    qtbot.keyClick(stands, Qt.Key.Key_Return)
    qtbot.mouseClick(stands, Qt.MouseButton.LeftButton)
    assert wishes == [], "the token that stands there is no branch"
    qtbot.keyClick(stands, Qt.Key.Key_Down)
    qtbot.waitUntil(other.hasFocus)
    qtbot.keyClick(other, Qt.Key.Key_Return)
    qtbot.mouseClick(other, Qt.MouseButton.LeftButton)
    assert wishes == [(1, 99), (1, 99)]
    assert not panel.grab().isNull()


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
