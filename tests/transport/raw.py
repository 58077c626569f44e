"""A server that answers with whatever bytes it was given, for what no HTTP library would send."""

from __future__ import annotations

import asyncio
from typing import Self, cast

HEAD_END = b"\r\n\r\n"


class RawServer:
    """Answers the head of every request with `reply`, and then closes, or holds the connection.

    Args:
        reply: sent as it is, status line and all.
        holds: keep the connection open after it.
    """

    def __init__(self, reply: bytes, holds: bool = True) -> None:
        self.reply = reply
        self.holds = holds
        self.connections = 0
        self._open: set[asyncio.Transport] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in list(self._open):
            transport.abort()
        await self._server.wait_closed()

    def on_open(self, transport: asyncio.Transport) -> None:
        self.connections += 1
        self._open.add(transport)

    def on_closed(self, transport: asyncio.Transport) -> None:
        self._open.discard(transport)


class _Connection(asyncio.Protocol):
    def __init__(self, server: RawServer) -> None:
        self._server = server
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.on_open(self._transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if HEAD_END in self._head:
            self._head = b""
            self._transport.write(self._server.reply)
            if not self._server.holds:
                self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._server.on_closed(self._transport)
