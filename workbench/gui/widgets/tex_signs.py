"""What TeX's commands look like in Unicode: letters, operators, relations, arrows, accents and alphabets."""

from __future__ import annotations

import unicodedata


def _table(words: str) -> dict[str, str]:
    parts = words.split()
    return dict(zip(parts[::2], parts[1::2]))


LETTERS = _table(
    "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ nu ν "
    "xi ξ omicron ο pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω "
    "Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω "
    "infty ∞ partial ∂ nabla ∇ hbar ℏ ell ℓ Re ℜ Im ℑ aleph ℵ wp ℘ emptyset ∅ varnothing ∅ imath ı jmath ȷ "
    "forall ∀ exists ∃ nexists ∄ neg ¬ lnot ¬ top ⊤ bot ⊥ angle ∠ triangle △ square □ Box □ blacksquare ■ diamond ⋄ star ⋆ "
    "degree ° prime ′ dagger † ddagger ‡ dots … ldots … cdots ⋯ vdots ⋮ ddots ⋱ dotsc … dotsb ⋯ bullet • checkmark ✓ "
    "S § P ¶ pounds £ euro € copyright © surd √ complement ∁ mho ℧ beth ℶ clubsuit ♣ diamondsuit ♢ heartsuit ♡ spadesuit ♠ "
    "lbrace { rbrace } langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ lvert | rvert | vert | lVert ‖ rVert ‖ Vert ‖ "
    "backslash \\ colon : lbrack [ rbrack ] lt < gt > QED ∎ qed ∎"
)
BINARY = _table(
    "times × cdot · div ÷ pm ± mp ∓ ast ∗ circ ∘ oplus ⊕ ominus ⊖ otimes ⊗ odot ⊙ cup ∪ cap ∩ setminus ∖ wedge ∧ land ∧ "
    "vee ∨ lor ∨ sqcup ⊔ sqcap ⊓ uplus ⊎ bigtriangleup △ bmod mod amalg ⨿ ltimes ⋉ rtimes ⋊ smallsetminus ∖"
)
RELATIONS = _table(
    "leq ≤ le ≤ leqslant ⩽ geq ≥ ge ≥ geqslant ⩾ neq ≠ ne ≠ approx ≈ equiv ≡ cong ≅ sim ∼ simeq ≃ propto ∝ ll ≪ gg ≫ "
    "prec ≺ succ ≻ preceq ⪯ succeq ⪰ in ∈ notin ∉ ni ∋ subset ⊂ supset ⊃ subseteq ⊆ supseteq ⊇ subsetneq ⊊ "
    "perp ⊥ parallel ∥ mid ∣ nmid ∤ vdash ⊢ models ⊨ vDash ⊨ doteq ≐ triangleq ≜ coloneqq ≔ asymp ≍ bowtie ⋈ "
    "to → rightarrow → leftarrow ← gets ← leftrightarrow ↔ Rightarrow ⇒ Leftarrow ⇐ Leftrightarrow ⇔ implies ⟹ impliedby ⟸ "
    "iff ⟺ mapsto ↦ longrightarrow ⟶ longleftarrow ⟵ Longrightarrow ⟹ longmapsto ⟼ uparrow ↑ downarrow ↓ Uparrow ⇑ "
    "Downarrow ⇓ nearrow ↗ searrow ↘ hookrightarrow ↪ rightharpoonup ⇀ rightleftharpoons ⇌ leadsto ⇝ therefore ∴ because ∵ "
    "lesssim ≲ gtrsim ≳ nsubseteq ⊈ xrightarrow → trianglelefteq ⊴"
)
BIG = _table(
    "sum ∑ prod ∏ coprod ∐ int ∫ iint ∬ iiint ∭ oint ∮ bigcup ⋃ bigcap ⋂ bigoplus ⨁ bigotimes ⨂ bigvee ⋁ bigwedge ⋀ bigsqcup ⨆"
)
FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp lim limsup liminf max min sup inf arg "
    "argmax argmin det dim ker deg gcd lcm Pr hom mod sgn tr rank".split()
)
ACCENTS = {
    "hat": "\u0302", "widehat": "\u0302", "bar": "\u0304", "overline": "\u0305", "tilde": "\u0303", "widetilde": "\u0303",
    "vec": "\u20d7", "overrightarrow": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "acute": "\u0301", "grave": "\u0300",
    "check": "\u030c", "breve": "\u0306", "underline": "\u0332", "mathring": "\u030a",
}  # fmt: skip
SPACES = {
    ",": "\u2009", ":": "\u2005", ";": "\u2005", " ": " ", "!": "", "quad": "\u2003", "qquad": "\u2003\u2003",
    "thinspace": "\u2009", "enspace": "\u2002", ">": "\u2005", "/": "",
}  # fmt: skip
SILENT = frozenset(
    "displaystyle textstyle scriptstyle scriptscriptstyle limits nolimits big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr "
    "Biggl Biggr bigm Bigm left right middle nonumber notag hline centering protect normalsize small large it rm bf".split()
)
BRACKETS = {
    "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "Bmatrix": ("{", "}"), "vmatrix": ("|", "|"), "Vmatrix": ("‖", "‖"),
    "matrix": ("", ""), "smallmatrix": ("", ""), "array": ("", ""), "cases": ("{", ""),
}  # fmt: skip
TALL = {
    "(": "⎛⎜⎝", ")": "⎞⎟⎠", "[": "⎡⎢⎣", "]": "⎤⎥⎦", "{": "⎧⎨⎩", "}": "⎫⎬⎭", "|": "│││", "‖": "‖‖‖",
}  # fmt: skip
LINES = frozenset("aligned align align* alignat alignat* gather gather* gathered equation equation* split eqnarray eqnarray* "
                  "multline multline* displaymath math".split())  # fmt: skip

_RAISED = "0⁰1¹2²3³4⁴5⁵6⁶7⁷8⁸9⁹+⁺-⁻−⁻=⁼(⁽)⁾nⁿiⁱ′′∗*"
_LOWERED = "0₀1₁2₂3₃4₄5₅6₆7₇8₈9₉+₊-₋−₋=₌(₍)₎aₐeₑhₕiᵢjⱼkₖlₗmₘnₙoₒpₚrᵣsₛtₜuᵤvᵥxₓ"
SUPERSCRIPTS = dict(zip(_RAISED[::2], _RAISED[1::2]))
SUBSCRIPTS = dict(zip(_LOWERED[::2], _LOWERED[1::2]))
HALVES = {("1", "2"): "½", ("1", "3"): "⅓", ("2", "3"): "⅔", ("1", "4"): "¼", ("3", "4"): "¾"}

_ALPHABETS = {"mathbb": "DOUBLE-STRUCK", "mathcal": "SCRIPT", "mathscr": "SCRIPT", "mathfrak": "FRAKTUR"}
ALPHABETS = frozenset(_ALPHABETS)


def in_alphabet(alphabet: str, letter: str) -> str:
    """A letter in another alphabet (`mathbb`, `mathcal` …), or the letter itself where Unicode has none."""
    size = "CAPITAL" if letter.isupper() else "SMALL"
    kind = _ALPHABETS[alphabet]
    black = {"FRAKTUR": "BLACK-LETTER"}.get(kind, kind)
    for name in (f"{black} {size} {letter.upper()}", f"MATHEMATICAL {kind} {size} {letter.upper()}"):
        try:
            return unicodedata.lookup(name)
        except KeyError:
            continue
    if letter.isdigit() and kind == "DOUBLE-STRUCK":
        return chr(0x1D7D8 + int(letter))
    return letter
