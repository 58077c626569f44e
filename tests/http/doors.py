"""The HTTP doors as tests knock at them: what a good request is, and how each says what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from aiohttp import web

from rhetor.core.errors import Code
from rhetor.http.house import HOUSE, House
from rhetor.http.served import Handler
from rhetor.http.server import guarded
from rhetor.testing import error_in_200, slow
from rhetor.wire.openai import OPENAI
from tests.conftest import Gateway
from tests.testing.caller import body_of

HELLO = [{"role": "user", "content": "hello"}]
READ_S = 5.0
LARGE = 1 << 20


class Wrong(NamedTuple):
    """What an error body says."""

    message: str
    kind: str
    """The language's own word for it."""
    param: str | None


def openai_wrong(body: Any) -> Wrong:
    assert body.keys() == {"error"}
    error = body["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    return Wrong(_text(error["message"]), _text(error["type"]), error["param"])


def anthropic_wrong(body: Any) -> Wrong:
    assert body["type"] == "error"
    assert _text(body["request_id"])
    return Wrong(_text(body["error"]["message"]), _text(body["error"]["type"]), None)


def tekton_wrong(body: Any) -> Wrong:
    """`error` is a string, always: an object there makes the stock client invent an answer."""
    assert body["detail"] == body["error"]
    return Wrong(_text(body["error"]), _text(body["code"]), body.get("param"))


def ollama_wrong(body: Any) -> Wrong:
    """A sentence. Where older callers share the path, there may be more beside it."""
    return Wrong(_text(body["error"]), "", None)


def _text(value: Any) -> str:
    assert isinstance(value, str)
    assert value
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Door:
    name: str
    path: str
    good: Mapping[str, Any]
    """A request without a model."""
    wrong: Callable[[Any], Wrong]
    model: str = "oai/m"
    """Who takes it."""

    def __str__(self) -> str:
        return self.name

    def body(self, **changes: Any) -> dict[str, Any]:
        return {"model": self.model, **self.good, **changes}


OPENAI_CHAT = Door("openai chat", "/v1/chat/completions", {"messages": HELLO}, openai_wrong)
OPENAI_EMBEDDINGS = Door("openai embeddings", "/v1/embeddings", {"input": "hello"}, openai_wrong)
OPENAI_RESPONSES = Door("openai responses", "/v1/responses", {"input": "hello"}, openai_wrong)
ANTHROPIC_MESSAGES = Door(
    "anthropic messages", "/v1/messages", {"messages": HELLO, "max_tokens": 50}, anthropic_wrong, "ant/m"
)
ANTHROPIC_COUNT = Door(
    "anthropic count_tokens", "/v1/messages/count_tokens", {"messages": HELLO}, anthropic_wrong, "ant/m"
)
TEKTON_CHAT = Door("tekton chat", "/api/v1/chat", {"messages": HELLO}, tekton_wrong)
TEKTON_STREAM = Door("tekton stream", "/api/v1/chat/stream", {"messages": HELLO}, tekton_wrong)
OLLAMA_CHAT = Door("ollama chat", "/api/chat", {"messages": HELLO, "stream": False}, ollama_wrong)
OLLAMA_PROMPT = Door("ollama generate", "/api/generate", {"prompt": "hello", "stream": False}, ollama_wrong)
OLLAMA_EMBED = Door("ollama embed", "/api/embed", {"input": "hello"}, ollama_wrong)
DOORS = (
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
    ANTHROPIC_MESSAGES,
    ANTHROPIC_COUNT,
    TEKTON_CHAT,
    TEKTON_STREAM,
    OLLAMA_CHAT,
    OLLAMA_PROMPT,
    OLLAMA_EMBED,
)
EACH_DOOR = pytest.mark.parametrize("door", DOORS, ids=str)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, read to its end."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


async def knock(gateway: Gateway, door: Door, data: Any, headers: Mapping[str, str] = {}) -> Reply:
    """Send these bytes to a door."""
    headers = {"content-type": "application/json", **headers}
    if isinstance(data, bytes) and len(data) > LARGE:
        data = BytesIO(data)  # aiohttp warns of large bodies in one piece
    async with gateway.session.post(gateway.url + door.path, data=data, headers=headers) as reply:
        return await read(reply)


async def read(reply: aiohttp.ClientResponse) -> Reply:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return Reply(reply.status, headers, await reply.read())


def refused(reply: Reply, door: Door, status: int) -> Wrong:
    """What the door says is wrong, in its own language and without a word of its insides."""
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"].startswith(("req_", "gen_"))
    assert b"Traceback" not in reply.body
    assert b".py" not in reply.body
    return door.wrong(reply.json)


async def still_answers(gateway: Gateway, door: Door = OPENAI_CHAT) -> None:
    """The next good request is none the worse for what came before it."""
    async with gateway.session.post(gateway.url + door.path, json=door.body()) as reply:
        assert reply.status == 200, await reply.text()


@asynccontextmanager
async def serving(handler: Handler, house: House, *on_prepare: Any) -> AsyncIterator[str]:
    """The address of one handler in this house, surrounded as all are, and served as production serves."""
    app = web.Application()
    app[HOUSE] = house
    app.on_response_prepare.extend(on_prepare)
    app.router.add_route("*", "/{tail:.*}", guarded(handler, lambda _: OPENAI, True, house))
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site.name
    finally:
        await runner.cleanup()


async def raw(url: str, data: bytes) -> Reply:
    """Send these very bytes on a connection of their own, and read until the other side closes.

    A body in chunks must come to its last one.
    """
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(data)
        async with asyncio.timeout(READ_S):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    if headers.get("transfer-encoding") == "chunked":
        body = body_of(body)
    return Reply(int(line.split(" ")[1]), headers, body)


def http(method: str, path: str, body: bytes = b"", *headers: bytes, host: str = "localhost") -> bytes:
    """A request as bytes; the server closes after its answer."""
    fields = [
        f"{method} {path} HTTP/1.1".encode(),
        b"Host: " + host.encode(),
        b"Connection: close",
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(fields) + b"\r\n\r\n" + body


ERROR_AFTER_A_WORD = error_in_200(Code.OVERLOADED, after=1).but(slow(gap_s=0.05))
"""The word arrives first: a failure that comes with it is noticed before anybody has heard anything."""
