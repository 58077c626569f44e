"""Recorded generations: how they are, what they said, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

import orjson
from aiohttp import web

from rhetor import tasks
from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event
from rhetor.core.ids import new_id
from rhetor.core.request import Request
from rhetor.http.admission import enter
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.recorded import keepalive_of
from rhetor.http.reply import refusal, reply_info, stream
from rhetor.pipeline.recording import Follower, Recording
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import JSON_TYPE, STREAM_TYPE, Door, Renderer, Wire
from rhetor.wire.generate import GENERATE
from rhetor.wire.openai import OPENAI
from rhetor.wire.openai.responses import RESPONSES
from rhetor.wire.openai.speech import SpeechEventsDoor
from rhetor.wire.places import NumberedRenderer, Place, parse_place
from rhetor.wire.rhetor import RHETOR
from rhetor.wire.sse import frame
from rhetor.wire.tekton import TEKTON
from rhetor.wire.tekton.reply import error_fields, usage_fields

DIALECTS: Mapping[str, Wire] = {
    wire.name: wire for wire in (TEKTON, OPENAI, RESPONSES, ANTHROPIC, RHETOR, GENERATE)
}
IN_EVENTS: Mapping[tuple[str, Capability], Door] = {
    (OPENAI.name, Capability.TEXT_TO_AUDIO): SpeechEventsDoor()
}
"""Doors whose replies would be no text."""
QUERY = ("after", "dialect")


async def generation(http: web.Request) -> web.StreamResponse:
    """A recorded generation: its state, who serves it, and what it used."""
    return _state(_find(http))


async def cancel(http: web.Request) -> web.StreamResponse:
    """End a recorded generation that runs, with its call to the provider; forget one that has ended."""
    recording = _find(http)
    await http.app[HOUSE].recordings.cancel(recording)
    return _state(recording)


async def events(http: web.Request) -> web.StreamResponse:
    """What a recorded generation said after `Last-Event-ID` or `?after=`, and what it still says, as events.

    In the language of the request, or of `?dialect=` tekton, openai,
    responses, anthropic, rhetor or generate. Status 204 when there is nothing more to come.
    """
    wanted = http.query.get("dialect")
    if wanted is not None and wanted not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise BadRequest(f"dialect: expected one of {known}, got {wanted!r}", param="dialect")
    wire = DIALECTS[wanted or TEKTON.name]
    try:
        recording = _find(http)
        wire = DIALECTS[wanted or _language_of(recording)]
        task = http.task
        enter(http.app[HOUSE], task)
        try:
            return await _events(http, recording, wire)
        except asyncio.CancelledError as cancelled:
            raise tasks.survive(cancelled) from None
        finally:
            http.app[HOUSE].requests.discard(task)
    except RhetorError as error:
        return refusal(wire, error, new_id("req"))


async def _events(http: web.Request, recording: Recording, wire: Wire) -> web.StreamResponse:
    after = _after(http, wire)
    request = replace(recording.request, stream=True)
    follower = http.app[HOUSE].recordings.follow(recording, request)
    async with follower:
        if after.chunk > recording.length:
            raise BadRequest("this event did not happen yet: the id is of another generation")
        if recording.ended and after.chunk == recording.length and not await _rest(follower, wire, after):
            return web.Response(status=204)  # which tells a browser not to come back
        if http.method == "HEAD":
            return web.Response(headers={"content-type": STREAM_TYPE})
        renderer = _renderer(follower, wire, after)
        return await stream(http, follower, renderer, keepalive_of(_door(request, wire)))


async def _rest(follower: Follower, wire: Wire, after: Place) -> bytes:
    """All that follows the place, of a generation that has ended."""
    renderer = _renderer(follower, wire, after)
    return b"".join([renderer.render(chunk.events) async for chunk in follower.chunks()])


def _renderer(follower: Follower, wire: Wire, after: Place) -> Renderer:
    renderer = _door(follower.request, wire).renderer(follower.request, reply_info(follower))
    if renderer.content_type != STREAM_TYPE:
        renderer = _InOneFrame(renderer, wire, follower.request.id)
    return NumberedRenderer(renderer, wire.name, after)


def _door(request: Request, wire: Wire) -> Door:
    door = IN_EVENTS.get((wire.name, request.capability)) or wire.doors.get(request.capability)
    if door is None:
        message = f"{request.capability} cannot be told in the language {wire.name}"
        raise BadRequest(message, Code.UNSUPPORTED, param="dialect")
    return door


class _InOneFrame:
    """A reply that has no stream, such as embeddings, as a stream of one event."""

    content_type = STREAM_TYPE

    def __init__(self, renderer: Renderer, wire: Wire, request_id: str) -> None:
        self._renderer = renderer
        self._wire = wire
        self._request_id = request_id

    def render(self, events: Iterable[Event]) -> bytes:
        try:
            body = self._renderer.render(events)
        except RhetorError as error:
            body = self._wire.render_error(error, self._request_id)
        return frame(body) if body else b""


def _find(http: web.Request) -> Recording:
    return http.app[HOUSE].recordings.find(http.match_info["id"], http.get(PRINCIPAL))


def _language_of(recording: Recording) -> str:
    original = recording.request.original
    return original.wire if original is not None and original.wire in DIALECTS else TEKTON.name


def _after(http: web.Request, wire: Wire) -> Place:
    if id := http.headers.get("Last-Event-ID"):
        return parse_place(id, wire.name, "Last-Event-ID")
    return parse_place(http.query.get("after", ""), wire.name, "after")


def _state(recording: Recording) -> web.Response:
    said: dict[str, JsonValue] = {
        "id": recording.id,
        "object": "generation",
        "state": recording.state.value,
        "created_at": recording.began_at.isoformat(),
        "detached": recording.detached,
        "resume_s": recording.resume_s,
        "keep_s": recording.keep_s,
        "meta": recording.meta,
    }
    if recording.usage is not None:
        said |= usage_fields(recording.usage)
    if recording.error is not None:
        said |= error_fields(recording.error)
    return web.Response(body=orjson.dumps(said), content_type=JSON_TYPE)
