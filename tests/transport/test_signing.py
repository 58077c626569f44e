"""Calls that are signed, and what signs them: fetched aside, once for all, and early enough."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.tasks import spawn
from rhetor.transport.base import Phase, Progress, Response
from rhetor.transport.signing import AGAIN_S, EARLY_S, FAILED_S, LEAST_S, Kept, Signed, lacking

BASE = "https://cloud.example/v1"


class Recorder:
    """A transport that only remembers."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.closed = False

    async def open(self, call: Call, progress: Progress) -> Response:
        self.calls.append(call)
        raise UpstreamError("nothing is sent here", Code.CONNECT_FAILED)

    async def close(self) -> None:
        self.closed = True


class Stamp:
    async def sign(self, call: Call) -> Call:
        return replace(call, headers={**call.headers, "authorization": "signed"})


async def sent(call: Call) -> Call:
    inner = Recorder()
    with pytest.raises(UpstreamError):
        await Signed(inner, Stamp(), BASE).open(call, Progress())
    return inner.calls[0]


@pytest.mark.parametrize("url", [f"{BASE}/x", "HTTPS://cloud.example/elsewhere"])
async def test_calls_to_the_provider_are_signed(url: str) -> None:
    assert (await sent(Call("POST", url, {"a": "b"}))).headers == {"a": "b", "authorization": "signed"}


@pytest.mark.parametrize(
    "url", ["https://results.example/v1/x", "http://cloud.example/v1", "https://cloud.example:8443/v1"]
)
async def test_nobody_else_gets_a_proof_of_ours(url: str) -> None:
    assert "authorization" not in (await sent(Call("GET", url))).headers


async def test_who_has_a_key_needs_no_signature() -> None:
    call = Call("GET", BASE, {"authorization": "Bearer key"})
    assert (await sent(call)).headers == {"authorization": "Bearer key"}


async def test_waiting_for_credentials_is_connecting() -> None:
    progress = Progress()
    with pytest.raises(UpstreamError):
        await Signed(Recorder(), Stamp(), BASE).open(Call("GET", BASE), progress)
    assert progress.phase is Phase.CONNECTING


async def test_it_is_closed_with_what_it_is_around() -> None:
    inner = Recorder()
    await Signed(inner, Stamp(), BASE).close()
    assert inner.closed


class Source:
    """Gives 1, 2, 3 …, each good for so many seconds; says when it is asked, waits where it should."""

    def __init__(self, *good_s: float) -> None:
        self.now_s = 0.0
        self.asked = 0
        self.fails = False
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self._good_s: Iterator[float] = iter(good_s)
        self.kept = Kept(self._fetch, lambda: self.now_s)

    def _fetch(self) -> tuple[int, float]:
        self.asked += 1
        self.threads.add(threading.get_ident())
        assert self.gate.wait(5)
        if self.fails:
            raise UpstreamError("no credentials", Code.NO_KEY, status=429, retry_after_s=7.0, origin="cloud")
        return self.asked, next(self._good_s)

    async def settled(self) -> None:
        """What was begun in a thread is over."""
        async with asyncio.timeout(5):
            while self.kept._fetching is not None:
                await asyncio.sleep(0.001)


async def test_it_is_fetched_once_for_all_who_wait_and_not_in_the_loop() -> None:
    source = Source(3600)
    source.gate.clear()
    waiting = [spawn(source.kept.get(), "get") for _ in range(20)]
    await asyncio.sleep(0.01)
    source.gate.set()
    assert await asyncio.gather(*waiting) == [1] * 20
    assert source.asked == 1
    assert threading.get_ident() not in source.threads


async def test_it_is_replaced_early_while_nobody_waits() -> None:
    source = Source(3600, 3600)
    await source.kept.get()
    source.now_s = 3600 - EARLY_S - 1
    assert await source.kept.get() == 1
    assert source.asked == 1
    source.now_s += 2
    source.gate.clear()
    assert await source.kept.get() == 1
    source.gate.set()
    await source.settled()
    assert await source.kept.get() == 2


async def test_who_comes_too_late_waits_for_the_next() -> None:
    source = Source(3600, 3600)
    await source.kept.get()
    source.now_s = 3600 - LEAST_S
    assert await source.kept.get() == 2


async def test_a_failed_replacement_leaves_what_there_is() -> None:
    """And is not tried with every call."""
    source = Source(3600, 3600)
    await source.kept.get()
    source.now_s = 3600 - EARLY_S + 1
    source.fails = True
    for _ in range(3):
        assert await source.kept.get() == 1
        await source.settled()
    assert source.asked == 2
    source.now_s += AGAIN_S
    source.fails = False
    assert await source.kept.get() == 1
    await source.settled()
    assert await source.kept.get() == 3


async def test_a_failure_is_told_to_all_who_ask_for_a_while_and_then_tried_again() -> None:
    """To each as an error of its own: it is told as what has become of its call."""
    source = Source(3600)
    source.fails = True
    waiting = [spawn(source.kept.get(), "get") for _ in range(3)]
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    source.fails = False
    source.now_s = FAILED_S - 0.1
    with pytest.raises(UpstreamError, match="no credentials") as caught:
        await source.kept.get()
    assert caught.value.code is Code.NO_KEY
    assert len({id(it) for it in (*failures, caught.value)}) == 4
    for it in (*failures, caught.value):
        assert isinstance(it, UpstreamError)
        assert (it.status, it.retry_after_s, it.origin) == (429, 7.0, "cloud")
    assert source.asked == 1
    source.now_s = FAILED_S
    assert await source.kept.get() == 2


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    source = Source(3600)
    source.gate.clear()
    leaving, staying = (spawn(source.kept.get(), "get") for _ in range(2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert await staying == 1
    assert leaving.cancelled()


async def test_what_has_ended_already_is_for_this_time_only() -> None:
    source = Source(0, 0)
    assert [await source.kept.get(), await source.kept.get()] == [1, 2]


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacking("aws") is None
    assert lacking("google") is None
    monkeypatch.setitem(sys.modules, "google", None)
    monkeypatch.delitem(sys.modules, "google.auth", raising=False)
    assert lacking("google") == "google.auth is not installed: pip install 'rhetor[vertex]'"
