"""HTTP connections that are given up when a request's head doesn't come in time."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_protocol(seconds: float) -> type[H11Protocol]:
    """Uvicorn's protocol, which closes a connection whose first bytes are no whole request head after so many seconds."""

    class Patient(H11Protocol):
        _giving_up: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._giving_up = self.loop.call_later(seconds, self._give_up, None)

        def data_received(self, data: bytes) -> None:
            before = self.scope
            super().data_received(data)
            if self._giving_up is not None and self.scope is not before:
                self._giving_up.cancel()
                self._giving_up = None
            elif self._giving_up is None and self._waits_for_head():
                self._giving_up = self.loop.call_later(seconds, self._give_up, self.scope)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._giving_up is not None:
                self._giving_up.cancel()
            super().connection_lost(exc)

        def _waits_for_head(self) -> bool:
            """Whether some of another head has come on a connection whose last answer is complete."""
            return self.cycle is not None and self.cycle.response_complete

        def _give_up(self, before: Any) -> None:
            self._giving_up = None
            if self.scope is before and not self.transport.is_closing():
                self.transport.close()

    return Patient
