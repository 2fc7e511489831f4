r"""Finds mathematics in Markdown: $…$, $$…$$, \(…\), \[…\] and bare environments; amounts of money stay money."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.gui.widgets import tex

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

_SIGNS = re.compile(r"[\\^_={}<>+*/|]|\d[A-Za-z]|[A-Za-z]\(|['!]$")
_SHORT = re.compile(r"-?\d+(?:[.,]\d+)*%?|-?[^\W\d_]{1,2}'*|[^\W\d_]( ?, ?[^\W\d_])+|[^\W\d_] ?[-:] ?\w")
_WORDS = re.compile(r"(?<![\\{A-Za-z])[A-Za-z]{3,}[ ,.;:]+[A-Za-z]{2,}")
_ENVIRONMENT = re.compile(r"\\begin\{(align|equation|gather|eqnarray|multline|alignat)(\*?)\}")
LONGEST_INLINE = 1_000


def plugin(parser: MarkdownIt) -> None:
    """Teach a parser to read mathematics."""
    parser.inline.ruler.before("escape", "mathematics", _inline)
    parser.block.ruler.before("table", "mathematics", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    parser.add_render_rule("math_inline", _render)
    parser.add_render_rule("math_block", _render)


def looks_like(formula: str) -> bool:
    """Whether what stands between two dollar signs is mathematics and not, say, the words between two prices."""
    inside = formula.strip()
    if not inside or _SHORT.fullmatch(inside):
        return bool(inside)
    bare = re.sub(r"\\(?:text\w*|mathrm|operatorname\*?|mbox)\s*\{[^{}]*\}", "", inside)
    return bool(_SIGNS.search(inside)) and ("\\" in bare or not _WORDS.search(bare))


def shown(formula: str, *, display: bool) -> str | None:
    """The formula as HTML, or None where it can't be read."""
    try:
        return tex.to_html(formula, display=display)
    except tex.Unreadable:
        return None


def find_closer(words: str, at: int, end: int) -> tuple[str, int, int] | None:
    """The mathematics that begins at `at`: opening sign, where the formula ends, where its closing sign ends."""
    if words.startswith("\\(", at) or words.startswith("\\[", at):
        close = "\\)" if words[at + 1] == "(" else "\\]"
        found = words.find(close, at + 2, min(end, at + tex.LONGEST))
        return (words[at : at + 2], found, found + 2) if found > at + 2 else None
    if words.startswith("$$", at):
        found = words.find("$$", at + 2, min(end, at + tex.LONGEST))
        return ("$$", found, found + 2) if found > at + 2 else None
    before = words[at - 1] if at else " "
    after = words[at + 1 : at + 2]
    if not after or after.isspace() or after == "$" or before.isalnum() or before in "$\\":
        return None
    found = at
    while (found := words.find("$", found + 1, min(end, at + LONGEST_INLINE))) > 0:
        if words[found - 1] == "\\":
            continue
        follows = words[found + 1 : found + 2]
        if words[found - 1].isspace() or follows.isalnum() or follows == "$":
            return None
        return ("$", found, found + 1)
    return None


def _inline(state: StateInline, silent: bool) -> bool:
    words, at = state.src, state.pos
    if words[at] != "$" and not words.startswith(("\\(", "\\["), at):
        return False
    closer = find_closer(words, at, state.posMax)
    if closer is None:
        return False
    sign, formula_end, end = closer
    formula = words[at + len(sign) : formula_end]
    if not looks_like(formula) or (sign == "\\[" and not _SIGNS.search(formula)):  # "\[1\]" is a citation
        return False
    if not silent:
        token = state.push("math_inline", "", 0)
        token.content, token.markup = formula, words[at:end]
        token.hidden = False
    state.pos = end
    return True


def _block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    if state.is_code_block(first):
        return False
    start = state.bMarks[first] + state.tShift[first]
    opened = state.src[start : start + 2]
    environment = _ENVIRONMENT.match(state.src, start)
    if opened not in {"$$", "\\["} and environment is None:
        return False
    if environment is not None:
        close, skip = f"\\end{{{environment[1]}{environment[2]}}}", 0
    else:
        close, skip = ("$$" if opened == "$$" else "\\]"), 2
    line, found, begin = first, -1, start + skip
    while line < last and state.eMarks[line] - start <= tex.LONGEST:
        found = state.src.find(close, begin, state.eMarks[line])
        if found >= 0:
            break
        line += 1
        begin = state.bMarks[line] if line < last else begin
    end = found + len(close)
    if found < 0 or state.src[end : state.eMarks[line]].strip(" \t.,;"):
        return False
    lines = [state.src[state.bMarks[n] + state.tShift[n] : state.eMarks[n]] for n in range(first + 1, line + 1)]
    whole = "\n".join([state.src[start : state.eMarks[first]], *lines])
    inner_end = whole.rfind(close) + (len(close) if environment else 0)
    formula = whole[skip:inner_end]
    if opened == "\\[" and line == first and not _SIGNS.search(formula):
        return False
    if silent:
        return True
    token = state.push("math_block", "", 0)
    token.content, token.markup = formula, whole.rstrip()
    token.info = whole[whole.rfind(close) + len(close) :].strip()
    token.map, token.block = [first, line + 1], True
    state.line = line + 1
    return True


def html_of(token: Any) -> str:
    """What is shown for a token of mathematics; where the formula can't be read, itself as code."""
    display = token.type == "math_block" or token.markup.startswith(("$$", "\\["))
    html = shown(token.content, display=token.type == "math_block")
    if html is None:
        return (
            f"<code>{escape(token.markup)}</code>"
            if token.type == "math_inline"
            else f"<pre>{escape(token.markup)}</pre>"
        )
    if token.type == "math_inline":
        return f'<span class="math">{html}</span>'
    table = html.startswith("<table") or "<table" in html
    inside = _beside(html, token.info) if table else f'<p class="math" align="center">{html}{escape(token.info)}</p>'
    return inside if display else html


def _beside(html: str, info: str) -> str:
    """Tables can't stand inside a line, so what is left and right of them stands in cells."""
    cells = "".join(
        f'<td style="vertical-align:middle">{part}</td>'
        for part in re.split(r"(<table.*?</table>)", html)
        if part.strip()
    )
    end = f"<td>{escape(info)}</td>" if info else ""
    return f'<table align="center" class="math" cellspacing="0" cellpadding="1"><tr>{cells}{end}</tr></table>'


def _render(_self: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
    return html_of(tokens[index])
