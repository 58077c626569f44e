"""The door through which a guest reaches the hosts that it has declared, and no others.

A proxy for `CONNECT` (RFC 9110, section 9.3.6): the guest speaks TLS through it, so what it says stays
between it and the host. Where the guest has a network of its own, its jail makes the listening socket there
and hands it over; elsewhere it listens on loopback.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rhetor.core.addresses import is_public
from rhetor.tasks import Tasks

log = logging.getLogger(__name__)

HEAD_BYTES = 8 * 1024
HEAD_S = 10.0
CONNECT_S = 10.0
MOST = 64  # connections of one guest
PIECE_BYTES = 64 * 1024
TLS_PORT = 443
HANDED_S = 10.0


class Proxy:
    """The proxy of one running guest."""

    def __init__(self, hosts: Iterable[str], label: str) -> None:
        self._hosts = tuple(hosts)
        self._label = label
        self._tasks = Tasks()
        self._open = 0
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """Listen on loopback; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_BYTES)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def expect_socket(self, folder: Path) -> str:
        """Where a jail hands its listening socket over: the path of a Unix socket in a folder of ours."""
        path = str(folder / "door")
        door = socket.socket(socket.AF_UNIX)
        door.bind(path)
        door.listen(1)
        door.setblocking(False)
        self._tasks.spawn(self._take(door), f"door of {self._label}")
        return path

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._tasks.close()

    async def _take(self, door: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with door:
            jail, _ = await loop.sock_accept(door)
        with jail:
            # It is our own program that connects, and it sends at once; a thread waits for it.
            jail.settimeout(HANDED_S)
            _, handed, _, _ = await asyncio.to_thread(socket.recv_fds, jail, 1, 1)
            inside = socket.socket(fileno=handed[0])
            inside.setblocking(False)
            self._server = await asyncio.start_server(self._serve, sock=inside, limit=HEAD_BYTES)
            await asyncio.to_thread(jail.sendall, b"x")

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MOST:
            writer.transport.abort()
            return
        self._open += 1
        self._tasks.spawn(self._attend(reader, writer), f"connection of {self._label}")

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        try:
            answer, there_reader, there = await self._open_for(reader)
            writer.write(answer)
            if there is not None and there_reader is not None:
                await _both_ways(reader, writer, there_reader, there)
            else:
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("connection of a guest ended", extra={"guest": self._label})  # either side left
        finally:
            self._open -= 1
            for each in (writer, there):
                if each is not None:
                    each.close()

    async def _open_for(
        self, reader: asyncio.StreamReader
    ) -> tuple[bytes, asyncio.StreamReader | None, asyncio.StreamWriter | None]:
        """What to answer, and the connection that was asked for."""
        async with asyncio.timeout(HEAD_S):
            head = await reader.readuntil(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or words[0] != "CONNECT":
            return _answer("405 Method Not Allowed", "this proxy knows CONNECT only"), None, None
        host, port = _place(words[1])
        declared = next((each for each in self._hosts if matches(each, host, port)), None)
        if declared is None:
            log.warning(
                "guest wants a host that it has not declared", extra={"guest": self._label, "host": host}
            )
            return _answer("403 Forbidden", f"{host}:{port} is not among its declared hosts"), None, None
        try:
            async with asyncio.timeout(CONNECT_S):
                address = await _address(host, port)
                if address is None:
                    return _answer("403 Forbidden", f"{host} is inside a private network"), None, None
                return _answer("200 OK", ""), *await asyncio.open_connection(address, port)
        except (OSError, TimeoutError, UnicodeError) as error:  # a name such as a..b is none for resolvers
            return _answer("502 Bad Gateway", f"cannot connect to {host}: {error}"), None, None


def matches(declared: str, host: str, port: int) -> bool:
    """Whether a declared host means this one."""
    name, wanted = _place(declared)
    if port != wanted:
        return False
    return host.endswith(name) if name.startswith(".") else host == name


def _place(text: str) -> tuple[str, int]:
    """Host and port; a port that is none matches nothing."""
    name, colon, port = text.strip().lower().rpartition(":")
    if not colon or "]" in port:
        name, port = text.strip().lower(), str(TLS_PORT)
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1
    return name.strip("[]").rstrip("."), number


async def _address(host: str, port: int) -> str | None:
    """Where a host is; None: in a private network, and its name did not say so.

    An address or `localhost` is what the operator has read and accepted; a name that leads there is a trick.
    """
    if host == "localhost" or _is_address(host):
        return host
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, address in found:
        if is_public(ipaddress.ip_address(str(address[0]).partition("%")[0])):
            return str(address[0])
    return None


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _answer(status: str, why: str) -> bytes:
    if status.startswith("200"):
        return b"HTTP/1.1 200 Connection established\r\n\r\n"
    body = why.encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + body


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there_reader: asyncio.StreamReader,
    there: asyncio.StreamWriter,
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_pass_on(reader, there))
        group.create_task(_pass_on(there_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(PIECE_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
