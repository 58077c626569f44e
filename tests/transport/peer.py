"""A server without a will of its own: the test reads and writes every byte of its connections."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Self, cast

SOON_S = 5.0


class Peer:
    """Listens on loopback.

    Args:
        tls: speak TLS with it.
        limit_bytes: how much is read ahead of the test; small ones make the socket fill up.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, limit_bytes: int = 1 << 20) -> None:
        self._tls = tls
        self._limit_bytes = limit_bytes
        self._lines: asyncio.Queue[Line] = asyncio.Queue()
        self._all: list[Line] = []

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/"

    @property
    def connections(self) -> int:
        """So many were made."""
        return len(self._all)

    @property
    def waiting(self) -> int:
        """So many of them the test has not taken yet."""
        return self._lines.qsize()

    async def line(self) -> Line:
        """The next connection."""
        async with asyncio.timeout(SOON_S):
            return await self._lines.get()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self._tls, limit=self._limit_bytes
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for line in self._all:
            line.reset()
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        self._all.append(line)
        self._lines.put_nowait(line)


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def head(self) -> bytes:
        """The next request up to its empty line."""
        async with asyncio.timeout(SOON_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def body(self, size: int) -> bytes:
        async with asyncio.timeout(SOON_S):
            return await self.reader.readexactly(size)

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self, body: bytes = b"ok", *headers: bytes) -> None:
        """Read a request without a body, and answer it."""
        await self.head()
        self.write(response(body, *headers))

    async def taken(self) -> None:
        """Return once there is room for more."""
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    def say_no_more(self) -> None:
        """Close our side only."""
        self._writer.write_eof()

    def reset(self) -> None:
        self._writer.transport.abort()

    async def ended(self) -> None:
        """Return once the other side has closed it."""
        async with asyncio.timeout(SOON_S):
            with suppress(ConnectionError):
                await self.reader.read()

    def tls(self) -> ssl.SSLObject:
        """What was agreed upon in the handshake."""
        return cast(ssl.SSLObject, self._writer.get_extra_info("ssl_object"))


def response(body: bytes = b"ok", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)
