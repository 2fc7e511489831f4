"""Scoring: a reward model looks at every item's candidates; how it would order them, and how sure it is, decide what people judge next."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from workbench.analysis.pairwise import agreement_with, rank_scores
from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.events import Scored
from workbench.domain.specs.score import ScoreSpec
from workbench.engine.batches import Pair, collate, micro_batches
from workbench.engine.data import Row, need_columns, prompt_of, read_rows
from workbench.engine.device import Setup, memory_gib, prepare
from workbench.engine.ensemble import disagreement, feature_scale, fit_heads
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import reward_states, scalars, score_head
from workbench.engine.judging import gives_scores, longest_text
from workbench.engine.models import Loaded, count_parameters, load_reward
from workbench.engine.report import Report
from workbench.engine.text import encode_completion, encode_prompt
from workbench.protocol.run_folder import RunFolder


def run(spec: ScoreSpec, folder: RunFolder, report: Report) -> None:
    """Fit the heads to what people have said, then score every item that this run hasn't scored yet, a batch at a time."""
    setup = prepare(spec)
    report.phase("reading data")
    rows = read_rows(folder.data)
    need_columns(rows, "prompt", "item", "candidates", "people")
    report.phase("loading model")
    if not gives_scores(Path(spec.base)):
        raise BadInput("The model gives no scores.", "Choose a reward model; train one on preferences first.")
    loaded = load_reward(spec.base, setup.device, setup.frozen)
    longest = longest_text(loaded.model, spec.max_length, report)
    parameters = count_parameters(loaded.model)[0]
    done = {event.item: event for event in report.earlier(Scored)}
    batches = [rows[start : start + spec.batch_size] for start in range(0, len(rows), spec.batch_size)]
    chosen = _drawn([row for row in rows if row["people"]], spec.labelled, spec.seed)
    report.planned(
        len(rows), rows=len(rows), parameters=parameters,
        notes=(str(setup), f"the heads are fitted to {len(chosen)} items that people have judged"),
    )  # fmt: skip
    step = 0
    while step < len(rows) and all(row["item"] in done for row in batches[step // spec.batch_size]):
        step += len(batches[step // spec.batch_size])
    if report.restarted:
        report.resumed(step)
    report.phase("fitting heads")
    heads = _heads(spec, chosen, loaded, setup, longest)
    if not chosen:
        report.notice("No item is judged, so the heads differ only by chance.", "Judge some items and score again.")
    report.phase("scoring")
    tally = _Tally()
    known = {row["item"]: row for row in rows}
    for event in done.values():
        if event.item in known:
            tally.add(known[event.item], event)

    while step < len(rows):
        if (wanted := report.wanted()) != "run":
            report.halted(step, wanted)
            return
        began = time.perf_counter()
        part = batches[step // spec.batch_size]
        fresh = []
        for row in part:
            if row["item"] not in done:
                found = _features(row, loaded, setup, spec, longest)
                event = Scored(item=row["item"], why="a response is longer than max_length")
                if found is not None:
                    states, scores = found
                    event = Scored(item=row["item"], scores=tuple(scores), spread=disagreement(states, heads))
                fresh.append(event)
                tally.add(row, event)
        report.booked(fresh)
        step += len(part)
        speed = len(part) / (time.perf_counter() - began)
        report.metric(step, tally.values(), items_per_second=speed, memory_gib=memory_gib(setup.device))

    if tally.left_out:
        report.notice(
            f"{tally.left_out} items got no score: a response is longer than max_length.",
            "Raise max_length, or judge them as they come.",
        )
    report.finished(step, parameters, model=False)


class _Tally:
    """Running means over the items that were scored."""

    def __init__(self) -> None:
        self.scored = self.left_out = self.agreed = self.compared = 0
        self.spread = self.margin = 0.0

    def add(self, row: Row, event: Scored) -> None:
        """Count one item."""
        if not event.scores:
            self.left_out += 1
            return
        agreed, compared = agreement_with(rank_scores(list(event.scores), 0.0), row["people"])
        self.scored += 1
        self.agreed += agreed
        self.compared += compared
        self.spread += event.spread or 0.0
        self.margin += max(event.scores) - min(event.scores)

    def values(self) -> dict[str, float]:
        """The metrics."""
        found = {"score/scored": float(self.scored)}
        if self.scored:
            found |= {"score/spread": self.spread / self.scored, "score/margin": self.margin / self.scored}
        if self.compared:
            found["score/agreement"] = self.agreed / self.compared
        return found


def _drawn(rows: Sequence[Row], most: int, seed: int) -> list[Row]:
    """At most `most` rows, drawn by seed and item name."""
    return sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row['item']}".encode()).digest())[:most]


def _heads(spec: ScoreSpec, labelled: Sequence[Row], loaded: Loaded, setup: Setup, longest: int) -> Tensor:
    """[K, H]: the ensemble, fitted to every pair that a person has ordered."""
    trained = score_head(loaded.model).weight.detach()[0].double().cpu()
    differences = []
    for row in labelled:
        found = _features(row, loaded, setup, spec, longest)
        if found is not None:
            for tiers in row["people"]:
                differences += [
                    found[0][a] - found[0][b]
                    for a, high in enumerate(tiers)
                    for b, low in enumerate(tiers)
                    if high < low
                ]
    stacked = torch.stack(differences) if differences else torch.zeros(0, len(trained), dtype=torch.float64)
    return fit_heads(stacked, trained, feature_scale(stacked), heads=spec.heads, prior=spec.prior, seed=spec.seed)


def _features(
    row: Row, loaded: Loaded, setup: Setup, spec: ScoreSpec, longest: int
) -> tuple[Tensor, list[float]] | None:
    """(what the head sees of each candidate [C, H] in float64, its scores); None when one is too long."""
    prompt = encode_prompt(loaded.tokenizer, prompt_of(row), spec.chat_format)
    pairs = [Pair(prompt, encode_completion(loaded.tokenizer, text)) for text in row["candidates"]]
    lengths = [pair.length for pair in pairs]
    if max(lengths) > longest:
        return None
    states: dict[int, Tensor] = {}
    scores: dict[int, float] = {}
    for part in micro_batches(range(len(pairs)), lengths, spec.micro_batch_size):
        batch = collate(
            [pairs[place].prompt for place in part], [pairs[place].completion for place in part], loaded.pad
        )
        with evaluating(loaded.model), setup.autocast():
            seen = reward_states(loaded.model, batch.to(setup.device))
            said = scalars(loaded.model, seen)
        if not bool(said.isfinite().all()):
            raise RunFailed(
                "The reward model gives scores that are no numbers.", "Set precision to float32, or train it again."
            )
        for place, state, score in zip(part, seen.double().cpu(), said.tolist(), strict=True):
            states[place], scores[place] = state, score
    order = range(len(pairs))
    return torch.stack([states[place] for place in order]), [scores[place] for place in order]
