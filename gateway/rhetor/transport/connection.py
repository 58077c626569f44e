"""One connection to a provider: writes one call after the other, and hands what arrives to its reply."""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import Callable
from typing import Protocol, cast

from rhetor.core.errors import Code
from rhetor.transport.dial import reason
from rhetor.transport.http1 import Framing
from rhetor.transport.reply import HttpReply
from rhetor.transport.request import Head, Origin

ONE_WRITE_BYTES = 64 * 1024  # head and body up to here are copied together: cheaper than a second packet
PIECE_BYTES = 256 * 1024  # of a larger body in one turn of the loop
MOST_WAITING_BYTES = 256 * 1024  # unread; beyond that the provider has to wait

KEEP_S = 75.0  # longer than most load balancers keep theirs, so it is they who close
MARGIN_S = 1.0  # we stop using a connection so long before its server wants to close it


class Pool(Protocol):
    """Whom the connection belongs to."""

    def on_done(self, connection: Connection, keep_s: float) -> None:
        """A call has ended. Another one may follow within so many seconds; none where that is 0 or less."""

    def on_closed(self, connection: Connection) -> None:
        """The socket is gone. Told once, after `on_done`."""


class Connection(asyncio.Protocol):
    """A connection, which has at most one call at a time.

    A call is done once its reply has arrived whole: what is not read yet waits in the reply, and
    the connection is free.
    """

    def __init__(self, origin: Origin, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self.alive = False
        """The server has not been heard to close it, and we have not."""
        self.readable: Callable[[], bool] = lambda: False
        """Asks the kernel whether anything has come that the loop has not told us of yet, or an end."""
        self.keep_until_s = 0.0
        """On the loop's clock; for whoever keeps it between two calls."""
        self._pool = pool
        self.loop = loop
        self._framing = Framing()
        self._reply: HttpReply | None = None
        self._transport: asyncio.Transport | None = None
        self._unsent: memoryview | None = None
        self._writable = True
        self._paused = False

    # What the pool asks.

    def send(self, head: Head, body: bytes | None) -> HttpReply:
        """Begin a call; the reply is told what comes of it."""
        assert self._transport is not None
        assert self._reply is None
        self._framing.expect(head.is_head)
        reply = self._reply = HttpReply(self, self.loop)
        start = head.before(body)
        if body is None or len(body) <= ONE_WRITE_BYTES:
            self._transport.write(start + body if body else start)
        else:
            self._transport.write(start)
            self._unsent = memoryview(body)
            self._send_more()
        return reply

    def abort(self) -> None:
        """Close the socket at once."""
        self.alive = False
        self._unsent = None
        if self._transport is not None:
            self._transport.abort()

    def break_off(self, message: str) -> None:
        """Close the socket at once, and end the call that is under way."""
        self._fail(message, Code.CONNECTION_LOST)
        self.abort()

    # What the reply asks.

    def on_taken(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def abandon(self) -> None:
        self._done(0.0)

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.alive = True
        self.readable = _readability(transport)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            self.abort()  # nobody asked for anything
            return
        framing = self._framing
        body = framing.feed(data)
        if framing.status and not reply.status:
            reply.on_head(framing.status, framing.fields)
        if body:
            reply.on_body(body)
        if framing.ended:
            self._end(reply)
        elif framing.broken is not None:
            self._fail(f"the provider's answer cannot be read: {framing.broken}", Code.PROTOCOL)
        elif reply.status:
            if reply.waiting_bytes > MOST_WAITING_BYTES:
                self._pause()
            reply.wake()

    def eof_received(self) -> None:
        self.alive = False
        if self._reply is not None:
            self._framing.feed_eof()
            if self._framing.ended:
                self._end(self._reply)
            else:
                self._lose(None)  # now: asyncio would first wait until everything is sent

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        if self._reply is not None:
            self._lose(error)
        self._framing.close()
        self._transport = None
        self._pool.on_closed(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._send_more()

    # How a call ends.

    def _end(self, reply: HttpReply) -> None:
        framing = self._framing
        sent = self._unsent is None  # a server may answer before it has heard everything
        keep_s = 0.0
        if framing.reusable and sent and self.alive:
            said_s = framing.timeout_s
            keep_s = KEEP_S if said_s is None else min(KEEP_S, said_s - MARGIN_S)
        reply.on_end()
        reply.wake()
        self._done(keep_s)

    def _lose(self, error: Exception | None) -> None:
        reply = self._reply
        assert reply is not None
        why = f": {reason(error)}" if error is not None else ""
        if reply.status:
            what = "the connection to the provider was lost in the middle of its reply"
        else:
            what = "the provider closed the connection before it answered"
        self._fail(what + why, Code.CONNECTION_LOST)

    def _fail(self, message: str, code: Code) -> None:
        if self._reply is not None:
            self._reply.on_failure(message, code)
            self._reply.wake()
            self._done(0.0)

    def _done(self, keep_s: float) -> None:
        self._reply = None
        assert keep_s <= 0 or not self._paused  # nothing arrives, not even an end, while we do not read
        if keep_s <= 0:
            self.abort()
        self._pool.on_done(self, keep_s)

    # Flow control.

    def _send_more(self) -> None:
        """Write the next piece of a large body: one in a turn of the loop, while the socket takes it."""
        if self._unsent is None or self._transport is None:
            return
        piece, rest = self._unsent[:PIECE_BYTES], self._unsent[PIECE_BYTES:]
        self._unsent = rest if len(rest) else None
        self._transport.write(piece)
        if self._unsent is not None and self._writable:
            # Should `resume_writing` start a second chain of these, both take from the same rest.
            self.loop.call_soon(self._send_more)

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()


def _readability(transport: asyncio.BaseTransport) -> Callable[[], bool]:
    """A question that costs under a microsecond."""
    if sys.platform == "win32":
        return lambda: False
    poller = select.poll()
    poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return lambda: bool(poller.poll(0))
