"""The scripted provider: whose turn it is, what was seen, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
import pytest

from rhetor.testing import (
    Outcome,
    ScriptError,
    Step,
    Upstream,
    counts,
    cuts,
    embeds,
    fails,
    hangs,
    resets,
    says,
)
from tests.testing.caller import CHAT, CHAT_PATH, Caller

pytestmark = pytest.mark.usefixtures("no_leaks")


async def chat(upstream: Upstream, body: object = CHAT, path: str = CHAT_PATH) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.post(upstream.base_url + path, json=body) as reply:
        return reply.status, await reply.json()


async def text(upstream: Upstream, body: object = CHAT) -> str:
    _, reply = await chat(upstream, body)
    return str(reply["choices"][0]["message"]["content"])


async def test_the_default_answers_every_request(upstream: Upstream) -> None:
    upstream.says("from now on")
    assert [await text(upstream) for _ in range(2)] == ["from now on"] * 2


async def test_the_queue_comes_first_one_step_for_each_request(upstream: Upstream) -> None:
    upstream.says("default")
    upstream.next(fails(503), says("second"))
    upstream.next(says("third"))
    assert (await chat(upstream))[0] == 503
    assert [await text(upstream) for _ in range(3)] == ["second", "third", "default"]


async def test_a_fault_spoils_what_would_have_been_said(upstream: Upstream) -> None:
    upstream.says("one two three")
    upstream.next(cuts(after=1))
    async with Caller(upstream.base_url) as caller:
        caller.ask({**CHAT, "stream": True})
        assert b"one" in await caller.rest()


async def test_the_time_of_a_request_is_seen(upstream: Upstream) -> None:
    for _ in range(2):
        await text(upstream)
    first, second = upstream.requests
    assert 0 < first.arrived_s <= second.arrived_s


async def test_always_lasts_until_it_is_changed(upstream: Upstream) -> None:
    upstream.always(fails(529))
    assert [(await chat(upstream))[0] for _ in range(2)] == [529, 529]
    upstream.always(says("recovered"))
    assert await text(upstream) == "recovered"


async def test_a_step_may_depend_on_the_request(upstream: Upstream) -> None:
    upstream.always(
        lambda seen: fails(400) if seen.json["messages"][-1]["role"] == "assistant" else says("ok")
    )
    continued = {**CHAT, "messages": [*CHAT["messages"], {"role": "assistant", "content": "so far"}]}
    assert (await chat(upstream, continued))[0] == 400
    assert await text(upstream) == "ok"


async def test_what_was_asked_can_be_looked_at(upstream: Upstream) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as session:
        await session.post(upstream.base_url + CHAT_PATH + "?a=b", json=CHAT)
    (seen,) = upstream.requests
    assert (seen.method, seen.path, seen.target) == ("POST", CHAT_PATH, CHAT_PATH + "?a=b")
    assert seen.headers["authorization"] == "Bearer k"
    assert seen.json == CHAT == orjson.loads(seen.body)
    assert seen.model == "small"
    assert await seen.ended() is Outcome.COMPLETED


async def test_a_request_that_never_comes_fails_the_test(upstream: Upstream) -> None:
    with pytest.raises(AssertionError, match="request 1 arrives"):
        await upstream.request(within_s=0.001)


async def test_a_request_that_no_provider_would_take_is_refused(upstream: Upstream) -> None:
    upstream.next(says("for the next one"))
    assert (await chat(upstream, {"messages": []}))[0] == 400
    assert await text(upstream) == "for the next one"


async def test_nothing_is_served_elsewhere(upstream: Upstream) -> None:
    status, reply = await chat(upstream, path="/v1/elsewhere")
    assert status == 404
    assert "/v1/elsewhere" in reply["error"]["message"]


@pytest.mark.parametrize(
    "step", [embeds([1.0]), counts(3), says("one").but(cuts(after=5))], ids=["embeds", "counts", "too far"]
)
async def test_a_script_that_cannot_be_played_fails_the_test(step: Step) -> None:
    upstream = Upstream()
    await upstream.start()
    upstream.next(step)

    status, reply = await chat(upstream)

    assert status == 500
    assert "ScriptError" in reply["error"]["message"]
    with pytest.raises(ScriptError):
        await upstream.__aexit__(None, None, None)


async def test_the_failure_of_a_test_is_not_hidden_by_its_script() -> None:
    async def failing_test() -> None:
        async with Upstream() as upstream:
            upstream.next(counts(3))
            await chat(upstream)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing_test()


async def test_connections_are_counted(upstream: Upstream) -> None:
    async with Caller(upstream.base_url) as one, Caller(upstream.base_url) as other:
        for caller in (one, other):
            caller.ask(CHAT)
            await caller.head()
        assert (upstream.connections.open, upstream.connections.total) == (2, 2)
    await upstream.connections.closed()
    assert (upstream.connections.open, upstream.connections.total) == (0, 2)


async def test_stopping_breaks_off_whatever_is_going_on(upstream: Upstream) -> None:
    upstream.next(hangs(after=1))
    async with Caller(upstream.base_url) as busy, Caller(upstream.base_url) as idle:
        busy.ask({**CHAT, "stream": True})
        seen = await upstream.request()
        await seen.hanging()
        idle.ask(CHAT)
        await idle.head()

        await upstream.stop()

        assert seen.outcome is Outcome.BROKEN
        for caller in (busy, idle):
            with pytest.raises(ConnectionResetError):
                await caller.rest()
    with pytest.raises(ConnectionRefusedError):
        async with Caller(upstream.base_url):
            pass


async def test_it_comes_back_where_it_was(upstream: Upstream) -> None:
    address = upstream.base_url
    await upstream.stop()
    await upstream.start()
    assert upstream.base_url == address
    assert await text(upstream) == "hello world"


def test_it_breaks_connections_under_uvloop_as_well() -> None:
    """Production runs on another loop, whose sockets are wrapped differently."""

    async def play() -> None:
        async with Upstream() as upstream:
            upstream.next(resets(after=1), hangs(after=1))
            async with Caller(upstream.base_url) as caller:
                caller.ask({**CHAT, "stream": True})
                with pytest.raises(ConnectionResetError):
                    await caller.rest()
            async with Caller(upstream.base_url) as caller:
                caller.ask({**CHAT, "stream": True})
                seen = await upstream.request(2)
                await seen.hanging()
                await caller.break_off()
                await seen.aborted()

    uvloop = pytest.importorskip("uvloop")
    uvloop.run(play())
