"""Between the event loop and the inference thread: what an order tells, heard by the request that gave it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from workbench.serving.batch import Told
from workbench.serving.inference import Inference
from workbench.serving.order import Broken, Event, Heard, Order, Read

T = TypeVar("T")


class Gone(Exception):
    """The client went away."""


class Inbox:
    """Events of one order, on the loop of the request that gave it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.events: asyncio.Queue[Event] = asyncio.Queue()


def post(told: Told) -> None:
    """Hand events to their loops, each of which is woken once. Called by the inference thread."""
    by_loop: dict[asyncio.AbstractEventLoop, Told] = {}
    for order, event in told:
        by_loop.setdefault(order.inbox.loop, []).append((order, event))
    for loop, mine in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(_deliver, mine)


def _deliver(told: Told) -> None:
    for order, event in told:
        order.inbox.events.put_nowait(event)


async def listen(inference: Inference, order: Order) -> AsyncIterator[Heard | Read]:
    """Everything about an order until its last text has ended; raises what broke it. Leaving early cancels it."""
    left = order.texts
    try:
        while left:
            event = await order.inbox.events.get()
            if isinstance(event, Broken):
                raise event.error
            yield event
            left -= isinstance(event, Heard) and event.finish is not None
    finally:
        if left:
            inference.cancel(order)


async def until_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work while the client waits for it; raises Gone, with the work cancelled, when it went away."""
    doing = asyncio.create_task(work)
    watching = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({doing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise Gone
    finally:
        for task in (doing, watching):
            task.cancel()
        await asyncio.gather(doing, watching, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
