"""The decoding worker as a real process: clean stdout, every trouble a sentence, gone when the pipe closes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.decoding import Beam, ContrastiveSearch, Greedy, Sample
from workbench.domain.text import Prompt, Turn
from workbench.protocol import decode_wire as wire

ONCE = Prompt.from_text("Once upon a time", raw=True)
ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """The process, with its pipes as messages."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workbench", "decoder"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, cwd="/",
        )  # fmt: skip

    def say(self, *requests: wire.Request) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(wire.to_line(r) for r in requests))
        self.process.stdin.flush()

    def hear(self, until: Callable[[wire.Reply], bool]) -> list[Any]:
        """Every reply up to the first for which `until` holds; every line has to be one."""
        assert self.process.stdout is not None
        heard: list[wire.Reply] = []
        while not heard or not until(heard[-1]):
            line = self.process.stdout.readline()
            assert line, f"the worker is gone after {heard[-3:]}"
            heard.append(wire.read_reply(line))
        return heard


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    assert made.process.stdin is not None
    made.process.stdin.close()
    assert made.process.wait(20) == 0, "a closed pipe ends the worker in order"
    assert made.process.stdout is not None
    made.process.stdout.close()


@pytest.fixture(scope="module")
def model(shared: Path) -> str:
    return str(shared / "models" / "stories260K")


def ended(job: int) -> Callable[[wire.Reply], bool]:
    return lambda reply: isinstance(reply, wire.Done | wire.Failed) and reply.job == job


def test_that_columns_stream_side_by_side(worker: Worker, model: str) -> None:
    columns = (
        wire.ColumnAsked(model=model, settings=Greedy(max_new_tokens=20)),
        wire.ColumnAsked(model=model, settings=Sample(max_new_tokens=20, seed=4)),
        wire.ColumnAsked(model=model, settings=Beam(max_new_tokens=12, num_beams=2)),
    )
    worker.say(wire.Generate(job=1, prompt=ONCE, columns=columns))
    heard = worker.hear(ended(1))
    order = [r.column for r in heard if isinstance(r, wire.Tokens)]
    assert order.index(1) < len(order) - 1 - order[::-1].index(0), "B speaks before A has ended"
    done = {r.column: r for r in heard if isinstance(r, wire.ColumnDone)}
    assert set(done) == {0, 1, 2}
    for column, verdict in done.items():
        pieces = [c.text for r in heard if isinstance(r, wire.Tokens) and r.column == column for c in r.choices]
        assert "".join(pieces) == verdict.text
        assert verdict.reason == "length"
        assert {"tokens", "seconds", "tokens_per_second", "first_token_seconds", "logprob", "distinct_2"} <= set(
            verdict.numbers
        )


def test_that_the_same_seed_says_the_same_again(worker: Worker, model: str) -> None:
    column = wire.ColumnAsked(model=model, settings=Sample(max_new_tokens=16, seed=9))
    texts = []
    for job in (10, 11):
        worker.say(wire.Generate(job=job, prompt=ONCE, columns=(column, column)))
        texts += [r.text for r in worker.hear(ended(job)) if isinstance(r, wire.ColumnDone)]
    assert len(texts) == 4 and len(set(texts)) == 1


def test_that_stop_is_seen_before_the_next_token(worker: Worker, model: str) -> None:
    column = wire.ColumnAsked(model=model, settings=ContrastiveSearch(max_new_tokens=480, top_k=64))
    worker.say(wire.Generate(job=20, prompt=ONCE, columns=(column,)))
    worker.hear(lambda r: isinstance(r, wire.Tokens))
    worker.say(wire.Stop(upto=20))
    heard = worker.hear(ended(20))
    assert heard[-1].stopped
    verdict = next(r for r in heard if isinstance(r, wire.ColumnDone))
    assert verdict.reason == "stopped"
    assert verdict.numbers["tokens"] < 400


def test_that_a_job_stopped_before_it_began_does_nothing(worker: Worker, model: str) -> None:
    column = wire.ColumnAsked(model=model, settings=Greedy(max_new_tokens=30))
    worker.say(wire.Stop(upto=30), wire.Generate(job=30, prompt=ONCE, columns=(column,)))
    heard = worker.hear(ended(30))
    assert heard[-1].stopped and not any(isinstance(r, wire.Tokens) for r in heard)


def test_that_one_columns_trouble_is_not_the_others(worker: Worker, model: str, tmp_path: Path) -> None:
    columns = (
        wire.ColumnAsked(model=str(tmp_path / "nowhere"), settings=Greedy()),
        wire.ColumnAsked(model=model, settings=Greedy(max_new_tokens=5)),
        wire.ColumnAsked(model=model, settings=Greedy(max_new_tokens=5000, no_repeat_ngram=1)),
    )
    worker.say(wire.Generate(job=40, prompt=ONCE, columns=columns))
    heard = worker.hear(ended(40))
    failed = {r.column: r for r in heard if isinstance(r, wire.ColumnFailed)}
    assert "no model folder" in failed[0].what and failed[0].hint and failed[0].error == "bad_input"
    assert [r.column for r in heard if isinstance(r, wire.ColumnDone) and r.column == 1] == [1]
    assert 2 in failed or any(isinstance(r, wire.ColumnDone) and r.column == 2 for r in heard)


def test_that_a_prompt_beyond_the_context_is_told(worker: Worker, model: str) -> None:
    long = Prompt.from_text("the cat " * 500, raw=True)
    worker.say(wire.Generate(job=50, prompt=long, columns=(wire.ColumnAsked(model=model, settings=Greedy()),)))
    failed = next(r for r in worker.hear(ended(50)) if isinstance(r, wire.ColumnFailed))
    assert "at most 512" in failed.what


def test_that_nonsense_on_the_pipe_is_survived(worker: Worker, model: str) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.write(b"nonsense\n\xff\n{}\n")
    worker.say(wire.Load(job=60, model=model))
    assert not worker.hear(ended(60))[-1].stopped


def test_that_many_prompts_come_back_in_order_and_progress_is_told(worker: Worker, model: str) -> None:
    prompts = tuple(Prompt.from_text(t, raw=True) for t in ("Once upon a time", "The dog", "Lily"))
    worker.say(wire.GenerateMany(job=70, model=model, prompts=prompts, settings=Greedy(max_new_tokens=8)))
    heard = worker.hear(ended(70))
    assert len(heard[-1].texts) == 3
    assert any(isinstance(r, wire.Progress) and r.done == 3 for r in heard)
    worker.say(wire.Generate(job=71, prompt=prompts[1], columns=(wire.ColumnAsked(model=model, settings=Greedy(max_new_tokens=8)),)))  # fmt: skip
    alone = next(r for r in worker.hear(ended(71)) if isinstance(r, wire.ColumnDone))
    assert heard[-1].texts[1] == alone.completion


def test_that_scores_add_up_to_what_decoding_said(worker: Worker, model: str) -> None:
    worker.say(wire.Generate(job=80, prompt=ONCE, columns=(wire.ColumnAsked(model=model, settings=Greedy(max_new_tokens=12)),)))  # fmt: skip
    heard = worker.hear(ended(80))
    done = next(r for r in heard if isinstance(r, wire.ColumnDone))
    choices = [c for r in heard if isinstance(r, wire.Tokens) for c in r.choices]
    worker.say(wire.Score(job=81, model=model, pairs=((ONCE, done.completion), (ONCE, "x"), (ONCE, ""))))
    scored = worker.hear(ended(81))[-1].logprobs
    assert [len(row) for row in scored][2] == 1, "an empty completion is its end token alone"
    said = [c.logprob for c in choices]
    if len(scored[0]) == len(said) + 1:  # the text is encoded again as it was written
        assert scored[0][:-1] == pytest.approx(said, abs=1e-3)


def test_that_a_language_model_gives_no_rewards(worker: Worker, model: str) -> None:
    worker.say(wire.Reward(job=90, model=model, pairs=((ONCE, "a"),)))
    reply = worker.hear(ended(90))[-1]
    assert isinstance(reply, wire.Failed) and "not a reward model" in reply.what


def test_that_wrong_arguments_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "decoder", "--fast"], capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2 and b"usage" in done.stderr and done.stdout == b""


def test_that_what_is_loaded_is_told_and_can_be_freed(worker: Worker, model: str) -> None:
    worker.say(wire.Load(job=100, model=model), wire.Free(job=101, model=model), wire.Load(job=102, model=model))
    told = [r for r in worker.hear(ended(102)) if isinstance(r, wire.Shelved)]
    assert [[m.model for m in one.models] for one in told][-2:] == [[], [model]]
    assert told[-1].used == told[-1].models[0].bytes > 260_000 * 4
    assert told[-1].budget > told[-1].used
    worker.say(wire.Budget(job=0, bytes=1), wire.Free(job=103, model="/nowhere"))
    told = [r for r in worker.hear(ended(103)) if isinstance(r, wire.Shelved)]
    assert told[-1].models == () and told[-1].budget == 1
    column = wire.ColumnAsked(model=model, settings=Greedy(max_new_tokens=3))
    worker.say(wire.Generate(job=104, prompt=ONCE, columns=(column,)), wire.Budget(job=0, bytes=0))
    heard = worker.hear(ended(104))
    assert any(isinstance(r, wire.ColumnDone) for r in heard), "one model is loaded, however small the budget"
    assert worker.hear(ended(0))[-1].job == 0


def test_that_a_column_can_be_looked_into_when_it_has_ended(worker: Worker, model: str) -> None:
    settings = Sample(max_new_tokens=12, seed=4, top_k=30)
    column = wire.ColumnAsked(model=model, settings=settings)
    beam = wire.ColumnAsked(model=model, settings=Beam(max_new_tokens=8, num_beams=2))
    worker.say(wire.Generate(job=110, prompt=ONCE, columns=(column, beam, column)))
    heard = worker.hear(ended(110))
    choices = [c for r in heard if isinstance(r, wire.Tokens) and r.column == 2 for c in r.choices]
    worker.say(wire.Distribute(job=111, generation=110, column=2, position=5, settings=settings))
    found = worker.hear(ended(111))[-1].distribution
    assert found.chosen == choices[5].id and found.changed is None
    assert [stage.rule for stage in found.stages] == ["model", "top_k"]
    bars = {bar.id: bar for bar in found.bars}
    for alternative in choices[5].alternatives:
        assert bars[alternative.id].p[0] == pytest.approx(alternative.p_model, abs=1e-5)
        assert bars[alternative.id].p[-1] == pytest.approx(alternative.p_used, abs=1e-5)
        assert bars[alternative.id].cut_by == alternative.cut_by
    # A beam's logits were not kept: they are read once. Part of a column is looked into like the whole.
    worker.say(wire.Distribute(job=112, generation=110, column=1, position=2, settings=Sample(temperature=0.5)))
    assert worker.hear(ended(112))[-1].distribution.stages[1].rule == "temperature"
    on = wire.ColumnAsked(model=model, settings=settings, start=tuple(c.id for c in choices[:6]))
    worker.say(wire.Generate(job=113, prompt=ONCE, columns=(on,)))
    worker.say(wire.Distribute(job=114, generation=113, column=0, position=5, settings=settings))
    again = next(r for r in worker.hear(ended(114)) if isinstance(r, wire.Done) and r.job == 114).distribution
    assert (again.chosen, again.changed) == (found.chosen, None)
    for generation, position, sentence in ((110, 99, "12 tokens"), (1234, 0, "no longer")):
        ask = wire.Distribute(job=115, generation=generation, column=0, position=position, settings=settings)
        worker.say(ask)
        failed = worker.hear(ended(115))[-1]
        assert isinstance(failed, wire.Failed) and sentence in failed.what


def test_that_a_model_is_aligned_with_itself(worker: Worker, model: str) -> None:
    pairs = ((ONCE, " there was a cat."), (ONCE, " a dog"))
    worker.say(wire.Align(job=120, model=model, reference=model, pairs=pairs))
    rows = worker.hear(ended(120))[-1].aligned
    worker.say(wire.Score(job=121, model=model, pairs=pairs))
    scores = worker.hear(ended(121))[-1].logprobs
    for row, score, (_, text) in zip(rows, scores, pairs, strict=True):
        assert [token.logprob for token in row] == pytest.approx(score, abs=1e-3)
        assert all(token.kl == 0 and token.reference == token.logprob and token.entropy > 0 for token in row)
        assert "".join(token.text for token in row).strip() == text.strip()


def test_that_a_prompt_of_turns_and_a_prefilled_answer_are_read(worker: Worker, model: str) -> None:
    prompt = Prompt(turns=(Turn(role="system", content="Be brief."), Turn(role="user", content="Hello")))
    column = wire.ColumnAsked(model=model, settings=Greedy(max_new_tokens=6))
    worker.say(wire.Generate(job=130, prompt=prompt, columns=(column,), prefill="Once upon"))
    verdict = next(r for r in worker.hear(ended(130)) if isinstance(r, wire.ColumnDone))
    assert verdict.completion == "Once upon" + verdict.text


def test_that_a_text_that_ends_in_the_middle_of_others_leaves_them_alone(worker: Worker, model: str) -> None:
    """Columns of one batch: one stops at once, one can't choose, one goes on to its end."""
    columns = tuple(
        wire.ColumnAsked(model=model, settings=settings)
        for settings in (
            Greedy(max_new_tokens=1),
            Greedy(max_new_tokens=5000, no_repeat_ngram=1),
            Sample(max_new_tokens=20, seed=3),
            Sample(max_new_tokens=20, seed=3),
        )
    )
    worker.say(wire.Generate(job=140, prompt=ONCE, columns=columns))
    heard = worker.hear(ended(140))
    done = {r.column: r for r in heard if isinstance(r, wire.ColumnDone)}
    assert done[0].numbers["tokens"] == 1 and done[2].numbers["tokens"] == 20
    assert done[2].text == done[3].text
    assert done[2].numbers["tokens_per_second"] > 1
