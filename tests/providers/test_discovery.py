"""Asking providers for their models: what they list, and every way not to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.providers import discovery
from rhetor.providers.discovery import list_models
from rhetor.providers.provider import Provider
from rhetor.providers.spec import ProviderRow, Source
from rhetor.testing import Step, Upstream, cuts, fails, gzip, hangs, nowhere, raw_frames, resets
from rhetor.transport.pool import HttpPool
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import Wire
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.openai import OPENAI

WIRES = pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, OLLAMA], ids=["openai", "anthropic", "ollama"])
ABORT_WITHIN_S = 0.25


class Lab:
    """Makes providers of one server, and closes them."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    def provider(self, base_url: str, wire: Wire = OPENAI, **row: Any) -> Provider:
        base_url = f"{base_url}/v1" if wire is OPENAI else base_url
        headers = {"anthropic-version": "2023-06-01"} if wire is ANTHROPIC else {}
        docs = Source(url="x", read="2026-01-01")
        made = ProviderRow(
            id="lab", name="Lab", wire=wire.name, base_url=base_url, headers=headers, docs=docs, **row
        )
        transport = HttpPool(1, 5.0)
        self._stack.push_async_callback(transport.close)
        return Provider(made, wire, transport, "sk-canary-0123456789")


@pytest.fixture
async def lab(no_leaks: None) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        yield Lab(stack)


@WIRES
async def test_what_a_provider_lists(lab: Lab, upstream: Upstream, wire: Wire) -> None:
    upstream.lists("one", "two")
    listed = await list_models(lab.provider(upstream.base_url, wire))
    assert listed is not None
    assert [entry.id for entry in listed] == ["one", "two"]


async def test_a_long_list(lab: Lab, upstream: Upstream) -> None:
    names = [f"org/model-{n}" for n in range(5000)]
    upstream.lists(*names, but=gzip())
    listed = await list_models(lab.provider(upstream.base_url))
    assert listed is not None
    assert [entry.id for entry in listed] == names


async def test_who_has_no_list_is_not_asked(lab: Lab, upstream: Upstream) -> None:
    assert await list_models(lab.provider(upstream.base_url, models_listed=False)) is None
    assert upstream.requests == []


@WIRES
@pytest.mark.parametrize(
    ("step", "code"),
    [
        pytest.param(fails(401), Code.UPSTREAM_AUTH, id="bad key"),
        pytest.param(fails(503, body=b"<html>busy</html>"), Code.UNAVAILABLE, id="a page"),
        pytest.param(raw_frames([b"<html>hello</html>"]), Code.PROTOCOL, id="a page that claims success"),
        pytest.param(raw_frames([b'{"surprise": []}']), Code.PROTOCOL, id="something else"),
        pytest.param(raw_frames([b'"\xff"']), Code.PROTOCOL, id="no text"),
        pytest.param(raw_frames([b"[]" * 3]), Code.PROTOCOL, id="no JSON"),
        pytest.param(raw_frames([b'{"data": 7, "models": 7}']), Code.PROTOCOL, id="a number for a list"),
        pytest.param(cuts("half"), Code.CONNECTION_LOST, id="half a list"),
        pytest.param(resets(), Code.CONNECTION_LOST, id="reset"),
    ],
)
async def test_what_is_no_list(lab: Lab, upstream: Upstream, wire: Wire, step: Step, code: Code) -> None:
    """An error of ours whatever came, and the next time is as good as the first."""
    provider = lab.provider(upstream.base_url, wire)
    upstream.lists("one", but=step)
    with pytest.raises(RhetorError) as caught:
        await list_models(provider)
    assert caught.value.code is code
    assert "canary" not in caught.value.message
    upstream.lists("one")
    listed = await list_models(provider)
    assert listed is not None
    assert [entry.id for entry in listed] == ["one"]


@WIRES
@pytest.mark.parametrize("entries", ["[7]", "[null]", "[{}]", '[{"id": 7, "name": 7, "model": 7}]', "[]"])
async def test_entries_that_are_none_are_passed_over(
    lab: Lab, upstream: Upstream, wire: Wire, entries: str
) -> None:
    body = f'{{"data": {entries}, "models": {entries}}}'
    upstream.lists("one", but=raw_frames([body.encode()]))
    assert await list_models(lab.provider(upstream.base_url, wire)) == []


async def test_nobody_is_there(lab: Lab) -> None:
    with nowhere.refused() as base_url, pytest.raises(RhetorError) as caught:
        await list_models(lab.provider(base_url))
    assert caught.value.code is Code.CONNECT_FAILED


@pytest.mark.parametrize("after", ["request", "headers", "half"])
async def test_who_takes_too_long_is_left(
    lab: Lab, upstream: Upstream, after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "PATIENCE_S", 0.05)
    upstream.lists("one", but=hangs(after=after))
    with pytest.raises(RhetorError, match=r"no list of models in 0.05 s") as caught:
        await list_models(lab.provider(upstream.base_url))
    assert caught.value.code is Code.TOTAL_TIMEOUT
    await upstream.requests[0].aborted(ABORT_WITHIN_S)


async def test_a_list_without_end_is_not_read_to_its_end(
    lab: Lab, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "LIST_BYTES", 10_000)
    upstream.lists(*(f"model-{n}" for n in range(1000)))
    with pytest.raises(RhetorError) as caught:
        await list_models(lab.provider(upstream.base_url))
    assert caught.value.code is Code.PROTOCOL
