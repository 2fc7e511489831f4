"""How a judge comes to its verdicts."""

from __future__ import annotations

from workbench.domain.specs.judge import JudgeSpec
from workbench.services.formulas.card import FormulaCard, Term, number

_PEOPLE = Term(
    "agreement", "judge/agreement", "Of the pairs that a person has ordered too, the share that is ordered alike."
)


def card(spec: JudgeSpec) -> FormulaCard:
    """Verdicts by a model or a rule."""
    return _by_rule(spec) if spec.judge == "rule" else _by_model(spec)


def _by_rule(spec: JudgeSpec) -> FormulaCard:
    tie = "s(a) = s(b)" if not spec.tie_margin else f"s(a) − s(b) ≤ {number(spec.tie_margin)}"
    return FormulaCard(
        "AI feedback by a rule",
        (f"s = {spec.rule} (prompt, response)", "ranking = responses by s, highest first", f"tie: {tie}"),
        (
            Term("s", "", "The rule's score of one response; it sees no other response."),
            Term("kept", "judge/kept", "Items that got a judgement."),
            _PEOPLE,
        ),
        "Nothing is learned. The judgements are signed with the rule's name and never replace a person's.",
    )


def _by_model(spec: JudgeSpec) -> FormulaCard:
    lines = [
        "P(x, y) = p(A | x, y) / ( p(A | x, y) + p(B | x, y) )",
        "x ≻ y  ⇔  P(x, y) > ½  and  P(y, x) < ½",
        "P̄ = ½ · ( P(x, y) + 1 − P(y, x) )",
        "ranking: by won − lost pairs",
    ]
    if spec.calibrate:
        lines[0] = "P(x, y) = σ( ℓ(x, y) − ½·ℓ(x, x) − ½·ℓ(y, y) ),  ℓ = log p(A) − log p(B)"
    if spec.confidence > 0.5:
        lines.insert(3, f"kept only if P̄ > {number(spec.confidence)}")
    parts = [
        Term("P(x, y)", "judge/first", "That the response shown first is better; read from the answers' log-probabilities, nothing is sampled."),
        Term("P̄", "judge/probability", "Probability of a verdict, the mean over both orders."),
        Term("x ≻ y", "judge/inconsistent", "Counts only if it holds in both orders; other pairs are dropped."),
        Term("p(A) + p(B)", "judge/mass", "How likely the model finds the two answers at all."),
        Term("ranking", "judge/kept", "All pairs of an item; equal counts are a tie, and without a pair for every response there is no judgement."),
        _PEOPLE,
    ]  # fmt: skip
    if spec.confidence > 0.5:
        parts.insert(2, Term("unsure", "judge/unsure", "Pairs that are dropped because P̄ is too low."))
    return FormulaCard(
        "AI feedback by a model",
        tuple(lines),
        tuple(parts),
        "A reward model as judge ranks by its scores instead. Both orders: Zheng et al. 2023, arXiv 2306.05685; AI feedback: Bai et al."
        " 2022, arXiv 2212.08073.",
    )
