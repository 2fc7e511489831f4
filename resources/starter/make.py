"""Makes the starter kit: corpus, tokenizer, base model, demonstrations, prompts and ranked items. `make starter` runs it.

Everything is made by the project's own recipes in worker processes, from fixed seeds. Takes about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import LlamaConfig

sys.path.insert(0, str(Path(__file__).parent))

import grammar
from tokenizer import train_tokenizer

from workbench.analysis.story_rule import NAMES, THINGS, score_story
from workbench.domain.decoding import Sample
from workbench.domain.judgement import Item, Judgement, ranking_from_scores
from workbench.domain.specs.kinds import Spec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.text import Candidate, Prompt
from workbench.protocol.run_folder import RunFolder
from workbench.services.tour_plan import MAX_NEW_TOKENS, sft_spec

SEED = 2026
DOCUMENTS = 100_000
VOCABULARY = 1024
CREATED = datetime(2026, 11, 21, tzinfo=UTC)
NOISE = 0.10
RANKED = 600


def main() -> int:
    """Make the kit in the named folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--keep-model", action="store_true", help="use the base model that is there, make only the data anew"
    )
    arguments = parser.parse_args()
    out: Path = arguments.out
    with tempfile.TemporaryDirectory() as scratch:
        if not arguments.keep_model:
            make_base(out / "model", Path(scratch))
        make_data(out, Path(scratch))
    return 0


def make_base(folder: Path, scratch: Path) -> None:
    """The tokenizer and the base model, pretrained on the grammar's corpus by the project's own recipe."""
    rng = random.Random(SEED)
    documents = [grammar.document(rng) for _ in range(DOCUMENTS)]
    blank = scratch / "blank"
    train_tokenizer(documents[:20_000], blank, VOCABULARY)
    LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=128, intermediate_size=352, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
        pad_token_id=0, architectures=["LlamaForCausalLM"],
    ).save_pretrained(str(blank))  # fmt: skip
    spec = PretrainSpec(
        name="starter-base", base=str(blank), data="corpus", seed=SEED, epochs=1.1, max_length=256, batch_size=16, micro_batch_size=4, precision="bfloat16",
        learning_rate=3e-3, warmup=0.03, holdout=0.01, eval_every=250, checkpoint_every=0,
    )  # fmt: skip
    model = execute(spec, pa.table({"text": documents}), scratch / "pretrain")
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(model, folder)


def execute(spec: Spec, rows: pa.Table, path: Path) -> Path:
    """Run one spec in a worker process; returns the folder of the resulting model."""
    folder = RunFolder(path)
    folder.create(spec)
    pq.write_table(rows, folder.data)
    code = subprocess.run([sys.executable, "-m", "workbench", "worker", str(path)], check=False).returncode
    if code:
        tail = folder.events.read_text(encoding="utf-8").splitlines()[-3:] if folder.events.exists() else []
        raise SystemExit(f"The {spec.kind} worker ended with {code}: {tail}")
    return folder.model


def make_data(out: Path, scratch: Path) -> None:
    """Demonstrations, prompts, held-out prompts, and items whose candidates are sampled from an SFT model."""
    rng = random.Random(SEED + 1)
    subjects = [(name, thing) for name in NAMES for thing in THINGS]
    rng.shuffle(subjects)
    held_out, prompts, asked, shown = subjects[:100], subjects[100:400], subjects[400:1024], subjects[1024:1424]

    write_lines(out / "heldout.jsonl", ({"prompt": chat(grammar.request(rng, *s))} for s in held_out))
    write_lines(out / "prompts.jsonl", ({"prompt": chat(grammar.request(rng, *s))} for s in prompts))
    demonstrations = [(grammar.request(rng, *s), grammar.demonstration(rng, *s)) for s in shown]
    write_lines(
        out / "demonstrations.jsonl",
        ({"prompt": chat(p), "completion": [{"role": "assistant", "content": c}]} for p, c in demonstrations),
    )
    sft = execute(sft_spec(str(out / "model")), demonstration_table(demonstrations), scratch / "sft")
    requests = [grammar.request(rng, *s) for s in asked]
    stories = sample(sft, [r for r in requests for _ in range(4)])
    offered = [(n, r, stories[4 * n : 4 * n + 4]) for n, r in enumerate(requests)]
    write_lines(out / "items.jsonl", (ranked(rng, item(*o)) for o in offered[:RANKED]))
    write_lines(out / "to_rank.jsonl", (unranked(item(n, r, s[:2])) for n, r, s in offered[RANKED:]))


def sample(model: Path, requests: list[str]) -> list[str]:
    """One completion for each request, sampled at temperature 1 from the model with the kit's seed."""
    import torch

    from workbench.engine.models import load_policy
    from workbench.engine.rollout import sample_batch
    from workbench.engine.text import encode_prompt

    loaded = load_policy(model, device="cpu", dtype=torch.float32)
    prompts = [encode_prompt(loaded.tokenizer, Prompt.from_text(r), "template") for r in requests]
    stories: list[str] = []
    for start in range(0, len(prompts), 200):
        rollout = sample_batch(
            loaded.model, prompts[start : start + 200], max_new_tokens=MAX_NEW_TOKENS, temperature=1.0,
            eos=[loaded.tokenizer.eos_token_id], seed=SEED + start,
        )  # fmt: skip
        stories.extend(loaded.tokenizer.decode(c, skip_special_tokens=True) for c in rollout.completions)
    return stories


def item(number: int, request: str, stories: list[str]) -> Item:
    """An item whose candidates know the settings and seed that made them."""
    settings = Sample(temperature=1.0, max_new_tokens=MAX_NEW_TOKENS, seed=SEED)
    return Item(
        id=f"starter-{number:04d}",
        prompt=Prompt.from_text(request),
        candidates=tuple(
            Candidate(text=s, model="starter-sft", settings=settings, seed=SEED + 4 * number + k)
            for k, s in enumerate(stories)
        ),
    )


def unranked(offered: Item) -> dict[str, object]:
    """A line of to_rank.jsonl."""
    return {"item": offered.model_dump(mode="json"), "judgements": []}


def ranked(rng: random.Random, offered: Item) -> dict[str, object]:
    """A line of items.jsonl: the rule's ranking; for every tenth item, by chance, the scores are dealt out at random."""
    noisy = rng.random() < NOISE
    scores = [score_story(offered.prompt.text, c.text).total for c in offered.candidates]
    if noisy:
        rng.shuffle(scores)
    shown = list(range(len(scores)))
    shown_seed = rng.randrange(2**31)
    random.Random(shown_seed).shuffle(shown)
    judgement = Judgement(
        id=f"{offered.id}-rule", item=offered.id, annotator="story-rule", annotator_kind="rule", outcome="ranked",
        ranking=ranking_from_scores(scores), shown=tuple(shown), shown_seed=shown_seed, milliseconds=0, created=CREATED,
        note="made at random: part of the 10 % noise" if noisy else "",
    )  # fmt: skip
    return {"item": offered.model_dump(mode="json"), "judgements": [judgement.model_dump(mode="json")]}


def demonstration_table(rows: list[tuple[str, str]]) -> pa.Table:
    """Demonstrations as a snapshot's columns."""
    return pa.table(
        {"prompt": [chat(p) for p, _ in rows], "raw": [False] * len(rows), "completion": [c for _, c in rows]}
    )


def chat(text: str) -> list[dict[str, str]]:
    """One user turn."""
    return [{"role": "user", "content": text}]


def write_lines(path: Path, rows: object) -> None:
    """One JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:  # type: ignore[attr-defined]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
