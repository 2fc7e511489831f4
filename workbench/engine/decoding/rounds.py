"""Numbers of a text that was decoded speculatively: how many drafts were taken, and what they gained, honestly."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.domain.choices import DraftRound


def numbers_of(rounds: Sequence[DraftRound]) -> dict[str, float]:
    """rounds, drafted, accepted, tokens_per_pass; acceptance and its expectation where drafts were judged; factor where it was measured.

    `factor` is what plain decoding would have taken for the same tokens, divided by what the rounds took, drafting, judging and
    statistics included: below 1 the draft costs more than it saves. Plain steps are timed between the rounds, in the same
    text; the time of those probes is in neither.
    """
    if not rounds:
        return {}
    judged = [token for one in rounds for token in one.drafted if token.verdict != "unused"]
    accepted = sum(token.verdict == "accepted" for token in judged)
    tokens = accepted + sum(one.added is not None for one in rounds)
    found = {
        "rounds": float(len(rounds)),
        "drafted": float(sum(len(one.drafted) for one in rounds)),
        "accepted": float(accepted),
        "tokens_per_pass": tokens / len(rounds),
    }
    if judged:
        found["acceptance"] = accepted / len(judged)
        found["expected_acceptance"] = sum(token.expected for token in judged) / len(judged)
    plain = [one.plain_seconds for one in rounds if one.plain_seconds is not None]
    # The first round's draft reads the prompt, which plain decoding doesn't: it belongs to the cost.
    spent = sum(one.draft_seconds + one.target_seconds for one in rounds)
    if plain and spent > 0:
        found["factor"] = tokens * sum(plain) / len(plain) / spent
    return found
