"""A guest reaches the hosts that it has declared, and no others."""

from __future__ import annotations

import asyncio
import http.server
import shutil
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from rhetor.plugins.guest import kernel
from rhetor.plugins.guest.proxy import Proxy, matches
from rhetor.plugins.guest.sandbox import Means
from rhetor.plugins.guest.spec import Language
from tests.plugins.guest.guests import Guests, written
from tests.transport.certificates import make, server_context


@pytest.mark.parametrize(
    ("declared", "host", "port", "is_meant"),
    [
        ("api.example.com", "api.example.com", 443, True),
        ("API.example.com", "api.example.com", 443, True),
        ("api.example.com", "api.example.com", 80, False),
        ("api.example.com", "evil-api.example.com", 443, False),
        ("api.example.com", "api.example.com.evil.com", 443, False),
        (".example.com", "eu.api.example.com", 443, True),
        (".example.com", "example.com", 443, False),
        (".example.com", "evilexample.com", 443, False),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        ("127.0.0.1:9", "127.0.0.1", 9, True),
        ("example.com:x", "example.com", -1, True),
    ],
)
def test_which_host_is_meant(declared: str, host: str, port: int, is_meant: bool) -> None:
    assert matches(declared, host, port) is is_meant


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says everything twice."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data + data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def proxy(*hosts: str) -> AsyncIterator[int]:
    made = Proxy(hosts, "test")
    try:
        yield await made.listen()
    finally:
        await made.close()


async def through(port: int, head: str, said: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode())
        if said:
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
            writer.write(said)
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.usefixtures("no_leaks")
async def test_what_it_lets_through() -> None:
    async with echo() as port, proxy(f"127.0.0.1:{port}") as door, asyncio.timeout(10):
        connect = "CONNECT 127.0.0.1:{} HTTP/1.1\r\n\r\n"
        assert await through(door, connect.format(port), b"moo") == b"moomoo"
        assert b"403 Forbidden" in await through(door, connect.format(port + 1))
        assert b"403 Forbidden" in await through(door, "CONNECT example.com:443 HTTP/1.1\r\n\r\n")
        assert b"405 Method" in await through(door, "GET http://127.0.0.1/ HTTP/1.1\r\n\r\n")
        assert b"405 Method" in await through(door, "moo\r\n\r\n")
        assert await through(door, "x" * 20_000) == b""
    nobody = socket.socket()
    nobody.bind(("127.0.0.1", 0))
    closed = nobody.getsockname()[1]
    async with proxy(f"127.0.0.1:{closed}") as door, asyncio.timeout(10):
        assert b"502 Bad Gateway" in await through(door, connect.format(closed))
    nobody.close()


@pytest.mark.usefixtures("no_leaks")
async def test_a_name_that_leads_inside_is_a_trick(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lead_inside(*args: object, **said: object) -> list[object]:
        return [(None, None, None, "", ("127.0.0.1", 443)), (None, None, None, "", ("fe80::1%eth0", 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lead_inside, raising=False)
    async with proxy("example.com") as door, asyncio.timeout(10):
        assert b"private network" in await through(door, "CONNECT example.com:443 HTTP/1.1\r\n\r\n")


PYTHON = """
import http.client, os, socket, ssl
from rhetor_provider import Provider

class Caller(Provider):
    def generate(self, request):
        host, port = request.text.split(":")
        context = ssl._create_unverified_context()
        try:
            proxy = os.environ["HTTPS_PROXY"].removeprefix("http://").split(":")
            connection = http.client.HTTPSConnection(*proxy, context=context, timeout=5)
            connection.set_tunnel(host, int(port))
            connection.request("GET", "/")
            said = connection.getresponse().read().decode()
        except OSError as error:
            said = f"{type(error).__name__} {error}"
        try:
            socket.create_connection((host, int(port)), 2)
            return said + "; direct"
        except OSError as error:
            return said + "; " + type(error).__name__
"""
SCRIPT = """
import https from "node:https";
import { Provider } from "rhetor-provider";

const get = (url) => new Promise((resolve, reject) => https.get(url, (response) => {
  let said = "";
  response.on("data", (piece) => (said += piece)).on("end", () => resolve(said));
}).on("error", reject));

export default class Caller extends Provider {
  async generate(request) {
    const url = `https://${request.text}/`;
    try {
      const said = await (await fetch(url)).text();
      return said === await get(url) ? `${said}; same` : "not the same";
    } catch (error) {
      return `${error.message} ${error.cause?.message}`;
    }
  }
}
"""


@contextmanager
def page(context: ssl.SSLContext) -> Iterator[int]:
    """A server that says moo to whoever speaks TLS."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "3")
            self.end_headers()
            self.wfile.write(b"moo")

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("way", ["namespaces", "landlock"])
@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_a_guest_calls_its_host_and_no_other(
    guests: Guests, tmp_path: Path, language: Language, way: str
) -> None:
    if language == "javascript" and shutil.which("node") is None:
        pytest.skip("needs Node.js")
    means = guests.machine
    assert means is not None
    if way == "landlock":
        means = Means(namespaces=False, landlock=kernel.landlock_abi(), filter=kernel.can_filter())
    if (way == "namespaces") != means.namespaces or means.way == "none" or means.landlock < 4:
        pytest.skip("there is no such confinement on this machine")
    context = server_context(*make(tmp_path, "IP:127.0.0.1"))
    with page(context) as port, page(context) as other:
        code = PYTHON if language == "python" else SCRIPT
        # What is tested is the way, not the certificate.
        environ = {"NODE_TLS_REJECT_UNAUTHORIZED": "0", "NODE_NO_WARNINGS": "1"}
        hosts = (f"127.0.0.1:{port}",)
        spec = written(tmp_path / "caller", code, language, hosts=hosts, environ=environ)
        guest = guests.make(spec, means=means)
        refused = "; PermissionError" if language == "python" else "; same"
        assert (await guest.ask("m", f"127.0.0.1:{port}")).text == f"moo{refused}"
        assert "403" in (said := (await guest.ask("m", f"127.0.0.1:{other}")).text) or "not among" in said


async def test_a_name_that_is_none_is_refused_and_nothing_else_happens(no_leaks: None) -> None:
    async with proxy(".example.com") as port:
        said = await through(port, "CONNECT a..example.com:443 HTTP/1.1\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 502 Bad Gateway")
