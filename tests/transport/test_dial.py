"""Making connections: names, addresses, TLS, and what is said when it fails."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.tasks import spawn
from rhetor.testing import nowhere
from rhetor.transport.base import Phase, Progress
from rhetor.transport.dial import HEAD_START_S, Dialer, reason
from rhetor.transport.pool import HttpPool
from rhetor.transport.request import Origin
from tests.transport.certificates import make, server_context
from tests.transport.conftest import MakePool
from tests.transport.exchange import (
    again,
    done,
    failure,
    get,
    open_to,
    opening,
    read,
    turns,
)
from tests.transport.peer import Peer, response

AddressBook = Callable[[str, int], Awaitable[list[int]]]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[[AddressBook], None]:
    """Put an address book in the place of DNS: from name and port to ports of 127.0.0.1."""

    def use(book: AddressBook) -> None:
        loop = asyncio.get_running_loop()
        original = loop.getaddrinfo

        async def getaddrinfo(host: str, port: int, **how: Any) -> list[Any]:
            if host == "127.0.0.1":  # uvloop asks itself about addresses, too
                return await original(host, port, **how)
            found = await book(host, port)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in found]

        try:
            monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        except AttributeError:
            pytest.skip("this loop resolves names in C")

    return use


class Book:
    """An address book that counts how often it was asked."""

    def __init__(self, *ports: int) -> None:
        self.ports = list(ports)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[int]:
        self.asked += 1
        await asyncio.sleep(0)
        return self.ports


class TestNames:
    async def test_are_asked_for_once(self, pool: HttpPool, resolve: Callable[[AddressBook], None]) -> None:
        """A burst of calls is one question, and so are those that come soon after."""
        async with Peer() as peer:
            resolve(book := Book(peer.port))
            call = Call("GET", "http://provider.example/")
            for _ in range(2):
                tasks = [opening(pool, call) for _ in range(3)]
                for _ in tasks:
                    await (await peer.line()).answer(b"ok", b"connection: close")
                for task in tasks:
                    await read(await done(task))
            assert (book.asked, peer.connections) == (1, 6)

    async def test_are_asked_for_again_when_nobody_answers_there(
        self, pool: HttpPool, resolve: Callable[[AddressBook], None]
    ) -> None:
        """A provider that moved is found without waiting for the old address to run out."""
        async with Peer() as peer:
            resolve(book := Book())
            call = Call("GET", "http://provider.example/")
            with nowhere.refused() as base_url:
                book.ports = [int(base_url.rpartition(":")[2])]
                assert (await failure(opening(pool, call))).code is Code.CONNECT_FAILED
            book.ports = [peer.port]
            task = opening(pool, call)
            await (await peer.line()).answer()
            assert await read(await done(task)) == b"ok"

    async def test_the_next_address_is_tried_beside_one_that_is_silent(
        self, pool: HttpPool, resolve: Callable[[AddressBook], None]
    ) -> None:
        async with Peer() as peer:
            with nowhere.unreachable() as base_url:
                resolve(Book(int(base_url.rpartition(":")[2]), peer.port))
                began_s = asyncio.get_running_loop().time()
                task = opening(pool, Call("GET", "http://provider.example/"))
                await (await peer.line()).answer()
                assert await read(await done(task)) == b"ok"
                assert asyncio.get_running_loop().time() - began_s >= HEAD_START_S * 0.9

    async def test_the_next_address_is_tried_after_one_that_refuses(
        self, pool: HttpPool, resolve: Callable[[AddressBook], None]
    ) -> None:
        async with Peer() as peer:
            with nowhere.refused() as base_url:
                resolve(Book(int(base_url.rpartition(":")[2]), peer.port))
                task = opening(pool, Call("GET", "http://provider.example/"))
                await (await peer.line()).answer()
                assert await read(await done(task)) == b"ok"

    async def test_resolving_runs_into_the_connect_clock(
        self, make_pool: MakePool, resolve: Callable[[AddressBook], None]
    ) -> None:
        async def never(host: str, port: int) -> list[int]:
            await asyncio.Event().wait()
            return []

        resolve(never)
        pool = make_pool(limit=1, connect_s=0.05)
        progress = Progress()
        with pytest.raises(UpstreamError) as caught:
            await pool.open(Call("GET", "http://provider.example/"), progress)
        assert caught.value.code is Code.CONNECT_TIMEOUT
        assert progress.phase is Phase.CONNECTING

    async def test_a_name_without_an_address(
        self, pool: HttpPool, resolve: Callable[[AddressBook], None]
    ) -> None:
        async def unknown(host: str, port: int) -> list[int]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        resolve(unknown)
        error = await failure(opening(pool, Call("GET", "http://provider.example/")))
        assert error.code is Code.CONNECT_FAILED
        assert error.message == "cannot connect: its name has no address: Name or service not known"

    async def test_an_address_needs_no_book(self, pool: HttpPool, monkeypatch: pytest.MonkeyPatch) -> None:
        """A local server must not wait for a thread to say what is known."""

        async def never(*_: Any, **__: Any) -> list[Any]:
            raise AssertionError("nobody was to be asked")

        loop = asyncio.get_running_loop()
        async with Peer() as peer:
            if isinstance(loop, asyncio.BaseEventLoop):  # uvloop asks itself, see above
                monkeypatch.setattr(loop, "getaddrinfo", never)
            reply, _ = await open_to(pool, peer, response())
            assert await read(reply) == b"ok"

    async def test_a_name_is_resolved(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            task = opening(pool, Call("GET", f"http://localhost:{peer.port}/"))
            line = await peer.line()
            assert b"host: localhost:%d\r\n" % peer.port in await line.head()
            line.write(response())
            assert await read(await done(task)) == b"ok"


class TestTls:
    @pytest.fixture
    def trusted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
        """What a server needs whom we trust, because the system's list of authorities says so."""
        certificate, key = make(tmp_path, "DNS:localhost,IP:127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        return server_context(certificate, key)

    async def test_calls_go_through_it(self, pool: HttpPool, trusted: ssl.SSLContext) -> None:
        async with Peer(trusted) as peer:
            reply, line = await open_to(pool, peer, response(b"first"))
            assert await read(reply) == b"first"
            assert line.tls().selected_alpn_protocol() == "http/1.1"
            assert await again(pool, peer, line, response(b"second")) == b"second"

    async def test_bodies_of_any_size(self, pool: HttpPool, trusted: ssl.SSLContext) -> None:
        body = bytes(3_000_000)
        async with Peer(trusted) as peer:
            task = opening(pool, Call("POST", peer.url, {}, body))
            line = await peer.line()
            await line.head()
            assert await line.body(len(body)) == body
            line.write(response(body))
            assert await read(await done(task)) == body

    async def test_closing_a_reply_ends_the_connection(self, pool: HttpPool, trusted: ssl.SSLContext) -> None:
        async with Peer(trusted) as peer:
            reply, line = await open_to(pool, peer, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
            reply.close()
            await line.ended()

    async def test_an_idle_connection_that_the_server_closed(
        self, pool: HttpPool, trusted: ssl.SSLContext
    ) -> None:
        async with Peer(trusted) as peer:
            reply, line = await open_to(pool, peer, response())
            await read(reply)
            line.close()
            await line.ended()
            reply, _ = await open_to(pool, peer, response())
            assert await read(reply) == b"ok"

    async def test_an_end_in_the_middle(self, pool: HttpPool, trusted: ssl.SSLContext) -> None:
        async with Peer(trusted) as peer:
            reply, line = await open_to(pool, peer, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            line.close()
            with pytest.raises(UpstreamError) as caught:
                await read(reply)
            assert caught.value.code is Code.CONNECTION_LOST

    async def test_giving_up_in_any_turn(self, pool: HttpPool, trusted: ssl.SSLContext) -> None:
        async with Peer(trusted) as peer:
            for count in range(25):
                task = opening(pool, get(peer))
                await turns(count)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await turns(20)
            while peer.waiting:
                await (await peer.line()).ended()
            reply, _ = await open_to(pool, peer, response())
            assert await read(reply) == b"ok"

    async def test_a_certificate_that_nobody_trusts(self, pool: HttpPool, tmp_path: Path) -> None:
        async with Peer(server_context(*make(tmp_path, "DNS:localhost,IP:127.0.0.1"))) as peer:
            error = await failure(opening(pool, get(peer)))
        assert error.code is Code.CONNECT_FAILED
        assert error.message.startswith("cannot connect: its certificate is not to be trusted: self")

    async def test_a_certificate_for_somebody_else(
        self, pool: HttpPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certificate, key = make(tmp_path, "DNS:other.example")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with Peer(server_context(certificate, key)) as peer:
            error = await failure(opening(pool, Call("GET", f"https://localhost:{peer.port}/")))
        assert error.code is Code.CONNECT_FAILED
        assert error.message == (
            "cannot connect: its certificate is not to be trusted: "
            "Hostname mismatch, certificate is not valid for 'localhost'."
        )

    async def test_a_server_without_tls(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            task = spawn(pool.open(Call("GET", peer.url.replace("http:", "https:")), Progress()), "open")
            line = await peer.line()
            line.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            error = await failure(task)
        assert error.code is Code.CONNECT_FAILED
        assert error.message.startswith("cannot connect: TLS failed: ")

    async def test_a_server_that_leaves_in_the_handshake(self, pool: HttpPool) -> None:
        async with Peer() as peer:
            task = spawn(pool.open(Call("GET", peer.url.replace("http:", "https:")), Progress()), "open")
            line = await peer.line()
            await line.reader.readexactly(1)
            line.reset()
            error = await failure(task)
        assert error.code is Code.CONNECT_FAILED


class TestReasons:
    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
            (OSError("Multiple exceptions: one, other"), "Multiple exceptions: one, other"),
            (ConnectionResetError(), "ConnectionResetError"),
            (socket.gaierror(socket.EAI_AGAIN, "Try again"), "its name has no address: Try again"),
        ],
    )
    def test_are_for_people(self, error: Exception, said: str) -> None:
        assert reason(error) == said


async def test_sockets_send_at_once_and_notice_dead_peers(no_leaks: None) -> None:
    async with Peer() as peer:
        made: list[asyncio.BaseTransport] = []

        class Keep(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.append(transport)

        await Dialer().dial(Origin(False, "127.0.0.1", peer.port), Keep())
        sock = made[0].get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        made[0].abort()  # type: ignore[attr-defined]
        await turns()
