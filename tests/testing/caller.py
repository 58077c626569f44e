"""A caller on a bare socket: sees exactly the bytes that come, and leaves when it likes."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

CHAT = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
CHAT_PATH = "/v1/chat/completions"
READ_S = 5.0  # so that a test that waits for what never comes fails instead of hanging


class Caller:
    """One connection to a base URL, open in `async with`."""

    def __init__(self, base_url: str) -> None:
        address = urlsplit(base_url)
        self._host, self._port = address.hostname, address.port

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    def ask(self, body: Any, path: str = CHAT_PATH, headers: str = "") -> None:
        data = orjson.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n{headers}\r\n"
        self.writer.write(head.encode() + data)

    def get(self, path: str, headers: str = "") -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n".encode())

    async def read(self, until: bytes) -> bytes:
        async with asyncio.timeout(READ_S):
            return await self.reader.readuntil(until)

    async def head(self) -> bytes:
        return await self.read(b"\r\n\r\n")

    async def reply(self) -> bytes:
        """The body of a reply of known length; the connection stays."""
        length = (await self.head()).partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await self.reader.readexactly(int(length))

    async def rest(self) -> bytes:
        """Everything until the other side closes."""
        async with asyncio.timeout(READ_S):
            return await self.reader.read()

    async def leave(self) -> None:
        """Close in order (FIN)."""
        self.writer.close()
        with suppress(ConnectionError):  # the other side was faster
            await self.writer.wait_closed()

    async def break_off(self) -> None:
        """Close with RST, as a killed process with unread data does."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.leave()


def body_of(chunked: bytes) -> bytes:
    """The body out of a whole chunked one; fails when it is not."""
    body = b""
    while chunked:
        size, _, rest = chunked.partition(b"\r\n")
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n"
        body, chunked = body + rest[:length], rest[length + 2 :]
        if length == 0:
            assert chunked == b""
            return body
    raise AssertionError("no last chunk")
