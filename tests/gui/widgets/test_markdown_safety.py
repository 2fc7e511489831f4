"""Text of a model is shown, never obeyed: no HTML, nothing loaded, nothing opened, no text that freezes the window."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QImage, QTextDocument
from PySide6.QtWidgets import QTextBrowser
from pytestqt.qtbot import QtBot

from tests.steps import growth
from workbench.gui.theme import DARK, LIGHT, Colours, Theme
from workbench.gui.widgets.markdown import LONGEST_MARKDOWN, MarkdownView
from workbench.gui.widgets.markup import to_html
from workbench.gui.widgets.unseen import visible

OURS = set(
    "p strong em a code pre blockquote ul ol li h1 h2 h3 h4 h5 h6 hr br table thead tbody tr th td s span sub sup".split()
)


class Tags(HTMLParser):
    """Notes every tag and every attribute."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> MarkdownView:
    made = MarkdownView(theme, "view")
    qtbot.addWidget(made)
    made.resize(500, 300)
    return made


@given(st.text(st.sampled_from(list("<>&\"'/=! abscriptimghrefon:()[]`*_#-|\n$\\{}^")), max_size=200))
@settings(deadline=None)
def test_that_no_text_can_smuggle_in_a_tag(words: str) -> None:
    seen = Tags(to_html(words, LIGHT))
    assert seen.tags <= OURS
    assert not {name for name in seen.attributes if name.startswith("on")}
    assert "src" not in seen.attributes


@pytest.mark.parametrize(
    "words",
    [
        "<script>alert(1)</script>", "<b onclick=x>b</b>", "<!-- hidden -->", "<iframe src=x></iframe>", "<style>*{}</style>",
        "<svg/onload=x>", "&lt;b&gt;", "<details open>x</details>", "a <b", "</p></body>", "<p>open\n\nblock</p>",
    ],
)  # fmt: skip
def test_that_html_is_read_as_it_was_written(view: MarkdownView, words: str) -> None:
    view.show_text(words)
    shown = view.toPlainText()
    wanted = words.replace("&lt;", "<").replace("&gt;", ">").replace("\n\n", "\n")
    assert shown == wanted


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "JaVaScRiPt:x", "vbscript:x", "file:///etc/passwd", "data:text/html,x"]
)
def test_that_a_link_to_something_dangerous_is_no_link(target: str) -> None:
    assert not [link for link in Tags(to_html(f"[read]({target})", LIGHT)).links if ":" in link.split("/")[0]]


def test_that_a_link_does_not_open_when_it_is_clicked(view: MarkdownView, qtbot: QtBot) -> None:
    view.show_text("[link link link link](http://example.org/)")
    view.show()
    before = view.toPlainText()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.rect().topLeft() + view.cursorRect().center())
    assert view.toPlainText() == before
    assert view.source() == QUrl()
    assert not view.openLinks()
    assert not view.openExternalLinks()


def test_that_a_picture_on_this_disk_is_not_painted(view: MarkdownView, tmp_path: Path) -> None:
    file = tmp_path / "red.png"
    picture = QImage(60, 60, QImage.Format.Format_RGB32)
    picture.fill(0xFF0000)
    picture.save(str(file))
    for words in (f"![words]({file})", f"![words](file://{file})", f'<img src="{file}">'):
        view.show_text(words)
        shown = view.grab().toImage()
        assert not any(shown.pixelColor(x, 30).name() == "#ff0000" for x in range(shown.width()))


@pytest.mark.parametrize("kind", list(QTextDocument.ResourceType))
def test_that_no_kind_of_resource_is_loaded(view: MarkdownView, kind: QTextDocument.ResourceType) -> None:
    for place in ("http://example.org/a", "file:///etc/hostname", "qrc:/x", "data:text/plain,x", "relative.css"):
        assert view.loadResource(kind.value, QUrl(place)) is None


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("![a cat](http://x/c.png)", "[picture: a cat]"), ("![](http://x/c.png)", "[picture: http://x/c.png]"),
        ("![<b>](x.png)", "[picture: &lt;b&gt;]"),
    ],
)  # fmt: skip
def test_that_a_picture_becomes_its_words(words: str, shown: str) -> None:
    assert shown in to_html(words, LIGHT)


@pytest.mark.parametrize(
    ("words", "tag"),
    [
        ("**b**", "strong"), ("*i*", "em"), ("`c`", "code"), ("# h", "h1"), ("- one", "li"), ("1. one", "ol"), ("> q", "blockquote"),
        ("~~s~~", "s"), ("|a|b|\n|-|-|\n|1|2|", "table"), ("---", "hr"), ("a\nb", "br"), ("    code", "pre"),
    ],
)  # fmt: skip
def test_that_ordinary_markdown_is_dressed(words: str, tag: str) -> None:
    assert tag in Tags(to_html(words, LIGHT)).tags


@pytest.mark.parametrize("language", ["python", "json", "bash", "c++", "nolanguage", "", "raw", "html", "text", "ž"])
@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_that_code_keeps_every_character_in_any_language(view: MarkdownView, language: str, colours: Colours) -> None:
    code = 'def f(x):\n\treturn "<b>&amp;</b> žluť 世界"  # שלום'
    html = to_html(f"```{language}\n{code}\n```", colours)
    paper = QTextDocument()
    paper.setHtml(html)
    assert paper.toPlainText().strip("\n") == code
    assert not html.endswith("\n")


def test_that_an_empty_text_is_empty(view: MarkdownView) -> None:
    view.show_text("")
    assert view.toPlainText() == ""
    assert view.text == ""


@pytest.mark.parametrize(
    "words", ["שלום עולם", "مرحبا **بالعالم**", "日本語の文章", "👩‍👩‍👧‍👦 family", "é", "\x00\x07"]
)
def test_that_any_script_is_kept(view: MarkdownView, words: str) -> None:
    view.show_text(words)
    assert view.text == words
    assert view.toPlainText().strip() or "\x00" in words


@given(words=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cn", "Co"]), max_size=80))
@settings(deadline=None, max_examples=40)
def test_that_raw_text_is_shown_character_by_character(words: str, theme: Theme) -> None:
    made = MarkdownView(theme, "raw", raw=True)
    made.show_text(words)
    assert made.toPlainText().replace("\u00a0", " ") == visible(words).replace("\u00a0", " ")
    made.deleteLater()


@pytest.mark.parametrize(
    "piece", ["[", "![", "`a", "*a ", "<", ">", "- ", "a_", "[a](", "|a", "<!--", "&#", "**", "\\", "~~a"]
)
def test_that_no_pattern_freezes_the_window(piece: str) -> None:
    assert growth(lambda size: to_html((piece * size)[:size], LIGHT), 1000) < 2.3


def test_that_a_text_at_the_limit_is_dressed_and_one_beyond_is_raw(view: MarkdownView) -> None:
    body = "word " * (LONGEST_MARKDOWN // 5)
    view.show_text("**b**" + body[:-5])
    assert view.toPlainText().startswith("bword")
    view.show_text("**b**" + body[:-4])
    assert view.toPlainText().startswith("**b**")


def test_that_raw_is_kept_from_text_to_text_until_said_otherwise(view: MarkdownView) -> None:
    view.show_text("*a*", raw=True)
    view.show_text("*b*")
    assert view.toPlainText() == "*b*"
    view.show_text("*c*", raw=False)
    assert view.toPlainText() == "c"


def test_that_a_new_theme_dresses_the_text_again(view: MarkdownView, theme: Theme) -> None:
    view.show_text("```python\nreturn 1\n```")
    assert LIGHT.code_keyword.lower() in view.toHtml().lower()
    theme.apply("dark", 13, 22)
    html = view.toHtml().lower()
    size = view.document().defaultFont().pixelSize()
    theme.apply("light")
    assert DARK.code_keyword.lower() in html
    assert LIGHT.code_keyword.lower() not in html
    assert size == 22


def test_that_the_view_can_be_read_but_not_written(view: MarkdownView, qtbot: QtBot) -> None:
    view.show_text("fixed")
    view.show()
    qtbot.keyClicks(view, "typed")
    assert view.toPlainText() == "fixed"
    assert isinstance(view, QTextBrowser)
    assert (view.objectName(), view.accessibleName()) == ("view", "Text")


def test_that_a_growing_view_shrinks_again_and_hides_its_bars(view: MarkdownView) -> None:
    view.grow_with_text()
    view.show()
    view.show_text("\n\n".join(["line"] * 30))
    high = view.height()
    view.show_text("line")
    assert view.height() < high / 5
    assert view.sizeHint().height() == view.height()
    assert view.verticalScrollBarPolicy() is Qt.ScrollBarPolicy.ScrollBarAlwaysOff


def test_that_the_ground_under_code_has_no_gaps(view: MarkdownView) -> None:
    view.resize(500, 400)
    view.show_text("before\n\n```python\nx = 1\ny = 2\nz = 3\n```\n\nafter")
    layout, block, code = view.document().documentLayout(), view.document().begin(), []
    while block.isValid():
        if block.blockFormat().background().style() != Qt.BrushStyle.NoBrush:
            code.append(layout.blockBoundingRect(block))
        block = block.next()
    assert len(code) == 3
    assert [one.bottom() for one in code[:-1]] == pytest.approx([other.top() for other in code[1:]])
    line = view.document().findBlock(view.document().toPlainText().index("x = 1")).layout().lineAt(0)
    assert line.height() == pytest.approx(code[0].height(), abs=1)


def test_that_headings_stay_near_the_size_of_the_text(view: MarkdownView) -> None:
    view.show_text("# One\n\n## Two\n\n### Three\n\ntext")
    sizes, block = [], view.document().begin()
    while block.isValid():
        sizes.append(block.layout().lineAt(0).height())
        block = block.next()
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[0] <= 1.7 * sizes[-1]
    assert sizes[2] == pytest.approx(sizes[-1], abs=2)
