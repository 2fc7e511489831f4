"""How a reward model's scores and its doubts are reckoned."""

from __future__ import annotations

from workbench.domain.specs.score import ScoreSpec
from workbench.services.formulas.card import FormulaCard, Term, number


def card(spec: ScoreSpec) -> FormulaCard:
    """Scores and an ensemble's disagreement."""
    return FormulaCard(
        "Scores and how sure they are",
        (
            "s(y) = w · h(x, y)",
            f"w_k = argmin Σ n_p · softplus(−w · d_p) + |w − a_k|² / (2σ²),  k = 1 … {spec.heads}",
            f"a_k ~ N(w, σ²),  n_p ~ Poisson(1),  σ = {number(spec.prior)} / |d|",
            "spread = std over k of P_k(y ≻ y'),  P_k = σ( w_k · (h(y) − h(y')) )",
        ),
        (
            Term("s(y)", "score/margin", "The reward model's score; the margin is the best response's less the worst's."),
            Term("d_p", "score/agreement", "Difference of a pair that a person has ordered; agreement is the share that s orders alike."),
            Term("w_k", "", "Heads beside the trained one: each starts elsewhere and sees another draw of the labels."),
            Term("spread", "score/spread", "How far the heads' verdicts lie apart, 0 to 0.5; where it is high, a label teaches most."),
        ),
        "Nothing is learned by the model. Queues ask first what the heads disagree on, or what labels contradict. Anchored ensembles: Pearce"
        " et al. 2018, arXiv 1810.05546.",
    )  # fmt: skip
