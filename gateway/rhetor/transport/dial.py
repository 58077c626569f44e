"""Making connections: the name, TCP and TLS, and words for what goes wrong with them."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from aiohappyeyeballs import AddrInfoType, start_connection

from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.request import Origin

NAMES_KEPT_S = 60.0  # vendors move their addresses with time to live of one to five minutes
MOST_NAMES = 16  # a pool serves one provider, which has one or two
HEAD_START_S = 0.25  # for an address before the next one is tried beside it, RFC 8305
HTTP_1_1 = "http/1.1"


class Dialer:
    """Makes the connections of one pool. Addresses and the TLS context are kept."""

    def __init__(self) -> None:
        self._addresses: dict[tuple[str, int], tuple[float, Sequence[AddrInfoType]]] = {}
        self._tls: ssl.SSLContext | None = None
        # One at a time: the first call fills what the others, coming in a burst, then find.
        self._asking = asyncio.Lock()

    async def dial(self, origin: Origin, protocol: asyncio.Protocol) -> None:
        """Connect; the protocol has been told of its transport when this returns. Has no clock of its own.

        Raises:
            UpstreamError: connect_failed with the reason, or connect_timeout when the system gave up.
        """
        loop = asyncio.get_running_loop()
        try:
            tls = await self._context() if origin.tls else None
            # Certificates are without the root's dot.
            name = origin.host.rstrip(".") if tls is not None else None
            sock = await start_connection(
                await self._resolve(origin),
                happy_eyeballs_delay=HEAD_START_S,
                loop=loop,
                socket_factory=_socket,
            )
            await loop.create_connection(lambda: protocol, sock=sock, ssl=tls, server_hostname=name)
        except (OSError, RuntimeError) as error:  # uvloop raises either
            self._addresses.pop((origin.host, origin.port), None)  # they may have moved
            code = Code.CONNECT_TIMEOUT if isinstance(error, TimeoutError) else Code.CONNECT_FAILED
            raise UpstreamError(f"cannot connect: {reason(error)}", code) from error

    async def _resolve(self, origin: Origin) -> Sequence[AddrInfoType]:
        key = (origin.host, origin.port)
        with suppress(OSError):  # an address needs no name service, and no thread that asks it
            return socket.getaddrinfo(*key, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        loop = asyncio.get_running_loop()
        async with self._asking:
            until_s, known = self._addresses.get(key, (0.0, ()))
            if loop.time() < until_s:
                return known
            found = await loop.getaddrinfo(*key, type=socket.SOCK_STREAM)
            if len(self._addresses) >= MOST_NAMES:
                self._addresses.clear()
            self._addresses[key] = (loop.time() + NAMES_KEPT_S, found)
            return found

    async def _context(self) -> ssl.SSLContext:
        """Made in a thread: reading the certificates that we trust takes some 20 ms."""
        async with self._asking:
            if self._tls is None:
                self._tls = await asyncio.get_running_loop().run_in_executor(None, _make_context)
        return self._tls


def _make_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols([HTTP_1_1])
    return context


def _socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    with suppress(OSError):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made


def reason(error: Exception) -> str:
    """What the system or the other side said, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'no reason given').replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return f"its name has no address: {error.strerror}"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio puts the address where the system's words were
    return str(error) or type(error).__name__
