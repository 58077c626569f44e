"""A proxy passes on what is said, and cuts where nobody says anything."""

from __future__ import annotations

import pytest

from rhetor.testing import Upstream, hangs, slow
from tests.faults.proxy import idle_proxy
from tests.testing.caller import CHAT, Caller

pytestmark = pytest.mark.usefixtures("no_leaks")

STREAM = {**CHAT, "stream": True}


async def test_passes_on_what_is_said(upstream: Upstream) -> None:
    upstream.says("one two three")
    upstream.next(slow(gap_s=0.05))
    async with idle_proxy(upstream.base_url, idle_s=5.0) as url, Caller(url) as caller:
        caller.ask(STREAM, headers="connection: close\r\n")
        assert (await caller.rest()).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


async def test_cuts_where_nobody_says_anything(upstream: Upstream) -> None:
    upstream.says("one two three")
    upstream.next(hangs(after=2))
    async with idle_proxy(upstream.base_url, idle_s=0.1) as url, Caller(url) as caller:
        caller.ask(STREAM)
        heard = await caller.rest()
        assert b"two" in heard
        assert b"three" not in heard
        await upstream.requests[0].aborted()


async def test_a_caller_that_leaves_leaves_the_other_side_too(upstream: Upstream) -> None:
    upstream.next(hangs())
    async with idle_proxy(upstream.base_url, idle_s=5.0) as url, Caller(url) as caller:
        caller.ask(STREAM)
        seen = await upstream.request()
        await caller.leave()
        await seen.aborted()
