"""A reply that is there in one piece, written at once.

What aiohttp does for any response costs more than the making of most replies, so
the common case goes straight to the socket: a short reply over a connection that
is kept, to a caller that is no page. All others go aiohttp's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from rhetor import __version__
from rhetor.http.stream import WHOLE_S, CallerLeft, abort
from rhetor.pipeline.patience import Patience

SERVER = f"rhetor/{__version__}"
SMALL_BYTES = 32 << 10  # the socket takes so much at once, whether the caller reads or not


async def write_whole(http: web.Request, headers: Mapping[str, str], body: bytes) -> web.StreamResponse:
    """Write a reply with status 200, and wait until the caller has read most of it.

    Raises:
        CallerLeft: it never will.
    """
    if (
        len(body) <= SMALL_BYTES
        and http.version == (1, 1)
        and http.keep_alive
        and "Origin" not in http.headers
    ):
        return await _write(http, headers, body)
    response = web.Response(body=body, headers=headers)
    try:
        await response.prepare(http)
        with Patience(asyncio.get_running_loop(), WHOLE_S):
            await response.write_eof()
    except ConnectionError:
        raise CallerLeft from None
    except TimeoutError:
        abort(http)
        raise CallerLeft from None
    except BaseException:
        abort(http)  # a part of it must not be followed by another reply
        raise
    return response


class _Written(web.StreamResponse):
    """What the server is told of a reply that went beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._keep_alive = True
        self._eof_sent = True


async def _write(http: web.Request, headers: Mapping[str, str], body: bytes) -> web.StreamResponse:
    protocol = http.protocol
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise CallerLeft
    head = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    transport.write(
        f"HTTP/1.1 200 OK\r\n{head}content-length: {len(body)}\r\n"
        f"date: {rfc822_formatted_time()}\r\nserver: {SERVER}\r\n\r\n".encode("ascii", "replace")
        + body
    )
    if protocol.writing_paused:  # it asks for more replies than it reads
        try:
            with Patience(asyncio.get_running_loop(), WHOLE_S):
                await http.writer.drain()
        except ConnectionError:
            raise CallerLeft from None
        except TimeoutError:
            abort(http)
            raise CallerLeft from None
    return _Written()
