"""One caller's connection: raw control of the socket, and the news that the caller has left.

The socket is read all the time, also while a reply is being written or held
back: that is what makes the caller's leaving visible at once in every phase.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import Protocol, cast

from rhetor.testing.http1 import BadHttp, HttpRequest, RequestParser, head

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST instead of FIN


class Server(Protocol):
    """Whoever serves the connection."""

    def on_open(self, connection: Connection) -> None: ...

    def on_left(self, connection: Connection) -> None:
        """The caller has closed its side, or the connection broke. Told once, at once."""

    def on_closed(self, connection: Connection) -> None:
        """The socket is gone. Told once, after `on_left`."""


class Connection(asyncio.Protocol):
    """A connection as its server sees it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = RequestParser()
        self._requests: deque[HttpRequest] = deque()
        self._wanted: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._left = False
        self._closed = False

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)  # written means: given to the kernel
        self._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.on_open(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._requests.extend(self._parser.feed(data))
        except BadHttp as error:
            self._refuse(str(error))
        if self._requests and self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    def eof_received(self) -> None:
        self._leave()
        assert self._transport is not None
        self._transport.abort()  # what could not be written yet will never be read

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        self._leave()
        self._server.on_closed(self)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # What the server asks.

    async def request(self) -> HttpRequest:
        """The next request. A caller who leaves instead ends the waiting by cancellation."""
        while not self._requests:
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
        return self._requests.popleft()

    async def write(self, data: bytes) -> None:
        """Hand these bytes to the kernel; waits while it takes no more."""
        assert self._transport is not None
        self._transport.write(data)
        if self._writable is not None:
            await self._writable

    def close(self) -> None:
        """End the connection in order (FIN), after what was written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection off (RST)."""
        if self._transport is not None and not self._closed:
            self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._transport.abort()

    def _socket(self) -> socket.socket:
        assert self._transport is not None
        return cast(socket.socket, self._transport.get_extra_info("socket"))

    def _refuse(self, why: str) -> None:
        assert self._transport is not None
        body = why.encode()
        headers = {"content-type": "text/plain", "content-length": str(len(body)), "connection": "close"}
        self._transport.write(head(400, headers) + body)
        self._transport.close()

    def _leave(self) -> None:
        if not self._left:
            self._left = True
            self._server.on_left(self)
