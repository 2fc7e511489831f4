"""What a study measures: texts of a column to a batch of prompts, scored, and the columns' texts compared by a judge."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from workbench.domain.choices import Aside
from workbench.domain.decoding import DecodingSettings, draws, other_model
from workbench.domain.specs.judge import JudgeSpec
from workbench.domain.specs.study import Asked, StudySpec
from workbench.domain.study import StudyText
from workbench.engine.asking import Asker
from workbench.engine.batches import collate, micro_batches
from workbench.engine.data import Row, prompt_of
from workbench.engine.decoding.decode import decode_together
from workbench.engine.decoding.encoding import decoder_opening, encodes
from workbench.engine.decoding.many import Written, write_many
from workbench.engine.decoding.measures import Tally, distinct, repetition
from workbench.engine.decoding.voice import Voice
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.forward import completion_logprobs
from workbench.engine.from_checkpoint import load_language_model
from workbench.engine.judging import longest_text, model_judge, reward_scores
from workbench.engine.losses import token_logprobs
from workbench.engine.models import Loaded, eos_ids, load_policy, load_reward
from workbench.engine.report import Report
from workbench.engine.rules import load_rule
from workbench.engine.text import encode_prompt, with_end

ROWS = 16  # texts whose log-probabilities are computed at once


class Stage:
    """The models of one column at a time: those that the next column doesn't need are let go."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._loaded: dict[str, tuple[Loaded, Voice]] = {}

    def take(self, column: Asked) -> tuple[Loaded, Voice, dict[str, Voice]]:
        """(the column's model, its voice, the voices of further models by name)."""
        other = other_model(column.settings)
        wanted = [column.model] + ([other] if other is not None else [])
        self._loaded = {name: kept for name, kept in self._loaded.items() if name in wanted}
        for name in wanted:
            if name not in self._loaded:
                loaded = load_language_model(name, self._setup.device, self._setup.frozen)
                self._loaded[name] = loaded, Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded))
        others = {} if other is None else {other: self._loaded[other][1]}
        return *self._loaded[column.model], others


class Scorer:
    """Scores texts by the rule and the reward model that a study names; the model is loaded when it is first asked."""

    def __init__(self, spec: StudySpec, folder: Path, setup: Setup, report: Report) -> None:
        self._spec = spec
        self._setup = setup
        self._report = report
        self._rule = load_rule(spec.rule, folder) if spec.rule else None
        self._reward: Loaded | None = None

    def measures(self, row: Row, texts: Sequence[str]) -> list[dict[str, float]]:
        """`rule` and `reward` of each text; a text that is too long for the reward model has no reward."""
        found: list[dict[str, float]] = [{} for _ in texts]
        if self._rule is not None:
            for told, text in zip(found, texts, strict=True):
                told["rule"] = self._rule(prompt_of(row).transcript, text)
        if self._spec.reward_model:
            if self._reward is None:
                self._reward = load_reward(self._spec.reward_model, self._setup.device, self._setup.frozen)
            longest = longest_text(self._reward.model, 0, self._report)
            score = reward_scores(self._reward, self._setup, self._spec.chat_format, longest, ROWS)
            for told, text in zip(found, texts, strict=True):
                scores = score([{**row, "candidates": [text]}])[0]
                if scores is not None:
                    told["reward"] = scores[0]
        return found


def texts_of(
    number: int,
    column: Asked,
    rows: Sequence[Row],
    first: int,
    stage: Stage,
    scorer: Scorer,
    spec: StudySpec,
    setup: Setup,
) -> list[StudyText]:
    """The texts of column `number` to rows `first`, `first` + 1 …, with all measures but the judge's.

    Text s to prompt i is drawn with the settings' seed + the study's + i · samples + s. The first prompt's first text is decoded
    alone as well, and timed: a batch's time says little about what a person would wait for.
    """
    loaded, voice, others = stage.take(column)
    samples = spec.samples if draws(column.settings) else 1
    prompts = [encode_prompt(loaded.tokenizer, prompt_of(row), spec.chat_format) for row in rows]
    seeded = column.settings.model_copy(update={"seed": (column.settings.seed + spec.seed + first * samples) % 2**63})
    asked = [prompt for prompt in prompts for _ in range(samples)]
    written = write_many(voice, asked, seeded, others=others) or []
    likely = _logprobs(loaded, asked, written)
    timed = _timed(voice, prompts[0], seeded, others)
    found = []
    for place, row in enumerate(rows):
        part = slice(place * samples, (place + 1) * samples)
        scored = scorer.measures(row, [one.completion for one in written[part]])
        for sample, (one, logprob, told) in enumerate(zip(written[part], likely[part], scored, strict=True)):
            measures = {
                "tokens": float(len(one.ids)), "ended": float(one.ended), "logprob": logprob, "repetition": repetition(one.ids),
                **{f"distinct_{n}": distinct(one.ids, n) for n in (1, 2, 3)}, **told,
            }  # fmt: skip
            if not place and not sample:
                measures |= timed
            found.append(
                StudyText(
                    column=number, prompt=first + place, sample=sample, completion=one.completion, measures=measures,
                    seed=(seeded.seed + place * samples + sample) % 2**63,
                )
            )  # fmt: skip
    return found


def _logprobs(loaded: Loaded, prompts: Sequence[list[int]], written: Sequence[Written]) -> list[float]:
    """Mean log-probability of each text's tokens under the model itself, before any rule; nats."""
    found = [0.0] * len(written)
    lengths = [len(prompt) + len(one.ids) for prompt, one in zip(prompts, written, strict=True)]
    for part in micro_batches(range(len(written)), lengths, ROWS):
        asked, said = [prompts[i] for i in part], [written[i].ids for i in part]
        with evaluating(loaded.model):
            if encodes(loaded.model):
                table = _behind_encoder(loaded, asked, said)
            else:
                batch = collate(asked, said, loaded.pad)
                table = completion_logprobs(loaded.model, batch.to(loaded.model.device))
        for place, total in zip(part, table.double().sum(-1).tolist(), strict=True):
            found[place] = total / max(1, len(written[place].ids))
    return found


def _behind_encoder(loaded: Loaded, prompts: Sequence[list[int]], texts: Sequence[list[int]]) -> Tensor:
    """[B, T]: log-probabilities of texts by a model whose encoder reads the prompts; zero on padding."""
    model, opening = loaded.model, decoder_opening(loaded.model)
    sources = [with_end(loaded.tokenizer, prompt) for prompt in prompts]
    read, written = (collate(rows, [[] for _ in rows], loaded.pad).to(model.device) for rows in (sources, texts))
    start = torch.tensor(opening, device=model.device).expand(len(texts), -1)
    given = torch.cat([start, written.input_ids[:, :-1]], 1)
    logits = model(
        input_ids=read.input_ids, attention_mask=read.attention_mask, decoder_input_ids=given, use_cache=False
    ).logits[:, len(opening) - 1 :]
    return token_logprobs(logits, written.input_ids) * written.attention_mask


@torch.inference_mode()
def _timed(voice: Voice, prompt: list[int], settings: DecodingSettings, others: dict[str, Voice]) -> dict[str, float]:
    """Tokens per second and seconds to the first token of one text by itself; what its drafts gained, if it had any."""
    tally, steps, done = Tally(), decode_together(voice, prompt, settings, others=others), object()
    while True:
        tally.start()
        told = next(steps, done)
        if told is done:
            break
        tally.stop(*(told if isinstance(told, list) else []))
        if isinstance(told, Aside):
            tally.note(told)
    numbers = tally.numbers()
    wanted = ("tokens_per_second", "first_token_seconds", "tokens_per_pass", "acceptance", "factor")
    return {name: numbers[name] for name in wanted if name in numbers}


class Comparer:
    """A language model that compares texts of different columns in pairs, in both orders."""

    def __init__(self, spec: StudySpec, setup: Setup, report: Report) -> None:
        loaded = load_policy(spec.judge, setup.device, setup.frozen)
        asker = Asker(loaded, setup, spec.chat_format, ROWS)
        asked = JudgeSpec(base=spec.judge, criterion=spec.criterion, question=spec.question)
        self._judge = model_judge(asker, asked, longest_text(loaded.model, 0, report))

    def shares(self, row: Row, texts: dict[int, str]) -> dict[int, float]:
        """By column: the share of its comparisons that its text wins. Equal texts and verdicts that the orders disagree on count half.

        A column of whose questions none was short enough is left out.
        """
        pairs = list(itertools.combinations(sorted(texts), 2))
        asked = [pair for pair in pairs if texts[pair[0]] != texts[pair[1]]]
        won: dict[int, list[float]] = defaultdict(list)
        for one, other in set(pairs) - set(asked):
            won[one].append(0.5)
            won[other].append(0.5)
        items = [{**row, "item": "", "candidates": [texts[one], texts[other]]} for one, other in asked]
        for (one, other), finding in zip(asked, self._judge(items) if items else [], strict=True):
            if "longer than max_length" in finding.why:
                continue
            ranking = finding.outcome.ranking
            first = 0.5 if ranking is None else (1 + ranking.tier_of(1) - ranking.tier_of(0)) / 2
            won[one].append(first)
            won[other].append(1 - first)
        return {column: sum(shares) / len(shares) for column, shares in won.items()}
