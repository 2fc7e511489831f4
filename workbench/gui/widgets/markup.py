"""Markdown as the small HTML that Qt shows: no HTML of the text's own, nothing fetched, code highlighted, mathematics in signs."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.gui.theme import Colours
from workbench.gui.widgets import mathematics
from workbench.gui.widgets.unseen import LABEL, visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


def sheet(colours: Colours, mono: str) -> str:
    """The style sheet of the HTML."""
    return (
        f"a {{ color: {colours.accent}; }} code, pre {{ font-family: '{mono}'; background: {colours.raised}; }}"
        "pre { white-space: pre-wrap; margin: 6px 0; }"
        f"blockquote {{ color: {colours.quiet}; }} th {{ text-align: left; }}"
        f"table {{ border-color: {colours.line}; margin: 8px 0; }} td, th {{ border: 1px solid {colours.line}; padding: 4px 8px; }}"
        "h1, h2, h3, h4, h5, h6 { font-weight: 600; }"
        "h1 { font-size: x-large; } h2 { font-size: large; } h3, h4, h5, h6 { font-size: medium; }"
        f".unseen {{ color: {colours.bad}; background: {colours.bad_soft}; }}"
        f".boxed {{ background: {colours.accent_soft}; font-weight: 600; }}"
        f".role {{ color: {colours.accent}; font-weight: 600; }} .system {{ color: {colours.quiet}; }}"
    )


_STYLED = re.compile(r"<(?!/?p>|br)")


def needs_sheet(html: str) -> bool:
    """Whether HTML holds more than plain paragraphs and line breaks, of which the style sheet says nothing."""
    return _STYLED.search(html) is not None


@lru_cache(maxsize=4)
def parser(colours: Colours) -> MarkdownIt:
    """The parser, made once for each theme."""
    from markdown_it import MarkdownIt

    made = MarkdownIt(
        "commonmark",
        {"html": False, "breaks": True, "highlight": lambda code, name, _attrs: highlight(code, name, colours)},
    ).enable(["table", "strikethrough"])
    made.use(mathematics.plugin)
    made.add_render_rule("image", _picture_as_words)
    made.add_render_rule("text", _text)
    made.add_render_rule("table_open", _table)
    return made


@lru_cache(maxsize=64)
def to_html(words: str, colours: Colours) -> str:
    """Markdown as HTML; HTML in the text stays visible as text, pictures become their words, what is unseen is written out."""
    html = str(parser(colours).render(visible(words)))
    return html.rstrip().replace("\n</code></pre>", "</code></pre>").replace("<pre>", '<pre dir="ltr">')


def picture_words(token: Any) -> str:
    """What stands for a picture."""
    return f"[picture: {visible(token.content or str(token.attrs.get('src', '')))}]"


def _picture_as_words(_self: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
    return escape(picture_words(tokens[index]))


def _text(_self: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
    html = escape(visible(tokens[index].content))  # an entity can write what is unseen, too
    return LABEL.sub(r'<span class="unseen">\g<0></span>', html) if "⟦" in html else html


def _table(_self: Any, _tokens: Any, _index: int, _options: Any, _env: Any) -> str:
    return '<table border="1" cellspacing="0" style="border-collapse:collapse">\n'


def highlight(code: str, name: str, colours: Colours) -> str:
    """Code with its words coloured; code in a language that nobody knows stays plain."""
    from pygments.lexers import get_lexer_by_name
    from pygments.token import Comment, Keyword, Name, Number, String
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(name or "text", stripnl=False)
    except ClassNotFound:
        return escape(code)
    tones = (
        (Comment, colours.code_comment),
        (String, colours.code_string),
        (Number, colours.code_string),
        (Keyword, colours.code_keyword),
        (Name.Function, colours.accent),
        (Name.Class, colours.accent),
    )
    parts = []
    for kind, piece in lexer.get_tokens(code):
        tone = next((colour for family, colour in tones if kind[: len(family)] == family), "")
        parts.append(f'<span style="color:{tone}">{escape(piece)}</span>' if tone else escape(piece))
    return "".join(parts)
