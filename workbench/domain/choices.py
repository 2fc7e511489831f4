"""What a decoder says about the tokens that it chose, and about those that it tried and dropped."""

from __future__ import annotations

from typing import Literal

from workbench.domain.frozen import Frozen

MAX_ALTERNATIVES = 20


class Alternative(Frozen):
    """A token that could have been chosen, its probabilities, and the rule that cut it (None when kept)."""

    id: int
    text: str
    p_model: float
    p_used: float
    cut_by: str | None = None


class BeamTrace(Frozen):
    """Where a beam token stands in the tree: its hypothesis, the parent it continued, its summed log-probability."""

    index: int
    parent: int
    score: float
    pruned: bool = False


class ContrastOption(Frozen):
    """A token under expert and amateur: probabilities, and the score ln expert - coefficient * ln amateur (None when implausible)."""

    id: int
    text: str
    expert: float
    amateur: float
    score: float | None


class ContrastTrace(Frozen):
    """How contrastive decoding chose: the probabilities of the token, its score, and the least plausible expert probability."""

    expert: float
    amateur: float
    score: float
    cut: float
    options: tuple[ContrastOption, ...] = ()


class SearchOption(Frozen):
    """A token of contrastive search's top k: probability, likeness to the context (cosine), the position most like it, its score."""

    id: int
    text: str
    p: float
    penalty: float
    against: int
    score: float


class SearchTrace(Frozen):
    """How contrastive search chose. `against` counts tokens of prompt and text from 0; `options` are the top k."""

    penalty: float
    against: int
    score: float
    options: tuple[SearchOption, ...] = ()


class MirostatTrace(Frozen):
    """Mirostat's bound on surprise when a token was drawn, and the surprise of that token under what was left; both in bits."""

    mu: float
    surprise: float


DraftVerdict = Literal["accepted", "rejected", "residual", "bonus"]


class DraftTrace(Frozen):
    """A token of speculative decoding: its round and place, p of the target, q of the draft, the uniform number u, and the verdict.

    q and u are None for residual and bonus tokens, which no draft proposed.
    """

    round: int
    position: int
    p: float
    q: float | None
    u: float | None
    verdict: DraftVerdict


class TokenChoice(Frozen):
    """One chosen token.

    `start` and `end` are offsets in the decoded text in characters; `p_model` is the softmax of the raw logits, `p_used` the
    probability after the whole chain of rules; `logprob` = ln p_model; `entropy` in nats, of p_model; `rank` counts from 0;
    `kept` is how many tokens survived the chain and `kept_mass` their p_model mass.
    """

    id: int
    text: str
    start: int
    end: int
    p_model: float
    p_used: float
    logprob: float
    rank: int
    entropy: float
    kept: int
    kept_mass: float
    alternatives: tuple[Alternative, ...] = ()
    beam: BeamTrace | None = None
    contrast: ContrastTrace | None = None
    search: SearchTrace | None = None
    draft: DraftTrace | None = None
    mirostat: MirostatTrace | None = None


class BeamNode(Frozen):
    """One hypothesis of beam search after `step` tokens: the token that it added, the sum of log-probabilities, what became of it.

    `slot` is unique within a step; `parent` is the slot within the step before (-1 for the prompt). Pruned nodes are the best of
    those that were dropped.
    """

    step: int
    slot: int
    parent: int
    id: int
    text: str
    logprob: float
    score: float
    state: Literal["live", "finished", "pruned"]
    group: int = 0


class BeamLevel(Frozen):
    """All that beam search looked at in one step."""

    kind: Literal["beams"] = "beams"
    step: int
    nodes: tuple[BeamNode, ...]


class DraftedToken(Frozen):
    """A token that a draft proposed, judged or (behind a rejected one) not looked at."""

    id: int
    text: str
    p: float
    q: float
    u: float
    verdict: Literal["accepted", "rejected", "unused"]
    expected: float


class DraftRound(Frozen):
    """One round of speculative decoding: what was drafted, and the token that the target added (residual or bonus).

    `expected` of a drafted token is the chance that it is accepted there, the sum over the vocabulary of min(p, q). Seconds are
    those of drafting and of the target's one pass with the judging; `plain_seconds`, taken in a few rounds only, are those of
    one token of plain decoding at this place.
    """

    kind: Literal["draft"] = "draft"
    round: int
    drafted: tuple[DraftedToken, ...]
    added: int | None
    added_text: str = ""
    verdict: Literal["residual", "bonus"] | None = None
    draft_seconds: float = 0.0
    target_seconds: float = 0.0
    plain_seconds: float | None = None


Aside = BeamLevel | DraftRound  # told apart by `kind`


class Stage(Frozen):
    """The distribution after one rule: how many tokens are left, their mass under the model, and the entropy in nats."""

    rule: str
    kept: int
    mass: float
    entropy: float


class Bar(Frozen):
    """A token with its probability before all rules and after each stage."""

    id: int
    text: str
    p: tuple[float, ...]
    cut_by: str | None = None


class Distribution(Frozen):
    """What the chain does with the stored logits of one position. `stages[0]` is the model itself, named "model".

    `chosen` is what these settings would choose there; `changed` is the first position of the column where they would choose
    something else than what stands there (None: nowhere). Behind it the text is stale.
    """

    position: int
    stages: tuple[Stage, ...]
    bars: tuple[Bar, ...]
    chosen: int
    changed: int | None = None


class LosslessCell(Frozen):
    """One outcome of the test: the text of its tokens ("" for all others together), how often it came, how often it should."""

    text: str
    observed: int
    expected: float


class LosslessRule(Frozen):
    """How one way of judging drafts did: chi-square with its degrees of freedom, the chance `p` of a worse one if it were exact.

    `acceptance` is the share of judged drafts that were taken. `cells` are the likeliest outcomes, most probable first.
    `impossible` counts texts that the model never says with these settings: p is 0 where there are any.
    """

    name: str
    chi_square: float
    degrees: int
    p: float
    acceptance: float | None
    impossible: int
    cells: tuple[LosslessCell, ...]


class LosslessReport(Frozen):
    """Does speculative decoding leave the model's distribution as it was?

    `exact` is the rule in use, `wrong` are rules with a deliberate mistake, which show what the test can find; all drew the same
    number of texts of `tokens` tokens.
    """

    samples: int
    tokens: int
    exact: LosslessRule
    wrong: tuple[LosslessRule, ...]


class Aligned(Frozen):
    """One token of a text under two models: natural log-probabilities, KL(policy || reference) in nats, entropy of the policy."""

    id: int
    text: str
    logprob: float
    reference: float
    kl: float
    entropy: float
