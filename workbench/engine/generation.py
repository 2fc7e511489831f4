"""Answers to held-out prompts, compared with the demonstrations: BLEU, ROUGE-L, exact match and F1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workbench.engine.data import Row, prompt_of
from workbench.engine.device import Setup
from workbench.engine.models import Loaded, eos_ids
from workbench.engine.rollout import sample_batch
from workbench.engine.text import decode, encode_prompt


class Question(NamedTuple):
    """A held-out prompt as ids, the text to show for it, and every answer that was demonstrated."""

    ids: list[int]
    shown: str
    answers: tuple[str, ...]


def questions_of(rows: Sequence[Row], tokenizer: Any, chat_format: str, count: int) -> list[Question]:
    """The first `count` distinct prompts of demonstrations, each with all its completions."""
    chosen: dict[str, list[Row]] = {}
    for row in rows:
        key = prompt_of(row).key()
        if key in chosen:
            chosen[key].append(row)
        elif len(chosen) < count:
            chosen[key] = [row]
    found = []
    for same in chosen.values():
        prompt = prompt_of(same[0])
        ids = encode_prompt(tokenizer, prompt, chat_format)
        found.append(Question(ids, prompt.text, tuple(row["completion"].strip() for row in same)))
    return found


def evaluate_generation(
    loaded: Loaded, questions: Sequence[Question], most: int, longest: int, setup: Setup
) -> dict[str, float]:
    """`eval/` metrics of greedy answers of at most `most` tokens; prompt and answer together have at most `longest`.

    A prompt that leaves no room counts as answered with nothing. The run's random numbers are not touched.
    """
    texts = [""] * len(questions)
    rooms: dict[int, list[int]] = {}
    for place, question in enumerate(questions):
        rooms.setdefault(min(most, longest - len(question.ids)), []).append(place)
    for room, places in rooms.items():
        if room < 1:
            continue
        prompts = [questions[place].ids for place in places]
        with setup.autocast():
            rollout = sample_batch(
                loaded.model, prompts, max_new_tokens=room, temperature=0.0, eos=eos_ids(loaded), seed=0
            )
        for place, ids in zip(places, rollout.completions, strict=True):
            texts[place] = decode(loaded.tokenizer, ids).strip()
    found = text_metrics(texts, [question.answers for question in questions])
    return {f"eval/{name}": value for name, value in found.items()}


def text_metrics(said: Sequence[str], wanted: Sequence[Sequence[str]]) -> dict[str, float]:
    """How close texts are to their references, of which each has one or more: BLEU in points of 100, the others as shares.

    bleu: corpus BLEU-4 of sacreBLEU with its defaults (Post 2018, arXiv 1804.08771);
    rouge_l: F-measure of the longest common subsequence of words (Lin 2004), with the best reference, mean over texts;
    exact_match, f1: after lower-casing, without articles and punctuation, with the best reference, as for SQuAD
    (Rajpurkar et al. 2016, arXiv 1606.05250).
    """
    import sacrebleu
    from torchmetrics.functional.text import rouge_score, squad

    most = max(map(len, wanted))
    columns = [[given[number] if number < len(given) else None for given in wanted] for number in range(most)]
    answers = [{"answers": {"text": list(given), "answer_start": [0]}, "id": str(n)} for n, given in enumerate(wanted)]
    spans = squad([{"prediction_text": text, "id": str(n)} for n, text in enumerate(said)], answers)
    overlap = rouge_score(list(said), [list(given) for given in wanted], rouge_keys="rougeL", accumulate="best")
    return {
        "bleu": float(sacrebleu.corpus_bleu(list(said), columns).score),
        "rouge_l": float(overlap["rougeL_fmeasure"]),
        "exact_match": float(spans["exact_match"]) / 100,
        "f1": float(spans["f1"]) / 100,
    }
