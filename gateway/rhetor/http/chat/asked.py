"""What the chat platform's callers send, held to the limits that it promises."""

from __future__ import annotations

import math

from aiohttp import web

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code
from rhetor.core.ids import new_id
from rhetor.core.value import value
from rhetor.wire import fields

MOST_CONTENT = 4_000  # characters of a message
MOST_PROMPT = 2_000  # characters of a system prompt
MOST_TEMPERATURE = 2.0
MOST_TOKENS = 4_000  # of an answer
MOST_NAME = 200
LONGEST_ID = 100
USUAL_TOKENS = 1_000  # of an answer, where nobody says how many


@value(kw_only=True)
class Wanted:
    """A new session, as far as anybody says how it is to be."""

    provider: str | None
    model: str | None
    system: str | None
    temperature: float | None
    max_tokens: int | None


@value(kw_only=True)
class Sent:
    """A message."""

    session_id: str
    text: str
    provider: str | None
    """Who is to answer from now on; None: whoever does."""
    message_id: str


def read_session(said: Json) -> Wanted:
    return Wanted(
        provider=words(said, "provider", MOST_NAME) or None,
        model=words(said, "model", MOST_NAME) or None,
        system=words(said, "systemPrompt", MOST_PROMPT),
        temperature=number(said, "temperature", 0, MOST_TEMPERATURE),
        max_tokens=whole(said, "maxTokens", 1, MOST_TOKENS),
    )


def read_message(said: Json) -> Sent:
    """The body of a message; `content` is its name in the platform's own words."""
    key = "message" if said.get("message") is not None else "content"
    text = words(said, key, MOST_CONTENT)
    if text is None or not text.strip():
        raise BadRequest(f"message: expected 1 to {MOST_CONTENT} characters", param="message")
    session_id = words(said, "sessionId", LONGEST_ID)
    if not session_id:
        raise fields.missing("sessionId", "the session's id")
    return Sent(
        session_id=session_id,
        text=text,
        provider=words(said, "provider", MOST_NAME) or None,
        message_id=words(said, "messageId", LONGEST_ID) or new_id("msg"),
    )


def words(said: Json, key: str, most_chars: int) -> str | None:
    found = fields.optional_text(said, key)
    if found is not None and len(found) > most_chars:
        raise BadRequest(f"{key}: at most {most_chars} characters, got {len(found)}", param=key)
    if found is not None and "\0" in found:
        raise BadRequest(f"{key}: a NUL character is no text", param=key)
    return found


def number(said: Json, key: str, least: float, most: float) -> float | None:
    """A number, and 0 is one."""
    found = fields.optional_number(said, key)
    if found is not None and not (math.isfinite(found) and least <= found <= most):
        raise BadRequest(f"{key}: expected {least:g} to {most:g}, got {found:g}", param=key)
    return found


def whole(said: Json, key: str, least: int, most: int) -> int | None:
    found = fields.optional_integer(said, key)
    if found is not None and not least <= found <= most:
        raise BadRequest(f"{key}: expected {least} to {most}, got {found}", param=key)
    return found


def query_whole(http: web.Request, key: str, default: int, least: int, most: int) -> int:
    given = http.query.get(key)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= 9) or not least <= int(given) <= most:
        raise BadRequest(f"{key}: expected a whole number from {least} to {most}", param=key)
    return int(given)


def id_in(http: web.Request) -> str:
    """The session that the path names."""
    id = http.match_info["id"]
    if len(id) > LONGEST_ID or "\0" in id:
        raise BadRequest("no such session", Code.NOT_FOUND)
    return id
