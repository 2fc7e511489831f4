"""Many clients at once for a while, over a real socket, against a real server process: is any token lost or mixed up?

`python -m tests.benchmarks.serving_soak [SECONDS] [CLIENTS]`. Every client asks one of a set of requests again and again, streamed or
whole, and compares the answer with what the engine says alone. Where they differ, the random number at the first different token is
put beside the border between the two tokens: at a near-tie of float32 either is right; anything else is an error.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import openai
import psutil
import torch

from workbench.domain.decoding import Sample
from workbench.engine.decoding.chain import Context, chain_for
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.stepper import stepper_for
from workbench.engine.decoding.task import Uniforms
from workbench.engine.decoding.voice import Voice
from workbench.engine.models import eos_ids, load_policy
from workbench.engine.text import encode_text

OPENINGS = ["Once upon a time", "The dog", "Lily and Tom went to the park because", "A", "One day a little bird saw a"]
NEAR = 1e-4  # of probability


@dataclass(frozen=True)
class Known:
    """A request with the answer that the engine gives alone."""

    prompt: str
    settings: Sample
    ids: tuple[int, ...]
    text: str

    def fields(self) -> dict[str, Any]:
        s = self.settings
        extra = {"top_k": s.top_k, "min_new_tokens": s.min_new_tokens}
        return {
            "model": "stories", "prompt": self.prompt, "seed": s.seed, "temperature": s.temperature, "max_tokens": s.max_new_tokens,
            "stop": list(s.stop) or None, "frequency_penalty": s.frequency_penalty, "extra_body": extra,
        }  # fmt: skip


@dataclass
class Found:
    """What came of it."""

    answers: int = 0
    tokens: int = 0
    near_ties: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)


def known(voice: Voice, count: int = 48) -> list[Known]:
    """Requests of different lengths, rules and seeds, and their answers."""
    made = []
    for number in range(count):
        settings = Sample(
            seed=number, temperature=(0.7, 1.0, 1.3)[number % 3], top_k=(0, 8)[number % 2], max_new_tokens=10 + 9 * (number % 7),
            min_new_tokens=(0, 5)[number % 2], stop=((), (" the", "!"))[number % 5 == 4], frequency_penalty=(0.0, 0.0, 0.5)[number % 3],
        )  # fmt: skip
        prompt = OPENINGS[number % len(OPENINGS)]
        ids: list[int] = []
        steps = decode(voice, encode_text(voice.tokenizer, prompt), settings)
        while True:
            try:
                choice: Any = next(steps)
            except StopIteration as finished:
                made.append(Known(prompt, settings, tuple(ids), finished.value.text))
                break
            if choice is not None:
                ids.append(choice.id)
    return made


async def soak(
    client: Callable[[], openai.AsyncOpenAI], requests: list[Known], voice: Voice, seconds: float, clients: int
) -> Found:
    """Let so many clients ask for so long."""
    found = Found()
    end = time.monotonic() + seconds

    async def one(number: int) -> None:
        asking, dice = client(), random.Random(number)
        while time.monotonic() < end:
            request = dice.choice(requests)
            began = time.monotonic()
            text, made = await (_streamed if dice.random() < 0.5 else _whole)(asking, request)
            found.waits.append(time.monotonic() - began)
            found.answers += 1
            found.tokens += made
            if text != request.text:
                _judge(voice, request, text, found)

    began = time.monotonic()
    await asyncio.gather(*(one(number) for number in range(clients)))
    found.seconds = time.monotonic() - began
    return found


async def _whole(client: openai.AsyncOpenAI, request: Known) -> tuple[str, int]:
    reply = await client.completions.create(**request.fields())
    return reply.choices[0].text, reply.usage.completion_tokens if reply.usage else 0


async def _streamed(client: openai.AsyncOpenAI, request: Known) -> tuple[str, int]:
    text, made = "", 0
    stream = await client.completions.create(**request.fields(), stream=True, stream_options={"include_usage": True})
    async for piece in stream:
        text += "".join(choice.text for choice in piece.choices)
        made += piece.usage.completion_tokens if piece.usage else 0
    return text, made


def _judge(voice: Voice, request: Known, text: str, found: Found) -> None:
    if margin(voice, request, text) < NEAR:
        found.near_ties += 1
    else:
        found.wrong.append(f"{request.prompt!r}, seed {request.settings.seed}: {text!r} instead of {request.text!r}")


@torch.inference_mode()
def margin(voice: Voice, request: Known, text: str) -> float:
    """How far the random number at the first different token is from a border of the token that the engine chose."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, request.text, strict=False)))
    prompt, nearest = encode_text(voice.tokenizer, request.prompt), 1.0
    said = 0
    stepper, uniforms = stepper_for(voice), Uniforms(request.settings.seed)
    logits = stepper.prefill([prompt])
    chain = chain_for(request.settings, voice.eos)
    for place, token in enumerate(request.ids):
        scores = chain(logits, Context([prompt], [list(request.ids[:place])])).scores
        sums = torch.softmax(scores.double(), -1).cumsum(-1)[0]
        u = uniforms.next()
        low = float(sums[token - 1]) if token else 0.0
        nearest = min(abs(u - low), abs(u - float(sums[token])))
        said += len(voice.pieces[token])
        if said > same:
            break
        logits = stepper.step([token])
    return nearest


def report(found: Found, clients: int) -> str:
    """One paragraph."""
    waits = sorted(found.waits)
    return (
        f"{clients} clients, {found.seconds:.0f} s: {found.answers} answers, {found.tokens} tokens "
        f"({found.tokens / found.seconds:.0f} a second), median wait {waits[len(waits) // 2]:.2f} s, "
        f"99th percentile {waits[int(len(waits) * 0.99)]:.2f} s; {len(found.wrong)} wrong, {found.near_ties} near-ties"
    )


def main(seconds: float = 600.0, clients: int = 64) -> int:
    """Run it against `workbench serve`; 1 when a token was lost or mixed up."""
    from workbench.services.serving import settings_for
    from workbench.services.workbench import Workbench, new_workspace

    stories = Path(os.environ.get("WORKBENCH_SHARED", Path(__file__).parents[3] / "shared")) / "models" / "stories260K"
    torch.set_num_threads(1)
    loaded = load_policy(stories)
    voice = Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded))
    requests = known(voice)
    with tempfile.TemporaryDirectory() as folder, Workbench.open(new_workspace(Path(folder) / "w")) as bench:
        bench.models.add_folder(stories, "stories")
        bench.settings.change(threads=1)
        [key] = bench.serving.start(["stories"], settings_for())
        while bench.serving.state().state == "loading":
            time.sleep(0.1)
        process, address = psutil.Process(bench.serving._process.pid), bench.serving.state().address
        before = process.memory_info().rss

        def client() -> openai.AsyncOpenAI:
            return openai.AsyncOpenAI(base_url=address, api_key=key, max_retries=0, timeout=120)

        found = asyncio.run(soak(client, requests, voice, seconds, clients))
        grown = (process.memory_info().rss - before) / 2**20
        print(report(found, clients))
        print(f"server: {process.cpu_times().user:.0f} s of CPU, memory grew by {grown:.0f} MiB")
        for line in found.wrong[:10]:
            print(line)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:2]), *map(int, sys.argv[2:3])))
