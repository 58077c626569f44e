"""What the OpenAI language can say, for the laws, and short ways to say it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import File, Image, Inline, Text, Uploaded, Url
from rhetor.core.events import Event, FinishReason, Grammar
from rhetor.core.request import Chat, Request, Tool
from rhetor.wire.base import Chunk, Decoder, Outgoing, Quirks, ReplyInfo
from rhetor.wire.openai import OPENAI
from rhetor.wire.sse import frame
from tests.wire.strategies import Speech

SPEECH = Speech(
    text_parts=False,
    images=(Url, Inline),
    audio=(Inline,),
    files=(Inline, Uploaded),
    result_images=False,
    result_errors=False,
    cache=(Text, Image, File, Tool),
    signatures=False,
    budgets=False,
    finishes=(FinishReason.STOP, FinishReason.LENGTH, FinishReason.REFUSAL),
    stop_sequences=False,
)
TALKATIVE = Quirks(thinking_returned=True, cache_marks=True, top_k=True)
"""The provider that takes everything the language can say."""

GOLDEN = Path(__file__).parents[2] / "golden" / "openai"
UPSTREAM = OPENAI.upstream[Capability.CHAT]
DOOR = OPENAI.doors[Capability.CHAT]
INFO = ReplyInfo(id="chatcmpl-ours", created_s=1_795_132_800, model="asked")


def parse(**body: Any) -> Request:
    """A request with one message, unless others are given."""
    said = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
    return DOOR.parse(orjson.dumps(said), {})


def chat(**body: Any) -> Chat:
    asked = parse(**body).input
    assert isinstance(asked, Chat)
    return asked


def build(request: Request, quirks: Quirks = TALKATIVE) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body for a provider, and what was dropped."""
    outgoing = UPSTREAM.build(request, "target", quirks)
    return orjson.loads(outgoing.body), outgoing.dropped


def stream_decoder(withhold_usage: bool = False) -> Decoder:
    return UPSTREAM.decoder(True, Outgoing("", b"", withhold_usage=withhold_usage))


def whole_decoder() -> Decoder:
    return UPSTREAM.decoder(False, Outgoing("", b""))


def decode(decoder: Decoder, *pieces: bytes) -> Chunk:
    """All events and all raw bytes, with the grammar checked."""
    chunks = [*(decoder.feed(piece) for piece in pieces), decoder.close()]
    events = [event for chunk in chunks for event in chunk.events]
    grammar = Grammar()
    for event in events:
        grammar.see(event)
    assert grammar.ended
    return Chunk(events, b"".join(chunk.raw for chunk in chunks))


def streamed(*frames: Any, withhold_usage: bool = False) -> list[Event]:
    """The events of a stream of these JSON frames, ended by [DONE]."""
    return decode(stream_decoder(withhold_usage), sse(*frames)).events


def sse(*frames: Any, done: bool = True) -> bytes:
    return b"".join(frame(orjson.dumps(it)) for it in frames) + (frame(b"[DONE]") if done else b"")


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    """A chunk."""
    return {"id": "c1", "model": "m1", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def render(events: Iterable[Event], **asked: Any) -> bytes:
    return DOOR.renderer(parse(**asked), INFO).render(events)
