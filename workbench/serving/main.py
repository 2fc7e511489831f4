"""`workbench server`: loads models, listens, and ends in order; JSON lines on stdin and stdout (see `protocol/serve_wire`).

The main thread runs the event loop, one thread computes, one reads what the application says. The server ends when the pipe closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import torch
import uvicorn

from workbench.domain.errors import BadInput, RunFailed, WorkbenchError
from workbench.domain.serving import ServeSettings, Serving
from workbench.engine.device import set_threads
from workbench.protocol.pipes import take_over_pipes
from workbench.protocol.serve_wire import News, Setup, Stop, read_down, to_line
from workbench.serving.app import make_app
from workbench.serving.door import Door
from workbench.serving.inference import Inference
from workbench.serving.log import Log, Notes, Record
from workbench.serving.patient import patient_protocol
from workbench.serving.voices import load_voices

LOOK = 1.0  # seconds between two looks at how the server fares


class Teller:
    """Tells the application how the server fares, whenever that has changed."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self.serving = Serving(state="loading")

    def tell(self, **changed: object) -> None:
        """Tell what has changed; an application that is gone hears nothing."""
        with self._lock:
            serving = self.serving.model_copy(update=changed)
            if serving != self.serving:
                self.serving = serving
                with contextlib.suppress(OSError):
                    self._out.write(to_line(News(serving=serving)))


class Server(uvicorn.Server):
    """uvicorn's server, which leaves the process in order after a signal."""

    def __init__(self, config: uvicorn.Config, door: Door) -> None:
        super().__init__(config)
        self._door = door

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the server; a second one doesn't wait."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal."""
        self.stop(now=self.should_exit)

    def stop(self, now: bool = False) -> None:
        """Refuse what is new and end when nothing runs any more, or at once."""
        self._door.closing = True
        self.should_exit = True
        self.force_exit = self.force_exit or now


def main(argv: list[str]) -> int:
    """Serve until told to stop; returns the exit code."""
    if argv:
        print("usage: workbench server (it takes no arguments and speaks JSON lines)", file=sys.stderr)  # noqa: T201
        return 2
    down, up = take_over_pipes()
    teller = Teller(up)
    try:
        message = read_down(down.readline())
        if not isinstance(message, Setup):
            raise BadInput("The server wasn't told what to serve.", "Start it with: workbench serve")
        _serve(message, down, teller)
    except WorkbenchError as error:
        print(f"{error.what} {error.hint}\n{error.details}".strip(), file=sys.stderr, flush=True)  # noqa: T201
        teller.tell(state="failed", what=error.what, hint=error.hint)
        return 1
    teller.tell(state="stopped", live=0, rows=0, waiting=0, speed=0.0)
    return 0


def _serve(setup: Setup, down: BinaryIO, teller: Teller) -> None:
    settings = setup.settings
    log = Log(texts=settings.log_texts)
    logging.getLogger().addHandler(Notes(log))
    record = Record(Path(settings.record)) if settings.record else None
    check_tls(settings)
    listening = bind(settings)  # before models are loaded: an address that is taken is told at once
    ending = _Ending(down)
    set_threads()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    voices = load_voices(setup.models, device, dtype, lambda name: teller.tell(loading=name))
    door, inference = make_app(voices, settings, setup.keys, log, record)
    try:
        server = Server(_config(settings, door), door)
        ending.call(lambda now: server.stop(now))
        address = address_of(settings, listening)
        about: dict[str, object] = {"models": tuple(voices), "address": address}
        log.say("start", **about, device=str(device), record=settings.record or None)
        if record is not None:
            log.say("recording", file=settings.record, what="every prompt is written to this file")
        asyncio.run(_run(server, listening, door, inference, teller, about))
        log.say("stop", requests=door.requests, tokens=inference.fares().tokens)
    finally:
        inference.close()
        if record is not None:
            record.close()


async def _run(
    server: Server, listening: socket.socket, door: Door, inference: Inference, teller: Teller, about: dict[str, object]
) -> None:
    async def watch() -> None:
        while True:
            state = "stopping" if door.closing else "ready"
            fares = inference.fares()
            teller.tell(
                state=state, loading="", live=door.live, rows=fares.rows, waiting=fares.waiting, speed=round(fares.speed, 1),
                requests=door.requests, tokens=fares.tokens, **about,
            )  # fmt: skip
            await asyncio.sleep(LOOK if state == "ready" else LOOK / 10)

    watching = asyncio.create_task(watch())
    try:
        await server.serve(sockets=[listening])
    finally:
        watching.cancel()


class _Ending:
    """Reads what the application says after the setup: that it wants an end, or, by a closed pipe, that it is gone."""

    def __init__(self, down: BinaryIO) -> None:
        self._down = down
        self._lock = threading.Lock()
        self._stop: Callable[[bool], None] | None = None
        threading.Thread(target=self._read, name="ending", daemon=True).start()

    def call(self, stop: Callable[[bool], None]) -> None:
        """Call `stop(now)` for every end that is asked for from now on; before, the process just ends."""
        with self._lock:
            self._stop = stop

    def _read(self) -> None:
        for line in self._down:
            with contextlib.suppress(WorkbenchError):
                message = read_down(line)
                if isinstance(message, Stop):
                    self._tell(message.now)
        self._tell(False)

    def _tell(self, now: bool) -> None:
        with self._lock:
            if self._stop is not None:
                self._stop(now)
            else:
                os._exit(0)  # models are still being loaded, and nobody wants them


def bind(settings: ServeSettings) -> socket.socket:
    """The socket to listen on; BadInput for an address that isn't this machine's, RunFailed for a port that is taken."""
    try:
        family, _, _, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(place[:2], family=family, backlog=512)
    except socket.gaierror as error:
        raise BadInput(f"{settings.host} is no address.", "Use 127.0.0.1 for this machine only.", str(error)) from error
    except OverflowError as error:
        raise BadInput(f"{settings.port} is no port.", "Use 0 for a free one.", str(error)) from error
    except OSError as error:
        raise RunFailed(
            f"Nothing can listen on {settings.host}, port {settings.port}: {error.strerror}.",
            "Choose another port; 0 takes a free one.", str(error),
        ) from error  # fmt: skip


def address_of(settings: ServeSettings, listening: socket.socket) -> str:
    """The base URL for clients."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.cert else 'http'}://{host}:{listening.getsockname()[1]}/v1"


def check_tls(settings: ServeSettings) -> None:
    """BadInput when certificate and key can't be used."""
    if settings.key and not settings.cert:
        raise BadInput("A private key was given without a certificate.", "Give the certificate's file too.")
    if not settings.cert:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.cert, settings.key or None)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"The certificate {settings.cert} can't be used: {error}.", "Give PEM files that belong together."
        ) from error


def _config(settings: ServeSettings, door: Door) -> uvicorn.Config:
    return uvicorn.Config(
        door,
        http=patient_protocol(settings.body_seconds),
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
        ssl_certfile=settings.cert or None,
        ssl_keyfile=settings.key or None,
    )
