"""The short form of tests/benchmarks/serving_soak.py: 64 clients at once, no token lost or mixed up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.benchmarks.serving_soak import known, margin, soak
from tests.serving.conftest import Running
from workbench.engine.decoding.voice import Voice


@pytest.mark.slow
def test_that_64_clients_at_once_lose_and_mix_no_token(serve: Callable[..., Running], voice: Voice) -> None:
    server, requests = serve(), known(voice, 16)
    found = asyncio.run(soak(server.client, requests, voice, 5.0, 64))
    assert found.wrong == []
    assert found.answers >= 64
    assert found.tokens == server.inference.fares().tokens
    # The judge tells a mixed-up token from a near-tie.
    longest = max(requests, key=lambda request: len(request.text))
    assert margin(voice, longest, longest.text[:9] + "#" + longest.text[10:]) > 1e-4
    assert server.inference.fares().rows == 0
