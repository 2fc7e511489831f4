"""Continuous batching: texts join and leave a running batch, and none depends on its neighbours."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.serving.conftest import Running
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import BadInput, Conflict
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.voice import Voice
from workbench.engine.text import encode_text
from workbench.serving.batch import Batch, Row, Told
from workbench.serving.inference import Busy, Inference
from workbench.serving.order import Broken, Heard, Order

WORDS = ["Once upon a time", "The dog", "Lily and Tom went to the park because", "A", "One day a little bird saw"]


class Listener:
    """Keeps what the inference thread tells; `wait` waits until an order's texts have ended."""

    def __init__(self) -> None:
        self.told: Told = []
        self._news = threading.Condition()

    def post(self, told: Told) -> None:
        with self._news:
            self.told += told
            self._news.notify_all()

    def of(self, order: Order) -> list[Any]:
        return [event for mine, event in list(self.told) if mine is order]

    def until(self, true: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(true, timeout=60)

    def wait(self, *orders: Order) -> None:
        for order in orders:
            self.until(lambda order=order: self.over(order))  # type: ignore[misc]

    def over(self, order: Order) -> bool:
        events = self.of(order)
        ended = sum(isinstance(event, Heard) and event.finish is not None for event in events)
        return ended == order.texts or any(isinstance(event, Broken) for event in events)

    def text(self, order: Order, choice: int = 0) -> str:
        heard = [event for event in self.of(order) if isinstance(event, Heard) and event.choice == choice]
        return "".join(said.text for event in heard for said in event.said)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def inference(voice: Voice, listener: Listener) -> Iterator[Inference]:
    made = Inference({"stories": voice}, listener.post, most_rows=8, most_waiting=40)
    yield made
    made.close()


def order_for(voice: Voice, text: str, settings: Any, **more: Any) -> Order:
    return Order("stories", [encode_text(voice.tokenizer, text)], [settings.max_new_tokens], settings, **more)


def alone(voice: Voice, text: str, settings: Any) -> str:
    steps = decode(voice, encode_text(voice.tokenizer, text), settings)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return str(finished.value.text)


def many(count: int) -> list[tuple[str, Any]]:
    """Prompts with settings of every kind, each with its own seed and length."""
    made: list[tuple[str, Any]] = []
    for number in range(count):
        common: dict[str, Any] = {"max_new_tokens": 8 + 7 * (number % 6), "seed": number}
        kinds = (
            Sample(**common), Greedy(**common), Sample(temperature=0.7, top_p=0.9, **common),
            Sample(top_k=4, frequency_penalty=0.8, **common), Greedy(repetition_penalty=1.3, stop=(" the",), **common),
            Sample(min_new_tokens=20, presence_penalty=1.0, **common),
        )  # fmt: skip
        made.append((WORDS[number % len(WORDS)], kinds[number % len(kinds)]))
    return made


def test_that_texts_of_a_crowd_are_those_that_each_has_alone(
    voice: Voice, inference: Inference, listener: Listener
) -> None:
    asked = many(24)
    orders = [order_for(voice, text, settings) for text, settings in asked]
    for place, order in enumerate(orders):
        inference.submit(order)
        if place % 5 == 4:  # some come while others are in the midst
            listener.until(lambda order=orders[place - 4]: bool(listener.of(order)))  # type: ignore[misc]
    listener.wait(*orders)
    assert [listener.text(order) for order in orders] == [alone(voice, text, settings) for text, settings in asked]


def test_that_no_more_rows_are_decoded_at_once_than_allowed(
    voice: Voice, inference: Inference, listener: Listener
) -> None:
    orders = [order_for(voice, "The dog", Sample(seed=i, max_new_tokens=30, min_new_tokens=30)) for i in range(20)]
    for order in orders:
        inference.submit(order)
    most = 0
    while not all(listener.over(order) for order in orders):
        most = max(most, inference.fares().rows)
        time.sleep(0.001)
    assert 1 < most <= 8


def test_that_an_order_larger_than_the_batch_is_done_all_the_same(
    voice: Voice, inference: Inference, listener: Listener
) -> None:
    order = order_for(voice, "The dog", Sample(seed=1, max_new_tokens=5), n=12)
    inference.submit(order)
    listener.wait(order)
    assert [listener.text(order, i) for i in range(12)] == [
        alone(voice, "The dog", Sample(seed=1 + i, max_new_tokens=5)) for i in range(12)
    ]


def test_that_beams_and_batches_take_turns(voice: Voice, inference: Inference, listener: Listener) -> None:
    long = order_for(voice, "The dog", Sample(seed=1, max_new_tokens=120, min_new_tokens=120))
    beam = order_for(voice, "The dog", Beam(num_beams=4, max_new_tokens=60, min_new_tokens=60))
    inference.submit(long)
    inference.submit(beam)
    listener.wait(long, beam)
    assert listener.text(beam) == alone(voice, "The dog", beam.settings)
    told = [order for order, _ in listener.told]
    first, last = told.index(beam), len(told) - 1 - told[::-1].index(beam)
    beside = sum(order is long for order in told[first:last])
    assert beside > 20  # one for each step of the beam, which tells tokens in bursts


def test_that_a_cancelled_text_ends_before_its_next_token(
    voice: Voice, inference: Inference, listener: Listener
) -> None:
    order = order_for(voice, "The dog", Sample(max_new_tokens=400, min_new_tokens=400))
    other = order_for(voice, "The cat", Sample(seed=3, max_new_tokens=60, min_new_tokens=60))
    inference.submit(order)
    inference.submit(other)
    listener.until(lambda: len(listener.of(order)) >= 5)
    inference.cancel(order)
    at_most = len(listener.of(order)) + 1
    listener.wait(other)
    assert len(listener.of(order)) <= at_most
    assert listener.text(other) == alone(voice, "The cat", other.settings)
    assert inference.fares().rows == 0


@pytest.mark.parametrize("settings", [Beam(max_new_tokens=300, min_new_tokens=300)])
def test_that_cancelled_beams_end_too(voice: Voice, inference: Inference, listener: Listener, settings: Any) -> None:
    order = order_for(voice, "The dog", settings)
    inference.submit(order)
    listener.until(lambda: bool(listener.of(order)))
    inference.cancel(order)
    deadline = time.monotonic() + 30
    while inference.fares().rows and time.monotonic() < deadline:
        time.sleep(0.001)
    assert inference.fares().rows == 0
    assert not listener.over(order)


def test_that_waiting_texts_are_let_in_as_they_came(voice: Voice, listener: Listener) -> None:
    inference = Inference({"stories": voice}, listener.post, most_rows=1, most_waiting=40)
    orders = [order_for(voice, "The dog", Sample(seed=i, max_new_tokens=3)) for i in range(6)]
    for order in orders:
        inference.submit(order)
    listener.wait(*orders)
    inference.close()
    firsts = list(dict.fromkeys(id(order) for order, _ in listener.told))
    assert firsts == [id(order) for order in orders]


def test_that_too_many_waiting_texts_are_refused_and_a_closed_thread_takes_none(
    voice: Voice, listener: Listener
) -> None:
    inference = Inference({"stories": voice}, listener.post, most_rows=1, most_waiting=2)
    long = order_for(voice, "The dog", Sample(max_new_tokens=400, min_new_tokens=400))
    waiting = order_for(voice, "The dog", Sample(max_new_tokens=400), n=2)
    inference.submit(long)
    listener.until(lambda: bool(listener.of(long)))
    inference.submit(waiting)
    with pytest.raises(Busy):
        inference.submit(order_for(voice, "The cat", Greedy()))
    inference.close()
    for order in (long, waiting):
        last = listener.of(order)[-1]
        assert isinstance(last, Broken)
        assert isinstance(last.error, Conflict)
    with pytest.raises(Conflict):
        inference.submit(order_for(voice, "The cat", Greedy()))


def test_that_a_prompt_without_tokens_breaks_nobody_else(
    voice: Voice, inference: Inference, listener: Listener
) -> None:
    good = order_for(voice, "The dog", Sample(seed=4, max_new_tokens=50, min_new_tokens=50))
    bad = Order("stories", [[]], [5], Greedy())
    inference.submit(good)
    listener.until(lambda: bool(listener.of(good)))
    inference.submit(bad)
    listener.wait(good, bad)
    [broken] = listener.of(bad)
    assert isinstance(broken, Broken)
    assert isinstance(broken.error, BadInput)
    assert listener.text(good) == alone(voice, "The dog", good.settings)


def test_that_a_batch_that_never_empties_forgets_its_empty_columns(voice: Voice) -> None:
    """A column is added with every step, for all rows; those that only texts that have left had must go."""
    batch = Batch(voice)

    def row(seed: int, length: int) -> Row:
        settings = Sample(seed=seed, max_new_tokens=length, min_new_tokens=length)
        return Row(voice, order_for(voice, "The dog", settings), 0)

    rows = [row(0, 25), row(1, 40)]
    batch.admit(rows)
    seen = 0
    for seed in range(2, 30):
        while len(batch.rows) == 2:
            batch.step()
            seen = max(seen, batch.columns)
        rows.append(row(seed, 25 + 5 * (seed % 4)))
        batch.admit(rows[-1:])
    assert seen < 120
    done = [one for one in rows if one.over]
    assert len(done) > 20
    for one in done[-4:]:
        settings = one.order.settings
        ids: list[int] = []
        steps = decode(voice, one.prompt, settings)
        ids = [choice.id for choice in steps if choice is not None and hasattr(choice, "id")]
        assert one.output == ids


def test_that_requests_of_one_server_share_a_batch(serve: Callable[..., Running]) -> None:
    """Eight texts together need far fewer steps than one after the other."""
    server = serve()
    most = []

    async def crowd() -> None:
        client = server.client()
        asked = [
            client.completions.create(
                model="stories", prompt=WORDS[i % 5], seed=i, max_tokens=300, extra_body={"min_new_tokens": 300}
            )
            for i in range(8)
        ]
        watching = asyncio.create_task(watch())
        await asyncio.gather(*asked)
        watching.cancel()

    async def watch() -> None:
        while True:
            most.append(server.inference.fares().rows)
            await asyncio.sleep(0.005)

    asyncio.run(crowd())
    assert max(most) == 8


def test_that_a_client_that_goes_away_stops_its_decoding(serve: Callable[..., Running]) -> None:
    server = serve()
    fields: Any = {
        "model": "stories",
        "prompt": "The dog",
        "max_tokens": 480,
        "n": 16,
        "extra_body": {"min_new_tokens": 480},
    }

    async def leave(stream: bool) -> int:
        client = server.client()
        asking = asyncio.create_task(client.completions.create(**fields, stream=stream))
        while server.inference.fares().rows == 0:
            await asyncio.sleep(0.002)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        deadline = time.monotonic() + 30
        while server.inference.fares().rows and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
        return server.inference.fares().tokens

    for stream in (False, True):
        before = server.inference.fares().tokens
        assert asyncio.run(leave(stream)) - before < 16 * 480
        assert server.inference.fares().rows == 0
