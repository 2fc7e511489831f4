"""TeX's mathematics in Unicode and small HTML."""

from contextlib import suppress
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.steps import growth
from workbench.gui.widgets.tex import LONGEST, Unreadable, plain, to_html


@pytest.mark.parametrize(
    ("formula", "read"),
    [
        (r"e^{i\pi}+1=0", "eiπ + 1 = 0"), ("x^2", "x²"), ("a_i", "aᵢ"), ("a_1^2", "a₁²"), ("10^{-3}", "10⁻³"), ("90^\\circ", "90°"),
        (r"\frac{1}{2}", "½"), (r"\frac12", "½"), (r"\frac{a}{b}", "a/b"), (r"\frac{a+b}{2a}", "(a + b)/(2a)"),
        (r"\sqrt{x}", "√x"), (r"\sqrt{x+1}", "√(x + 1)"), (r"\sqrt[3]{8}", "∛8"), (r"\sqrt[n]{8}", "n√8"),
        (r"\sum_{i=1}^{n} i", "∑ᵢ₌₁ⁿ\u2009i"), (r"\alpha\leq\Omega", "α ≤ Ω"), ("-1", "−1"), ("a-1", "a − 1"), ("(-1)", "(−1)"),
        (r"\mathbb{E}[X]", "𝔼[X]"), (r"\mathbb{R}", "ℝ"), (r"\mathcal{L}", "ℒ"), (r"\mathfrak{g}", "𝔤"), (r"\hat{y}", "y\u0302"),
        (r"\vec v", "v\u20d7"), (r"\text{if } x>0", "if x > 0"), (r"\log\pi_\theta(y\mid x)", "log\u2009πθ(y ∣ x)"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "(1, 2; 3, 4)"), (r"\begin{cases}1&a\\0&b\end{cases}", "{1, a; 0, b}"),
        (r"\left(\frac{1}{2}\right)^2", "(½)²"), ("f'(x)", "f′(x)"), ("f''", "f′′"), (r"x\to\infty", "x → ∞"), (r"\binom{n}{k}", "(ⁿₖ)"),
        (r"\not=", "≠"), (r"a \bmod n", "a mod n"), (r"5\%", "5%"), (r"\{1,2\}", "{1, 2}"), (r"\operatorname{softmax}(z)", "softmax(z)"),
        (r"a\\b", "a; b"), ("x^{y^{z}}", "xy^z"), (r"\boxed{42}", "\u00a042\u00a0"), (r"\left.\frac{a}{b}\right|_0", "a/b|₀"),
    ],
)  # fmt: skip
def test_that_common_mathematics_is_read(formula: str, read: str) -> None:
    assert plain(to_html(formula)) == read


def test_that_what_unicode_cannot_raise_is_raised_by_the_view() -> None:
    assert to_html(r"e^{-x/\tau}") == "<em>e</em><sup>−<em>x</em>/τ</sup>"
    assert to_html(r"\nabla_\theta") == "∇<sub>θ</sub>"


def test_that_a_second_storey_stays_tellable() -> None:
    assert plain(to_html("a_{b_c}")) == "ab_c"
    assert plain(to_html("e^{x_{c+d}}")) == "ex_(c+d)"


def test_that_an_unknown_command_stays_as_it_was_written() -> None:
    assert plain(to_html(r"\foo{x}+1")) == r"\foox + 1"
    assert r"<code>\foo</code>" in to_html(r"\foo{x}+1")


def test_that_matrices_stand_as_tables_when_there_is_room() -> None:
    html = to_html(r"A=\begin{bmatrix}a&b\\c&d\\e&f\end{bmatrix}", display=True)
    assert html.count("<tr>") == 3
    assert plain(html) == "A = ⎡ab⎤⎢cd⎥⎣ef⎦"
    assert "<table" not in to_html(r"\begin{bmatrix}a&b\\c&d\end{bmatrix}")
    assert "<table" not in to_html(r"x^{\begin{bmatrix}a&b\\c&d\end{bmatrix}}", display=True)


def test_that_aligned_lines_stand_under_one_another() -> None:
    html = to_html(r"\begin{aligned}a&=b+c\\&=d\end{aligned}", display=True)
    assert html.count("<tr>") == 2
    assert 'align="right"><em>a</em>' in html


@pytest.mark.parametrize("formula", ["", " ", "{a", "a}", "^", "x^", "x_", r"\frac{a}", r"\begin{matrix}a", r"\end{matrix}",
                                     r"\begin{matrix}a\end{cases}", r"\begin{tikzpicture}a\end{tikzpicture}", "x" * (LONGEST + 1)])  # fmt: skip
def test_that_what_is_no_formula_is_refused(formula: str) -> None:
    with pytest.raises(Unreadable):
        to_html(formula)


@pytest.mark.parametrize(
    "piece",
    ["{", "{}", "^", "_a", "^{a", r"\frac", r"\sqrt{", r"\left(", r"\begin{matrix}", "'", "a&", r"\\", "[", r"\text{"],
)
@pytest.mark.parametrize("ending", ["", "}" * 100, "x"], ids=["", "closed", "x"])
def test_that_the_work_grows_with_the_formula_and_no_faster(piece: str, ending: str) -> None:
    def read(size: int) -> None:
        with suppress(Unreadable):
            to_html((piece * size)[: size - len(ending)] + ending, display=True)

    assert growth(read, LONGEST // 4) < 2.3


class Balance(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        assert not [name for name, _ in attrs if name not in {"class", "align", "cellspacing", "cellpadding"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@given(st.lists(st.sampled_from(["{", "}", "^", "_", "&", "\\\\", "\\frac", "\\sqrt", "a", "1", "<b>", "&lt;", "\\text{<i>}", "'", " ",
                                 "\\mathbf{<u>}", "\\hat", "\\left(", "\\right)", "[", "]", "\\begin{pmatrix}", "\\end{pmatrix}", "\\sum",
                                 "\\not", "\\mathbb{Rq}", "\\", "\\boxed{a}", "\\binom{n}k", "\\operatorname{<>}"]), max_size=14),
       st.booleans())  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_that_no_formula_breaks_the_page(parts: list[str], display: bool) -> None:
    try:
        html = to_html("".join(parts), display=display)
    except Unreadable:
        return
    assert not Balance(html).open
