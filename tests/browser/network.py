"""A network between a page and the gateway: it can be cut, refuse what it does not like, lead elsewhere.

It has the page, too: a browser lets a page reach this machine that came from this machine.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

READ_BYTES = 64 * 1024
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
PAGE = "/somebody/elses/page.html"
PAGE_HEAD = (
    "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nconnection: close\r\n"
    "content-security-policy: default-src 'self'\r\n\r\n"
    '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>page</title>'
)


class Network:
    """The way to one address; `url` is where it begins."""

    def __init__(self, to: str) -> None:
        self.to = to
        """Where new connections lead."""
        self.url = ""
        self.refuses: str | None = None
        """A pattern: connections whose first request matches it are answered with 403."""
        self.page = ""
        """What is at `PAGE`, under a strict policy."""
        self.heads: list[str] = []
        """How each connection began."""
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._serving.values():
            writer.transport.abort()

    @property
    def upgrades(self) -> int:
        """How often somebody wanted a WebSocket."""
        return sum("upgrade: websocket" in head.lower() for head in self.heads)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        task.add_done_callback(self._serving.pop)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
            if self.refuses is not None and re.search(self.refuses, self.heads[-1], re.IGNORECASE):
                writer.write(FORBIDDEN)
            elif self.heads[-1].startswith(f"GET {PAGE} "):
                writer.write((PAGE_HEAD + self.page).encode())
            else:
                await self._lead(head, reader, writer)
        writer.close()

    async def closed(self) -> None:
        self.cut()
        await asyncio.gather(*self._serving)

    async def _lead(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(self.to)
        there, back = await asyncio.open_connection(address.hostname, address.port)
        back.write(head)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass(reader, back))
                group.create_task(_pass(there, writer))
        finally:
            back.close()


@asynccontextmanager
async def network(to: str) -> AsyncIterator[Network]:
    """A network in front of this address."""
    way = Network(to)
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    way.url = "http://{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield way
    finally:
        server.close()
        await way.closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction; whoever leaves takes the other one with it, as a proxy for upgraded connections does."""
    with suppress(ConnectionError):
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
