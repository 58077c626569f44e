"""What the Responses language can say, for the laws, and short ways to say it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Thinking
from rhetor.core.events import Event, FinishReason, Grammar, Started, UsageReport
from rhetor.core.request import Chat, Message, Request, Role
from rhetor.core.usage import Usage
from rhetor.wire.base import Chunk, Decoder, Outgoing, Quirks, ReplyInfo
from rhetor.wire.openai.responses import RESPONSES
from rhetor.wire.sse import SseSplitter, frame
from tests.wire.strategies import KNOBS, Speech

SPEECH = Speech(
    knobs=KNOBS - {"top_k", "presence_penalty", "frequency_penalty", "seed", "stop"},
    names=False,
    audio=(),
    result_errors=False,
    cache=(),
    budgets=False,
    finishes=(FinishReason.STOP, FinishReason.LENGTH, FinishReason.REFUSAL),
    stop_sequences=False,
)
TALKATIVE = Quirks(thinking_returned=True)
"""The provider that takes everything the language can say."""

UPSTREAM = RESPONSES.upstream[Capability.CHAT]
DOOR = RESPONSES.doors[Capability.CHAT]
INFO = ReplyInfo(id="gen_0a1b", created_s=1_795_132_800, model="asked")


def parse(**body: Any) -> Request:
    """A request that says "hi", unless it says something else."""
    return DOOR.parse(orjson.dumps({"model": "m", "input": "hi", **body}), {})


def chat(**body: Any) -> Chat:
    asked = parse(**body).input
    assert isinstance(asked, Chat)
    return asked


def build(request: Request, quirks: Quirks = TALKATIVE) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body for a provider, and what was dropped."""
    outgoing = UPSTREAM.build(request, "target", quirks)
    return orjson.loads(outgoing.body), outgoing.dropped


def stream_decoder() -> Decoder:
    return UPSTREAM.decoder(True, Outgoing("", b""))


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


def streamed(*said: Any) -> list[Event]:
    """The events of a stream of these JSON events."""
    return decode(stream_decoder(), sse(*said)).events


def sse(*said: Any) -> bytes:
    return b"".join(frame(orjson.dumps(it), it["type"]) for it in said)


def render(events: Iterable[Event], **asked: Any) -> bytes:
    return DOOR.renderer(parse(**asked), INFO).render(events)


def told(stream: bytes) -> list[dict[str, Any]]:
    """The JSON of each event of a stream; what it is called is said twice."""
    frames = SseSplitter().feed(stream)
    events = [orjson.loads(it.data) for it in frames]
    assert [it.event for it in frames] == [event["type"] for event in events]
    return events


def normal(events: Sequence[Event]) -> list[Event]:
    """As this language has them: responses are called `resp_…`, and usage of nothing is none."""
    named = [replace(it, id=f"resp_{it.id}") if isinstance(it, Started) else it for it in events]
    return [it for it in named if it != UsageReport(Usage())]


def merged(chat: Chat) -> Chat:
    """What an assistant says in several messages in a row is one conversation as much as in one message;
    a tool that says nothing of strictness is not strict."""
    messages: list[Message] = []
    for message in chat.messages:
        if messages and message.role is messages[-1].role is Role.ASSISTANT:
            message = replace(message, parts=(*messages.pop().parts, *message.parts))
        messages.append(message)
    tools = tuple(replace(tool, strict=tool.strict is True) for tool in chat.tools)
    return replace(chat, messages=tuple(messages), tools=tools)


def thoughts(chat: Chat) -> list[Thinking]:
    return [part for message in chat.messages for part in message.parts if isinstance(part, Thinking)]
