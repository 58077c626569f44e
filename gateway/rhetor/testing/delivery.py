"""From a rendered reply and its script to what is written on the socket, and when."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, TypeAlias

from rhetor.testing.connection import Connection
from rhetor.testing.http1 import LAST_CHUNK, NOT_A_CHUNK, chunk, head
from rhetor.testing.script import Break, Pause, Point, ScriptError, Step
from rhetor.testing.seen import Outcome, Seen
from rhetor.testing.voices import Rendered

GZIP_FORMAT = 16 + zlib.MAX_WBITS

Place: TypeAlias = Literal["request", "headers", "end"] | int


@dataclass(frozen=True, slots=True)
class Beat:
    """These bytes are written, and then the reply has come to this place."""

    place: Place
    data: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A reply ready to be sent."""

    beats: Sequence[Beat]
    pauses: Mapping[Place, Sequence[Pause]] = field(default_factory=dict)
    breaks: tuple[Place, Break] | None = None
    gap_s: float = 0.0

    async def send(self, connection: Connection, seen: Seen) -> bool:
        """Send it; whether the connection may carry another reply."""
        for beat in self.beats:
            await asyncio.sleep(0)  # so that the loop can tell us when the caller has left
            if beat.data:
                await connection.write(beat.data)
            if isinstance(beat.place, int):
                seen.sent_events = beat.place
                if self.gap_s and beat.place:
                    await asyncio.sleep(self.gap_s)
            for pause in self.pauses.get(beat.place, ()):
                await _wait(pause, seen)
            if self.breaks is not None and self.breaks[0] == beat.place:
                seen.on_end(Outcome.BROKEN)
                await _break(self.breaks[1], connection)
                return False
        # No await since the last write: who leaves now has had everything.
        seen.on_end(Outcome.COMPLETED)
        return True


def deliver(rendered: Rendered, step: Step) -> Delivery:
    """What the script makes of a reply.

    Raises:
        ScriptError: a point is beyond the reply's end.
    """
    *pieces, ending = _encoded(rendered, step)
    events = len(pieces) - 1
    pauses: dict[Place, list[Pause]] = {}
    for pause in step.pauses:
        pauses.setdefault(_place(pause.after, events), []).append(pause)
    breaks = None if step.breaks is None else (_place(step.breaks[0], events), step.breaks[1])
    if breaks is not None and breaks[1] is Break.CLEAN:
        pieces, ending, breaks = _truncated(pieces, breaks[0]), b"", None
    chunked = not rendered.whole or (breaks is not None and breaks[1] is Break.BAD_CHUNK)
    beats = _beats(rendered, step, pieces, ending, chunked)
    if rendered.whole and not pauses and breaks is None:
        beats = [Beat("end", b"".join(beat.data for beat in beats))]
    return Delivery(beats, pauses, breaks, step.gap_s)


def _encoded(rendered: Rendered, step: Step) -> list[bytes]:
    """The body's pieces: the opening, one for each content event, the ending."""
    pieces = list(rendered.pieces)
    for edit in step.edits:
        pieces = edit(pieces)
    if not rendered.whole:
        return _gzipped(pieces) if step.gzip else pieces
    body = gzip.compress(pieces[0], mtime=0) if step.gzip else pieces[0]
    slices = rendered.events + 1
    marks = [len(body) * n // slices for n in range(slices + 1)]
    return [b"", *(body[begin:end] for begin, end in pairwise(marks))]


def _gzipped(pieces: Sequence[bytes]) -> list[bytes]:
    """Each piece compressed so far that a reader can have it at once."""
    squeeze = zlib.compressobj(wbits=GZIP_FORMAT)
    squeezed = [squeeze.compress(piece) + squeeze.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    squeezed[-1] += squeeze.flush()
    return squeezed


def _place(point: Point, events: int) -> Place:
    if point == "half":
        return (events + 1) // 2
    if isinstance(point, int) and not 0 <= point <= events:
        raise ScriptError(f"the script wants something after event {point}, but the reply has {events}")
    return point


def _truncated(pieces: list[bytes], place: Place) -> list[bytes]:
    if place == "request":
        raise ScriptError("a reply without headers cannot end clean")
    return pieces[: place + 1] if isinstance(place, int) else []


def _beats(rendered: Rendered, step: Step, pieces: list[bytes], ending: bytes, chunked: bool) -> list[Beat]:
    fields = {"content-type": rendered.content_type}
    if step.gzip:
        fields["content-encoding"] = "gzip"
    if chunked:
        fields["transfer-encoding"] = "chunked"
    else:
        fields["content-length"] = str(sum(map(len, [*pieces, ending])))
    beats = [Beat("request", b""), Beat("headers", head(rendered.status, {**fields, **step.headers}))]
    beats += [Beat(n, chunk(piece) if chunked else piece) for n, piece in enumerate(pieces)]
    # One write, so that nobody who stops reading at the language's last frame is taken for one who left.
    return [*beats, Beat("end", chunk(ending) + LAST_CHUNK if chunked else ending)]


async def _wait(pause: Pause, seen: Seen) -> None:
    if pause.gate is not None and pause.gate.is_open:
        return
    seen.on_hang(True)
    if pause.gate is not None:
        await pause.gate.passed()
    elif pause.for_s is not None:
        await asyncio.sleep(pause.for_s)
    else:
        await asyncio.get_running_loop().create_future()  # ended only by the caller's leaving
    seen.on_hang(False)


async def _break(how: Break, connection: Connection) -> None:
    if how is Break.RESET:
        connection.reset()
        return
    if how is Break.BAD_CHUNK:
        await connection.write(NOT_A_CHUNK)
    connection.close()
