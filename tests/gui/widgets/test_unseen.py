"""What nobody sees is written out, and what scripts and emoji need is left alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QApplication

from tests.steps import growth
from workbench.gui.theme import LIGHT
from workbench.gui.widgets.markup import to_html
from workbench.gui.widgets.unseen import MOST_MARKS, shown, visible

PLAIN = [
    "plain\n\ttext", "שלום עולם", "بِسْمِ ٱللَّٰهِ", "मानक हिन्दी क्ष", "می‌خواهم", "日本語", "👩‍👩‍👧‍👦", "❤️ 1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "é e\u0301",
    "葛\U000e0100城", "שָׁ֣לוֹם", "",
]  # fmt: skip


@pytest.mark.parametrize("words", PLAIN)
def test_that_what_scripts_and_emoji_need_is_left_alone(words: str) -> None:
    assert shown(words) == (words, [])


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("a\u202eb", "a⟦RLO⟧b"), ("a\u2066b\u2069", "a⟦LRI⟧b⟦PDI⟧"), ("a\x00b", "a␀b"), ("\x1b[31mred", "␛[31mred"), ("\x7f", "␡"),
        ("a\u200bb", "a⟦ZWSP⟧b"), ("a\u00adb", "a⟦SHY⟧b"), ("\ufeffa", "⟦BOM⟧a"), ("a\u200db", "a⟦ZWJ⟧b"), ("a\x85b", "a⟦U+0085⟧b"),
        ("hi\U000e0041\U000e0020", "hi⟦tag A⟧⟦tag space⟧"), ("a\ud800b", "a⟦U+D800⟧b"), ("a\u2028b", "a⟦LINE⟧b"),
        ("😀\ufe0f\ufe01\ufe02", "😀\ufe0f⟦U+FE01⟧⟦U+FE02⟧"), ("a\r\nb\rc", "a\nb\nc"), ("\u3164", "⟦U+3164⟧"),
    ],
)  # fmt: skip
def test_that_the_unseen_is_written_out(words: str, wanted: str) -> None:
    assert visible(words) == wanted


def test_that_a_tower_of_marks_is_cut_and_counted() -> None:
    tower = "a" + "\u0301" * 40 + "b"
    assert visible(tower) == "a" + "\u0301" * MOST_MARKS + f"⟦+{40 - MOST_MARKS} marks⟧b"


@pytest.mark.parametrize("words", ["&#x202e;abc", "&#8238;abc", "`\u202eabc`", "[\u202eabc](x)", "```\n\u202eabc\n```", "![\u202eabc](x)",
                                   "&rlm;abc", "$\u202eabc$", "|\u202eabc|\n|-|", "&zwj;abc", "&shy;abc"])  # fmt: skip
def test_that_markdown_hides_nothing_either(qapp: QApplication, words: str) -> None:
    paper = QTextDocument()
    paper.setHtml(to_html(words, LIGHT))
    read = paper.toPlainText()
    assert "⟦" in read
    assert not {"\u202e", "\u200f", "\u200d", "\u00ad"} & set(read)


def test_that_places_are_found_again_on_both_sides() -> None:
    words = "a\u202eb\r\nc"
    text = shown(words)
    assert text.words == "a⟦RLO⟧b\nc"
    assert [text.origin(n) for n in range(len(text.words) + 1)] == [0, 1, 1, 1, 1, 1, 2, 3, 5, 6]
    assert text.origin(6, end=True) == 2
    assert text.origin(3, end=True) == 2
    assert text.origin(1, end=True) == 1
    assert [text.place(n) for n in range(len(words) + 1)] == [0, 1, 6, 7, 7, 8, 9]


@given(st.text(st.sampled_from("ab \n\r\u202e\u200b\u0301\x00\U000e0041é"), max_size=40))
@settings(deadline=None)
def test_that_every_visible_character_keeps_its_place(words: str) -> None:
    text = shown(words)
    for place, letter in enumerate(words):
        if letter in "ab é":
            there = text.place(place)
            assert text.words[there] == letter
            assert text.origin(there) == place
            assert text.origin(there + 1, end=True) == place + 1


@given(st.text(max_size=60))
@settings(deadline=None)
def test_that_writing_out_twice_is_writing_out_once(words: str) -> None:
    assert visible(visible(words)) == visible(words)


@pytest.mark.parametrize("sign", ["\u202e", "\u0301", "\ufe0f", "\u200d", "\U0001f3f4\U000e0041", "\r"])
def test_that_the_work_grows_with_the_text_and_no_faster(sign: str) -> None:
    assert growth(lambda size: visible(sign * size), 1000) < 2.3
