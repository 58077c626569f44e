"""What is written down of a generation, and how it is read."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.media import Rank, Speak
from rhetor.core.request import Chat, Embed, Original, Request, Wanted
from rhetor.core.usage import Usage
from rhetor.pipeline.recording import BREATH, Recording, Retention, State
from rhetor.pipeline.weight import weigh
from rhetor.tasks import spawn
from tests.pipeline.house import House, chat

DONE = Finished(FinishReason.STOP)


def record(house: House, request: Request | None = None) -> Recording:
    return Recording(house.pipeline.trip(request or chat(), "test"), Retention(60.0))


def say(recording: Recording, *events: Event) -> None:
    recording.append(list(events), weigh(events))


async def read(recording: Recording) -> list[Event]:
    return [event async for chunk in recording.chunks() for event in chunk.events]


async def test_whoever_reads_hears_all_from_the_beginning(house: House) -> None:
    recording = record(house)
    recording.open(None)
    say(recording, Started("", "m"), TextDelta("one"))
    early = spawn(read(recording), "early")
    await asyncio.sleep(0)
    say(recording, TextDelta(" two"))
    late = spawn(read(recording), "late")
    say(recording, DONE)
    assert await early == await late
    assert fold(await early).text == "one two"
    assert recording.state is State.FINISHED


async def test_chunks_stay_as_they_were(house: House) -> None:
    """A place in them is a place for ever."""
    recording = record(house)
    recording.open(None)
    said: list[list[Event]] = [[Started("", "m")], [TextDelta("a"), TextDelta("b")], [TextDelta("c"), DONE]]
    for events in said:
        recording.append(events, 1)
    assert [chunk.events async for chunk in recording.chunks()] == said
    assert recording.length == 3


async def test_a_failure_is_the_last_event(house: House) -> None:
    recording = record(house)
    recording.open(None)
    say(recording, Started("", "m"), TextDelta("one"))
    recording.fail(UpstreamError("gone", Code.CONNECTION_LOST))
    for _ in range(2):
        ending = (await read(recording))[-1]
        assert isinstance(ending, Failed)
        assert ending.error.code is Code.CONNECTION_LOST
    assert recording.state is State.FAILED


async def test_an_error_is_raised_to_each_anew(house: House) -> None:
    """What one reader's traceback holds is not kept for the others."""
    recording = record(house)
    recording.fail(RhetorError("nobody", Code.NOTHING_TO_TRY))
    with pytest.raises(RhetorError) as first:
        await recording.opened()
    with pytest.raises(RhetorError) as second:
        await recording.opened()
    assert first.value is not second.value
    assert recording.error is not None
    assert recording.error.__traceback__ is None


async def test_a_lost_recording_is_never_taken_for_a_whole_one(house: House) -> None:
    recording = record(house)
    recording.open(None)
    for n in range(10):
        say(recording, TextDelta(str(n)))
    say(recording, DONE)
    chunks = recording.chunks()
    heard = [await anext(chunks) for _ in range(3)]
    recording.lose(RhetorError("made room", Code.POOL_FULL))
    heard += [chunk async for chunk in chunks]
    assert len(heard) == 4
    assert isinstance(heard[-1].events[-1], Failed)


async def test_a_long_recording_lets_others_have_their_turn(house: House) -> None:
    recording = record(house)
    recording.open(None)
    for _ in range(BREATH * 3):
        say(recording, TextDelta("x"))
    say(recording, DONE)
    reading = spawn(read(recording), "reading")
    await asyncio.sleep(0)
    assert not reading.done()
    await reading


@pytest.mark.parametrize(
    "input", [Chat(messages=()), Embed(inputs=("x" * 10_000,), encoding="base64")], ids=["chat", "embed"]
)
async def test_of_the_request_only_what_renderers_need_is_kept(house: House, input: Chat | Embed) -> None:
    fields: dict[str, JsonValue] = {"context_id": "c1", "messages": ["x"], "prompt": "x" * 10_000}
    request = Request(
        id="", capability=Capability.CHAT, model="fast", input=input, stream=True,
        original=Original("tekton", b"x" * 100_000, fields), component="comp", principal="ann",
    )  # fmt: skip
    recording = record(house, request)
    before = recording.held_bytes
    recording.open(None)
    say(recording, DONE)
    kept = recording.request
    assert kept.original == Original("tekton", b"", {"context_id": "c1"})
    assert (kept.component, kept.principal, kept.stream) == ("comp", "ann", True)
    if isinstance(kept.input, Embed):
        assert kept.input == Embed(inputs=(), encoding="base64")
    assert before > 400_000 > 10_000 > recording.held_bytes


def _of_many_fields() -> Request:
    fields: dict[str, JsonValue] = {f"unknown{n}": "x" * 900 + str(n) for n in range(500)}
    return _asked(original=Original("openai", b"x" * 500_000, fields))


def _of_long_names() -> Request:
    wanted = Wanted(tags=frozenset("t" * 5000 + str(n) for n in range(10)))
    request = _asked(component="c" * 50_000, fallbacks=tuple("f" * 5000 + str(n) for n in range(10)))
    request.task, request.wanted = "t" * 50_000, wanted
    request.original = Original("openai", b"", {"context_id": "i" * 50_000}, {"header": "h" * 50_000})
    return request


def _of_one_text() -> Request:
    request = _asked()
    request.input = Embed(inputs=("x" * 10_000,), end_user="u" * 50_000)
    return request


def _of_documents() -> Request:
    request = _asked()
    request.input = Rank(query="q" * 10_000, documents=tuple("d" * 5000 + str(n) for n in range(50)))
    return request


def _of_one_voice() -> Request:
    request = _asked()
    request.input = Speak(text="t" * 10_000, voice="v" * 100_000, format="f" * 100_000)
    return request


def _asked(**said: Any) -> Request:
    return Request(id="", capability=Capability.CHAT, model="m" * 1000, input=Chat(messages=()), **said)


def _that_drops() -> dict[str, JsonValue]:
    return {"dropped": [f"field{n}." + "x" * 100 for n in range(1000)], "attempts": _attempts()}


def _attempts() -> list[JsonValue]:
    return [{"target": f"lab/{n}", "outcome": "unavailable", "ms": 1000 + n} for n in range(50)]


def _long_error() -> UpstreamError:
    original = {f"key{n}": ["x" * 50, {"n": n}] for n in range(300)}
    return UpstreamError("m" * 20_000, Code.UPSTREAM_ERROR, wire="openai", original=original)


@pytest.mark.parametrize(
    "make", [_of_many_fields, _of_long_names, _of_one_text, _of_documents, _of_one_voice, _asked]
)
@pytest.mark.parametrize("meta", [dict[str, JsonValue], _that_drops])
@pytest.mark.parametrize("end", ["finished", "failed", "refused"])
async def test_what_is_kept_is_charged(
    house: House, make: Callable[[], Request], meta: Callable[[], dict[str, JsonValue]], end: str
) -> None:
    """Whatever callers and providers wrote, the bounds hold."""

    def ended() -> Recording:
        recording = record(house, make())
        recording.meta.update(meta())
        if end != "refused":
            recording.open(None)
            say(recording, Started("s" * 10_000, "m" * 10_000), ToolUseStarted(0, "i" * 5000, "n" * 5000))
        if end == "finished":
            say(recording, Finished(FinishReason.STOP_SEQUENCE, "s" * 10_000))
        else:
            recording.fail(_long_error())
        return recording

    ended()
    gc.collect()
    tracemalloc.start()
    kept = [ended() for _ in range(20)]
    gc.collect()
    real_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert real_bytes < sum(recording.held_bytes for recording in kept)


async def test_usage_is_the_latest(house: House) -> None:
    recording = record(house)
    recording.open(None)
    say(recording, UsageReport(Usage(1, 1)), UsageReport(Usage(1, 5)), DONE)
    assert recording.usage == Usage(1, 5)
    assert recording.began_at <= datetime.now(UTC)
