"""The published Tekton clients as their sockets show them: the bytes that they send, over bare sockets.

Neither library is used here: what they send was written down from them. How
strictly they read is in `tests.wire.tekton.stock`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from tests.http.doors import HELLO, READ_S, Reply, raw

GOLDEN = Path(__file__).parent.parent / "golden" / "tekton"
PYTHON_BODY = (GOLDEN / "chat_request_python.json").read_bytes()
BROWSER_BODY = (GOLDEN / "chat_request_js.json").read_bytes()
SOCKET_FRAMES = tuple((GOLDEN / "socket_client.jsonl").read_text().splitlines())


async def python_client(url: str, path: str, body: bytes | None = None, token: str | None = None) -> Reply:
    """A request of the Python client. It asks for JSON also where it expects a stream."""
    return await raw(
        url,
        _request(
            url,
            "GET" if body is None else "POST",
            path,
            body or b"",
            {
                "Content-Type": "application/json",
                "Accept": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": "Python/3.10 aiohttp/3.8.5",
            },
        ),
    )


async def browser_client(url: str, path: str, body: bytes | None = None, token: str | None = None) -> Reply:
    """A request of the JavaScript client, from a page of the gateway's own origin."""
    return await raw(
        url,
        _request(
            url,
            "GET" if body is None else "POST",
            path,
            body or b"",
            {
                "Origin": url,
                "Referer": f"{url}/",
                "Content-Type": "application/json",
                "Accept": "*/*",
                **({"Authorization": f"Bearer {token}"} if token else {}),
                "Accept-Encoding": "gzip, deflate, br, zstd",
                "Sec-Fetch-Mode": "cors",
            },
        ),
    )


def _request(url: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    fields = {"Host": urlsplit(url).netloc, **headers, "Connection": "close", "Content-Length": len(body)}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(kind: str, request_id: str, provider: str = "oai", **changes: Any) -> dict[str, Any]:
    """A request as the clients send it, for a model that the upstream has."""
    said = {"prompt": "hello"} if kind in ("GENERATE", "STREAM") else {"messages": HELLO}
    return {
        "type": kind,
        "request_id": request_id,
        **said,
        "context_id": "default",
        "options": {},
        "provider_id": provider,
        "model_id": "m",
        **changes,
    }


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class OldSocket:
    """A WebSocket by hand, open in `async with`.

    Raises:
        ConnectionRefusedError: on entering, when the server does not upgrade; `status` says why.
    """

    def __init__(self, url: str, path: str = "/ws", **headers: str) -> None:
        self._address = urlsplit(url)
        self._path = path
        self._headers = headers
        self.status = 0

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        fields = {
            "Host": self._address.netloc,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **self._headers,
        }
        lines = [f"GET {self._path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(READ_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
        self.status = int(head.split(b" ")[1])
        if self.status != 101:
            await self.__aexit__()
            raise ConnectionRefusedError(self.status)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with suppress(ConnectionError):  # the other side was faster
            await self._writer.wait_closed()

    def say(self, frame: str | bytes | dict[str, Any]) -> None:
        """Send one text frame."""
        data = orjson.dumps(frame) if isinstance(frame, dict) else frame
        self.send(TEXT, data.encode() if isinstance(data, str) else data)

    def send(self, kind: int, data: bytes, last: bool = True) -> None:
        """Send a frame, or the beginning of one, masked as clients must."""
        mask = os.urandom(4)
        if len(data) < 126:
            length = bytes([0x80 | len(data)])
        elif len(data) < 1 << 16:
            length = bytes([0x80 | 126]) + struct.pack("!H", len(data))
        else:
            length = bytes([0x80 | 127]) + struct.pack("!Q", len(data))
        masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
        self._writer.write(bytes([(0x80 if last else 0) | kind]) + length + mask + masked)

    async def hear(self, within_s: float = READ_S) -> Any:
        """The next text frame, parsed."""
        kind, data = await self.receive(within_s)
        assert kind == TEXT, (kind, data)
        return orjson.loads(data)

    async def receive(self, within_s: float = READ_S) -> tuple[int, bytes]:
        """The kind and the content of the next frame."""
        async with asyncio.timeout(within_s):
            first, length = await self._reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self._reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
            return first & 0x0F, await self._reader.readexactly(length)

    async def closing_code(self, within_s: float = READ_S) -> int:
        """With which code the server closes; everything before that is skipped."""
        while True:
            kind, data = await self.receive(within_s)
            if kind == CLOSE:
                (code,) = struct.unpack("!H", data[:2])
                assert isinstance(code, int)
                return code
