"""Which dollars and brackets are mathematics, and that everything else stays what it was."""

import pytest
from PySide6.QtGui import QTextDocument
from PySide6.QtWidgets import QApplication

from workbench.gui.theme import LIGHT
from workbench.gui.widgets.markup import to_html


def read(words: str) -> str:
    paper = QTextDocument()
    paper.setHtml(to_html(words, LIGHT))
    return paper.toPlainText().replace("\u00a0", " ")


@pytest.mark.parametrize(
    "words",
    [
        "It costs $5 and $10.", "$5-$10", "from $5 to $10, or 5$", "US$5 and US$10", "$HOME/bin and $PATH", "$HOME:$PATH", "Pay $5/mo or $50/yr.",
        "between $5 and 10$ more", "A$AP Rocky and $uicideboy$", "($5) and ($6)", "$1,000 or $2,000?", "$ x $", "$", "$$", "$$$", "$5$5", "a $b",
        "$20 - that's 10% of $200", "$5 = five dollars, and 6$ too", "$3.50 (or $4)", "$a lot of money$", "**$5** and **$6**", "$10k + $20k",
    ],
)  # fmt: skip
def test_that_money_and_shells_are_no_mathematics(qapp: QApplication, words: str) -> None:
    assert read(words) == words.replace("**", "")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("Let $x$ be", "Let x be"), ("$x^2$", "x²"), ("so \\(a_1\\).", "so a₁."), ("\\(n\\)", "n"), ("$f(x)$, $n$ and $2n$", "f(x), n and 2n"),
        ("$5$ apples", "5 apples"), ("costs $5, and $x=3$", "costs $5, and x = 3"), ("$a, b$", "a, b"), ("$\\text{if so} = 1$", "if so = 1"),
        ("inline $$x^2$$ here", "inline x² here"), ("**$x^2$**", "x²"), ("- $x^2$", "x²"), ("# $x^2$", "x²"), ("$x_1$ and *x_1*", "x₁ and x_1"),
        ("$a*b$ and $c*d$", "a ∗ b and c ∗ d"), ("$p(y|x)$", "p(y|x)"), ("($x^2$)", "(x²)"), ("$\\$5 + x$", "$5 + x"),
    ],
)  # fmt: skip
def test_that_mathematics_in_a_line_is_read(qapp: QApplication, words: str, wanted: str) -> None:
    assert read(words) == wanted


@pytest.mark.parametrize(
    "words",
    [
        "$$x^2$$",
        "$$\nx^2\n$$",
        "\\[x^2\\]",
        "\\[\nx^2\n\\]",
        "  $$\n  x^2\n  $$",
        "\\begin{equation}\nx^2\n\\end{equation}",
        "$$\n\nx^2\n\n$$",
    ],
)
def test_that_displayed_mathematics_is_centred(qapp: QApplication, words: str) -> None:
    html = to_html(words, LIGHT)
    assert 'align="center"' in html
    assert read(words) == "x²"


def test_that_lines_of_a_formula_are_no_list_and_no_heading(qapp: QApplication) -> None:
    assert read("so\n$$\na\n= b\n- c\n$$\nend").split("\n") == ["so", "a = b − c", "end"]


@pytest.mark.parametrize("words", ["`$x^2$`", "```\n$x^2$\n```", "    $x^2$"])
def test_that_code_is_no_mathematics(qapp: QApplication, words: str) -> None:
    assert read(words).strip() == "$x^2$"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("\\(see above\\)", "(see above)"),
        ("\\[citation needed\\]", "[citation needed]"),
        ("\\[1\\] and \\(x", "[1] and (x"),
        ("\\$x^2$", "$x^2$"),
    ],
)
def test_that_escaped_signs_stay_escaped_signs(qapp: QApplication, words: str, wanted: str) -> None:
    assert read(words) == wanted


@pytest.mark.parametrize("words", ["$\\frac{a}$", "$x^{$", "$$\n\\begin{tikzpicture} a \\end{tikzpicture}\n$$"])
def test_that_a_formula_that_cannot_be_read_stays_as_it_was_written(qapp: QApplication, words: str) -> None:
    assert read(words).strip() == words
    assert "<code>" in to_html(words, LIGHT) or '<pre dir="ltr">' in to_html(words, LIGHT)


def test_that_a_formula_cannot_smuggle_in_a_tag(qapp: QApplication) -> None:
    html = to_html("$<b>x</b> + \\text{<i>y</i>}$ and $$\\mathbf{<u>}^2$$", LIGHT)
    assert "<b>" not in html
    assert "<i>" not in html
    assert "<u>" not in html


def test_that_a_displayed_matrix_is_a_table_beside_its_name(qapp: QApplication) -> None:
    shown = read("$$A = \\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}.$$")
    assert [sign for sign in shown if not sign.isspace()] == list("A=⎛12⎞⎝34⎠.")
