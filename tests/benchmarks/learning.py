"""What each recipe learns on the starter kit: `python -m tests.benchmarks.learning FOLDER --seed 0 [--only NAME …]`.

Everything starts from one SFT model for each seed. A policy answers the kit's held-out prompts once each; the rule that made the
labels scores the answers, the reward model that a policy may have been trained against scores them too (proxy), and KL is taken
to the SFT model. Results are appended to FOLDER/learning.jsonl, a line each; what stands there is not measured again, so that
an interrupted round goes on. `--table` prints all lines as Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workbench.analysis.story_rule import score_story
from workbench.domain.decoding import Sample
from workbench.domain.runs import JobState
from workbench.domain.specs.kinds import parse_spec
from workbench.services.starter import BASE, DEMONSTRATIONS, HELD_OUT, PROMPTS, RANKINGS, fill_with_starter
from workbench.services.tour_plan import LENGTH, MAX_NEW_TOKENS, dpo_spec, ppo_spec, reward_spec, sft_spec
from workbench.services.workbench import Workbench, new_workspace

SFT, JUDGE, DOCUMENTS = "tour-sft", "tour-reward", "stories"
ONLINE = {
    "base": SFT, "data": PROMPTS, "epochs": 100.0, "max_new_tokens": MAX_NEW_TOKENS, "max_length": 256, "eval_every": 10,
    "checkpoint_every": 0, "reward_model": JUDGE,
}  # fmt: skip
GENTLE = (
    5e-5  # IPO's and SimPO's gradients don't fade as sigmoid's do: at DPO's 2e-4 the policy runs away (KL up to 98)
)


class Trial(NamedTuple):
    """One run: a name, the fields of its spec, and the metric of held-out data that it is to improve (for a policy: the rule's score)."""

    name: str
    fields: dict[str, Any]
    metric: str = ""


def _pairs(name: str, **more: Any) -> Trial:
    return Trial(name, dpo_spec(SFT, RANKINGS).model_dump() | {"checkpoint_every": 0, "sample_every": 0} | more)


def _judge(name: str, **more: Any) -> Trial:
    return Trial(name, reward_spec(SFT, RANKINGS).model_dump() | {"checkpoint_every": 0} | more, "eval/accuracy")


def _ppo(name: str, **more: Any) -> Trial:
    return Trial(name, ppo_spec(SFT, JUDGE, PROMPTS).model_dump() | {"checkpoint_every": 0, "sample_every": 0} | more)


def _group(name: str, **more: Any) -> Trial:
    fields = {"kind": "grpo", "batch_size": 8, "max_steps": 40, "learning_rate": 3e-4, "beta": 0.03}
    return Trial(name, ONLINE | fields | more)


TRIALS = (
    Trial(
        "pretrain",
        {
            "kind": "pretrain", "base": BASE, "data": DOCUMENTS, "epochs": 3.0, "batch_size": 16, "max_length": LENGTH,
            "learning_rate": 5e-4, "eval_every": 5, "holdout": 0.1,
        },
        "eval/loss",
    ),
    Trial("sft", sft_spec(BASE, DEMONSTRATIONS).model_dump() | {"checkpoint_every": 0, "eval_every": 5}, "eval/loss"),
    _judge("reward"),
    _judge("reward-hinge", loss="hinge", margin=True),
    _judge("reward-mse", loss="mse", margin=True),
    _judge("reward-softmax", loss="softmax"),
    _judge("reward-plackett-luce", loss="plackett_luce"),
    _pairs("dpo"),
    _pairs("dpo-ipo", loss="ipo", learning_rate=GENTLE),
    _pairs("dpo-hinge", loss="hinge"),
    _pairs("dpo-robust", loss="robust", label_smoothing=0.1),
    _pairs("dpo-kto", loss="kto"),
    _pairs("dpo-orpo", loss="orpo"),
    _pairs("dpo-simpo", loss="simpo", beta=2.0, learning_rate=GENTLE),
    _ppo("ppo"),
    _ppo("ppo-beta0", kl_coefficient=0.0, max_steps=60),
    _group("grpo"),
    _group("grpo-dapo", variant="dapo"),
    _group("grpo-dr", variant="dr_grpo"),
    _group("grpo-rloo", variant="rloo"),
    Trial("weighted", ONLINE | {"kind": "weighted", "batch_size": 8, "max_steps": 40, "learning_rate": 3e-4, "beta": 0.3}),
)  # fmt: skip


def run(bench: Workbench, trial: Trial, seed: int) -> dict[str, Any]:
    """Train one trial and measure its result."""
    name = f"trial-{trial.name}"
    spec = parse_spec(trial.fields | {"name": name, "seed": seed})
    began = time.monotonic()
    view = bench.training.start(spec)
    while not view.state.ended:
        view = bench.runs.wait(view.id, timeout=5.0)
    if view.state is not JobState.DONE:
        raise SystemExit(f"{name}: {view.error_what} {view.error_hint}")
    found: dict[str, Any] = {"trial": trial.name, "seed": seed, "seconds": round(time.monotonic() - began)}
    if trial.metric:
        points = bench.runs.metrics(view.id, [trial.metric])[trial.metric]
        return found | {"metric": trial.metric, "first": points[0].value, "last": points[-1].value}
    return found | policy(bench, view.model or name, seed)  # a name that an earlier round took gets a number behind it


def policy(bench: Workbench, model: str, seed: int) -> dict[str, Any]:
    """Rule, proxy, KL to SFT, and length of one sampled answer to each held-out prompt."""
    prompts = bench.datasets.values(HELD_OUT)
    texts = bench.playground.generate(model, prompts, Sample(temperature=1.0, max_new_tokens=MAX_NEW_TOKENS, seed=seed))
    pairs = list(zip(prompts, texts, strict=True))
    own, start = (bench.playground.score(name, pairs) for name in (model, SFT))
    return {
        "rule": _mean(score_story(p.text, t).total for p, t in pairs),
        "proxy": _mean(iter(bench.playground.reward(JUDGE, pairs))),
        "kl": _mean(a.logprob - b.logprob for a, b in zip(own, start, strict=True)),
        "words": _mean(float(len(text.split())) for text in texts),
        "sample": texts[0],
    }


def prepare(folder: Path, seed: int) -> Workbench:
    """The workspace of a seed, with the kit, plain documents, an SFT model and a reward model."""
    path = folder / f"seed-{seed}"
    if not (path / "workbench.db").exists():
        new_workspace(path)
    bench = Workbench.open(path)
    if RANKINGS not in {d.name for d in bench.datasets.list()}:
        fill_with_starter(bench.workspace, bench.models, bench.datasets)
    if DOCUMENTS not in {d.name for d in bench.datasets.list()}:
        lines = [json.dumps({"text": row.completion}) for row in bench.datasets.values(DEMONSTRATIONS, limit=1000)]
        file = folder / f"{DOCUMENTS}-{seed}.jsonl"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        bench.datasets.import_files([file], DOCUMENTS)
    known = {model.name for model in bench.models.list()}
    for spec in (sft_spec(BASE, DEMONSTRATIONS, seed), reward_spec(SFT, RANKINGS, seed)):
        if spec.name not in known:
            view = bench.training.start(spec)
            while not view.state.ended:
                view = bench.runs.wait(view.id, timeout=5.0)
    return bench


def table(lines: list[dict[str, Any]]) -> str:
    """All results as Markdown: recipes judged by a metric, then policies."""
    metrics = [
        f"| {r['trial']} | {r['seed']} | {r['metric']} | {r['first']:.3f} | {r['last']:.3f} |"
        for r in lines
        if "metric" in r
    ]
    policies = [
        f"| {r['trial']} | {r['seed']} | {r['rule']:.3f} | {r['proxy']:.2f} | {r['kl']:.1f} | {r['words']:.0f} |"
        for r in lines
        if "rule" in r
    ]
    heads = (
        ("| run | seed | metric | first | last |", "|---|---|---|---|---|"),
        ("| policy | seed | rule | proxy | KL | words |", "|---|---|---|---|---|---|"),
    )
    return "\n".join([*heads[0], *metrics, "", *heads[1], *policies])


def _mean(values: Iterator[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def main(arguments: list[str]) -> int:
    """Measure what is asked for and isn't there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    results = asked.folder / "learning.jsonl"
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if asked.table:
        sys.stdout.write(table(sorted(lines, key=lambda r: (r["trial"], r["seed"]))) + "\n")
        return 0
    known = {(line["trial"], line["seed"]) for line in lines}
    wanted = [trial for trial in TRIALS if not asked.only or trial.name in asked.only]
    with prepare(asked.folder, asked.seed) as bench:
        if ("(SFT)", asked.seed) not in known:
            lines = [{"trial": "(SFT)", "seed": asked.seed} | policy(bench, SFT, asked.seed)]
            _append(results, lines)
        for trial in wanted:
            if (trial.name, asked.seed) not in known:
                found = run(bench, trial, asked.seed)
                sys.stdout.write(f"{ {k: v for k, v in found.items() if k != 'sample'} }\n")
                _append(results, [found])
    return 0


def _append(file: Path, lines: list[dict[str, Any]]) -> None:
    with file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
