"""Fixtures of the server: a real small model behind it, and the real client in front, without a socket between them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import torch

from workbench.domain.serving import ServeSettings
from workbench.engine.decoding.voice import Voice
from workbench.engine.models import eos_ids, load_policy
from workbench.serving.app import make_app
from workbench.serving.door import Door
from workbench.serving.inference import Inference
from workbench.serving.log import Log, Record

KEY = "sk-test"


class Running:
    """A server in this process: `client()` is the real client on it, `log()` what it wrote down."""

    def __init__(self, door: Door, inference: Inference, out: io.StringIO) -> None:
        self.door, self.inference, self._out = door, inference, out

    def http(self, key: str | None = KEY) -> httpx2.AsyncClient:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        transport = httpx2.ASGITransport(app=self.door)
        return httpx2.AsyncClient(transport=transport, base_url="http://here", headers=headers, timeout=60)

    def client(self, key: str = KEY) -> openai.AsyncOpenAI:
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.door))
        return openai.AsyncOpenAI(base_url="http://here/v1", api_key=key, max_retries=0, timeout=60, http_client=http)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.getvalue().splitlines()]


@pytest.fixture(scope="session")
def stories(shared: Path) -> Path:
    """A real Llama of 260,000 parameters that writes short English stories."""
    return shared / "models" / "stories260K"


@pytest.fixture(scope="session")
def voice(stories: Path) -> Voice:
    """The stories model, ready to speak."""
    loaded = load_policy(stories)
    return Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded))


@contextmanager
def running(voices: dict[str, Voice], record: Path | None = None, **settings: Any) -> Iterator[Running]:
    out = io.StringIO()
    told = ServeSettings(**settings)
    book = None if record is None else Record(record)
    door, inference = make_app(voices, told, [KEY], Log(out, told.log_texts), book)
    try:
        yield Running(door, inference, out)
    finally:
        inference.close()
        if book is not None:
            book.close()


@pytest.fixture
def serve(voice: Voice) -> Iterator[Callable[..., Running]]:
    """Starts a server in this process with settings; it ends with the test."""
    opened = []

    def start(record: Path | None = None, voices: dict[str, Voice] | None = None, **settings: Any) -> Running:
        context = running(voices or {"stories": voice}, record, **settings)
        opened.append(context)
        return context.__enter__()

    yield start
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def server_here(serve: Callable[..., Running]) -> Running:
    """A server with the usual settings."""
    return serve()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
