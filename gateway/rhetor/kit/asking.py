"""One question on the way that every request takes, and what came of it."""

from __future__ import annotations

import asyncio

from rhetor.core.capability import Capability
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import ENDINGS, SILENT, Folded, Folder, Grammar
from rhetor.core.request import Input, Request
from rhetor.core.value import value
from rhetor.pipeline.trip import Pipeline

DOOR = "check"
PATIENCE_S = 300.0  # for everything: a film takes minutes


@value(kw_only=True)
class Heard:
    """An answer."""

    reply: Folded
    pieces: int
    """Events with content."""
    first_event_ms: int | None
    total_ms: int
    usage_source: str
    dropped: tuple[str, ...]
    left: bool
    """It was left before its end."""


async def ask(
    pipeline: Pipeline,
    capability: Capability,
    model: str,
    input: Input,
    *,
    stream: bool = False,
    leave: bool = False,
) -> Heard:
    """
    Args:
        leave: hang up once there is something to read.

    Raises:
        RhetorError: there is no answer, and why.
    """
    request = Request(id="", capability=capability, model=model, input=input, stream=stream)
    clock, folder, grammar = pipeline.clock, Folder(), Grammar()
    began_s, first_s, pieces, left = clock.monotonic_s(), None, 0, False
    try:
        async with asyncio.timeout(PATIENCE_S), pipeline.trip(request, DOOR) as trip:
            async for chunk in trip.chunks():
                for event in chunk.events:
                    grammar.see(event)
                    folder.add(event)
                    if not isinstance(event, SILENT + ENDINGS):
                        pieces += 1
                        first_s = clock.monotonic_s() if first_s is None else first_s
                if leave and pieces:
                    left = not grammar.ended
                    break
    except TimeoutError:
        raise UpstreamError(f"there was no end in {PATIENCE_S:g} s", Code.TOTAL_TIMEOUT) from None
    reply = folder.result()
    if reply.error is not None:
        raise reply.error
    dropped = trip.meta.get("dropped")
    return Heard(
        reply=reply,
        pieces=pieces,
        first_event_ms=None if first_s is None else round((first_s - began_s) * 1000),
        total_ms=round((clock.monotonic_s() - began_s) * 1000),
        usage_source=str(trip.meta.get("usage_source", "")),
        dropped=tuple(map(str, dropped)) if isinstance(dropped, list) else (),
        left=left,
    )
