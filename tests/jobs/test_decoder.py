"""The decoding child: started when needed, restarted after a crash, its loss told to everybody who waits."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.domain.decoding import Greedy
from workbench.domain.errors import BadInput, Conflict, RunFailed
from workbench.domain.text import Prompt
from workbench.jobs.decoder import Decoder, Memory, News

PROMPT = Prompt.from_text("Hello")
BUDGET = [1000]
# A worker that speaks the protocol without a model: it echoes, streams until it is stopped, dies or fails on demand.
SCRIPT = """
import os, sys, threading, queue, time
from workbench.domain.choices import Distribution
from workbench.protocol import decode_wire as wire
out = sys.stdout.buffer
def send(reply): out.write(wire.to_line(reply)); out.flush()
inbox, stopped = queue.SimpleQueue(), [0]
def read():
    for line in sys.stdin.buffer:
        r = wire.read_request(line)
        if r.kind == "stop": stopped[0] = r.upto
        else: inbox.put(r)
    inbox.put(None)
threading.Thread(target=read, daemon=True).start()
send(wire.Ready(device="none"))
while (r := inbox.get()) is not None:
    if r.kind == "budget":
        send(wire.Shelved(models=(wire.OnShelf(model="/m", role="policy", bytes=7),), used=7, budget=r.bytes))
        send(wire.Done(job=r.job))
    elif r.kind == "free":
        send(wire.Shelved(models=(), used=0, budget=5))
        send(wire.Done(job=r.job))
    elif r.kind == "distribute":
        d = Distribution(position=r.position, stages=(), bars=(), chosen=r.top, changed=r.generation)
        send(wire.Done(job=r.job, distribution=d if r.column == 0 else None))
    elif r.kind == "generate":
        for c, asked in enumerate(r.columns):
            if asked.model == "/die": os.kill(os.getpid(), 9)
            send(wire.Phase(job=r.job, column=c, phase="thinking"))
        while asked.model == "/endless" and stopped[0] < r.job: time.sleep(0.005)
        for c, asked in enumerate(r.columns):
            if asked.model == "/bad": send(wire.ColumnFailed(job=r.job, column=c, what="No.", hint="Try.", error="bad_input"))
            else: send(wire.ColumnDone(job=r.job, column=c, text=r.prompt.text, completion=r.prompt.text, reason="end"))
        send(wire.Done(job=r.job))
    elif r.model == "/die": os._exit(3)
    elif r.model == "/torn": out.write(b'{"v":1,"m":{"kind":"done","jo'); out.flush(); os.kill(os.getpid(), 9)
    elif r.model == "/garbage": out.write(b"this is no message\\n"); out.flush()
    elif r.model == "/bad": send(wire.Failed(job=r.job, what="No.", hint="Try.", error="bad_input"))
    elif r.kind == "generate_many":
        stop = False
        for n in range(len(r.prompts)):
            send(wire.Progress(job=r.job, done=n + 1, total=len(r.prompts))); time.sleep(0.02)
            stop = stop or stopped[0] >= r.job
        send(wire.Done(job=r.job, stopped=stop, texts=tuple(p.text.upper() for p in r.prompts)))
    elif r.kind == "score": send(wire.Done(job=r.job, logprobs=tuple((-1.0,) * len(t) for _, t in r.pairs)))
    elif r.kind == "align": send(wire.Done(job=r.job, aligned=((),) * len(r.pairs)))
    elif r.kind == "reward": send(wire.Done(job=r.job, rewards=tuple(float(len(t)) for _, t in r.pairs)))
"""


@pytest.fixture
def decoder(tmp_path: Path) -> Iterator[Decoder]:
    script = tmp_path / "speaker.py"
    script.write_text(SCRIPT, encoding="utf-8")
    made = Decoder(tmp_path / "decoder.log", command=lambda: [sys.executable, str(script)], budget=lambda: BUDGET[0])
    yield made
    made.close()


def wait(decoder: Decoder, until: Callable[[list[News]], bool], seconds: float = 20.0) -> list[News]:
    heard: list[News] = []
    end = time.monotonic() + seconds
    while not until(heard) and time.monotonic() < end:
        heard += decoder.poll()
        time.sleep(0.005)
    assert until(heard), heard
    return heard


def all_done(columns: int) -> Callable[[list[News]], bool]:
    return lambda heard: sum(news.done for news in heard) == columns


def test_that_the_process_starts_with_the_first_request(decoder: Decoder) -> None:
    assert decoder.pid is None
    job = decoder.generate(PROMPT, [(Path("/m"), Greedy(), ()), (Path("/m"), Greedy(), ())])
    heard = wait(decoder, all_done(2))
    assert {news.job for news in heard} == {job}
    assert [n.text for n in heard if n.done] == ["Hello", "Hello"]
    assert heard[0].phase == "thinking"
    assert decoder.pid is not None


def test_that_answers_come_to_the_thread_that_asked(decoder: Decoder) -> None:
    found: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        found[number] = decoder.generate_many(Path("/m"), [Prompt.from_text(f"t{number}")] * 2, Greedy())

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {n: [f"T{n}", f"T{n}"] for n in range(4)}


def test_that_scores_and_rewards_come_back(decoder: Decoder) -> None:
    assert decoder.score(Path("/m"), [(PROMPT, "abc"), (PROMPT, "a")]) == [(-1.0, -1.0, -1.0), (-1.0,)]
    assert decoder.reward(Path("/m"), [(PROMPT, "abc")]) == [3.0]


def test_that_a_refusal_is_raised_with_its_hint(decoder: Decoder) -> None:
    with pytest.raises(BadInput, match="No") as refused:
        decoder.score(Path("/bad"), [(PROMPT, "a")])
    assert refused.value.hint == "Try."
    decoder.generate(PROMPT, [(Path("/bad"), Greedy(), ())])
    error = wait(decoder, all_done(1))[-1].error
    assert isinstance(error, BadInput)


def test_that_stop_ends_a_round(decoder: Decoder) -> None:
    job = decoder.generate(PROMPT, [(Path("/endless"), Greedy(), ())])
    wait(decoder, lambda heard: bool(heard))
    decoder.stop(job)
    wait(decoder, all_done(1))


def test_that_progress_can_stop_many(decoder: Decoder) -> None:
    seen: list[int] = []

    def tell(done: int, total: int) -> bool:
        seen.append(done)
        return done < 3

    with pytest.raises(Conflict, match="stopped"):
        decoder.generate_many(Path("/m"), [PROMPT] * 20, Greedy(), tell)
    assert seen[0] == 1


def test_that_a_killed_worker_is_told_to_its_columns_and_comes_back(decoder: Decoder) -> None:
    decoder.generate(PROMPT, [(Path("/die"), Greedy(), ()), (Path("/m"), Greedy(), ())])
    heard = wait(decoder, all_done(2))
    assert all(isinstance(n.error, RunFailed) and "SIGKILL" in n.error.what for n in heard if n.done)
    decoder.generate(PROMPT, [(Path("/m"), Greedy(), ())])
    assert wait(decoder, all_done(1))[-1].text == "Hello"


def test_that_a_worker_that_ends_is_told_to_whoever_waits(decoder: Decoder) -> None:
    with pytest.raises(RunFailed, match="ended with code 3"):
        decoder.score(Path("/die"), [(PROMPT, "a")])
    with pytest.raises(BadInput, match="Not a message"):
        decoder.score(Path("/garbage"), [(PROMPT, "a")])
    assert decoder.reward(Path("/m"), [(PROMPT, "ab")]) == [2.0]


def test_that_a_worker_killed_in_the_midst_of_a_line_is_said_to_be_killed(decoder: Decoder) -> None:
    with pytest.raises(RunFailed) as caught:
        decoder.generate_many(Path("/torn"), [PROMPT], Greedy())
    assert "SIGKILL" in caught.value.what
    assert decoder.generate_many(Path("/model"), [PROMPT], Greedy()), "the next one answers"


def test_that_a_worker_killed_between_requests_is_replaced(decoder: Decoder) -> None:
    assert decoder.reward(Path("/m"), [(PROMPT, "a")]) == [1.0]
    before = decoder.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert wait_for(lambda: decoder.pid is None)
    assert decoder.reward(Path("/m"), [(PROMPT, "a")]) == [1.0]
    assert decoder.pid not in (None, before)


def test_that_closing_ends_the_worker_and_refuses_more(decoder: Decoder) -> None:
    decoder.reward(Path("/m"), [(PROMPT, "a")])
    pid = decoder.pid
    decoder.close()
    decoder.close()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(Conflict, match="closed"):
        decoder.generate(PROMPT, [(Path("/m"), Greedy(), ())])


def test_that_a_program_that_is_missing_is_told(tmp_path: Path) -> None:
    lost = Decoder(tmp_path / "log", command=lambda: [str(tmp_path / "nothing")])
    with pytest.raises(RunFailed, match="could not be started"):
        lost.reward(Path("/m"), [(PROMPT, "a")])
    lost.close()


def test_that_neither_torch_nor_transformers_is_imported_here() -> None:
    import subprocess

    code = "import workbench.jobs.decoder, sys; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def until(found: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not found() and time.monotonic() < end:
        time.sleep(0.005)
    assert found()


def test_that_the_worker_is_told_its_budget_and_tells_what_it_holds(decoder: Decoder) -> None:
    assert decoder.memory() == Memory()
    decoder.free(Path("/m"))
    decoder.rebudget()
    assert decoder.pid is None, "nothing is started to be told something"
    decoder.load(Path("/m"))
    until(lambda: decoder.memory() == Memory((("/m", "policy", 7),), 7, 1000))
    BUDGET[0] = 2000
    decoder.rebudget()
    until(lambda: decoder.memory().budget == 2000)
    decoder.free(Path("/m"))
    until(lambda: decoder.memory().models == ())
    decoder.score(Path("/m"), [])
    pid = decoder.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: decoder.pid is None)
    assert decoder.memory() == Memory(), "what is dead holds nothing"


def test_that_distributions_and_alignments_come_back(decoder: Decoder) -> None:
    found = decoder.distribute(4, 0, 2, Greedy(), 9)
    assert (found.changed, found.position, found.chosen) == (4, 2, 9)
    with pytest.raises(RunFailed, match="no distribution"):
        decoder.distribute(4, 1, 2, Greedy())
    assert decoder.align(Path("/m"), Path("/r"), [(PROMPT, "a")]) == [()]
