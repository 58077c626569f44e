"""Which replies are recorded: those that a caller, or the operator for a route, wants to survive the network.

`x-rhetor-detach: 300` has the generation go on without its caller, and be kept
for so many seconds after its end. `x-rhetor-resume: 30` has it wait so long for
a caller who was cut off, and end when nobody comes back. `Idempotency-Key`
makes the same request, sent twice, one generation. Everything else is an
ordinary trip.
"""

from __future__ import annotations

from hashlib import sha256

from aiohttp import web

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.media import Draw, Make, Speak, Transcribe
from rhetor.core.request import Chat, Request
from rhetor.http.house import House
from rhetor.pipeline.detached import Repeat
from rhetor.pipeline.keeping import Keep, kept
from rhetor.pipeline.recording import Follower, Retention, Telling
from rhetor.pipeline.shelving import Noting
from rhetor.routing.catalog import DEFAULT_NAMES
from rhetor.wire.base import STREAM_TYPE, Door, Renderer, ReplyInfo, Wire
from rhetor.wire.places import NumberedRenderer

DETACH_HEADER = "x-rhetor-detach"
RESUME_HEADER = "x-rhetor-resume"
KEY_HEADER = "Idempotency-Key"
REPLAY_HEADER = "x-rhetor-idempotent-replay"
KEY_LIMIT = 256  # characters
SENT = web.RequestKey("sent", bytes)
"""The body as it came, where what the caller has stored is put into it before it is the request's."""
MOST_DETACH_S = 86_400.0  # whoever comes back after a day has asked anew
UNKEPT = Retention()
NOTED = (Draw, Speak, Transcribe, Make)
"""Requests of which is noted what came of them; nobody else's reply has anything to do with the store."""
MOST_RESUME_S = 600.0  # a provider generates for nobody meanwhile; who wants longer says that by detaching


def begin(
    http: web.Request,
    house: House,
    wire: Wire,
    door: Door,
    request: Request,
    name: str,
    keep: Keep | None = None,
) -> tuple[Telling, Door]:
    """The trip of this request, or its recording, and who renders it.

    Args:
        keep: gets the reply; one that repeats another by its key is not kept again.

    Raises:
        BadRequest: the headers ask for what cannot be; conflict: the key was used for another body.
    """
    headers = http.headers
    if (asked := headers.get(DETACH_HEADER)) is not None:
        request.detach_s = _seconds(DETACH_HEADER, asked)
    if (asked := headers.get(RESUME_HEADER)) is not None:
        request.resume_s = _seconds(RESUME_HEADER, asked)
    retention = retention_of(house, request)
    key = headers.get(KEY_HEADER)
    if (retention.wanted or key) and _choices(request) > 1:
        raise BadRequest("several choices cannot be recorded: ask for one, or without a key", param="n")
    repeat = repeat_of(http, request, key) if key else None
    trip = trip_of(house, request, name, retention, repeat, keep)
    if request.stream and isinstance(trip, Follower):
        door = _NumberedDoor(door, wire.name)
    return trip, door


def trip_of(
    house: House,
    request: Request,
    name: str,
    retention: Retention,
    repeat: Repeat | None = None,
    keep: Keep | None = None,
) -> Telling:
    """The trip, recorded where that is wanted, or where there is something to tell before anybody answers.

    Raises:
        RhetorError: pool_full, there is no room; who would only come back after a cut goes without.
    """
    if keep is None and house.assets.notes and isinstance(request.input, NOTED):
        keep = Noting(house.assets)
    early = request.stream and keep is not None and not callable(keep) and keep.early
    if retention.wanted or repeat is not None or early:
        try:
            return house.recordings.begin(request, name, retention, repeat, keep, early)
        except RhetorError as error:
            if error.code is not Code.POOL_FULL or retention.detach_s or repeat is not None:
                raise
    return kept(house.pipeline.trip(request, name), keep)


def retention_of(house: House, request: Request) -> Retention:
    """How long the reply is kept; for no time at all it is not recorded.

    Raises:
        BadRequest: the caller wants it kept for longer than anything is, or for no time that there is.
    """
    if request.detach_s is None and request.resume_s is None and not house.catalog.detaches:
        return UNKEPT
    detach_s = _detached_by_route(house, request) if request.detach_s is None else request.detach_s
    _refuse_beyond("detach_s", detach_s, MOST_DETACH_S)
    _refuse_beyond("resume_s", resume_s := request.resume_s or 0.0, MOST_RESUME_S)
    return Retention(detach_s, resume_s)


def _detached_by_route(house: House, request: Request) -> float:
    catalog, name = house.catalog, request.model
    if catalog.rules and name in DEFAULT_NAMES:
        name = catalog.ruled(request.component, request.task) or name
    route = catalog.routes.get(catalog.aliases.get(name, name))
    return route.detach_s if route is not None and _choices(request) == 1 else 0.0


def _refuse_beyond(field: str, wanted_s: float, most_s: float) -> None:
    if not 0 <= wanted_s <= most_s:
        raise BadRequest(f"{field}: expected 0 to {most_s:g} seconds, got {wanted_s:g}", param=field)


def _seconds(header: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        message = f"{header}: expected a number of seconds, such as 300"
        raise BadRequest(message, param=header) from None


def repeat_of(http: web.Request, request: Request, key: str) -> Repeat:
    """What makes this request the same as another one with this key.

    Raises:
        BadRequest: the key is too long.
    """
    if len(key) > KEY_LIMIT:
        message = f"{KEY_HEADER}: at most {KEY_LIMIT} characters, got {len(key)}"
        raise BadRequest(message, param=KEY_HEADER)
    digest = sha256(http.get(SENT) or b"")
    if SENT not in http and request.original is not None:
        for piece in request.original.pieces():
            digest.update(piece)
    return Repeat((request.principal, http.path, key), digest.digest())


def _choices(request: Request) -> int:
    return request.input.choices if isinstance(request.input, Chat) else 1


def keepalive_of(door: Door) -> bytes:
    """A frame without meaning for streams with ids.

    Readers that remember the last id, as the openai package does, take a
    comment's blank line for an event without data: there it stands alone.
    """
    return door.keepalive.removesuffix(b"\n") if door.keepalive.startswith(b":") else door.keepalive


class _NumberedDoor:
    """A door whose streams have ids, if they are server-sent events: lines of JSON have no place for them."""

    def __init__(self, door: Door, language: str) -> None:
        self._language = language
        self.keepalive = keepalive_of(door)
        self._renderer = door.renderer
        self.parse = door.parse

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        renderer = self._renderer(request, info)
        if renderer.content_type != STREAM_TYPE:
            return renderer
        return NumberedRenderer(renderer, self._language)
