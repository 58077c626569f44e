"""Chats as sessions of a whole gateway: their turns, their memory, and what a restart leaves of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.clock import SystemClock
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.sessions.asking import NewSession
from rhetor.sessions.backend import Said
from rhetor.sessions.chat.context import change_model, clear, summarize, transcript_of
from rhetor.sessions.manager import Sessions
from rhetor.sessions.reading import log_of
from rhetor.store.base import LoggedEvent
from rhetor.testing import Gate, Upstream, fails, hangs, says
from tests.conftest import Gateway, MakeGateway, settings

ADA = "ada"
CLOCK = SystemClock()
AT_ONCE = {"sessions": {"chat": {"keep_s": 0.000_001, "summarize_tokens": 0}}}
"""Nothing is too young to be summed up, and nothing is by itself."""


def sessions_of(gateway: Gateway) -> Sessions:
    return gateway.app.house.sessions


async def chat(gateway: Gateway, **given: Any) -> str:
    row = await sessions_of(gateway).create(NewSession(**{"owner": ADA, "model": "oai/small", **given}))
    return row.id


async def until(
    sessions: Sessions, id: str, done: Callable[[LoggedEvent], bool], after: int = 0
) -> LoggedEvent:
    async with asyncio.timeout(10):
        while True:
            for event in (await sessions.wait(ADA, id, after, 100, 5.0)).events:
                if done(event):
                    return event
                after = event.seq


def is_idle(event: LoggedEvent) -> bool:
    return event.type == "status_change" and event.data["to"] == "idle"


async def say(gateway: Gateway, id: str, text: str) -> str:
    """A whole turn; its text."""
    sessions = sessions_of(gateway)
    accepted = await sessions.send(ADA, id, Said(text, f"msg_{text}"), resume=True)
    await until(sessions, id, is_idle, accepted.seq)
    events = await log_of(sessions, ADA, id)
    return "".join(it.content for it in events if it.type == "assistant" and it.seq > accepted.seq)


def asked(upstream: Upstream, nth: int = -1) -> list[str]:
    return [it["content"] for it in upstream.requests[nth].json["messages"]]


async def refused(work: Any) -> RhetorError:
    with pytest.raises(RhetorError) as caught:
        await work
    return caught.value


async def test_a_chat_goes_on(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(says("hello"), says("Ada"))
    id = await chat(gateway, system="Be kind.")

    assert await say(gateway, id, "I am Ada") == "hello"
    assert await say(gateway, id, "who am I?") == "Ada"

    assert asked(upstream) == ["Be kind.", "I am Ada", "hello", "who am I?"]


async def test_a_chat_outlives_its_gateway(
    make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path
) -> None:
    folder = {"store": {"folder": str(tmp_path / "state")}}
    before = await make_gateway(settings(upstream, **folder))
    upstream.next(says("hello"), says("Ada"))
    id = await chat(before)
    await say(before, id, "I am Ada")
    await before.app.stop()

    after = await make_gateway(settings(upstream, **folder))

    assert await say(after, id, "who am I?") == "Ada"
    assert asked(upstream) == ["I am Ada", "hello", "who am I?"]


async def test_a_turn_that_fails_leaves_a_chat_that_goes_on(gateway: Gateway, upstream: Upstream) -> None:
    id = await chat(gateway)
    upstream.next(fails(401))
    await say(gateway, id, "hi")
    events = await log_of(sessions_of(gateway), ADA, id)
    assert [it.data["code"] for it in events if it.type == "error"] == ["upstream_authentication"]
    assert [it.data["reason"] for it in events if is_idle(it)][-1] == "error"


class TestClearing:
    async def test_what_was_said_is_forgotten_but_kept_in_the_log(
        self, gateway: Gateway, upstream: Upstream
    ) -> None:
        id = await chat(gateway)
        await say(gateway, id, "a secret")

        await clear(sessions_of(gateway), ADA, id)
        await say(gateway, id, "hi")

        assert asked(upstream) == ["hi"]
        events = await log_of(sessions_of(gateway), ADA, id)
        assert "a secret" in [it.content for it in events]

    async def test_not_in_a_turn(self, gateway: Gateway, upstream: Upstream) -> None:
        gate = Gate()
        upstream.next(hangs(gate))
        sessions, id = sessions_of(gateway), await chat(gateway)
        accepted = await sessions.send(ADA, id, Said("hi", "msg_1"))
        await (await upstream.request()).hanging()

        error = await refused(clear(sessions, ADA, id))

        assert error.code is Code.CONFLICT
        gate.open()
        await until(sessions, id, is_idle, accepted.seq)

    async def test_somebody_elses_chat_does_not_exist(self, gateway: Gateway) -> None:
        sessions, id = sessions_of(gateway), await chat(gateway)
        for work in (clear, transcript_of):
            assert (await refused(work(sessions, "eve", id))).code is Code.NOT_FOUND
        assert (await refused(summarize(sessions, "eve", id, CLOCK))).code is Code.NOT_FOUND


class TestSummingUp:
    async def test_what_was_said_is_told_as_its_summary(
        self, make_gateway: MakeGateway, upstream: Upstream
    ) -> None:
        gateway = await make_gateway(settings(upstream, **AT_ONCE))
        sessions, id = sessions_of(gateway), await chat(gateway)
        upstream.next(says("hello " * 50), says("nice " * 50), says("Ada was greeted"), says("yes"))
        await say(gateway, id, "I am Ada")
        await say(gateway, id, "how are you?")

        summed_up = await summarize(sessions, ADA, id, CLOCK)
        await say(gateway, id, "do you know me?")

        assert summed_up.messages == 4
        assert summed_up.tokens_after < summed_up.tokens_before
        assert summed_up.row.id == id
        system, question = asked(upstream)
        assert "Ada was greeted" in system
        assert question == "do you know me?"
        transcript = await transcript_of(sessions, ADA, id)
        assert transcript.summary == "Ada was greeted"

    async def test_a_second_one_takes_up_the_first(
        self, make_gateway: MakeGateway, upstream: Upstream
    ) -> None:
        gateway = await make_gateway(settings(upstream, **AT_ONCE))
        sessions, id = sessions_of(gateway), await chat(gateway)
        upstream.next(says("hello"), says("Ada was greeted"), says("fine"), says("and feels well"))
        await say(gateway, id, "I am Ada")
        await summarize(sessions, ADA, id, CLOCK)
        await say(gateway, id, "I feel well")
        await summarize(sessions, ADA, id, CLOCK)

        assert "Ada was greeted" in asked(upstream)[1]
        assert (await transcript_of(sessions, ADA, id)).summary == "and feels well"

    async def test_there_is_nothing_to_be_summed_up(self, gateway: Gateway, upstream: Upstream) -> None:
        """What is there is younger than ten minutes."""
        id = await chat(gateway)
        await say(gateway, id, "hi")

        summed_up = await summarize(sessions_of(gateway), ADA, id, CLOCK)

        assert summed_up.messages == 0
        assert len(upstream.requests) == 1

    async def test_a_model_that_fails_is_told(self, make_gateway: MakeGateway, upstream: Upstream) -> None:
        gateway = await make_gateway(settings(upstream, **AT_ONCE))
        id = await chat(gateway)
        upstream.next(says("hello"))
        await say(gateway, id, "hi")
        upstream.always(fails(500))

        error = await refused(summarize(sessions_of(gateway), ADA, id, CLOCK))

        assert error.origin == "oai"
        assert (await transcript_of(sessions_of(gateway), ADA, id)).summary is None

    async def test_its_calls_are_booked_for_the_session(
        self, make_gateway: MakeGateway, upstream: Upstream
    ) -> None:
        gateway = await make_gateway(settings(upstream, **AT_ONCE))
        sessions, id = sessions_of(gateway), await chat(gateway)
        await say(gateway, id, "hi")
        await summarize(sessions, ADA, id, CLOCK)

        calls = 0
        event = await until(sessions, id, lambda it: it.type == "usage")
        while calls < 2:
            calls += 1
            if calls < 2:
                event = await until(sessions, id, lambda it: it.type == "usage", event.seq)
        usage = (await sessions.get(ADA, id)).document["usage"]
        assert isinstance(usage, dict)
        assert usage["calls"] == 2


class TestChangingTheModel:
    async def test_another_one_answers_from_now_on(self, gateway: Gateway, upstream: Upstream) -> None:
        id = await chat(gateway)
        await say(gateway, id, "hi")
        await change_model(sessions_of(gateway), ADA, id, "oai/large")
        await say(gateway, id, "again")

        assert [it.model for it in upstream.requests] == ["small", "large"]

    async def test_only_to_what_is_offered(self, make_gateway: MakeGateway, upstream: Upstream) -> None:
        given = settings(upstream, sessions={"chat": {"models": ["oai/small"]}})
        gateway = await make_gateway(given)
        id = await chat(gateway)

        error = await refused(change_model(sessions_of(gateway), ADA, id, "oai/large"))

        assert isinstance(error, BadRequest)
        assert error.code is Code.MODEL_NOT_FOUND
