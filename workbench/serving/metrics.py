"""What Prometheus reads at /metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from workbench.serving.inference import Fares

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self, fares: Callable[[], Fares]) -> None:
        self.registry = CollectorRegistry()
        own = {"registry": self.registry, "namespace": "workbench"}
        self.requests = Counter("requests", "Requests by address and status.", ["path", "status"], **own)  # type: ignore[arg-type]
        self.read = Counter("prompt_tokens", "Tokens of prompts.", ["model"], **own)  # type: ignore[arg-type]
        self.made = Counter("completion_tokens", "Tokens made.", ["model"], **own)  # type: ignore[arg-type]
        self.gone = Counter("gone_clients", "Clients that went away before their answer was whole.", **own)  # type: ignore[arg-type]
        self.seconds = Histogram("request_seconds", "Time of requests that decode.", ["path"], buckets=_SECONDS, **own)  # type: ignore[arg-type]
        self.first = Histogram("first_token_seconds", "Time until the first token.", buckets=_SECONDS, **own)  # type: ignore[arg-type]
        for name, sentence, pick in (
            ("rows", "Texts being decoded.", lambda f: f.rows),
            ("waiting", "Texts that wait.", lambda f: f.waiting),
            ("tokens_per_second", "Tokens a second over the last seconds.", lambda f: f.speed),
        ):
            gauge = Gauge(name, sentence, **own)  # type: ignore[arg-type]
            gauge.set_function(lambda pick=pick: float(pick(fares())))  # type: ignore[misc]

    def page(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
