"""Whether a server is ready, or lives: it answers at a path, or it takes connections."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from contextlib import suppress
from urllib.parse import urlsplit

from rhetor.core.call import Call
from rhetor.core.errors import RhetorError
from rhetor.services.contact import Probe
from rhetor.transport.base import Progress
from rhetor.transport.pool import HttpPool

WELL = range(200, 400)
ANY = range(100, 1000)  # one that says it is ill does not hang
MOST_BYTES = 64 * 1024  # of what it says there
HEADERS = {"user-agent": "rhetor", "accept": "*/*"}
PORTS = {"http": 80, "https": 443}


def answers_at(path: str, within_s: float, statuses: Container[int] = WELL) -> Probe:
    """Whether it answers there with one of these statuses; where none are given, with one below 400."""

    async def probe(origin: str) -> bool:
        pool = HttpPool(1, within_s)  # for one call: what listens here next time may be somebody else
        status = 0
        try:
            async with asyncio.timeout(within_s):
                response = await pool.open(Call("GET", origin + path, HEADERS), Progress())
                status = response.status
                await response.read(MOST_BYTES)  # some write a traceback when one hangs up on them
        except (RhetorError, TimeoutError):
            pass  # what it has said until then counts
        finally:
            await pool.close()
        return status in statuses

    return probe


def takes_connections(within_s: float) -> Probe:
    """Whether somebody listens there."""

    async def probe(origin: str) -> bool:
        where = urlsplit(origin)
        port = where.port or PORTS.get(where.scheme)
        try:
            async with asyncio.timeout(within_s):
                _, writer = await asyncio.open_connection(where.hostname, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True

    return probe
