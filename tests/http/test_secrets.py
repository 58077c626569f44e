"""Nothing secret leaves the house: not in logs, metrics, books, listings or errors."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import Any

import aiohttp
import orjson
import pytest

from rhetor.testing import Seen, Step, Upstream, cuts, error_in_200, fails, resets, says
from rhetor.testing.script import Spoken
from tests.conftest import GatewayProcess, MakeProcess, settings
from tests.http.doors import DOORS, OPENAI_CHAT, http, raw
from tests.http.old_clients import OldSocket

PROVIDER_KEY = "canaryProviderKey9Zt4"  # of no vendor's shape: nothing but knowing it helps
TOKEN = "canaryTokenOfAComponent7Qx2"
FOREIGN = "canaryOfAStranger5Lm8"
PROMPT = "canaryPromptAboutTheCat"
REPLY = "canaryReplyAboutTheCat"
KEYS = (PROVIDER_KEY, TOKEN, FOREIGN)
EVERYTHING = (*KEYS, PROMPT, REPLY)

READ = (
    "/health",
    "/ready",
    "/metrics",
    "/metrics?format=json",
    "/openapi.json",
    "/api/v1/health",
    "/api/v1/providers",
    "/api/v1/trips?limit=1000",
    "/api/v1/discovery",
    "/api/v1/routes/explain?model=oai/m",
    "/v1/models",
    "/",
)
ANSWERS: dict[str, Step] = {
    "a reply": says(REPLY),
    "its key quoted": fails(401, f"incorrect key {PROVIDER_KEY}, sent with {PROMPT}"),
    "its key quoted elsewhere": fails(400, f"cannot parse 'Bearer {PROVIDER_KEY}'"),
    "its key on an error page": fails(500, body=f"<h1>Debug</h1>key={PROVIDER_KEY}".encode()),
    "a failure": fails(503),
    "a reset": resets(),
    "half a reply": says(f"{REPLY} and more").but(cuts(after=1)),
    "an error in the middle": says(f"{REPLY} and more").but(error_in_200(after=1)),
}


@pytest.fixture
async def process(gateway_process: MakeProcess, upstream: Upstream) -> GatewayProcess:
    """A gateway that logs all it can, as JSON."""
    given = settings(upstream, server={"tokens": {"comp": "env:COMP_TOKEN"}, "max_body_mb": 1})
    given["logs"] = {"level": "debug", "format": "json"}
    return await gateway_process(given, {"TEST_KEY": PROVIDER_KEY, "COMP_TOKEN": TOKEN})


async def said_to(
    session: aiohttp.ClientSession, url: str, token: str = TOKEN, **asked: Any
) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"}
    async with session.request("POST" if asked else "GET", url, headers=headers, **asked) as reply:
        return reply.status, await reply.text() + str(dict(reply.headers))


def assert_hidden(secrets: tuple[str, ...], where: str, text: str) -> None:
    found = [secret for secret in secrets if secret in text]
    assert not found, f"{where} holds {found}: …{text[max(0, text.find(found[0]) - 200) :][:500]}"


@pytest.mark.promise("P26")
async def test_nothing_secret_is_told(process: GatewayProcess, upstream: Upstream) -> None:
    """Good requests and bad ones on every door; then everything that can be read is searched for canaries."""
    async with aiohttp.ClientSession() as session:
        for what, step in ANSWERS.items():
            upstream.always(partial(_answer, step))
            for door in DOORS:
                for stream in (False, True):
                    said = door.body(stream=stream) | _prompt(door.good)
                    status, text = await said_to(session, process.url + door.path, json=said)
                    assert_hidden(KEYS, f"{door} with {what}: {status}", text)
        for door in DOORS:
            for bad in _bad_bodies(door.body() | _prompt(door.good)):
                _, text = await said_to(session, process.url + door.path, data=BytesIO(bad))
                assert_hidden(KEYS, f"{door} with {bad[:40]!r}", text)
            _, text = await said_to(session, process.url + door.path, FOREIGN, json=door.body())
            assert_hidden(KEYS, f"{door} without a token", text)
        await _knock_rudely(process.url)
        await _over_websocket(process.url)
        for path in READ:
            status, text = await said_to(session, process.url + path)
            assert status == 200
            assert_hidden(EVERYTHING, path, text)
    process.process.terminate()
    assert await process.process.wait() == 0
    log = process.log.read_text()
    assert_hidden(EVERYTHING, "the log", log)
    assert log.count('"event":"trip"') > 50
    assert "Traceback" not in log
    assert all(orjson.loads(line)["event"] for line in log.splitlines())


def _answer(step: Step, seen: Seen) -> Step:
    """The step, where what it says is an answer to what is asked."""
    talks = isinstance(step.content, Spoken) and seen.path.endswith(("/embeddings", "/count_tokens"))
    return Step() if talks else step


def _prompt(good: Any) -> dict[str, Any]:
    return {"input": PROMPT} if "input" in good else {"messages": [{"role": "user", "content": PROMPT}]}


def _bad_bodies(said: dict[str, Any]) -> list[bytes]:
    whole = orjson.dumps(said)
    return [
        whole[:-3],
        whole.replace(b'"user"', b'"canaryPromptAboutTheCat"'),
        orjson.dumps({**said, "model": f"oai/{FOREIGN}" * 99}),
        orjson.dumps({**said, "model": "nobody/m"}),
        orjson.dumps({**said, "temperature": PROMPT}),
        whole + b" " * (2 << 20),
        b"\xff" + whole,
    ]


async def _knock_rudely(url: str) -> None:
    """What no client sends by accident, with credentials in odd places."""
    bearer = b"Authorization: Bearer " + FOREIGN.encode()
    path = OPENAI_CHAT.path
    for sent in (
        http("POST", path, b"{}", bearer + b"x" * 20_000),
        http("GET", f"/nothing/{FOREIGN}?key={FOREIGN}", b"", bearer),
        http("POST", path, b"{}", bearer, host="evil.example"),
        http("POST", path, b"{}", bearer, b"Origin: https://evil.example"),
        http("BREW", path, b"", bearer),
        http("POST", path, b"{}", bearer, b"Content-Encoding: gzip"),
        http("POST", path, FOREIGN.encode(), bearer, b"Transfer-Encoding: chunked"),
    ):
        assert (await raw(url, sent)).status >= 400


async def _over_websocket(url: str) -> None:
    with pytest.raises(ConnectionRefusedError):
        async with OldSocket(url, Authorization=f"Bearer {FOREIGN}"):
            pass
    async with OldSocket(url, Authorization=f"Bearer {TOKEN}") as socket:
        socket.say({"type": "REGISTER", "component_id": "comp"})
        for kind in ("GENERATE", "STREAM"):
            socket.say({"type": kind, "request_id": kind, "prompt": PROMPT, "model": "oai/m"})
        socket.say({"type": "GENERATE", "prompt": {"text": PROMPT}})
        socket.send(1, f'{{"type":"GENERATE","prompt":"{PROMPT}'.encode())
        heard = []
        while len([frame for frame in heard if frame["type"] == "ERROR"]) < 4:
            heard.append(await socket.hear())
        assert_hidden(KEYS, "the WebSocket", str(heard))
        socket.send(1, b"\xff" + PROMPT.encode())
        await socket.closing_code()
