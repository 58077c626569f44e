"""A reply that is written while it is made, and kept alive while nothing is said."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from rhetor.pipeline.patience import Patience

RESET = struct.pack("ii", 1, 0)  # linger for no time: the connection ends with RST
WHOLE_S = 600.0  # a reply of the largest size is read in time over a line of 1 Mbit/s


class CallerLeft(ConnectionError):
    """The caller closed the connection while we wrote, or never reads what we wrote."""


class EventStream:
    """Writes a streamed reply: the head once, then whole frames, then the end.

    Frames go straight to the socket: what aiohttp does around each write costs more than the write,
    and this is done a thousand times where everything else is done once. So `send` awaits
    nothing, which lets the timer send as well: two frames are never inside one another.

    Args:
        head: the reply's headers, asked for when the first frame is written.
        keepalive: the frame that tells proxies that somebody is here; empty: none is sent.
        keepalive_s: how long nothing may be said, in seconds.
        limited: all the waiting for the caller may take `WHOLE_S`; else whoever makes the reply sees to that.
    """

    __slots__ = (
        "_chunked",
        "_ended",
        "_head",
        "_http",
        "_keepalive",
        "_keepalive_s",
        "_left_s",
        "_loop",
        "_protocol",
        "_response",
        "_timer",
        "_wrote_s",
    )

    def __init__(
        self,
        http: web.Request,
        head: Callable[[], Mapping[str, str]],
        keepalive: bytes,
        keepalive_s: float,
        limited: bool = False,
    ) -> None:
        self._http = http
        self._protocol = http.protocol
        self._chunked = http.version >= (1, 1)
        self._head = head
        self._response: web.StreamResponse | None = None
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._keepalive = keepalive
        self._keepalive_s = keepalive_s
        self._wrote_s = self._loop.time()
        self._left_s = WHOLE_S if limited else None
        self._timer: asyncio.TimerHandle | None = None
        if keepalive:
            self._timer = self._loop.call_at(self._wrote_s + keepalive_s, self._look)

    @property
    def begun(self) -> bool:
        """The head is written: the status is 200, whatever comes."""
        return self._response is not None

    @property
    def takes_more(self) -> bool:
        """The end is not written, and the caller reads what is."""
        return not (self._ended or self._protocol.writing_paused)

    def send(self, frames: bytes) -> bool:
        """Write whole frames, not none; true when the caller is behind, and should `catch_up` first.

        Raises:
            CallerLeft: there is nobody to write to.
        """
        if self._response is None:
            self._begin()
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            raise CallerLeft
        transport.write(b"%x\r\n%b\r\n" % (len(frames), frames) if self._chunked else frames)
        self._wrote_s = self._loop.time()
        return self._protocol.writing_paused

    async def catch_up(self) -> None:
        """Wait until the caller has read most of what was written.

        Raises:
            CallerLeft: it never will.
        """
        await self._wait_for(self._http.writer.drain())

    async def end(self) -> web.StreamResponse:
        """Write that this was all, and wait until the caller has read most of it.

        Raises:
            CallerLeft: it never will.
        """
        self.close()
        response = self._begin() if self._response is None else self._response
        self._ended = True
        await self._wait_for(response.write_eof())
        return response

    def abort(self) -> None:
        """Break the connection off if anything was written: it must not look whole."""
        self.close()
        if self._response is not None:
            # Without chunks the connection's end is the reply's, unless it is broken for all to see.
            abort(self._http, reset=not self._chunked)

    def close(self) -> None:
        """Send nothing more by itself. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait_for(self, written: Awaitable[None]) -> None:
        """
        Raises:
            CallerLeft: nobody reads, or not in time.
        """
        try:
            if self._left_s is None:
                await written
                return
            began_s = self._loop.time()
            with Patience(self._loop, self._left_s):
                await written
            self._left_s -= self._loop.time() - began_s
        except ConnectionError:
            raise CallerLeft from None
        except TimeoutError:
            abort(self._http)
            raise CallerLeft from None

    def _begin(self) -> web.StreamResponse:
        response = self._response = web.StreamResponse(headers=self._head())
        preparing = response.prepare(self._http)
        try:
            preparing.send(None)  # it awaits nothing that would have to wait, so it needs no task
        except StopIteration:
            return response
        except ConnectionError:
            raise CallerLeft from None
        preparing.close()
        raise RuntimeError("what prepares a response must not wait")

    def _look(self) -> None:
        """Send the keep-alive if it is due, and look again when it will be."""
        self._timer = None
        if self._loop.time() >= self._wrote_s + self._keepalive_s:
            if self.takes_more:
                try:
                    self.send(self._keepalive)
                except CallerLeft:
                    return
            else:
                self._wrote_s = self._loop.time()  # there is enough to be read
        self._timer = self._loop.call_at(self._wrote_s + self._keepalive_s, self._look)


def abort(http: web.Request, reset: bool = False) -> None:
    """Break the caller's connection off, whatever was still to be written.

    Args:
        reset: so that nobody takes it for an end in order.
    """
    transport = http.transport
    if transport is None:
        return
    # Else the kernel goes on to offer what it has, to somebody who does not read.
    if reset or http.protocol.writing_paused:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
