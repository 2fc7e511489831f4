"""The work that both sides do: a model with random weights, a tokenizer of whole words, rows in the order of training.

Imports neither the workbench nor TRL, so that it runs in both environments. Words are ids, so that both sides train on the very same
tokens; every row has the same length, so that neither side gains by sorting.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

WARM = 2  # steps before the clock starts
BETA = 0.1
RATE = 1e-4


class Case(NamedTuple):
    """What is trained: `rows` go into one step (pairs for dpo and reward, prompts for grpo and ppo); lengths are in tokens."""

    name: str
    recipe: str
    vocabulary: int
    rows: int
    prompt: int
    completion: int
    steps: int
    goal: float

    @property
    def tokens(self) -> int:
        """Tokens of one step, prompts included."""
        sides = 2 if self.recipe in {"dpo", "reward"} else GROUP if self.recipe == "grpo" else 1
        return self.rows * sides * (self.prompt + self.completion)


GROUP = 4
CASES = (
    Case("sft", "sft", 4096, 8, 64, 64, 12, 1.5),
    Case("sft-16k", "sft", 16384, 8, 96, 32, 8, 3.5),
    Case("dpo", "dpo", 4096, 8, 64, 64, 8, 1.8),
    Case("dpo-16k", "dpo", 16384, 8, 96, 32, 6, 3.5),
    Case("reward", "reward", 4096, 8, 64, 64, 10, 1.2),
    Case("grpo", "grpo", 4096, 8, 32, 32, 6, 1.5),
    Case("ppo", "ppo", 4096, 16, 32, 32, 5, 2.0),
)


def make(case: Case, folder: Path) -> None:
    """Write model/ and rows.jsonl (and judge/ for ppo), the same for the same case every time."""
    import torch
    from transformers import LlamaForCausalLM, LlamaForSequenceClassification

    torch.manual_seed(0)
    tokenizer = make_tokenizer(case.vocabulary)
    for name, kind in (("model", LlamaForCausalLM), ("judge", LlamaForSequenceClassification)):
        if name == "model" or case.recipe == "ppo":
            kind(make_config(case)).save_pretrained(folder / name)
            tokenizer.save_pretrained(folder / name)
    lines = [json.dumps(row) for row in make_rows(case)]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_config(case: Case) -> Any:
    """A Llama of width 256 with four layers."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=case.vocabulary,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=2,
        num_labels=1,
        dtype="float32",
    )


def make_tokenizer(vocabulary: int) -> Any:
    """One id for each word `w3`, `w4`, …, split at white space."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "</s>": 1, "<pad>": 2} | {f"w{number}": number for number in range(3, vocabulary)}
    inner = Tokenizer(WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", eos_token="</s>", pad_token="<pad>", model_max_length=512
    )


def make_rows(case: Case) -> list[dict[str, str]]:
    """Rows of random words; a completion has one word less than tokens, since its end is one."""
    draw = random.Random(0)

    def words(count: int) -> str:
        return " ".join(f"w{draw.randrange(3, case.vocabulary)}" for _ in range(count))

    rows = []
    for _ in range(case.rows * case.steps):
        row = {"prompt": words(case.prompt)}
        if case.recipe == "sft":
            row["completion"] = " " + words(case.completion - 1)
        if case.recipe in {"dpo", "reward"}:
            row |= {side: " " + words(case.completion - 1) for side in ("chosen", "rejected")}
        rows.append(row)
    return rows


def read_rows(folder: Path) -> list[dict[str, str]]:
    """What `make` wrote."""
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def case_of(name: str) -> Case:
    """The case of a name."""
    return next(case for case in CASES if case.name == name)


def share_of_even(text: str) -> float:
    """The share of words with an even number: what GRPO is rewarded for on both sides."""
    words = text.split()
    return sum(word.removeprefix("w").isdigit() and int(word[1:]) % 2 == 0 for word in words) / max(1, len(words))
