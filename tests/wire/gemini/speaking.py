"""How the tests of this language ask and listen: what is sent, and what is told of recorded replies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.events import Event, Grammar, Medium, fold
from rhetor.core.request import Chat, Input, Message, Request, Role
from rhetor.wire.base import PLAIN, Decoder, Outgoing, Quirks
from rhetor.wire.gemini.outgoing import build_chat
from rhetor.wire.sse import frame

NEWEST, OLDER, THOUGHTLESS = "gemini-3.7-flash", "gemini-2.5-flash", "gemini-2.0-flash"
HI = Message(Role.USER, (Text("hi"),))


def sent(
    chat: Chat, model: str = NEWEST, stream: bool = False, quirks: Quirks = PLAIN
) -> tuple[Any, Outgoing]:
    """The body of the call, and the call."""
    outgoing = build_chat(request_of(chat, stream=stream), model, quirks)
    return orjson.loads(outgoing.body), outgoing


def request_of(input: Input, capability: Capability = Capability.CHAT, stream: bool = False) -> Request:
    return Request(id="", capability=capability, model="fast", input=input, stream=stream)


def told(decoder: Decoder, *replies: bytes | Iterable[bytes]) -> list[Event]:
    """Every event of a reply, inside the grammar; of several ones, where the decoder wants to follow."""
    events: list[Event] = []
    for number, reply in enumerate(replies):
        decoder.begin(200, {"content-type": "application/json"})
        pieces = [reply] if isinstance(reply, bytes) else reply
        chunks = [*(decoder.feed(piece) for piece in pieces), decoder.close()]
        for chunk in chunks:
            events += chunk.events
        assert (chunks[-1].follow is not None) == (number < len(replies) - 1)
    grammar = Grammar()
    for event in events:
        grammar.see(event)
    assert grammar.ended
    return events


def media_of(events: list[Event]) -> list[Medium]:
    return [it for it in fold(events).media.values() if isinstance(it, Medium)]


def frames(*said: object) -> bytes:
    return b"".join(frame(orjson.dumps(it)) for it in said)


def reply(*parts: object, reason: str | None = "STOP", **said: object) -> dict[str, object]:
    """A reply, or one frame of a streamed one."""
    candidate: dict[str, object] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], **said}


def usage(prompt: int, candidates: int = 0, thoughts: int = 0) -> dict[str, object]:
    said = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "thoughtsTokenCount": thoughts}
    return {"usageMetadata": {name: count for name, count in said.items() if count}}


OF_3 = {"modelVersion": "gemini-3-pro-preview", "responseId": "QHiLaa6LBrb8vdIPoNztsAg"}
CALL = (
    reply(
        {
            "functionCall": {"name": "weather", "args": {"location": "San Francisco"}},
            "thoughtSignature": "EqYaCqMa",
        },
        reason=None,
        **usage(29, 15, 804),
        **OF_3,
    ),
    reply({"text": ""}, **usage(29, 15, 804), **OF_3),
)
"""A call, as Gemini 3 streams it: without an id, its signature beside it, and one empty text at the end.

This and the others are recorded: https://github.com/vercel/ai, `packages/google/src/__fixtures__` (read
2026-11-21), with shorter signatures.
"""

OF_37 = {"modelVersion": "gemini-3.7-flash", "responseId": "EXCPatOAKMrQjMcPteHVmQo"}
PARALLEL = reply(
    {
        "functionCall": {"name": "weather", "args": {"city": "Paris"}, "id": "lpndqlku"},
        "thoughtSignature": "EuYBCuMB",
    },
    {"functionCall": {"name": "weather", "args": {"city": "Oslo"}, "id": "m6rogicj"}},
    **usage(71, 32, 61),
    **OF_37,
)
TEXT = (
    reply({"text": "fixture ok"}, reason=None, **usage(7, 2), **OF_37),
    reply({"text": "", "thoughtSignature": "EpUDCpID"}, **usage(7, 2, 94), **OF_37),
)
BLOCKED = {
    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
    **usage(9),
    **OF_37,
}
