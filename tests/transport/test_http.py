"""What the transport on aiohttp must be told beyond the contract, which `test_base` holds it to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.transport.base import Phase, Progress
from rhetor.transport.http import HttpTransport


async def test_a_name_that_is_never_resolved_runs_into_the_connect_clock(
    monkeypatch: pytest.MonkeyPatch, no_leaks: None
) -> None:
    """aiohttp's own clock for connecting begins after the name was resolved."""

    async def getaddrinfo(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    try:
        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    except AttributeError:
        pytest.skip("this loop resolves names in C")
    transport = HttpTransport(limit=1, connect_s=0.05)
    progress = Progress()
    with pytest.raises(UpstreamError) as caught:
        await transport.open(Call("GET", "http://provider.example/"), progress)
    await transport.close()
    assert caught.value.code is Code.CONNECT_TIMEOUT
    assert progress.phase is Phase.CONNECTING
