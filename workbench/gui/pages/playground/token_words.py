"""A token in words: its name, its blanks made visible, its numbers, and what else could have stood there."""

from __future__ import annotations

from html import escape

from workbench.domain.choices import Alternative, TokenChoice
from workbench.gui.pages.playground.heat import relative
from workbench.gui.widgets.unseen import visible

SHOWN = 6  # alternatives in a note


def name_of(choice: TokenChoice) -> str:
    """A token's text, or the vocabulary's name for one that has none."""
    return choice.text or next((a.text for a in choice.alternatives if a.id == choice.id), f"token {choice.id}")


def shown(text: str) -> str:
    """A piece with its blanks, and whatever else can't be seen, made visible."""
    return visible(text.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥"))


def rule_name(rule: str) -> str:
    """A rule as it is written for people: top-k, min-p."""
    return rule.replace("_", "-")


def percent(share: float) -> str:
    """A probability with as many digits as it needs to differ from nothing."""
    if share >= 0.001 or share == 0:
        return f"{share:.1%}"
    return f"{share:.3%}" if share >= 0.00001 else "<0.001%"


def two_digits(value: float) -> str:
    """A number to two digits, without a sign before nothing."""
    return "0.00" if abs(value) < 0.005 else f"{value:.2f}"


def facts(choice: TokenChoice, kl: float | None = None) -> list[str]:
    """What is known of a token, line by line, in plain text."""
    found = [
        f"{percent(choice.p_model)} under the model, {percent(choice.p_used)} after the rules",
        f"rank {choice.rank + 1}, {relative(choice):.0%} of the likeliest, log p {two_digits(choice.logprob)}",
        f"entropy {choice.entropy:.2f} nats, {choice.kept:,} {'token' if choice.kept == 1 else 'tokens'} kept with {choice.kept_mass:.0%} of the mass",
    ]
    if kl is not None:
        found.append(f"KL to the reference {kl:.3f} nats")
    if (beam := choice.beam) is not None:
        found.append(f"beam {beam.index + 1}, from beam {beam.parent + 1}, sum {beam.score:.2f}")
    if (contrast := choice.contrast) is not None:
        found.append(
            f"expert {percent(contrast.expert)}, amateur {percent(contrast.amateur)}, score {contrast.score:.2f}"
        )
    if (search := choice.search) is not None:
        found.append(f"penalty {search.penalty:.2f} against token {search.against + 1}, score {search.score:.2f}")
    if (draft := choice.draft) is not None:
        judged = "" if draft.q is None or draft.u is None else f", q {percent(draft.q)}, u {draft.u:.3f}"
        found.append(f"round {draft.round}: {draft.verdict}, p {percent(draft.p)}{judged}")
    return found


def describe(choice: TokenChoice, kl: float | None = None) -> str:
    """A token as rich text, everything escaped: its numbers, the best alternatives, and which rule cut each."""
    head = f"<b>{escape(shown(name_of(choice)))}</b>"
    rows = "".join(_row(a, a.id == choice.id) for a in choice.alternatives[:SHOWN])
    more = len(choice.alternatives) - SHOWN
    rest = f"and {more} more: press Enter or click" if more > 0 else ""
    lines = "<br>".join(escape(fact) for fact in facts(choice, kl))
    return f"{head}<br>{lines}<table cellspacing='0' cellpadding='2'>{rows}</table>{rest}"


def _row(alternative: Alternative, chosen: bool) -> str:
    name = escape(shown(alternative.text))
    name = f"<b>● {name}</b>" if chosen else f"&nbsp;&nbsp; {name}"
    after = f"cut by {rule_name(alternative.cut_by)}" if alternative.cut_by else f"→ {percent(alternative.p_used)}"
    before = escape(percent(alternative.p_model))
    return f"<tr><td>{name}</td><td align='right'>&nbsp;{before}</td><td>&nbsp;{escape(after)}</td></tr>"
