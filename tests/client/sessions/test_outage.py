"""The gateway is killed in the middle of everything, and started again: no event is lost, or comes twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from rhetor.testing import Upstream, hangs, says
from tekton_llm_client.sessions import SessionError, SessionEvent, SessionsClient
from tests.client.conftest import Restart
from tests.conftest import settings

WORDS = "one two three four five six seven eight"
ROUNDS = 4


def kept(upstream: Upstream, folder: Path) -> dict[str, Any]:
    """A gateway whose sessions outlive it."""
    return settings(upstream, store={"folder": str(folder / "state")})


def text_of(events: list[SessionEvent]) -> str:
    return "".join(event.content for event in events if event.type == "assistant")


@pytest.mark.promise("J21", "J39")
async def test_who_listens_hears_everything_once(
    restartable: Restart, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = await restartable(kept(upstream, tmp_path))
    upstream.next(says(WORDS))
    upstream.next(says(WORDS).but(hangs(after=3)))
    upstream.next(says("and back again"))
    async with asyncio.timeout(60), SessionsClient("comp", gateway.url) as client:
        begun = await client.create_session("first", model="oai/small")
        heard: list[SessionEvent] = []
        async with client.stream(begun.id) as events:
            async for event in events:
                heard.append(event)
                match event.turn, event.reason, text_of([e for e in heard if e.turn == 2]):
                    case 1, "end", _:
                        await client.send(begun.id, "second")
                    case 2, None, "one two three" if event.type == "assistant":
                        await gateway.kill()
                        await gateway.start()
                    case 2, "gateway restarted", _:
                        await client.send(begun.id, "third", resume=True)
                    case 3, "end", _:
                        await client.terminate(begun.id)
        assert [event.seq for event in heard] == [*range(1, len(heard) + 1)]
        assert heard == await client.events(begun.id)
        assert [e.content for e in heard if e.type == "user"] == ["first", "second", "third"]
        assert text_of([e for e in heard if e.turn == 1]) == WORDS
        assert text_of([e for e in heard if e.turn == 3]) == "and back again"
        assert heard[-1].ends_session


async def test_a_turn_that_the_gateway_did_not_survive_says_so(
    restartable: Restart, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = await restartable(kept(upstream, tmp_path))
    upstream.next(says(WORDS).but(hangs(after=2)))
    async with asyncio.timeout(60), SessionsClient("comp", gateway.url) as client:
        begun = await client.create_session(model="oai/small")
        turn = client.converse(begun.id, "Go!")
        async for event in turn:
            if event.type == "assistant" and event.content.endswith("two"):
                await gateway.kill()
                await gateway.start()
        assert (event.content, event.reason) == ("suspended", "gateway restarted")
        upstream.next(says("here I am"))
        answer = await client.ask(begun.id, "Are you there?", resume=True)
        assert answer.text == "here I am"
        await client.terminate(begun.id)


async def test_calls_wait_for_the_gateway_to_be_back(
    restartable: Restart, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = await restartable(kept(upstream, tmp_path))
    async with asyncio.timeout(60), SessionsClient("comp", gateway.url, max_retries=20) as client:
        begun = await client.create_session(model="oai/small")
        await gateway.kill()
        answer, _ = await asyncio.gather(client.ask(begun.id, "Hi!", "m-1", resume=True), gateway.start())
        assert answer.text == "hello world"
        assert (await client.send(begun.id, "Hi!", "m-1")).again
        await gateway.kill()
        state, _ = await asyncio.gather(client.suspend(begun.id), gateway.start(), return_exceptions=True)
        # A gateway that dies leaves it suspended, which may be what the second try finds.
        assert isinstance(state, dict) or (isinstance(state, SessionError) and state.state == "suspended")
        assert (await client.resume(begun.id)).state == "idle"


@pytest.mark.parametrize("seed", range(2))
async def test_killed_at_any_moment(
    restartable: Restart, upstream: Upstream, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    gateway = await restartable(kept(upstream, tmp_path))
    async with asyncio.timeout(90), SessionsClient("comp", gateway.url, max_retries=20) as client:
        begun = await client.create_session(model="oai/small")
        heard: list[SessionEvent] = []
        some = asyncio.Condition()

        async def listen() -> None:
            async for event in client.stream(begun.id):
                async with some:
                    heard.append(event)
                    some.notify_all()

        listening = asyncio.get_running_loop().create_task(listen())
        for n in range(ROUNDS):
            upstream.next(says(WORDS).but(hangs(after=7)))
            sent = await client.send(begun.id, f"message {n}", f"m-{n}", resume=True)
            until = sent.seq + chance.randrange(2)
            async with some:
                await some.wait_for(lambda until=until: heard and heard[-1].seq >= until)
            await asyncio.sleep(chance.random() * 0.02)  # whatever it is doing then
            await gateway.kill()
            again, _ = await asyncio.gather(client.send(begun.id, f"message {n}", f"m-{n}"), gateway.start())
            assert (again.again, again.seq) == (True, sent.seq)
        await client.terminate(begun.id)
        await listening
        assert heard == await client.events(begun.id)
        assert [event.seq for event in heard] == [*range(1, len(heard) + 1)]
        assert [e.content for e in heard if e.type == "user"] == [f"message {n}" for n in range(ROUNDS)]
