"""Messages of the decoding worker: one line each, loud on what they don't know."""

from __future__ import annotations

import json
import math

import pytest

from workbench.domain.choices import Aligned, Alternative, Bar, BeamTrace, Distribution, Stage, TokenChoice
from workbench.domain.decoding import Greedy, Sample
from workbench.domain.errors import BadInput
from workbench.domain.text import Prompt
from workbench.protocol import decode_wire as wire

PROMPT = Prompt.from_text("Once\nupon ü 😀")
CHOICE = TokenChoice(
    id=5, text=" ☃\n", start=0, end=3, p_model=0.5, p_used=1.0, logprob=-0.69, rank=0, entropy=1.2, kept=1, kept_mass=0.5,
    alternatives=(Alternative(id=5, text=" ☃\n", p_model=0.5, p_used=1.0), Alternative(id=6, text="", p_model=0.1, p_used=0.0, cut_by="top_p")),
    beam=BeamTrace(index=1, parent=0, score=-3.5),
)  # fmt: skip
DISTRIBUTION = Distribution(
    position=3,
    stages=(Stage(rule="model", kept=9, mass=1.0, entropy=2.0),),
    bars=(Bar(id=1, text="x", p=(0.5,)),),
    chosen=1,
)
ALIGNED = Aligned(id=1, text="x", logprob=-0.5, reference=-0.75, kl=0.1, entropy=1.0)
REQUESTS: list[wire.Request] = [
    wire.Load(job=1, model="/m"),
    wire.Generate(job=2, prompt=PROMPT, columns=(wire.ColumnAsked(model="/m", settings=Sample(top_p=0.9)),)),
    wire.GenerateMany(job=3, model="/m", prompts=(PROMPT, PROMPT), settings=Greedy()),
    wire.Score(job=4, model="/m", pairs=((PROMPT, "a text"),)),
    wire.Reward(job=5, model="/m", pairs=()),
    wire.Distribute(job=6, generation=2, column=1, position=3, settings=Sample(top_k=4), top=5),
    wire.Align(job=7, model="/m", reference="/r", pairs=((PROMPT, "a text"),)),
    wire.Free(job=8, model="/m"),
    wire.Budget(job=0, bytes=2**40),
    wire.Stop(upto=4),
    wire.Quit(),
]
REPLIES: list[wire.Reply] = [
    wire.Ready(device="cpu"),
    wire.Phase(job=1, column=0, phase="loading the model"),
    wire.Tokens(job=1, column=2, choices=(CHOICE,)),
    wire.ColumnDone(job=1, column=0, text="a", completion="a", reason="end", others=(("b", -1.5),), numbers={"x": 1.0}),
    wire.ColumnFailed(job=1, column=1, what="No.", hint="Yes.", error="bad_input"),
    wire.Progress(job=1, done=3, total=9),
    wire.Done(job=1, texts=("a", "b"), logprobs=((-1.0, -2.0),), rewards=(0.5,)),
    wire.Failed(job=1, what="No."),
    wire.Shelved(models=(wire.OnShelf(model="/m", role="reward", bytes=2**33),), used=2**33, budget=2**34),
    wire.Done(job=9, distribution=DISTRIBUTION, aligned=((ALIGNED,), ())),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda m: m.kind)
def test_that_a_request_survives_the_pipe(request_: wire.Request) -> None:
    line = wire.to_line(request_)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert wire.read_request(line) == request_


@pytest.mark.parametrize("reply", REPLIES, ids=lambda m: m.kind)
def test_that_a_reply_survives_the_pipe(reply: wire.Reply) -> None:
    line = wire.to_line(reply)
    assert line.count(b"\n") == 1
    assert wire.read_reply(line) == reply


def test_that_a_model_which_says_not_a_number_does_not_damage_the_pipe() -> None:
    choice = CHOICE.model_copy(update={"logprob": -math.inf, "entropy": math.inf})
    done = wire.Done(job=1, logprobs=((-math.inf, -1.0),), rewards=(math.inf,))
    tokens = wire.Tokens(job=1, column=0, choices=(choice,))
    ended = wire.ColumnDone(
        job=1, column=0, text="", completion="", reason="end", others=(("b", -math.inf),), numbers={"x": math.inf}
    )
    for reply in (done, tokens, ended):
        line = wire.to_line(reply)
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        assert wire.read_reply(line) == reply
    back = wire.read_reply(wire.to_line(wire.Done(job=1, rewards=(math.nan,))))
    assert isinstance(back, wire.Done) and math.isnan(back.rewards[0])


def test_that_a_reply_is_no_request() -> None:
    with pytest.raises(BadInput):
        wire.read_request(wire.to_line(wire.Ready(device="cpu")))


def test_that_damage_is_the_decoders() -> None:
    with pytest.raises(BadInput) as caught:
        wire.read_reply(b"nonsense\n")
    assert caught.value.hint == "The decoder's pipe is damaged."
