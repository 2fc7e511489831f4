"""Made-up things that decoders say, for the tests of the lab's views."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from workbench.domain.choices import (
    Aligned,
    Bar,
    BeamLevel,
    BeamNode,
    ContrastOption,
    ContrastTrace,
    Distribution,
    DraftedToken,
    DraftRound,
    LosslessCell,
    LosslessReport,
    LosslessRule,
    SearchOption,
    SearchTrace,
    Stage,
    TokenChoice,
)
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.study import Figure, Study, StudyColumn

WORDS = " cat| dog| bird| elephant| the| a| big| little| ran|.|\n| ☃|<b>| time".split("|")


def entropy(probabilities: Sequence[float]) -> float:
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def distribution(*, position: int = 3, chosen: int = 0, changed: int | None = None, tokens: int = 14) -> Distribution:
    """Through the model, a temperature of 0.5 and a top-k of 3, reckoned here."""
    weights = [2.0 ** -(n + 1) for n in range(tokens)]
    model = [w / sum(weights) for w in weights]
    sharp = [p**2 / sum(q**2 for q in model) for p in model]
    cut = [p / sum(sharp[:3]) if n < 3 else 0.0 for n, p in enumerate(sharp)]
    return Distribution(
        position=position,
        stages=(
            Stage(rule="model", kept=tokens, mass=1.0, entropy=entropy(model)),
            Stage(rule="temperature", kept=tokens, mass=1.0, entropy=entropy(sharp)),
            Stage(rule="top_k", kept=3, mass=sum(model[:3]), entropy=entropy(cut)),
        ),
        bars=tuple(
            Bar(id=n, text=WORDS[n % len(WORDS)], p=(model[n], sharp[n], cut[n]), cut_by=None if n < 3 else "top_k")
            for n in range(tokens)
        ),
        chosen=chosen,
        changed=changed,
    )


def dice(seed: int = 0) -> random.Random:
    return random.Random(seed)


def beam_levels(beams: int = 4, steps: int = 12, seed: int = 0) -> list[BeamLevel]:
    """A search of its own: every live hypothesis offers a few tokens, the best go on, one in twenty ends."""
    roll = dice(seed)
    live = [(-1, 0.0)]
    found = []
    for step in range(1, steps + 1):
        offers = sorted(
            (
                (parent, total + math.log(roll.uniform(0.02, 0.9)))
                for parent, total in live
                for _ in range(max(2, beams // 2))
            ),
            key=lambda offer: -offer[1],
        )
        nodes, kept = [], []
        for slot, (parent, total) in enumerate(offers[: 2 * beams]):
            ends = step == steps or roll.random() < 0.05
            state = "finished" if ends and len(kept) < beams else "live" if len(kept) < beams else "pruned"
            text = "</s>" if state == "finished" else roll.choice(WORDS)
            nodes.append(BeamNode(step=step, slot=slot, parent=parent, id=slot, text=text, logprob=total, score=total, state=state))  # type: ignore[arg-type]  # fmt: skip
            if state == "live":
                kept.append((slot, total))
        found.append(BeamLevel(step=step, nodes=tuple(nodes)))
        if not kept:
            break
        live = kept
    return found


def draft_round(number: int, verdicts: str, *, plain: float | None = None, seed: int = 0) -> DraftRound:
    """A round from signs: a accepted, r rejected, u unused; then r is answered by a residual token, everything else by a bonus."""
    roll = dice(seed + 1000 * number)
    names = {"a": "accepted", "r": "rejected", "u": "unused"}
    drafted = []
    for sign in verdicts:
        q = roll.uniform(0.2, 0.9)
        p = q * roll.uniform(0.7, 1.3) if sign != "r" else q * 0.4
        u = roll.uniform(0, min(1.0, p / q)) if sign != "r" else roll.uniform(0.4, 1.0)
        text = roll.choice(WORDS)
        drafted.append(DraftedToken(id=WORDS.index(text), text=text, p=min(1.0, p), q=q, u=u, verdict=names[sign], expected=0.75))  # type: ignore[arg-type]  # fmt: skip
    return DraftRound(
        round=number, drafted=tuple(drafted), added=1, added_text=roll.choice(WORDS), verdict="residual" if "r" in verdicts else "bonus",
        draft_seconds=0.0006 * len(verdicts), target_seconds=0.004, plain_seconds=plain,
    )  # fmt: skip


def lossless_report() -> LosslessReport:
    def tested(name: str, p: float, acceptance: float, impossible: int = 0) -> LosslessRule:
        cells = [
            LosslessCell(text=f" a{WORDS[n % 9]}", observed=400 // (n + 1) + n, expected=400 / (n + 1))
            for n in range(9)
        ]
        return LosslessRule(
            name=name, chi_square=18.2 if p > 0.01 else 412.0, degrees=9, p=p, acceptance=acceptance, impossible=impossible,
            cells=(*cells, LosslessCell(text="", observed=310, expected=301.5)),
        )  # fmt: skip

    return LosslessReport(
        samples=2000, tokens=2, exact=tested("exact", 0.57, 0.71),
        wrong=(tested("every drafted token is kept", 0.0, 1.0, 12), tested("q is read before the draft's own rules", 0.31, 0.6)),
    )  # fmt: skip


def plain_token(number: int, text: str, start: int, **more: Any) -> TokenChoice:
    made = {
        "id": number, "text": text, "start": start, "end": start + len(text), "p_model": 0.3, "p_used": 0.4, "logprob": math.log(0.3),
        "rank": 0, "entropy": 1.2, "kept": 40, "kept_mass": 0.9,
    }  # fmt: skip
    return TokenChoice(**(made | more))


TEXTBOOK = {
    " 1961": (0.10, 0.001),
    " Hawaii": (0.32, 0.07),
    " the": (0.18, 0.04),
    " Honolulu": (0.16, 0.04),
    " Washington": (0.02, 0.01),
}


def contrast_tokens() -> list[TokenChoice]:
    """Barack Obama was born in …: expert and amateur of the textbook; the last option lies below a cut of 0.1 of the best."""
    options = tuple(
        ContrastOption(id=n, text=text, expert=e, amateur=a, score=math.log(e / a) if e >= 0.032 else None)
        for n, (text, (e, a)) in enumerate(TEXTBOOK.items())
    )
    chosen = ContrastTrace(expert=0.10, amateur=0.001, score=math.log(100), cut=0.032, options=options)
    return [plain_token(7, " in", 0), plain_token(0, " 1961", 3, rank=3, contrast=chosen), plain_token(9, ".", 8)]


def search_tokens(context: int = 5) -> list[TokenChoice]:
    """Penalties point at the prompt and at the text itself."""
    found, start = [], 0
    for number, text in enumerate((" a", " little", " dog", " and", " a", " cat", ".", "\n", " The", " end")):
        options = tuple(
            SearchOption(
                id=10 * number + k, text=text if k == 1 else WORDS[k], p=0.5 / (k + 1), penalty=0.9 - 0.2 * k,
                against=(number + k) % (context + number), score=0.1 * k,
            )
            for k in range(4)
        )  # fmt: skip
        best = options[1]
        trace = SearchTrace(penalty=best.penalty, against=best.against, score=best.score, options=options)
        found.append(plain_token(best.id, text, start, rank=1, search=trace))
        start += len(text)
    return found


def aligned(count: int, shift: float, seed: int = 0) -> tuple[Aligned, ...]:
    roll, moves = dice(seed), dice(seed + 1)
    found = []
    for number in range(count):
        reference = math.log(roll.uniform(0.01, 0.95))
        gain = shift * moves.gauss(0.3, 0.6)
        logprob = min(-1e-3, reference + gain)
        text = WORDS[number % len(WORDS)]
        found.append(
            Aligned(
                id=number % 40,
                text=text,
                logprob=logprob,
                reference=reference,
                kl=abs(gain) * 0.4,
                entropy=roll.uniform(0, 4),
            )
        )
    return tuple(found)


def study() -> Study:
    """Five columns of one model; hotter is more varied and less good, beams are slow and repeat themselves."""
    made = (
        ("greedy", Greedy(), 1.31, 0.52, 0.61, 212.0), ("sample 0.7", Sample(temperature=0.7), 1.18, 0.71, 0.38, 205.0),
        ("sample 1.0", Sample(), 0.84, 0.83, 0.22, 204.0), ("sample 1.5", Sample(temperature=1.5), 0.12, 0.95, 0.07, 199.0),
        ("beam 4", Beam(), 1.36, 0.44, 0.74, 88.0),
    )  # fmt: skip
    columns = []
    for label, settings, reward, distinct, bleu, speed in made:
        figures = {
            "reward": Figure(value=reward, low=reward - 0.08, high=reward + 0.08, texts=96),
            "distinct_2": Figure(value=distinct, low=distinct - 0.02, high=distinct + 0.02, texts=96),
            "self_bleu": Figure(value=bleu, texts=96),
            "tokens_per_second": Figure(value=speed),
            "tokens": Figure(value=61.0),
        }
        if label != "beam 4":
            figures["perplexity"] = Figure(value=4.0 - reward)
        columns.append(StudyColumn(label=label, model="stories-dpo", settings=settings, figures=figures))
    return Study(prompts=24, samples=4, columns=tuple(columns))
