"""A provider that is handed the beginning of its own answer."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from rhetor.testing import Upstream, refuses_prefill, takes_prefill
from tests.testing.caller import CHAT, CHAT_PATH

pytestmark = pytest.mark.usefixtures("no_leaks")


async def ask(upstream: Upstream, *said: str) -> tuple[int, Any]:
    """Status and body, for a request that ends in what an assistant said."""
    messages = [*CHAT["messages"], *({"role": "assistant", "content": text} for text in said)]
    body = {**CHAT, "messages": messages}
    async with (
        aiohttp.ClientSession() as session,
        session.post(upstream.base_url + CHAT_PATH, json=body) as reply,
    ):
        return reply.status, await reply.json()


async def text(upstream: Upstream, *said: str) -> str:
    status, body = await ask(upstream, *said)
    assert status == 200, body
    return str(body["choices"][0]["message"]["content"])


async def test_goes_on_after_its_own_beginning(upstream: Upstream) -> None:
    upstream.always(takes_prefill("one two three"))
    assert await text(upstream) == "one two three"
    assert await text(upstream, "one two") == " three"


async def test_goes_its_own_way_after_a_beginning_that_is_not_its_own(upstream: Upstream) -> None:
    upstream.always(takes_prefill("one two three"))
    assert await text(upstream, "uno") == "one two three"


async def test_refuses_a_beginning_that_ends_in_a_space(upstream: Upstream) -> None:
    upstream.always(takes_prefill("one two three"))
    status, body = await ask(upstream, "one ")
    assert status == 400
    assert "whitespace" in body["error"]["message"]


async def test_refuses_any_beginning(upstream: Upstream) -> None:
    upstream.always(refuses_prefill("one two three"))
    assert await text(upstream) == "one two three"
    status, body = await ask(upstream, "one")
    assert status == 400
    assert "prefill" in body["error"]["message"]
