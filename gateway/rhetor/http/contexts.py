"""Contexts: what was noted under a `context_id`, to be read, searched, written, summed up and forgotten.

The shapes are those of the earlier Rhetor's `/contexts`, by the documentation
in its public repository (read 2026-11-21).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import orjson
from aiohttp import web

from rhetor.core.content import Json, JsonValue, Text
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Folded
from rhetor.core.request import Chat, Message, Original, Request, Role
from rhetor.http.house import HOUSE, PRINCIPAL, House
from rhetor.http.recalled import KIND, entries_of, latest, read, room
from rhetor.http.reply import UnderWay, answer, read_body
from rhetor.store.base import Entry
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE, Renderer, ReplyInfo
from rhetor.wire.tekton import TEKTON, ChatDoor
from rhetor.wire.tekton.ask import MOST_HISTORY, WIRE, context_of, messages_of, short_name, to_request
from rhetor.wire.tekton.notes import noted, notes, shown, transcript
from rhetor.wire.tekton.reply import WholeReply

NAME = "contexts"
LISTED = 100
READ = 20
FOUND = 5
SUMMARY_TOKENS = 150
MOST = 1_000  # of anything in one reply
DIGITS = 12  # more of them make no sensible number, and cost time to read
MODEL = ("model", "model_id", "provider_id")
LISTING = ("limit",)
READING = ("limit", "include_metadata")
SEARCHING = ("query", "limit")
SUMMARIZING = ("max_tokens", *MODEL)
FLAGS = {"true": True, "1": True, "false": False, "0": False}
INSTRUCTION = (
    "Summarize the conversation below for somebody who will go on with it: what it is about, what was "
    "decided or found out, and what is open. Write plain prose, nothing before or after it."
)


async def contexts(http: web.Request) -> web.Response:
    """The contexts of this caller in which something is noted; what was changed last comes first."""
    found = await http.app[HOUSE].transcripts.list(KIND, _owner(http), _number(http, "limit", LISTED))
    listed: list[JsonValue] = [
        {
            "context_id": each.id,
            "message_count": each.entries,
            "created_at": each.created_at.isoformat(),
            "last_updated": each.updated_at.isoformat(),
        }
        for each in found
    ]
    return _json({"count": len(listed), "contexts": listed})


async def context(http: web.Request) -> web.Response:
    """The last messages of a context, in order; with `include_metadata` what is known of each."""
    house, owner, id = await _found(http)
    metadata = _flag(http, "include_metadata")
    entries = await read(house, owner, id, _number(http, "limit", READ))
    messages = [_message(entry, metadata) for entry in entries]
    return _json({"context_id": id, "count": len(messages), "messages": messages})


async def forget(http: web.Request) -> web.Response:
    """Forget a context with all its messages."""
    house, owner, id = await _found(http)
    return _json({"success": await house.transcripts.remove(KIND, owner, id), "context_id": id})


async def search(http: web.Request) -> web.Response:
    """The messages of a context that have these words in them, whatever their case; the newest come first."""
    house, owner, id = await _found(http)
    said = await _body(http)
    words = (http.query.get("query") or fields.optional_text(said, "query") or "").strip()
    if not words:
        raise fields.missing("query", "the words to look for")
    limit = min(fields.optional_integer(said, "limit", least=1) or FOUND, MOST)
    entries = await house.transcripts.search(KIND, owner, id, words, _number(http, "limit", limit))
    results = [_message(entry, metadata=False) for entry in entries]
    return _json({"context_id": id, "query": words, "count": len(results), "results": results})


async def write(http: web.Request) -> web.Response:
    """Note messages in a context: one as the body, or several as `messages`; with the first one it begins."""
    house, owner, id = http.app[HOUSE], _owner(http), _id(http)
    said = fields.parse_object(await read_body(http))
    given: Json = said if "messages" in said else {"messages": [said]}
    messages, metadata = [], []
    for message, path in fields.objects(given, "messages"):
        metadata.append(fields.optional_mapping(message, "metadata", path) or {})
        messages.append({key: value for key, value in message.items() if key != "metadata"})
    dropped: list[str] = []
    messages_of(
        {"messages": [*messages]}, dropped
    )  # all together, so that what is wrong is named by its place
    told = [
        note
        for message, about in zip(messages, metadata, strict=True)
        for note in notes(messages_of({"messages": [message]}, []), about)
    ]
    entries = entries_of(told, house.clock.utc())
    fields.dump({"messages": [_message(entry, metadata=True) for entry in entries]})  # as it will be read
    await house.transcripts.append(KIND, owner, id, entries)
    ids: list[JsonValue] = [entry.id for entry in entries]
    return _json({"success": True, "context_id": id, "count": len(ids), "ids": ids, "dropped": [*dropped]})


async def summarize(http: web.Request) -> web.StreamResponse:
    """Have a model sum up a context: a generation like any other, which is not noted in it."""
    with UnderWay(http) as house:
        _, owner, id = await _found(http)
        said = {**await _body(http), **_settings(http), "context_id": id}
        request = to_request(said, lambda said, unsaid: (), Original(WIRE, fields.dump(said), said))
        entries = await read(house, owner, id, MOST_HISTORY)
        _ask_for_summary(house, request, noted([entry.said for entry in entries]))
        return await answer(http, house, TEKTON, _SummaryDoor(), request, NAME)


def _ask_for_summary(house: House, request: Request, messages: Sequence[Message]) -> None:
    """Have the request tell the conversation, the last of it where the model takes no more."""
    chat = request.input
    assert isinstance(chat, Chat)
    told = latest(messages, *room(house.pipeline, request)) or messages[-1:]
    if len(told) < len(messages):
        request.unsaid += (f"context: {len(messages) - len(told)} earlier messages",)
    text = transcript(told)
    request.recalled_bytes = sys.getsizeof(text)
    conversation = (Message(Role.SYSTEM, (Text(INSTRUCTION),)), Message(Role.USER, (Text(text),)))
    max_tokens = chat.max_tokens or SUMMARY_TOKENS
    request.input = replace(chat, messages=chat.messages + conversation, max_tokens=max_tokens)


class _SummaryDoor(ChatDoor):
    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return _Summary(info, context_of(request))


class _Summary(WholeReply):
    """A whole reply whose text is the summary, too."""

    def write(self, folded: Folded) -> bytes:
        return orjson.dumps({**self.said(folded), "summary": folded.text})


async def _found(http: web.Request) -> tuple[House, str, str]:
    """The house, and the owner and id of the context that is asked for.

    Raises:
        BadRequest: not_found, nothing is noted in it, also when it is somebody else's.
    """
    house, owner, id = http.app[HOUSE], _owner(http), _id(http)
    if await house.transcripts.find(KIND, owner, id) is None:
        raise BadRequest("nothing is noted in this context", Code.NOT_FOUND)
    return house, owner, id


def _owner(http: web.Request) -> str:
    return http.get(PRINCIPAL) or ""


def _id(http: web.Request) -> str:
    return short_name(http.match_info, "id") or ""


async def _body(http: web.Request) -> dict[str, JsonValue]:
    """What the body says, which may be empty: the query says the most of it, too."""
    body = await read_body(http)
    return fields.parse_object(body) if body else {}


def _message(entry: Entry, metadata: bool) -> JsonValue:
    return {"id": entry.id, **shown(entry.said, metadata), "timestamp": entry.at.isoformat()}


def _settings(http: web.Request) -> Json:
    """What the query says of a generation; it wins over the body."""
    said: dict[str, JsonValue] = {key: http.query[key] for key in MODEL if key in http.query}
    if "max_tokens" in http.query:
        said["max_tokens"] = _number(http, "max_tokens", SUMMARY_TOKENS, most=None)
    return said


def _number(http: web.Request, key: str, default: int, most: int | None = MOST) -> int:
    text = http.query.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not 1 <= (number := int(text[:DIGITS])) <= (most or number):
        expected = f"a number from 1 to {most}" if most else "a number from 1 on"
        raise BadRequest(f"{key}: expected {expected}", param=key)
    return number


def _flag(http: web.Request, key: str) -> bool:
    word = http.query.get(key, "false").lower()
    if word not in FLAGS:
        raise BadRequest(f"{key}: expected true or false", param=key)
    return FLAGS[word]


def _json(said: Json) -> web.Response:
    return web.Response(body=fields.dump(said), content_type=JSON_TYPE)
