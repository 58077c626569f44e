"""What the house needs of a transport: open a call, read its reply in pieces, close it.

The contract, which `tests/transport` holds every implementation to:

- `open` waits for a free slot, connects, sends, and returns when the headers are there.
- Whatever goes wrong is an `UpstreamError` with the code of the phase it went wrong in.
- A connection is free for another call once its reply has arrived whole, read or not.
- Closing a reply that has not arrived whole aborts the call: the provider sees the connection close.
- A reply that was closed before it was read to its end cannot be read on: a part must not pass for the whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Protocol

from rhetor.core.call import Call


class Phase(StrEnum):
    """How far a call has come; says which deadline ran out."""

    QUEUED = "queued"
    STARTING = "starting"
    """Whoever is called is not running yet."""
    CONNECTING = "connecting"
    AWAITING_HEADERS = "awaiting headers"
    READING = "reading"


class Progress:
    """Where a call is now, for whoever has to explain why it took too long."""

    __slots__ = ("phase",)

    def __init__(self) -> None:
        self.phase = Phase.QUEUED


class Response(Protocol):
    """A provider's reply, open until closed."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in any case; told in lower case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed; no chunk is empty.

        Raises:
            UpstreamError: connection_lost or protocol_error.
        """

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body, cut off at the limit."""

    def close(self) -> None:
        """Give everything back at once; a reply that was not read to its end is aborted. Idempotent."""


class Transport(Protocol):
    """A bounded pool of connections to one provider."""

    async def open(self, call: Call, progress: Progress) -> Response:
        """The reply to this call, once its headers are there.

        Raises:
            UpstreamError: connect_failed, connect_timeout, connection_lost, protocol_error,
                pool_full when too many wait already, or unavailable when the pool is closed.
        """

    async def close(self) -> None:
        """End every call, waiting ones too, with an error. The pool stays closed. Idempotent."""
