"""A session's events: each once and in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

import tekton_llm_client as tekton
from rhetor.tasks import spawn
from tekton_llm_client.sessions.client import SessionsClient
from tekton_llm_client.sessions.errors import SessionError
from tekton_llm_client.sessions.models import SessionEvent
from tekton_llm_client.sessions.reading import EventReader
from tests.client.scripted import ScriptedGateway
from tests.client.sessions.frames import ID, change, event, frame, words
from tests.conftest import free_port

ENDED = change(9, "idle", "terminated", "terminated")


def text_of(events: list[SessionEvent]) -> str:
    return "".join(event.content for event in events if event.type == "assistant")


async def heard(sessions: SessionsClient, after: int = 0) -> list[SessionEvent]:
    async with asyncio.timeout(10), sessions.stream(ID, after) as events:
        return [event async for event in events]


async def nothing_more(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


def asked_after(scripted: ScriptedGateway) -> list[tuple[str | None, str | None]]:
    return [
        (request.query.get("after"), request.headers.get("last-event-id")) for request, _ in scripted.requests
    ]


async def test_events_as_they_happen(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    scripted.streams(b": keep-alive\n", *words("Hel", "lo"), frame({**ENDED, "seq": 3}))
    events = await heard(sessions)
    assert text_of(events) == "Hello"
    assert [event.seq for event in events] == [1, 2, 3]
    assert events[-1].ends_session
    request, _ = scripted.requests[-1]
    assert (request.path, request.headers["accept"]) == (f"/v1/sessions/{ID}/events", "text/event-stream")
    assert len(scripted.requests) == 1  # nothing can follow


async def test_it_comes_back_for_the_rest(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    """No event is missing, none comes twice, and half an event is none."""
    first, second, third = words("a", "b", "c")
    scripted.streams(first, second[:20], ending="cut")
    scripted.streams(first, second, third, ending="complete")  # from the beginning on, which is not asked for
    scripted.then(nothing_more)
    events = await heard(sessions)
    assert text_of(events) == "abc"
    assert asked_after(scripted) == [("0", "0"), ("1", "1"), ("3", "3")]


async def test_it_begins_where_its_reader_stopped(
    scripted: ScriptedGateway, sessions: SessionsClient
) -> None:
    scripted.streams(*words("c", first=3)).then(nothing_more)
    events = sessions.stream(ID, after=2)
    assert events.last_seq == 2
    assert [event.seq async for event in events] == [3]
    assert events.last_seq == 3
    assert asked_after(scripted)[0] == ("2", "2")


async def test_a_gap_is_asked_for_again(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    first, second, third = words("a", "b", "c")
    scripted.streams(first, third).streams(second, third).then(nothing_more)
    assert text_of(await heard(sessions)) == "abc"


async def test_a_gap_that_stays_is_an_error(scripted: ScriptedGateway) -> None:
    first, _, third = words("a", "b", "c")
    scripted.streams(first, third).streams(third)
    async with SessionsClient("comp", scripted.url, away_s=0.1) as sessions:
        events = sessions.stream(ID)
        assert (await anext(events)).content == "a"
        with pytest.raises(tekton.AdapterError, match="event 2 is missing: 3 came"):
            await anext(events)


async def test_a_gateway_that_is_away_is_waited_for(
    scripted: ScriptedGateway, sessions: SessionsClient
) -> None:
    scripted.streams(*words("a"), ending="cut")
    scripted.says(503, {"error": "starting", "code": "shutting_down"})
    scripted.says(502, {"error": "a proxy"})
    scripted.streams(*words("b", first=2)).then(nothing_more)
    assert text_of(await heard(sessions)) == "ab"


async def test_a_gateway_that_stays_away_is_told_and_may_be_asked_again(scripted: ScriptedGateway) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with SessionsClient("comp", url, away_s=0.1) as sessions:
        events = sessions.stream(ID)
        for _ in range(2):
            with pytest.raises(tekton.ConnectionError, match="no gateway at"):
                await anext(events)


async def test_who_is_cancelled_goes_on_with_the_same_stream(
    scripted: ScriptedGateway, sessions: SessionsClient
) -> None:
    go_on = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(words("a")[0])
        await go_on.wait()
        await response.write(words("b", first=2)[0])
        return response

    scripted.then(slowly).then(nothing_more)
    events = sessions.stream(ID)
    assert (await anext(events)).content == "a"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(events)
    go_on.set()
    assert [event.content async for event in events] == ["b"]
    assert len(scripted.requests) == 2


async def test_an_unknown_session(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    scripted.says(404, {"error": "no such session", "code": "not_found"})
    with pytest.raises(SessionError, match="no such session") as raised:
        await heard(sessions)
    assert (raised.value.session_id, raised.value.status) == (ID, 404)
    assert len(scripted.requests) == 1


async def test_what_is_no_event_is_an_error(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    scripted.streams(*words("a"), b"data: {nonsense\n\n")
    events = sessions.stream(ID)
    assert (await anext(events)).content == "a"
    with pytest.raises(tekton.AdapterError, match="not JSON"):
        await anext(events)


async def test_an_error_in_the_stream(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    scripted.streams(*words("a"), b'event: error\ndata: {"error": "gone", "code": "not_found"}\n\n')
    events = sessions.stream(ID)
    assert (await anext(events)).content == "a"
    with pytest.raises(tekton.InvalidRequestError, match="gone"):
        await anext(events)


async def test_who_stops_early_leaves(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    scripted.streams(*words("a"), ending="silence")
    async with sessions.stream(ID) as events:
        await anext(events)
    async with asyncio.timeout(5):
        await scripted.left.wait()
    assert [event async for event in events] == []


async def test_a_client_that_is_shut_down_ends_its_streams(scripted: ScriptedGateway) -> None:
    """And opens no connection for them, which nobody would close."""
    scripted.streams(*words("a"), ending="silence")
    async with SessionsClient("comp", scripted.url) as sessions:
        events = sessions.stream(ID)
        await anext(events)
        following = spawn(anext(events), "following")
        await asyncio.sleep(0)
    with pytest.raises(tekton.ConnectionError, match="shut down"):
        await following
    assert len(scripted.requests) == 1


async def test_a_forgotten_stream_leaves(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    scripted.streams(*words("a"), ending="silence")
    events = sessions.stream(ID)
    await anext(events)
    del events
    async with asyncio.timeout(5):
        await scripted.left.wait()


@given(cuts=st.lists(st.integers(0, 400), max_size=6))
def test_any_pieces_of_the_bytes_mean_the_same(cuts: list[int]) -> None:
    said = [
        event(1, content="ä\n", extra={"a": [1]}),
        event(2, "tool_use", "{}"),
        change(3, "active", "idle"),
    ]
    data = b"retry: 1000\n\n: hello\n" + b"".join(frame(each) for each in said).replace(b"\n", b"\r\n")
    reader = EventReader(0)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    events = [e for a, b in itertools.pairwise(places) for e in reader.feed(data[a:b])]
    assert [(e.seq, e.type, e.content) for e in events] == [(e["seq"], e["type"], e["content"]) for e in said]
    assert events[0].data == {"extra": {"a": [1]}}


def test_an_event_of_a_type_that_is_not_known_is_an_event() -> None:
    (told,) = EventReader(0).feed(frame(event(1, "of_tomorrow", "?")))
    assert (told.type, told.content) == ("of_tomorrow", "?")
