"""A judge over items: candidates compared in pairs by a language model, or ranked by scores; and what its verdicts add up to."""

from __future__ import annotations

import hashlib
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from workbench.analysis.pairwise import Answer, Outcome, agreement_with, judge_pairs, rank_scores
from workbench.domain.errors import RunFailed
from workbench.domain.events import Judged
from workbench.domain.judgement import Judgement, Ranking
from workbench.domain.specs.judge import JudgeSpec
from workbench.domain.specs.texts import fill_places
from workbench.engine.asking import Asker, Said, sigmoid
from workbench.engine.batches import Pair, collate, micro_batches
from workbench.engine.data import Row, prompt_of
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import core, rewards
from workbench.engine.models import Loaded, context
from workbench.engine.report import Report
from workbench.engine.rules import Rule
from workbench.engine.text import encode_completion, encode_prompt
from workbench.protocol.run_folder import read_json

SCORES_IN_NOTE = 9


class Finding(NamedTuple):
    """What a judge makes of one item: the outcome, a note for people, the mass of the asked answers, and why there is no ranking."""

    outcome: Outcome
    note: str = ""
    mass: float = 0.0
    why: str = ""


Judge = Callable[[Sequence[Row]], list[Finding]]


def drawn(rows: Sequence[Row], limit: int, seed: int) -> list[Row]:
    """At most `limit` rows (0 = all), drawn by seed and item name, in the order in which they stand."""
    if not limit or limit >= len(rows):
        return list(rows)
    keys = [hashlib.sha256(f"{seed}:{row['item']}".encode()).digest() for row in rows]
    chosen = sorted(range(len(rows)), key=lambda place: keys[place])[:limit]
    return [rows[place] for place in sorted(chosen)]


def model_judge(asker: Asker, spec: JudgeSpec, max_length: int) -> Judge:
    """A language model that is asked about every pair of candidates in both orders; to calibrate it, also about each against itself."""

    def judge(rows: Sequence[Row]) -> list[Finding]:
        asked: list[list[int]] = []
        orders: list[list[tuple[int, int]]] = []
        for row in rows:
            places = range(len(row["candidates"]))
            wanted = [(i, j) for i in places for j in places if i != j or spec.calibrate]
            questions = [asker.encode(question(spec, row, i, j)) for i, j in wanted]
            fits = max(map(len, questions)) <= max_length
            asked += questions if fits else []
            orders.append(wanted if fits else [])
        said = iter(asker.ask(asked) if asked else [])
        return [
            compare(len(row["candidates"]), {order: next(said) for order in wanted}, spec.confidence)
            for row, wanted in zip(rows, orders, strict=True)
        ]

    return judge


def question(spec: JudgeSpec, row: Row, first: int, second: int) -> str:
    """What the model is asked about two candidates of an item, by their places."""
    values = {
        "prompt": prompt_of(row).transcript,
        "a": row["candidates"][first],
        "b": row["candidates"][second],
        "criterion": spec.criterion,
    }
    return fill_places(spec.question, values)


def compare(size: int, said: Mapping[tuple[int, int], Said], confidence: float) -> Finding:
    """What the answers to questions (first, second) come to; what was said of a candidate against itself is taken out as a habit.

    A judge without habits gives ½ there. The mean log-odds of both candidates' own questions are subtracted from those of a pair.
    """
    if not said:
        return Finding(Outcome(None, 0, 0, 0, 0, 0.0), why="a question is longer than max_length")

    def first(i: int, j: int) -> float:
        habit = (said[i, i].lean + said[j, j].lean) / 2 if (i, i) in said else 0.0
        return sigmoid(said[i, j].lean - habit)

    answers = [Answer(i, j, first(i, j), first(j, i)) for i, j in combinations(range(size), 2)]
    outcome = judge_pairs(size, answers, confidence)
    mass = sum(one.mass for one in said.values()) / len(said)
    dropped = outcome.inconsistent + outcome.unsure
    note = f"P = {outcome.probability:.2f}, asked in both orders"
    if len(answers) > 1:
        note += f", {len(answers) - dropped} of {len(answers)} pairs count"
    if outcome.ranking is not None:
        return Finding(outcome, note, mass)
    if len(answers) > 1 and dropped < len(answers):
        return Finding(outcome, "", mass, "too few consistent pairs to rank all candidates")
    return Finding(outcome, "", mass, "the verdict is unsure" if outcome.unsure else "the two orders disagree")


def score_judge(score: Callable[[Sequence[Row]], list[list[float] | None]], margin: float) -> Judge:
    """A judge that ranks candidates by scores; an item whose scores are None is too long to be scored."""

    def judge(rows: Sequence[Row]) -> list[Finding]:
        return [_ranked(scores, margin) for scores in score(rows)]

    return judge


def _ranked(scores: list[float] | None, margin: float) -> Finding:
    if scores is None:
        return Finding(Outcome(None, 0, 0, 0, 0, 0.0), why="a response is longer than max_length")
    note = f"scores {', '.join(f'{value:.4g}' for value in scores[:SCORES_IN_NOTE])}"
    return Finding(Outcome(rank_scores(scores, margin), 0, 0, 0, 0, 0.0), note)


def rule_scores(rule: Rule) -> Callable[[Sequence[Row]], list[list[float] | None]]:
    """Scores of every candidate by a rule."""
    return lambda rows: [[rule(prompt_of(row).transcript, text) for text in row["candidates"]] for row in rows]


def reward_scores(
    loaded: Loaded, setup: Setup, chat_format: str, max_length: int, size: int
) -> Callable[[Sequence[Row]], list[list[float] | None]]:
    """Scores of every candidate by a reward model, at the last token of the completion."""

    def score(rows: Sequence[Row]) -> list[list[float] | None]:
        found: list[list[float] | None] = []
        for row in rows:
            prompt = encode_prompt(loaded.tokenizer, prompt_of(row), chat_format)
            pairs = [Pair(prompt, encode_completion(loaded.tokenizer, text)) for text in row["candidates"]]
            found.append(
                None if max(pair.length for pair in pairs) > max_length else _rewarded(loaded, setup, pairs, size)
            )
        return found

    return score


def _rewarded(loaded: Loaded, setup: Setup, pairs: Sequence[Pair], size: int) -> list[float]:
    scores = [0.0] * len(pairs)
    for part in micro_batches(range(len(pairs)), [pair.length for pair in pairs], size):
        batch = collate([pairs[row].prompt for row in part], [pairs[row].completion for row in part], loaded.pad)
        with evaluating(loaded.model), setup.autocast():
            for row, value in zip(part, rewards(loaded.model, batch.to(setup.device)).tolist(), strict=True):
                scores[row] = value
    if not all(-float("inf") < value < float("inf") for value in scores):
        raise RunFailed(
            "The reward model gives scores that are no numbers.", "Set precision to float32, or train it again."
        )
    return scores


def longest_text(model: Any, wanted: int, report: Report) -> int:
    """The longest text in tokens: what is wanted, at most what the model has positions for; 0 asks for all of those."""
    positions = getattr(core(model).config.get_text_config(), "max_position_embeddings", None)
    return context(model, wanted, report) if wanted else int(positions or sys.maxsize)


def gives_scores(folder: Path) -> bool:
    """Whether a model folder holds a reward model (full or adapter) rather than a language model."""
    for name in ("adapter_config.json", "config.json"):
        if (folder / name).exists():
            config = read_json(folder / name)
            return config.get("task_type") == "SEQ_CLS" or "SequenceClassification" in str(config.get("architectures"))
    return False


def signature(spec: JudgeSpec) -> str:
    """The name that the judgements are signed with."""
    if spec.annotator:
        return spec.annotator
    return spec.rule if spec.judge == "rule" else Path(spec.base).name


def verdict(row: Row, finding: Finding, spec: JudgeSpec, milliseconds: int) -> Judged:
    """The event of one item: a judgement marked with the judge's name, and what it is worth."""
    ranking = finding.outcome.ranking
    agreed, compared = agreement_with(ranking, row.get("people") or []) if ranking is not None else (0, 0)
    return Judged(
        item=row["item"],
        judgement=None if ranking is None else _judgement(row, ranking, finding.note, spec, milliseconds),
        why=finding.why,
        pairs=finding.outcome.pairs,
        inconsistent=finding.outcome.inconsistent,
        unsure=finding.outcome.unsure,
        first=finding.outcome.first,
        probability=finding.outcome.probability,
        mass=finding.mass,
        agreed=agreed,
        compared=compared,
    )


def _judgement(row: Row, ranking: Ranking, note: str, spec: JudgeSpec, milliseconds: int) -> Judgement:
    return Judgement(
        id=uuid.uuid4().hex, item=row["item"], annotator=signature(spec),
        annotator_kind="rule" if spec.judge == "rule" else "model", outcome="ranked", ranking=ranking, note=note,
        shown=tuple(range(len(row["candidates"]))), shown_seed=0, milliseconds=milliseconds, created=datetime.now(UTC),
    )  # fmt: skip


class Tally:
    """Sums of everything judged so far; `values` are the metrics, shares of nothing are left out."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._probability = self._mass = 0.0

    def add(self, event: Judged) -> None:
        """One more item."""
        kept = event.judgement is not None
        counts = {
            name: getattr(event, name) for name in ("pairs", "inconsistent", "unsure", "first", "agreed", "compared")
        }
        self._sums.update(
            counts | {"judged": 1, "kept": kept, "asked": event.pairs > 0, "sure": kept and event.pairs > 0}
        )
        self._probability += event.probability if kept else 0.0
        self._mass += event.mass
        if not kept:
            self.left_out[event.why] += 1

    @property
    def mass(self) -> float | None:
        """How likely the model finds the two answers, the mean over the items that it was asked about."""
        return self._mass / self._sums["asked"] if self._sums["asked"] else None

    def values(self) -> dict[str, float]:
        """The metrics."""
        n = self._sums
        values = {"judge/judged": float(n["judged"]), "judge/kept": float(n["kept"])}
        if n["pairs"] and self.mass is not None:
            values |= {"judge/inconsistent": n["inconsistent"] / n["pairs"], "judge/unsure": n["unsure"] / n["pairs"]}
            values |= {"judge/first": n["first"] / (2 * n["pairs"]), "judge/mass": self.mass}
        if n["sure"]:
            values["judge/probability"] = self._probability / n["sure"]
        if n["compared"]:
            values["judge/agreement"] = n["agreed"] / n["compared"]
        return values
