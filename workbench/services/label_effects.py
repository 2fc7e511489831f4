"""What a label will do: which pairs, how much they weigh, which margin, for each training method, in a sentence each.

Pairs and lists come from `freezing.rows_of`, weights from `domain.judgement.pair_share`, what a loss knows from its spec: the same
code that freezes and weighs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from string import ascii_uppercase
from typing import get_args

from workbench.domain.judgement import Comparison, Item, Outcome, Ranking, comparisons, pair_share
from workbench.domain.specs.dpo import REFERENCE_FREE, WITH_MARGIN, DpoSpec
from workbench.domain.specs.reward import PAIRWISE, RewardSpec
from workbench.services.freezing import rows_of, without_ranking
from workbench.services.views import Effect

NAMED = 4
ALL = "all methods"
_NOTHING = {
    "all bad": "No pair and no ranking: no method learns from it. It counts in the statistics, and the prompt may be used again.",
    "skipped": "Nothing is learned from it; why you skipped it is kept.",
}


def effects_of(item: Item, ranking: Ranking | None, outcome: Outcome, strength: int) -> list[Effect]:
    """The effects of a label that is about to be given; one for all methods where nothing is learned."""
    if ranking is None:
        return [Effect(ALL, _NOTHING[without_ranking(outcome) or "skipped"])]
    (listed,), _ = rows_of(item, ranking, strength, "rankings")
    rows, _ = rows_of(item, ranking, strength, "preferences")
    pairs = comparisons(ranking, strength)
    assert [row["margin"] for row in rows] == [pair.margin for pair in pairs]
    order = _order(listed["tiers"])
    return [*_reward(pairs, order), *_policies(pairs), *_others(item)]


def _reward(pairs: tuple[Comparison, ...], order: str) -> Iterator[Effect]:
    weight = pair_share(1, len(pairs)) if pairs else 0.0
    pairwise = [loss for loss in get_args(RewardSpec.model_fields["loss"].annotation) if loss in PAIRWISE]
    if pairs:
        share = (
            f", each {Fraction(weight).limit_denominator(99)} of the item's weight" if len(pairs) > 1 else ", weight 1"
        )
        shared = " Other annotators of the item share it."
        asked = f" With “margin” on, the scores are to differ by {_margins(pairs)}."
        yield Effect(f"reward {', '.join(pairwise)}", f"{_named(pairs)}{share}.{shared}{asked}", pairs, weight)
    else:
        yield Effect(f"reward {', '.join(pairwise)}", "All are level: no pair, so nothing is learned.")
    told = "the first against all others" if pairs else "all are to score alike"
    yield Effect("reward softmax", f"{order}: {told}, weight 1; those that are level share.", weight=1.0)
    told = "the whole ranking at once" if pairs else "all are to score alike"
    yield Effect("reward plackett_luce", f"{order}: {told}, weight 1; ties count.", weight=1.0)


def _policies(pairs: tuple[Comparison, ...]) -> Iterator[Effect]:
    losses = get_args(DpoSpec.model_fields["loss"].annotation)
    if not pairs:
        yield Effect(f"dpo {', '.join(losses)}", "All are level: no pair, so nothing is learned.")
        return
    rows = f"{_named(pairs)}; {'each pair is' if len(pairs) > 1 else 'it is'} a row of weight 1"
    margin = f" Times “margin_scale”, the strength {_margins(pairs)} is asked for."
    kin = [loss for loss in losses if loss in WITH_MARGIN and loss not in REFERENCE_FREE]
    yield Effect(f"dpo {', '.join(kin)}", f"{rows}, against the reference.{margin}", pairs, 1.0)
    for loss in losses:
        if loss in REFERENCE_FREE:
            more = margin if loss in WITH_MARGIN else " The better side is imitated besides; margins aren't read."
            yield Effect(f"dpo {loss}", f"{rows}, without a reference.{more}", pairs, 1.0)
        elif loss not in WITH_MARGIN:
            yield Effect(f"dpo {loss}", _each_side(pairs), pairs, 1.0)


def _each_side(pairs: tuple[Comparison, ...]) -> str:
    good, bad = Counter(p.chosen for p in pairs), Counter(p.rejected for p in pairs)
    weights = DpoSpec.model_fields["kto_chosen_weight"].default, DpoSpec.model_fields["kto_rejected_weight"].default
    sides = [
        f"{name} {', '.join(ascii_uppercase[i] + (f' ×{n}' if n > 1 else '') for i, n in sorted(found.items()))} (weight {weight:g})"
        for name, found, weight in (("desirable", good, weights[0]), ("undesirable", bad, weights[1]))
    ]
    return f"Each side by itself: {'; '.join(sides)}. Margins aren't read."


def _others(item: Item) -> Iterator[Effect]:
    yield Effect("sft", "Nothing: a ranking is no demonstration. What you write or mend becomes one.")
    count = len(item.candidates)
    yield Effect("weighted", f"Its {count} candidates may be imitated, as a reward scores them; your order isn't read.")
    yield Effect("ppo, grpo", "Its prompt may be answered anew; your order is read through a reward model only.")


def _order(tiers: list[int]) -> str:
    levels = sorted(set(tiers))
    return " ≻ ".join(
        " = ".join(ascii_uppercase[i] for i, tier in enumerate(tiers) if tier == level) for level in levels
    )


def _named(pairs: tuple[Comparison, ...]) -> str:
    shown = ", ".join(f"{ascii_uppercase[p.chosen]} ≻ {ascii_uppercase[p.rejected]}" for p in pairs[:NAMED])
    return shown + (f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else "")


def _margins(pairs: tuple[Comparison, ...]) -> str:
    margins = sorted({pair.margin for pair in pairs})
    return f"{margins[0]:g}" if len(margins) == 1 else f"{margins[0]:g} to {margins[-1]:g}"
