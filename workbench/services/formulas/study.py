"""What a study measures, and how sure its figures are."""

from __future__ import annotations

from workbench.domain.specs.study import StudySpec
from workbench.services.formulas.card import FormulaCard, Term


def card(spec: StudySpec) -> FormulaCard:
    """The measures of a column."""
    lines = [
        "m(column) = mean over prompts of m(prompt) ± t · s / √prompts",
        "perplexity = exp( − mean log π(y_t | x, y_<t) )",
        "distinct-n = different n-grams / n-grams,  repetition = 1 − distinct-4",
    ]
    if spec.samples > 1:
        lines.append(f"self-BLEU(x) = mean over {spec.samples} texts of BLEU(y_i, others)")
    if spec.judge:
        lines.append("judge(column) = ( wins + ½ ties ) / comparisons, each asked in both orders")
    return FormulaCard(
        "A study's table",
        tuple(lines),
        (
            Term("texts", "study/texts", "What the columns have said so far."),
            Term("comparisons", "study/judged", "Prompts whose first texts the judge has compared, if there is one."),
            Term("±", "", "The 95 % interval of Student's t over prompts, which are drawn apart from each other; texts to one prompt are not."),
            Term("tokens / s", "tokens_per_second", "Of whole batches, in the run's curve; the table's are of one text alone."),
        ),
        "Nothing is learned. Text s to prompt i is drawn with the column's seed + the study's + i · samples + s, so columns share their random"
        " numbers and each text can be drawn again alone. Distinct-n: Li et al. 2016; repetition: Welleck et al. 2020; self-BLEU: Zhu et"
        " al. 2018.",
    )  # fmt: skip
