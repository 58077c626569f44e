"""How large a conversation is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.request import Chat, Tool
from rhetor.wire.base import PLAIN
from rhetor.wire.gemini.counts import Counts
from rhetor.wire.gemini.decoders import CountDecoder
from tests.wire.gemini.speaking import HI, NEWEST, request_of

TALK = {
    "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    "tools": [{"functionDeclarations": [{"name": "find"}]}],
}


@pytest.mark.parametrize(
    ("wrapped", "said"),
    [(True, {"generateContentRequest": {"model": f"models/{NEWEST}", **TALK}}), (False, TALK)],
)
def test_tools_are_counted_too(wrapped: bool, said: Any) -> None:
    """And settings are not told: they make nothing longer."""
    counts = Counts(wrapped)
    chat = Chat(messages=(HI,), tools=(Tool("find"),), temperature=0.5)
    outgoing = counts.build(request_of(chat, Capability.COUNT_TOKENS), NEWEST, PLAIN)
    assert outgoing.path == f"/models/{NEWEST}:countTokens"
    assert orjson.loads(outgoing.body) == said
    assert isinstance(counts.decoder(False, outgoing), CountDecoder)
