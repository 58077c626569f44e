"""Proofs of thoughts that others gave.

A conversation may go on with another provider's model. What it thought is then signed by somebody else, and
Claude refuses the whole request for it. Signatures of this language are base64; proofs that the house has of
others say whose they are, before a colon.
"""

from __future__ import annotations

import re

from rhetor.core.content import JsonValue
from rhetor.core.request import Original
from rhetor.wire.lenient import word

_FOREIGN = re.compile(r"[a-z]+:")
_FOREIGN_BYTES = re.compile(rb'"signature"\s*:\s*"[a-z]+:')


def is_foreign(signature: str) -> bool:
    return _FOREIGN.match(signature) is not None


def own_messages(original: Original) -> list[JsonValue] | None:
    """The messages of a request without the thoughts of others; None where there are none of those."""
    messages = original.fields.get("messages")
    if _FOREIGN_BYTES.search(original.body) is None or not isinstance(messages, list):
        return None
    kept: list[JsonValue] = [own for message in messages if (own := _without(message)) is not None]
    return kept if kept != messages else None


def _without(message: JsonValue) -> JsonValue:
    """None for messages of which nothing would be left."""
    if not isinstance(message, dict) or not isinstance(content := message.get("content"), list):
        return message
    kept = [it for it in content if not _is_foreign_thought(it)]
    if len(kept) == len(content):
        return message
    return {**message, "content": kept} if kept else None


def _is_foreign_thought(block: JsonValue) -> bool:
    return (
        isinstance(block, dict) and block.get("type") == "thinking" and is_foreign(word(block, "signature"))
    )
