"""How to read a figure at the value that it has: one sentence each, without the number itself."""

from __future__ import annotations

from math import ceil, exp

from workbench.analysis.alpha import Interval
from workbench.analysis.habits import Pace, Share
from workbench.analysis.order import Z95

LANDIS_KOCH = (
    (0.0, "worse than chance"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"),
    (1.01, "almost perfect"),
)  # fmt: skip
WIDE = 0.3  # an interval wider than this says little
TIRED, HURRIED = 1.25, 0.75


def in_ten(value: float) -> str:
    """A share as so many of ten, or of a hundred where ten is too coarse."""
    if 0.05 < value < 0.95:
        words = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
        return f"about {words[round(value * 10)]} of ten"
    if value in {0, 1}:
        return "all" if value else "none"
    whole = round(value * 100)
    return f"about {whole} of a hundred" if 0 < whole < 100 else "nearly all" if whole else "hardly any"


def band(value: float) -> str:
    """Landis and Koch's (1977) word for a kappa."""
    return next(word for limit, word in LANDIS_KOCH if value < limit)


def raw(found: Interval, items: int) -> str:
    """The plain share of agreement."""
    return f"{in_ten(found.value)} pairs of votes agree; chance alone makes votes agree too, so judge by kappa or alpha{_wide(found, items)}"


def kappa(found: Interval, agreed: float, items: int) -> str:
    """A kappa with the share of agreement that it goes with."""
    if found.value < 0.4:
        advice = "write clearer guidelines, with an example for each disputed case, before you judge more"
    elif found.value < 0.6:
        advice = "enough to compare models; look at the disputed items before you train"
    else:
        advice = "good enough to train on; below 0.4 write clearer guidelines"
    return f"{band(found.value)}; of pairs judged by two, {in_ten(agreed)} agree; {advice}{_wide(found, items)}"


def alpha(found: Interval, items: int, ordinal: bool = False) -> str:
    """Krippendorff's alpha by his own bounds (2004)."""
    if found.value >= 0.8:
        word = "reliable (0.8 and above)"
    elif found.value >= 0.667:
        word = "good for tentative conclusions (0.667 to 0.8)"
    else:
        word = "too low to rely on (below 0.667): clarify the guidelines and settle the disputed items"
    near = "; a tie against a preference counts as half a disagreement here" if ordinal else ""
    return f"{word}{near}{_wide(found, items)}"


def consistency(found: Share, who: str = "") -> str:
    """Repeats with places swapped."""
    subject = who or "annotators"
    verdict = "steady" if found.value >= 0.8 else "unsteady: slow down, or mark such items as ties"
    say = "says" if who else "say"
    return f"of items shown again with places swapped, {subject} {say} the same on {in_ten(found.value)}; {verdict}{_few(found)}"


def gold(found: Share, who: str = "") -> str:
    """Items with known answers."""
    verdict = "as hoped" if found.value >= 0.8 else "read the guidelines again, or check the known answers"
    return f"{who or 'annotators'} gave the known answer on {in_ten(found.value)} gold items; {verdict}{_few(found)}"


def accuracy(found: Interval, people: int) -> str:
    """An annotator against the consensus."""
    if people < 3:
        return "two annotators can't outvote each other: trust this from three annotators on"
    return f"right on {in_ten(found.value)} votes, if the consensus of all (Dawid and Skene) is the truth"


def left(found: Share, who: str = "") -> str:
    """The side of the screen."""
    if found.low <= 0.5 <= found.high:
        return f"half is no bias, and {found.count:,} choices show none{_few(found)}"
    side = "left" if found.value > 0.5 else "right"
    return (
        f"{who or 'annotators'} favoured the {side} side beyond chance; places are drawn at random, so models are not wronged, "
        "but such labels are noise: read both before you press a key"
    )


def longer(found: Share) -> str:
    """Length."""
    if found.low <= 0.5 <= found.high:
        return f"length plays no part that {found.count:,} preferences could show"
    word = "longer" if found.value > 0.5 else "shorter"
    return f"the {word} response wins more often than chance; right where it says more, else a reward model learns length: compare with gold items"


def pace(found: Pace) -> str:
    """Time for an item, and fatigue."""
    if found.drift is None:
        return f"median of {found.items:,} items; sittings are too short to tell fatigue"
    if found.drift > TIRED:
        return f"the end of a sitting takes {found.drift:.1f} times as long as its beginning: tiring, take shorter sittings"
    if found.drift < HURRIED:
        return f"the end of a sitting takes {100 * found.drift:.0f} % of the time of its beginning: practice or hurry, check the last labels"
    return f"steady: the end of a sitting takes {100 * found.drift:.0f} % of the time of its beginning"


def strength(value: float, low: float, high: float, rival: str = "") -> str:
    """A log-strength with mean 0 over all models."""
    against = 1 / (1 + exp(-value))
    tail = f"; not to be told from {rival} yet" if rival else ""
    sure = "" if low > 0 or high < 0 else "; may be average"
    return f"would win {in_ten(against)} comparisons with a model of average strength{tail or sure}"


def win_rate(found: Share, first: str, second: str) -> str:
    """One model against another."""
    if found.low > 0.5 or found.high < 0.5:
        better, worse = (first, second) if found.value > 0.5 else (second, first)
        return f"{better} is better than {worse}: chance alone hardly explains {found.count:,} comparisons"
    gap = abs(found.value - 0.5)
    if gap < 0.02:
        return f"{first} and {second} are level after {found.count:,} comparisons"
    need = (Z95 / (2 * gap)) ** 2 - found.count
    return f"undecided; if the share stays, about {_about(need)} more comparisons decide it"


def circles(found: int, triples: int) -> str:
    """Circular triples of models."""
    if not triples:
        return "no three models have met pairwise with a majority"
    if not found:
        return f"none of {triples:,} triples of models runs in a circle: one ranking fits them all"
    return f"of {triples:,} triples of models: no single ranking fits these; more comparisons often dissolve them"


def ties(nu: float) -> str:
    """Davidson's ν."""
    return f"between models of the same strength, {in_ten(nu / (2 + nu))} comparisons end in a tie"


def _wide(found: Interval, items: int) -> str:
    """What to do about an interval that says little: how many items more, since its width goes with 1 / √items."""
    if found.low is None or found.high is None:
        return "; too few items for an interval"
    width = found.high - found.low
    if width <= WIDE:
        return ""
    more = items * (width / (WIDE * 2 / 3)) ** 2 - items
    return f"; the interval is wide: about {_about(more)} more items judged by two make it ±0.1"


def _about(number: float) -> str:
    """A count in two figures."""
    whole = max(1, ceil(number))
    return f"{round(whole, 2 - len(str(whole))) if whole > 99 else whole:,}"


def _few(found: Share) -> str:
    return f"; {found.count:,} are few, so the interval is wide" if found.high - found.low > WIDE else ""
