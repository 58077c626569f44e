"""Changes to a JSON body that leave every other byte as the caller wrote it."""

from __future__ import annotations

import re

import orjson

from rhetor.core.request import Original

_MODEL = b'"model"'
_FIRST = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*(?="model")')
_VALUE = re.compile(rb'"model"[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\]|\\.)*")')
# All letters of "model" are \u006x when escaped: a key spelled so would hide behind the plain one.
_DISGUISE = b"\\u006"


def with_model(original: Original, model: str) -> bytes | None:
    """The body with another model.

    None when it is not beyond doubt which bytes name the model: it is not the
    first member, as SDKs write it, and the key occurs again (in a tool's schema,
    say) or may be spelled with escapes.
    """
    body = original.body
    first = _FIRST.match(body)
    at = body.find(_MODEL) if first is None else first.end()
    if at < 0 or (first is None and (body.find(_MODEL, at + 1) >= 0 or _DISGUISE in body)):
        return None
    found = _VALUE.match(body, at)
    # A later member of the same name would win; then the parsed value is another one.
    if found is None or orjson.loads(found[1]) != original.fields.get("model"):
        return None
    start, end = found.span(1)
    return b"%b%b%b" % (body[:start], orjson.dumps(model), body[end:])


def with_member(body: bytes, member: bytes) -> bytes:
    """The body of an object that has members already, with one more in front: `"key":value`."""
    at = body.index(b"{") + 1
    return b"%b%b,%b" % (body[:at], member, body[at:])
