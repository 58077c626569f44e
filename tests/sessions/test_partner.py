"""Backends that do not do as they should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions import partner as module
from rhetor.sessions.backend import Access, Happening, Said, Setup, TurnEnded, Verdict
from rhetor.sessions.event import Event, EventType
from rhetor.sessions.partner import Broke, Heard, Opened, Partner
from tests.sessions.scripted import Scripted

pytestmark = pytest.mark.usefixtures("no_leaks")

Saying = Callable[[], AsyncIterator[Happening]]


async def no_history(after: int = 0) -> list[object]:
    return []


def setup(tmp_path: Path) -> Setup:
    return Setup(
        session_id="ses_1", owner="", model="", directory=tmp_path, home=tmp_path, native_id=None,
        history=no_history, access=Access("http://127.0.0.1:1", "t"),  # type: ignore[arg-type]
    )  # fmt: skip


class Odd:
    """A conversation that is told how to be odd."""

    def __init__(self, saying: Saying, deaf: bool = False, clings: bool = False) -> None:
        self._saying = saying
        self._deaf = deaf
        self._clings = clings
        self.closed = False

    def happenings(self) -> AsyncIterator[Happening]:
        return self._saying()

    async def send(self, said: Said) -> None:
        if self._deaf:
            await asyncio.Event().wait()

    async def answer(self, request_id: str, verdict: Verdict) -> None:
        pass

    async def interrupt(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True
        if self._clings:
            raise OSError("it clings")


class Opens(Scripted):
    def __init__(self, opening: Callable[[], Awaitable[Odd]]) -> None:
        super().__init__()
        self._opening = opening

    async def open(self, setup: Setup) -> Odd:  # type: ignore[override]
        return await self._opening()


class Ear:
    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._more = asyncio.Event()

    async def hear(self, heard: Heard) -> None:
        self.heard.append(heard)
        self._more.set()

    async def until(self, kind: type) -> Heard:
        async with asyncio.timeout(5):
            while True:
                for heard in self.heard:
                    if isinstance(heard.news, kind):
                        return heard
                self._more.clear()
                await self._more.wait()


async def silent() -> AsyncIterator[Happening]:
    await asyncio.Event().wait()
    yield TurnEnded("end")


async def ends() -> AsyncIterator[Happening]:
    yield Event(EventType.ASSISTANT, "bye", {"message_id": "m"})


async def garbles() -> AsyncIterator[Happening]:
    raise ValueError("a bug")
    yield TurnEnded("end")


def opened(tmp_path: Path, odd: Odd) -> tuple[Partner, Ear]:
    async def opening() -> Odd:
        return odd

    ear = Ear()
    partner = Partner(Opens(opening), ear.hear)

    async def make() -> Setup:
        return setup(tmp_path)

    partner.open(make, "test")
    return partner, ear


async def test_one_that_ends_by_itself_has_broken(tmp_path: Path) -> None:
    partner, ear = opened(tmp_path, Odd(ends))
    broke = await ear.until(Broke)
    assert [type(heard.news) for heard in ear.heard] == [Opened, Event, Broke]
    assert isinstance(broke.news, Broke)
    assert broke.news.error.code is Code.UNAVAILABLE
    await partner.release()


async def test_a_bug_in_one_is_an_error_of_the_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    partner, ear = opened(tmp_path, Odd(garbles))
    broke = await ear.until(Broke)
    assert isinstance(broke.news, Broke)
    assert broke.news.error.code is Code.INTERNAL
    assert "a bug" not in broke.news.error.message
    assert "backend failed" in caplog.text
    await partner.release()


async def test_one_that_takes_nothing_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_S", 0.01)
    partner, ear = opened(tmp_path, Odd(silent, deaf=True))
    await ear.until(Opened)
    with pytest.raises(RhetorError, match="took nothing") as caught:
        await partner.tell(lambda conversation: conversation.send(Said("hi", "m")))
    assert caught.value.origin == partner.backend.name
    await partner.release()


async def test_one_that_does_not_start_in_time_has_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_S", 0.01)

    async def never() -> Odd:
        await asyncio.Event().wait()
        raise AssertionError

    ear = Ear()
    partner = Partner(Opens(never), ear.hear)

    async def make() -> Setup:
        return setup(tmp_path)

    partner.open(make, "test")
    broke = await ear.until(Broke)
    assert isinstance(broke.news, Broke)
    assert "did not start" in broke.news.error.message
    assert not partner.listens
    await partner.release()


async def test_what_is_given_back_is_closed_and_its_news_are_old(tmp_path: Path) -> None:
    odd = Odd(silent)
    partner, ear = opened(tmp_path, odd)
    heard = await ear.until(Opened)
    assert await partner.release()
    assert odd.closed
    assert not partner.there
    assert heard.epoch != partner.epoch
    assert not await partner.release()


async def test_one_that_cannot_be_closed_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    partner, ear = opened(tmp_path, Odd(silent, clings=True))
    await ear.until(Opened)
    assert await partner.release()
    assert "backend not closed" in caplog.text


async def test_telling_nobody_is_no_error(tmp_path: Path) -> None:
    partner, ear = opened(tmp_path, Odd(silent))
    await ear.until(Opened)
    await partner.release()
    await partner.tell(lambda conversation: conversation.interrupt())
