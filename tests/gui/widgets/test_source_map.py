"""From what is shown back to what was written: through Markdown, mathematics, tables, code and unseen signs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QApplication

from workbench.gui.theme import LIGHT
from workbench.gui.widgets.markup import to_html
from workbench.gui.widgets.source_map import SourceMap
from workbench.gui.widgets.unseen import visible


def read(words: str, *, dressed: bool = True) -> tuple[SourceMap, str]:
    paper = QTextDocument()
    if dressed:
        paper.setHtml(to_html(words, LIGHT))
    else:
        paper.setPlainText(visible(words))
    raw = paper.toRawText()
    return SourceMap(words, raw, dressed=dressed), raw


def units(document: str, piece: str) -> tuple[int, int]:
    at = document.index(piece)
    start = len(document[:at].encode("utf-16-le")) // 2
    return start, start + len(piece.encode("utf-16-le")) // 2


PLACES = [
    ("plain words here", "words", "words"), ("a **bold word** here", "bold word", "bold word"), ("a **bold** here", "a bold here", "a **bold** here"),
    ("*one* two", "one two", "one* two"), ("# A heading", "heading", "heading"), ("A heading\n===\n\nafter", "after", "after"),
    ("- one\n- two **three**", "three", "three"), ("1. 1\n2. 2", "2", "2"), ("> quoted\n> text", "text", "text"), ("> > deep", "deep", "deep"),
    ("[link](http://x 'title') after", "after", "after"), ("[a *link*](http://x) b", "link", "link"), ("<http://x.y/z> b", "http://x.y/z", "http://x.y/z"),
    ("`code` and `` a`b ``", "a`b", "a`b"), ("```python\nx = 1\ny = 2\n```", "y = 2", "y = 2"), ("- item\n\n  ```\n  deep\n  ```", "deep", "deep"),
    ("    indented code", "indented code", "indented code"), ("|a|b|\n|-|-|\n|a|ab|\n|b|c|", "ab", "ab"), ("| x\\|y | z |\n|-|-|", "z", "z"),
    ("| x\\|y | z |\n|-|-|", "x|y", "x\\|y"), ("a \\*b\\* c", "*b*", "\\*b\\*"), ("a &amp; b &lt; c", "& b <", "&amp; b &lt;"), ("so $x^2$ is", "x²", "$x^2$"),
    ("$$\nx^2\n$$\n\nafter $y$ end", "end", "end"), ("a\n\n$$\nx^2\n$$", "x²", "$$\nx^2\n$$"), ("![cat](x.png) b", "[picture: cat]", "![cat](x.png)"),
    ("🦊🦊 **red** 🦊", "red", "red"), ("שלום **עולם** טוב", "עולם", "עולם"), ("a\u202eb c", "b c", "b c"), ("a\u202eb", "⟦RLO⟧", "\u202e"),
    ("a\r\nb\r\nc", "c", "c"), ("~~gone~~ here", "gone", "gone"), ("a * b * c", "* b *", "* b *"), ("snake_case_name x", "case_name x", "case_name x"),
    ("one  \ntwo", "two", "two"), ("a <b>tag</b> c", "<b>tag</b>", "<b>tag</b>"), ("***both***", "both", "both"),
    ("line one\nline two", "one\u2028line", "one\nline"),
    ("# a #", "a", "a"), ("a `x\ny` b", "x y", "x\ny"), ("&#x202e;ab", "ab", "ab"), ("[r][1] x\n\n[1]: http://y", "x", "x"), ("a\\\nb", "b", "b"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "seen", "source"), PLACES)
def test_that_what_is_seen_is_found_in_what_was_written(qapp: QApplication, words: str, seen: str, source: str) -> None:
    places, document = read(words)
    assert places.whole
    found = places.source(*units(document, seen))
    assert found is not None
    found_words = words[slice(*found)]
    assert found_words.strip("*") in {source, source.strip("*")} or found_words == source


@pytest.mark.parametrize(("words", "seen", "source"), PLACES)
def test_that_a_stretch_of_the_text_is_found_where_it_is_seen(
    qapp: QApplication, words: str, seen: str, source: str
) -> None:
    places, document = read(words)
    there = units(document, seen)
    written_at = places.source(*there)
    assert written_at is not None
    assert places.document(*written_at) == there


@given(
    st.lists(
        st.sampled_from(["word", " ", "\n", "\n\n", "*", "**", "_", "`", "```\n", "# ", "- ", "1. ", "> ", "    ", "|", "|-|-|\n", "|a|b|\n",
                         "[", "](x)", "![", "$", "$x^2$", "\\(", "\\)", "$$\n", "\\", "&amp;", "&#x202e;", "<", ">", "~~", "<http://a.b>", "🦊",
                         "שלום", "\u202e", "\u200b", "\x00", "\t", "===\n", "---\n", "![a](b)", "~", "\r\n", "é", "&", "  \n", "\\|", "\\*"]),
        max_size=24,
    )
)  # fmt: skip
@settings(deadline=None, max_examples=400)
def test_that_every_sign_that_is_shown_has_its_place(parts: list[str]) -> None:
    words = "".join(parts)
    places, document = read(words)
    assert places.whole, words
    for start, letter in enumerate(document):
        at = len(document[:start].encode("utf-16-le")) // 2
        found = places.source(at, at + 1)
        if found is not None:
            low, high = found
            assert 0 <= low < high <= len(words)
            if high - low == 1 and letter.isalpha() and visible(words[low]) == words[low]:
                assert words[low] == letter


@given(st.text(st.sampled_from("ab 🦊é\n\u202e\r\x00"), max_size=30))
@settings(deadline=None)
def test_that_raw_text_is_mapped_sign_by_sign(words: str) -> None:
    places, document = read(words, dressed=False)
    assert places.whole
    for at, letter in enumerate(words):
        if letter in "ab🦊é":
            there = places.document(at, at + 1)
            assert there is not None
            assert document.encode("utf-16-le")[2 * there[0] : 2 * there[1]].decode("utf-16-le") == letter
            assert places.source(*there) == (at, at + 1)


def test_that_white_space_alone_has_no_place(qapp: QApplication) -> None:
    places, _ = read("a   b")
    assert places.source(1, 2) is None
    assert places.document(1, 3) is None
    assert places.source(5, 5) is None


def test_that_a_word_is_found_around_a_place(qapp: QApplication) -> None:
    places, document = read("one **two** three")
    assert [document[slice(*places.word(n))] for n in (0, 2, 4, 6, 12)] == ["one", "one", "two", "two", "three"]  # type: ignore[misc]
    assert read("")[0].word(0) is None
