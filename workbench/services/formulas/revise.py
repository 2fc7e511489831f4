"""How constitutional revision goes from a response to a better one."""

from __future__ import annotations

from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.specs.texts import lines_of
from workbench.services.formulas.card import FormulaCard, Term, number


def card(spec: ReviseSpec) -> FormulaCard:
    """Critique and revision with the options chosen."""
    count = "file" if spec.principles_file else str(len(lines_of(spec.principles)))
    how = "greedy" if spec.temperature == 0 else f"temperature {number(spec.temperature)}"
    lines = [
        "y₀ = completion of the dataset, or y₀ ~ π(· | x)",
        "cᵢ ~ π(· | x, yᵢ₋₁, critique by principle kᵢ)",
        "yᵢ ~ π(· | x, yᵢ₋₁, cᵢ, revise by principle kᵢ)",
        f"i = {'1' if spec.rounds == 1 else f'1 … {spec.rounds}'};  kᵢ one of {count}, drawn by the seed;  {how}",
    ]
    kept = [name for name, wanted in (("(x, yₙ)", spec.demonstrations), ("yₙ ≻ y₀", spec.pairs)) if wanted]
    return FormulaCard(
        "Constitutional revision",
        (*lines, f"kept: {' and '.join(kept) or 'nothing'}"),
        (
            Term("(x, yₙ)", "revise/kept", "The last revision as a demonstration; empty, cut and too long ones are left out."),
            Term("left out", "revise/left_out", "Rows without a usable revision."),
            Term("yₙ = y₀", "revise/unchanged", "The revision says the same as the original; left out too."),
            Term("yₙ ≠ y₀", "revise/changed_words", "How much of the text was changed."),
            Term("|yₙ| / |y₀|", "revise/length_ratio", "Whether revisions grow; a model trained on them grows too."),
        ),
        "Bai et al. 2022, arXiv 2212.08073. Nothing is learned here: train SFT on the demonstrations, or DPO and a reward model on the pairs.",
    )  # fmt: skip
