"""The house: it starts in order, changes whole or not at all, and stops without dropping what can finish."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from rhetor import tasks
from rhetor.app import App
from rhetor.config import Config, ConfigError
from rhetor.testing import Gate, Upstream, fails, hangs, raw_frames, says
from rhetor.testing.nowhere import refused, unreachable
from tests.conftest import Gateway, GatewayProcess, MakeGateway, MakeProcess, settings

PATIENCE_S = 10.0  # for another process; in this one everything takes milliseconds
TEXT = "one two three four"


def chat(model: str, stream: bool = False) -> dict[str, Any]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}


def rewrite(path: Path, **sections: Any) -> None:
    """Change sections of the file, as an operator would."""
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **sections}))


@asynccontextmanager
async def open_stream(
    session: aiohttp.ClientSession, url: str, upstream: Upstream, model: str = "oai/small"
) -> AsyncIterator[tuple[aiohttp.ClientResponse, Gate]]:
    """A stream that has said something, and goes on when the gate is opened."""
    gate = Gate()
    upstream.next(says(TEXT).but(hangs(gate, after=2)))
    async with session.post(f"{url}/v1/chat/completions", json=chat(model, stream=True)) as reply:
        await reply.content.readany()
        await gate.reached()
        yield reply, gate


async def rest_of(reply: aiohttp.ClientResponse) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await reply.read()


async def until(holds: Callable[[], bool]) -> None:
    """Return once something is true that will be, in this process."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0)


# Starting.


async def test_port_zero_takes_a_free_one(make_gateway: MakeGateway) -> None:
    first, second = await make_gateway(settings()), await make_gateway(settings())
    assert first.url != second.url
    for gateway in (first, second):
        status, body = await gateway.get("/ready")
        assert (status, body["ready"]) == (200, True)


async def test_a_port_that_is_taken_is_a_problem_with_a_remedy(no_leaks: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = App(Config.model_validate({"server": {"port": port}}), None, {})
        with pytest.raises(ConfigError) as caught:
            await app.start()
    assert str(caught.value) == (
        f"server.port: cannot listen on 127.0.0.1:{port}: Address already in use: "
        "another program listens there; stop it, or set server.port or RHETOR_PORT"
    )


async def test_an_address_of_somebody_else_is_a_problem(no_leaks: None) -> None:
    given = {"server": {"host": "192.0.2.1", "tokens": {"me": "env:T"}}}
    app = App(Config.model_validate(given), None, {"T": "t"})
    with pytest.raises(
        ConfigError, match=r"^server\.host: cannot listen on 192\.0\.2\.1:8003: .*address of this"
    ):
        await app.start()


async def test_it_tells_what_an_operator_wants_to_know(
    make_gateway: MakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Who is on, who is not although the file names it, and what has no effect."""
    caplog.set_level(logging.INFO, logger="rhetor")
    given = settings(providers={"groq": {}, "lab": {"wire": "openai", "base_url": "http://lab.test"}})
    gateway = await make_gateway(given, {"RHETOR_LOG_LEVEL": "debug"})
    told = {record.message: vars(record) for record in caplog.records}
    assert told["listening"]["providers"] == ["lab", "offline"]
    assert told["listening"]["url"] == gateway.url
    assert told["provider off"]["reason"] == "no key for 'groq': set GROQ_API_KEY, or remove the provider"
    assert "RHETOR_LOGS_LEVEL" in told["variable without effect"]["reason"]


async def test_who_listens_everywhere_is_found_on_this_machine(make_gateway: MakeGateway) -> None:
    server = {"host": "0.0.0.0", "tokens": {"me": "env:TEST_KEY"}}
    gateway = await make_gateway(settings(server=server))
    assert gateway.url.startswith("http://127.0.0.1:")
    assert (await gateway.get("/ready"))[0] == 200


# Reloading.


async def test_a_reload_puts_the_new_configuration_in_force(
    make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = await make_gateway(settings(upstream))
    given = settings(
        upstream,
        routes={"fast": {"targets": ["oai/small"]}},
        server={
            "tokens": {"me": "env:NEW_TOKEN"},
            "allowed_origins": ["https://app.test"],
            "max_frame_kb": 16,
        },
    )
    (tmp_path / "rhetor.yaml").write_text(yaml.safe_dump(given))
    gateway.app._environ = {"TEST_KEY": "sk-canary", "NEW_TOKEN": "t0ken-of-mine"}
    assert (await gateway.post("/api/v1/reload", {}))[0] == 200
    assert (await gateway.post("/v1/chat/completions", chat("fast")))[0] == 401
    headers = {"authorization": "Bearer t0ken-of-mine", "origin": "https://app.test"}
    status, reply = await gateway.post("/v1/chat/completions", chat("fast"), headers=headers)
    assert (status, reply["choices"][0]["message"]["content"]) == (200, "hello world")
    assert gateway.app.house.max_frame_bytes == 16 * 1024
    assert gateway.app.redactor.text("t0ken-of-mine") == "[redacted]"


async def test_a_broken_file_changes_nothing(gateway: Gateway, upstream: Upstream, tmp_path: Path) -> None:
    """Every problem is said, in the reply too; whoever asks goes on being served."""
    await gateway.app.discovered.wait()
    before = gateway.app.registry.snapshot
    rewrite(
        tmp_path / "rhetor.yaml",
        providers={"oai": {"wire": "openai", "base_url": "no address"}},
        routes={"fast": {"targets": ["nobody/x"]}},
    )
    status, reply = await gateway.post("/api/v1/reload", {})
    assert status == 400
    assert "providers.oai.base_url: must be an address" in reply["error"]
    assert "routes.fast.targets[0]: no provider 'nobody'" in reply["error"]
    with pytest.raises(ConfigError):
        await gateway.app.reload()
    assert gateway.app.registry.snapshot is before
    assert (await gateway.post("/v1/chat/completions", chat("oai/small")))[0] == 200


async def test_a_file_that_is_gone_changes_nothing(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.app.discovered.wait()
    before = gateway.app.registry.snapshot
    (tmp_path / "rhetor.yaml").unlink()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        await gateway.app.reload()
    assert gateway.app.registry.snapshot is before


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"port": 1}, "server.port: needs a restart; to reload, change it back to 0"),
        ({"host": "localhost"}, "server.host: needs a restart; to reload, change it back to 127.0.0.1"),
        ({"max_body_mb": 1}, "server.max_body_mb: needs a restart; to reload, change it back to 32"),
    ],
)
async def test_what_a_reload_cannot_change_is_said(
    gateway: Gateway, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    rewrite(tmp_path / "rhetor.yaml", server={"port": 0, "shutdown_grace_s": 1, **change})
    with pytest.raises(ConfigError) as caught:
        await gateway.app.reload()
    assert str(caught.value) == problem


async def test_a_trip_under_way_keeps_what_it_started_with(
    gateway: Gateway, upstream: Upstream, tmp_path: Path
) -> None:
    """Its provider is gone from the file, and its stream ends as ever; then its pool closes."""
    async with open_stream(gateway.session, gateway.url, upstream) as (reply, gate):
        rewrite(tmp_path / "rhetor.yaml", providers={})
        await gateway.app.reload()
        assert "oai" not in gateway.app.house.catalog.providers
        gate.open()
        assert (await rest_of(reply)).endswith(b"data: [DONE]\n\n")
    await upstream.connections.closed()


async def test_a_new_catalog_before_the_reload_makes_no_difference(
    gateway: Gateway, upstream: Upstream, tmp_path: Path
) -> None:
    """The trip's snapshot is two generations old; its pool is still the one that must stay open."""
    async with open_stream(gateway.session, gateway.url, upstream) as (reply, gate):
        await gateway.app.discover()
        await gateway.app.reload()
        closed = tasks.spawn(upstream.connections.closed(), "closed")
        # Another trip through the new pool gives the old one every chance to be closed too early.
        assert (await gateway.post("/v1/chat/completions", chat("oai/small")))[0] == 200
        assert not closed.done()
        gate.open()
        assert (await rest_of(reply)).endswith(b"data: [DONE]\n\n")
    await tasks.stop(closed)


async def test_pools_of_a_replaced_configuration_are_closed(gateway: Gateway, upstream: Upstream) -> None:
    assert (await gateway.post("/v1/chat/completions", chat("oai/small")))[0] == 200
    assert upstream.connections.open == 1
    await gateway.app.reload()
    await upstream.connections.closed()


async def test_a_reload_and_a_stop_at_the_same_time_leave_nothing_open(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    gateway = await make_gateway(settings(upstream))
    async with open_stream(gateway.session, gateway.url, upstream) as (reply, gate):
        await gateway.app.reload()
        stopping = tasks.spawn(gateway.app.stop(), "stop")
        gate.open()
        await rest_of(reply)
        await stopping
    await upstream.connections.closed()


async def test_the_new_connect_timeout_counts(make_gateway: MakeGateway, tmp_path: Path) -> None:
    with unreachable() as base_url:
        providers = {"far": {"wire": "openai", "base_url": f"{base_url}/v1"}}
        gateway = await make_gateway(settings(providers=providers, timeouts={"connect_s": 60}))
        rewrite(tmp_path / "rhetor.yaml", timeouts={"connect_s": 0.1})
        await gateway.app.reload()
        async with asyncio.timeout(PATIENCE_S):
            status, _ = await gateway.post("/v1/chat/completions", chat("far/x"))
    assert status == 504


async def test_lists_of_unchanged_providers_are_kept(
    make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    """A reload does not make names unknown until their providers have been asked again."""
    gateway = await make_gateway(settings(upstream, discovery={"enabled": True}))
    await gateway.app.discovered.wait()
    upstream.lists("small", but=hangs())
    rewrite(tmp_path / "rhetor.yaml", logs={"level": "error"})
    await gateway.app.reload()
    assert "oai/small" in gateway.app.house.catalog.offers


async def test_lists_of_changed_providers_are_asked_for_anew(
    make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    """What the provider behind the old address said, even too late, is not believed of the new one."""
    gate = Gate()
    upstream.lists("old", but=hangs(gate))
    gateway = await make_gateway(settings(upstream, discovery={"enabled": True}))
    await gate.reached(2)
    async with Upstream() as other:
        other.lists("new")
        rewrite(tmp_path / "rhetor.yaml", providers=settings(other)["providers"])
        await gateway.app.reload()
        gate.open()
        await gateway.app.discovered.wait()
        offers = [id for id in gateway.app.house.catalog.offers if not id.startswith("offline/")]
        assert sorted(offers) == ["ant/new", "oai/new"]
        await gateway.app.stop()


async def test_a_provider_added_by_a_reload_is_asked_at_once(
    make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = await make_gateway(settings(discovery={"enabled": True}))
    await gateway.app.discovered.wait()
    rewrite(tmp_path / "rhetor.yaml", providers=settings(upstream)["providers"])
    await gateway.app.reload()
    await until(lambda: "oai/large" in gateway.app.house.catalog.offers)


async def test_sighup_reloads_a_real_process(
    gateway_process: MakeProcess, upstream: Upstream, tmp_path: Path
) -> None:
    """First a broken file, which changes nothing; then a good one, while a stream goes on."""
    gateway = await gateway_process(settings(upstream, logs={"level": "info"}))
    path = tmp_path / "rhetor.yaml"
    good = path.read_text()
    async with aiohttp.ClientSession() as session:
        async with open_stream(session, gateway.url, upstream) as (reply, gate):
            path.write_text("providers: [")
            gateway.process.send_signal(signal.SIGHUP)
            await logged(gateway, "not reloaded: the old configuration stays")
            assert "rhetor.yaml:1:13: not valid YAML" in gateway.log.read_text()
            path.write_text(good)
            rewrite(
                path, routes={"fast": {"targets": ["oai/large"]}}, logs={"level": "info", "format": "json"}
            )
            gateway.process.send_signal(signal.SIGHUP)
            await logged(gateway, '"event":"reloaded"')
            gate.open()
            assert (await rest_of(reply)).endswith(b"data: [DONE]\n\n")
        async with session.post(f"{gateway.url}/v1/chat/completions", json=chat("fast")) as answer:
            assert answer.headers["x-rhetor-served-by"] == "oai/large"


async def logged(gateway: GatewayProcess, text: str) -> None:
    """Return once the process has logged it."""
    async with asyncio.timeout(PATIENCE_S):
        while text not in gateway.log.read_text():
            assert gateway.process.returncode is None, gateway.log.read_text()
            await asyncio.sleep(0.01)  # a file tells nobody that it has grown


# Finding models.


@pytest.mark.promise("M23")
async def test_discovery_fills_the_catalog_in_the_background(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    """Requests are taken before anybody has listed anything."""
    gate = Gate()
    upstream.lists("small", "large", but=hangs(gate))
    gateway = await make_gateway(settings(upstream, discovery={"enabled": True}))
    await gate.reached(2)
    assert (await gateway.post("/v1/chat/completions", chat("oai/small")))[0] == 200
    assert (await gateway.post("/v1/chat/completions", chat("large")))[0] == 404
    gate.open()
    await gateway.app.discovered.wait()
    ids = [model["id"] for model in (await gateway.get("/v1/models"))[1]["data"]]
    assert {"oai/small", "oai/large", "ant/small", "ant/large"} <= set(ids)


async def test_discovery_survives_lists_that_fail(
    make_gateway: MakeGateway, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """One is not there, one refuses, one talks nonsense; the rest is listed, and all may be asked."""
    async with Upstream() as refusing, Upstream() as babbling:
        refusing.lists("x", but=fails(500, "out of order"))
        babbling.lists("x", but=raw_frames([b'{"data": [{"id": 5}, null]}'], content_type="application/json"))
        with refused() as nowhere:
            strangers = {"gone": nowhere, "refusing": refusing.base_url, "babbling": babbling.base_url}
            given = settings(
                upstream,
                discovery={"enabled": True},
                providers={id: {"wire": "openai", "base_url": f"{url}/v1"} for id, url in strangers.items()},
            )
            gateway = await make_gateway(given)
            await gateway.app.discovered.wait()
        assert "oai/large" in gateway.app.house.catalog.offers
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
        said = {r.provider: r.reason for r in caplog.records if r.message == "models not listed"}  # type: ignore[attr-defined]
        assert said["gone"].startswith("cannot connect")
        assert "out of order" in said["refusing"]
        refusing.says("still here")
        status, reply = await gateway.post("/v1/chat/completions", chat("refusing/any"))
        assert (status, reply["choices"][0]["message"]["content"]) == (200, "still here")
        await gateway.app.stop()


async def test_nobody_is_asked_when_discovery_is_off(gateway: Gateway, upstream: Upstream) -> None:
    await gateway.app.discovered.wait()
    assert upstream.requests == []


async def test_a_second_list_replaces_the_first(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream, discovery={"enabled": True}))
    await gateway.app.discovered.wait()
    upstream.lists("huge")
    await gateway.app.discover()
    assert [id for id in gateway.app.house.catalog.offers if id.startswith("oai/")] == ["oai/huge"]


# Stopping.


async def test_stopping_lets_a_stream_finish_and_takes_nothing_new(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    """On a kept-alive connection one hears that it is closing; a new connection is not made."""
    gateway = await make_gateway(settings(upstream, server={"shutdown_grace_s": 30}))
    async with open_stream(gateway.session, gateway.url, upstream) as (reply, gate):
        assert (await gateway.get("/ready"))[0] == 200  # from here on this connection is kept alive
        stopping = tasks.spawn(gateway.app.stop(), "stop")
        await until(lambda: gateway.app.house.closing)
        assert (await gateway.get("/ready"))[0] == 503
        status, refusal = await gateway.post("/v1/chat/completions", chat("oai/small"))
        assert (status, refusal["error"]["code"]) == (503, "shutting_down")
        async with aiohttp.ClientSession() as stranger:
            with pytest.raises(aiohttp.ClientConnectionError):
                await stranger.get(f"{gateway.url}/ready")
        assert not stopping.done()
        gate.open()
        assert (await rest_of(reply)).endswith(b"data: [DONE]\n\n")
    async with asyncio.timeout(PATIENCE_S):
        await stopping
    assert (await gateway.app.house.books.latest(1))[0].outcome == "ok"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/v1/chat/stream"])
async def test_what_outlives_the_grace_is_told_so(
    make_gateway: MakeGateway, upstream: Upstream, path: str
) -> None:
    """A stream ends with the door's own error, never as a short success; the provider is left."""
    gateway = await make_gateway(settings(upstream, server={"shutdown_grace_s": 0.1}))
    upstream.next(says(TEXT).but(hangs(after=2)))
    body = {**chat("oai/small", stream=True), "max_tokens": 9}
    async with gateway.session.post(gateway.url + path, json=body) as reply:
        await (await upstream.request()).hanging()
        stopping = tasks.spawn(gateway.app.stop(), "stop")
        said = await rest_of(reply)
        await (await upstream.request()).aborted()
        await stopping
    assert b"the gateway is shutting down" in said
    assert b"message_stop" not in said
    assert (await gateway.app.house.books.latest(1))[0].outcome == "shutting_down"


@pytest.mark.parametrize("stream", [False, True])
async def test_who_has_heard_nothing_at_the_end_of_the_grace_gets_a_refusal(
    make_gateway: MakeGateway, upstream: Upstream, stream: bool
) -> None:
    gateway = await make_gateway(settings(upstream, server={"shutdown_grace_s": 0.1}))
    upstream.next(hangs())
    asking = tasks.spawn(gateway.post("/v1/chat/completions", chat("oai/small", stream)), "ask")
    await upstream.request()
    await gateway.app.stop()
    status, refusal = await asking
    assert (status, refusal["error"]["code"]) == (503, "shutting_down")
    assert (await gateway.app.house.books.latest(1))[0].outcome == "shutting_down"


async def test_stopping_waits_for_who_reads_slowly(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """A whole reply belongs to its trip until the caller has it."""
    gateway = await make_gateway(settings(upstream, server={"shutdown_grace_s": 30}))
    upstream.next(says(*["x" * 100_000] * 200))
    session = aiohttp.ClientSession(read_bufsize=1 << 12)
    async with session, session.post(f"{gateway.url}/v1/chat/completions", json=chat("oai/small")) as reply:
        assert gateway.app.house.pipeline.in_flight == 1
        stopping = tasks.spawn(gateway.app.stop(), "stop")
        await until(lambda: gateway.app.house.closing)
        assert not stopping.done()
        said = json.loads(await rest_of(reply))
        assert len(said["choices"][0]["message"]["content"]) >= 20_000_000
        await stopping


async def test_idle_connections_do_not_hold_a_stop_up(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """Those that were kept, and those that have begun to ask."""
    gateway = await make_gateway(settings(upstream, server={"shutdown_grace_s": 60}))
    assert (await gateway.get("/ready"))[0] == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.app.house.port)
    writer.write(b"GET /ready HT")
    await until(lambda: gateway.app.house.pipeline.in_flight == 0)
    async with asyncio.timeout(PATIENCE_S):
        await gateway.app.stop()
        assert await reader.read() == b""
    writer.close()


async def test_websockets_are_told(make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings())
    sockets = [await gateway.session.ws_connect(f"{gateway.url}/ws") for _ in range(3)]
    stopping = tasks.spawn(gateway.app.stop(), "stop")
    for websocket in sockets:
        message = await websocket.receive(timeout=PATIENCE_S)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    await stopping


async def test_a_websocket_that_does_not_listen_holds_nobody_up(make_gateway: MakeGateway) -> None:
    """Its goodbye is not answered; the others, and the process, do not wait for it for long."""
    gateway = await make_gateway(settings())
    deaf = await gateway.session.ws_connect(f"{gateway.url}/ws", autoclose=False)
    await until(lambda: len(gateway.app.house.websockets) == 1)
    began_s = time.monotonic()
    await gateway.app.stop()
    assert time.monotonic() - began_s < 8
    await deaf.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_process_ends_at_once(gateway_process: MakeProcess, number: signal.Signals) -> None:
    gateway = await gateway_process(settings(server={"shutdown_grace_s": 60}, logs={"level": "info"}))
    async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}/ready"):
        began_s = time.monotonic()
        gateway.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            assert await gateway.process.wait() == 0
    assert time.monotonic() - began_s < 2
    assert "stopped" in gateway.log.read_text()
    assert "Traceback" not in gateway.log.read_text()


async def test_a_process_lets_a_stream_finish(gateway_process: MakeProcess, upstream: Upstream) -> None:
    gateway = await gateway_process(settings(upstream, server={"shutdown_grace_s": 60}))
    async with (
        aiohttp.ClientSession() as session,
        open_stream(session, gateway.url, upstream) as (reply, gate),
    ):
        gateway.process.terminate()
        await logged(gateway, "stopping within 60 s; once more stops at once")
        gate.open()
        assert (await rest_of(reply)).endswith(b"data: [DONE]\n\n")
        async with asyncio.timeout(PATIENCE_S):
            assert await gateway.process.wait() == 0


async def test_a_process_with_everything_open_ends_in_time(
    gateway_process: MakeProcess, upstream: Upstream
) -> None:
    """A stream that outlives the grace is told, a WebSocket gets its goodbye, kept connections just close."""
    gateway = await gateway_process(settings(upstream, server={"shutdown_grace_s": 0.2}))
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{gateway.url}/ws") as websocket,
        open_stream(session, gateway.url, upstream) as (reply, _),
    ):
        async with session.get(f"{gateway.url}/ready") as ready:
            assert ready.status == 200
        gateway.process.terminate()
        assert b'"code":"shutting_down"' in await rest_of(reply)
        message = await websocket.receive(timeout=PATIENCE_S)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        async with asyncio.timeout(PATIENCE_S):
            assert await gateway.process.wait() == 0
    assert "Traceback" not in gateway.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_who_asks_twice_does_not_want_to_wait(
    gateway_process: MakeProcess, upstream: Upstream, number: signal.Signals
) -> None:
    gateway = await gateway_process(settings(upstream, server={"shutdown_grace_s": 60}))
    async with aiohttp.ClientSession() as session, open_stream(session, gateway.url, upstream):
        gateway.process.send_signal(number)
        await logged(gateway, "once more stops at once")
        gateway.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            assert await gateway.process.wait() != 0


async def test_json_logs_of_a_process_hold_no_secret(
    gateway_process: MakeProcess, upstream: Upstream
) -> None:
    """Whatever goes on, every line is an object, and neither key nor token is in any of them."""
    key, token = "sk-canary-of-the-process", "t0ken canary"
    given = settings(
        upstream,
        logs={"level": "debug", "format": "json"},
        server={"tokens": {"me": "env:MY_TOKEN"}},
    )
    gateway = await gateway_process(given, {"TEST_KEY": key, "MY_TOKEN": token})
    upstream.next(fails(401, f"the key {key} is unknown"))
    headers = {"x-api-key": token}
    async with aiohttp.ClientSession(headers=headers) as session:
        for model in ("oai/small", "ant/small", "nobody/x"):
            async with session.post(f"{gateway.url}/v1/chat/completions", json=chat(model)) as reply:
                assert key not in await reply.text()
    gateway.process.terminate()
    await gateway.process.wait()
    lines = gateway.log.read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines].count("trip") == 3
    assert not [line for line in lines if key in line or token in line]
    assert os.environ.get("TEST_KEY") is None
