"""Where the golden frames of the language lie, and how its tests read replies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rhetor.core.events import Event, Grammar
from rhetor.wire.anthropic.decoders import StreamDecoder
from rhetor.wire.base import Decoder

GOLDEN = Path(__file__).parents[2] / "golden" / "anthropic"
STREAMS = tuple(sorted(path.name for path in GOLDEN.glob("*.sse")))


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def told(decoder: Decoder, pieces: Iterable[bytes]) -> tuple[list[Event], bytes]:
    """Every event and all raw bytes of a reply that came in these pieces, inside the grammar."""
    events: list[Event] = []
    raw = b""
    for chunk in [*(decoder.feed(piece) for piece in pieces), decoder.close()]:
        events += chunk.events
        raw += chunk.raw
    grammar = Grammar()
    for event in events:
        grammar.see(event)
    assert grammar.ended
    return events, raw


def streamed(*pieces: bytes) -> list[Event]:
    return told(StreamDecoder(), pieces)[0]
