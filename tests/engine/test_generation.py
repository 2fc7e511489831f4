"""Generated answers against demonstrations: the metrics on texts, and how prompts are answered."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from workbench.engine.device import Setup
from workbench.engine.generation import evaluate_generation, questions_of, text_metrics
from workbench.engine.models import Loaded, eos_ids
from workbench.engine.rollout import sample_batch
from workbench.engine.text import decode

CPU = Setup(torch.device("cpu"), torch.float32)
SAID = ["the cat sat on the mat, quietly.", "A dog barked!", "", "Hello there general"]
WANTED = [
    ["the cat sat on a mat quietly."],
    ["The dog barked loudly!", "a dog barked"],
    ["something"],
    ["Hello there, General Kenobi"],
]


def test_that_the_metrics_are_those_of_their_reference_implementations() -> None:
    found = text_metrics(SAID, WANTED)
    # sacrebleu 2.6 corpus_bleu, rouge-score 0.1.2 score_multi; exact match and F1 by torchmetrics, on these texts.
    assert found["bleu"] == pytest.approx(29.6249, abs=1e-3)
    assert found["rouge_l"] == pytest.approx(0.67857, abs=1e-4)
    assert found["exact_match"] == 0.25 + 0.25  # case, the article and the exclamation mark don't count; nor "the", "a"
    assert found["f1"] == pytest.approx(0.714286, abs=1e-5)


def test_that_the_demonstration_itself_is_perfect_and_silence_is_nothing() -> None:
    wanted = [["one two three four five"], ["six seven eight nine ten"]]
    perfect = text_metrics([texts[0] for texts in wanted], wanted)
    assert perfect == pytest.approx({"bleu": 100.0, "rouge_l": 1.0, "exact_match": 1.0, "f1": 1.0})
    assert text_metrics(["", ""], wanted) == {"bleu": 0.0, "rouge_l": 0.0, "exact_match": 0.0, "f1": 0.0}


def test_that_a_prompt_with_several_demonstrations_is_asked_once(loaded: Loaded) -> None:
    def row(prompt: str, completion: str) -> dict[str, Any]:
        return {"prompt": [{"role": "user", "content": prompt}], "raw": True, "completion": completion}

    rows = [row("One", "a"), row("Two", "b "), row("One", "c"), row("Three", "d")]
    found = questions_of(rows, loaded.tokenizer, "auto", 2)
    assert [(question.shown, question.answers) for question in found] == [("One", ("a", "c")), ("Two", ("b",))]
    assert questions_of(rows, loaded.tokenizer, "auto", 0) == []


def test_that_prompts_are_answered_greedily_and_as_if_alone(loaded: Loaded) -> None:
    texts = ["Once upon a time", "The sun", "Lily and Tom went to the park because"]
    ids = [loaded.tokenizer(text)["input_ids"] for text in texts]
    alone = [sample_batch(loaded.model, [one], max_new_tokens=12, temperature=0, eos=eos_ids(loaded)) for one in ids]
    said = [decode(loaded.tokenizer, rollout.completions[0]).strip() for rollout in alone]
    rows = [
        {"prompt": [{"role": "user", "content": text}], "raw": True, "completion": answer}
        for text, answer in zip(texts, said, strict=True)
    ]
    questions = questions_of(rows, loaded.tokenizer, "auto", 3)
    state = torch.get_rng_state()
    found = evaluate_generation(loaded, questions, 12, 64, CPU)
    assert found["eval/exact_match"] == found["eval/f1"] == 1.0
    assert found["eval/bleu"] == pytest.approx(100.0)
    assert torch.equal(torch.get_rng_state(), state)


def test_that_a_prompt_without_room_for_an_answer_counts_as_unanswered(loaded: Loaded) -> None:
    row = {"prompt": [{"role": "user", "content": "Once upon a time there was"}], "raw": True, "completion": "park"}
    (question,) = questions_of([row], loaded.tokenizer, "auto", 1)
    found = evaluate_generation(loaded, [question], 12, len(question.ids), CPU)
    assert set(found.values()) == {0.0}
    most = len(question.ids) + 1
    assert set(evaluate_generation(loaded, [question], 12, most, CPU)) == set(found)


def test_that_the_libraries_of_text_metrics_wait_until_they_are_needed() -> None:
    import subprocess

    code = (
        "import workbench.engine.generation, workbench.engine.recipes.sft, sys;"
        "sys.exit(' '.join({'sacrebleu', 'torchmetrics', 'lxml'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "\n") or ended.stderr.strip() == ""
