"""The server's settings as declared data, and what it says about itself."""

from __future__ import annotations

import ipaddress
from typing import Literal

from pydantic import Field

from workbench.domain.frozen import Frozen
from workbench.domain.parts import group

ServerState = Literal["stopped", "loading", "ready", "stopping", "failed"]


class ServeSettings(Frozen):
    """How a server listens, what it allows, and what it writes down."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        max_length=255,
        description="Address to listen on; 127.0.0.1 is this machine only, 0.0.0.0 every network that it is in.",
        json_schema_extra=group("Address"),
    )
    port: int = Field(
        0, ge=0, le=65535, description="Port to listen on (0 = a free one).", json_schema_extra=group("Address")
    )
    cert: str = Field(
        "", description="PEM file with the certificate chain; with it the server speaks TLS.",
        json_schema_extra=group("Address"),
    )  # fmt: skip
    key: str = Field(
        "", description="PEM file with the certificate's private key (empty = it is in the certificate's file).",
        json_schema_extra=group("Address"),
    )  # fmt: skip
    max_body: int = Field(
        4096,
        ge=1,
        le=1_048_576,
        description="Largest body of a request.",
        json_schema_extra=group("Limits", unit="KiB"),
    )
    body_seconds: float = Field(
        20.0, gt=0.0, le=3600.0, description="A request must have come in whole within this time.",
        json_schema_extra=group("Limits", unit="s"),
    )  # fmt: skip
    max_tokens: int = Field(
        4096, ge=1, le=32768, description="Most new tokens that one text may have.",
        json_schema_extra=group("Limits", unit="tokens"),
    )  # fmt: skip
    max_texts: int = Field(
        128, ge=1, le=4096, description="Most texts that one request may ask for (prompts times n).",
        json_schema_extra=group("Limits", unit="texts"),
    )  # fmt: skip
    max_rows: int = Field(
        64, ge=1, le=1024, description="Texts that are decoded at the same time; further ones wait.",
        json_schema_extra=group("Limits", unit="texts"),
    )  # fmt: skip
    max_waiting: int = Field(
        512, ge=0, le=65536, description="Texts that may wait; requests that come when so many wait are sent away (503).",
        json_schema_extra=group("Limits", unit="texts"),
    )  # fmt: skip
    requests_per_minute: int = Field(
        0, ge=0, le=1_000_000, description="Requests that a key may make in a minute (0 = any number); more are sent away (429).",
        json_schema_extra=group("Limits"),
    )  # fmt: skip
    grace_seconds: float = Field(
        20.0, ge=0.0, le=3600.0, description="How long requests under way may take to end when the server is stopped.",
        json_schema_extra=group("Limits", unit="s"),
    )  # fmt: skip
    record: str = Field(
        "", description="File to which every prompt is added as a line, for a dataset of prompts (empty = nothing is kept).",
        json_schema_extra=group("Records"),
    )  # fmt: skip
    log_texts: bool = Field(
        False, description="Write prompts and answers into the log as well.", json_schema_extra=group("Records")
    )

    @property
    def only_here(self) -> bool:
        """Whether nobody but this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Offered(Frozen):
    """A model that a server offers: its name there, and its folder."""

    name: str = Field(min_length=1)
    path: str = Field(min_length=1)


class Serving(Frozen):
    """How a server fares: rows are texts being decoded, `speed` is tokens a second over the last few seconds."""

    state: ServerState = "stopped"
    models: tuple[str, ...] = ()
    address: str = ""
    loading: str = ""
    live: int = 0
    rows: int = 0
    waiting: int = 0
    speed: float = 0.0
    requests: int = 0
    tokens: int = 0
    what: str = ""
    hint: str = ""
