"""Jobs: generations that go on without their caller, who asks how far they are and fetches what came of them.

A job is a recorded generation that is detached: it has the same id, and whatever can be asked of those can be
asked of it, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from rhetor import tasks
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Folder, Medium
from rhetor.core.ids import new_id
from rhetor.http.admission import CLOSING
from rhetor.http.house import HOUSE, PRINCIPAL, House
from rhetor.http.media.asked import Asked, read_asked
from rhetor.http.media.assets import saved, send
from rhetor.http.recorded import KEY_HEADER, keepalive_of, repeat_of, retention_of
from rhetor.http.reply import UnderWay, bytes_of, of_caller, refusal, reply_info, stream
from rhetor.pipeline.recording import Recording, State
from rhetor.pipeline.shelving import CHAIN, LINEAGE, MADE, NOT_STORED, PROMPT
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE, STREAM_TYPE
from rhetor.wire.generate import GENERATE, GENERATE_DOOR
from rhetor.wire.places import NumberedRenderer, Place, parse_place
from rhetor.wire.tekton.reply import error_fields

NAME = "jobs"
KEEP_S = 3600.0  # after its end, for its caller to come back
MOST_RUNNING = 256  # of one caller's
LISTED = 100
MOST_LISTED = 1_000
LISTING = ("status", "limit")
READING = ("after",)
FETCHING = ("index",)
STATUSES: Mapping[State, str] = {
    State.FINISHED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
WORDS = ("pending", "running", *STATUSES.values())
DIGITS = 4  # of an index; Python refuses to read thousands of them
SOON_S = 1.0  # when to ask again for what is not there yet


async def create(http: web.Request) -> web.Response:
    """Begin a generation that goes on by itself; `Idempotency-Key` makes it one, sent twice."""
    with UnderWay(http) as house:
        recording = begin(http, house, await read_asked(http))
    place = f"{http.path}/{recording.id}"
    said = {**described(recording, place), "object": "job"}
    return _json(said, 202, {"location": place})


def begin(http: web.Request, house: House, asked: Asked) -> Recording:
    """The job for this request, or the one that it repeats.

    Raises:
        BadRequest: conflict, the key was used for another body.
        RhetorError: pool_full, too many run; shutting_down.
    """
    if house.closing:
        raise RhetorError(CLOSING, Code.SHUTTING_DOWN)
    request = asked.request
    of_caller(http, request)
    request.job = True
    request.stream = True  # so that it is told how far it is
    request.detach_s = request.detach_s or KEEP_S
    running = sum(not job.ended for job in _jobs_of(house, request.principal))
    if running >= MOST_RUNNING:
        message = f"{running} jobs of yours are running: wait for one of them, or cancel it"
        raise RhetorError(message, Code.POOL_FULL, retry_after_s=SOON_S)
    key = http.headers.get(KEY_HEADER)
    repeat = repeat_of(http, request, key) if key else None
    begun = house.recordings.begin(request, NAME, retention_of(house, request), repeat, asked.keep)
    return begun.recording


async def jobs(http: web.Request) -> web.Response:
    """The caller's jobs, the newest first, by `?status=`."""
    wanted = http.query.get("status")
    if wanted is not None and wanted not in WORDS:
        raise BadRequest(f"status: expected one of {', '.join(WORDS)}, got {wanted[:50]!r}", param="status")
    try:
        limit = max(1, min(int(http.query.get("limit", LISTED)), MOST_LISTED))
    except ValueError:
        raise BadRequest(f"limit must be a number from 1 to {MOST_LISTED}", param="limit") from None
    found = _jobs_of(http.app[HOUSE], http.get(PRINCIPAL))
    told = [job for job in reversed(found) if wanted in (None, status_of(job))][:limit]
    return _json({"object": "list", "data": [described(job, f"{http.path}/{job.id}") for job in told]})


async def job(http: web.Request) -> web.Response:
    """How a job is: its status, how far it is, who was asked, what it made or why it failed."""
    return _json(described(find(http), http.path))


async def cancel(http: web.Request) -> web.Response:
    """End a job that runs, with its call to the provider; forget one that has ended."""
    found = find(http)
    await http.app[HOUSE].recordings.cancel(found)
    return _json(described(found, http.path))


async def events(http: web.Request) -> web.StreamResponse:
    """What a job tells while it runs, as server-sent events, after `Last-Event-ID` or `?after=`.

    Status 204 when there is nothing more to come.
    """
    with UnderWay(http) as house:
        found, after = find(http), _after(http)
        if after.chunk > found.length:
            raise BadRequest("this event did not happen yet: the id is of another job")
        if found.ended and found.length and after.chunk == found.length:
            return web.Response(status=204)  # which tells a browser not to come back
        if http.method == "HEAD":
            return web.Response(headers={"content-type": STREAM_TYPE})
        follower = house.recordings.follow(found, replace(found.request, stream=True), early=True)
        async with follower:
            renderer = GENERATE_DOOR.renderer(follower.request, reply_info(follower))
            numbered = NumberedRenderer(renderer, GENERATE.name, after)
            try:
                return await stream(http, follower, numbered, keepalive_of(GENERATE_DOOR))
            except RhetorError as error:
                return refusal(GENERATE, error, found.id, found.meta)


async def result(http: web.Request) -> web.StreamResponse:
    """What a job has made, as `POST /v1/generate` would have answered; 409 while it runs."""
    with UnderWay(http) as house:
        found = _ended(http)
        follower = house.recordings.follow(found, replace(found.request, stream=False))
        try:
            async with follower:
                renderer = GENERATE_DOOR.renderer(follower.request, reply_info(follower))
                pieces = [bytes_of(follower, renderer, chunk) async for chunk in follower.chunks()]
        except (RhetorError, asyncio.CancelledError) as error:
            cause = error if isinstance(error, RhetorError) else tasks.survive(error)
            return refusal(GENERATE, cause, found.id, found.meta)
        return web.Response(body=b"".join(pieces), content_type=JSON_TYPE)


async def download(http: web.Request) -> web.StreamResponse:
    """The first medium that a job has made, or the one of `?index=`; its text where it made none."""
    found = _ended(http)
    if found.error is not None:
        return refusal(GENERATE, found.error, found.id, found.meta)
    house = http.app[HOUSE]
    told = await _told(house, found) if NOT_STORED in found.meta else {}
    kept: dict[int, Medium | str] = {**told, **_stored(found)}
    made = [*sorted(kept.items())]
    if not made:
        return await result(http)
    index = http.query.get("index", "0")
    if not (index.isascii() and index.isdigit() and len(index) <= DIGITS and int(index) < len(made)):
        raise BadRequest(f"index: expected a number from 0 to {len(made) - 1}", param="index")
    place, it = made[int(index)]
    if isinstance(it, Medium):
        return saved(it, f"{found.id}-{place}")
    return await send(http, await house.assets.find(http.get(PRINCIPAL) or "", it), save=True)


def find(http: web.Request) -> Recording:
    """The caller's job.

    Raises:
        BadRequest: not_found.
    """
    recordings, id = http.app[HOUSE].recordings, http.match_info["id"]
    found = recordings.listed.get(id)
    if found is None or found.door != NAME or found.request.principal != http.get(PRINCIPAL):
        raise BadRequest("no such job: there never was, or it is kept no longer", Code.NOT_FOUND)
    return found


def status_of(job: Recording) -> str:
    """`pending` until somebody works on it."""
    if job.ended:
        return STATUSES[job.state]
    return "running" if job.answered or job.progress is not None else "pending"


def described(job: Recording, place: str) -> dict[str, JsonValue]:
    """A job as its caller reads it.

    Args:
        place: where it is found.
    """
    meta = job.meta
    said: dict[str, JsonValue] = {
        "id": job.id,
        "object": "job",
        "status": status_of(job),
        "capability": job.request.capability.value,
        "created_at": job.began_at.isoformat(),
        "progress": _progress(job),
        "status_url": place,
        "events_url": f"{place}/events",
        "result_url": f"{place}/result",
        "download_url": f"{place}/download",
        "model": meta.get("model"),
        "served_by": meta.get("served_by"),
        "attempts": meta.get("attempts"),
        "keep_s": job.keep_s,
    }
    if made := _made(job):
        said["assets"] = [*made]
    for name in (LINEAGE, PROMPT, CHAIN, NOT_STORED):
        if name in meta and job.ended:
            said[name] = meta[name]
    if job.ended and job.error is None:
        said["cost_micros"] = meta.get("cost_micros")
    if job.error is not None:
        said |= error_fields(job.error)
    return said


def _progress(job: Recording) -> Json:
    if job.ended and job.error is None:
        return {"fraction": 1.0, "note": ""}
    if job.progress is None:
        return {"fraction": None, "note": ""}
    return {"fraction": job.progress.fraction, "note": job.progress.note}


def _made(job: Recording) -> list[JsonValue]:
    made = job.meta.get(MADE)
    return made if isinstance(made, list) else []


def _stored(job: Recording) -> dict[int, str]:
    """The ids of assets that it made, by their places in its reply."""
    made = (it for it in _made(job) if isinstance(it, dict))
    return {
        index: id for it in made if isinstance(index := it["index"], int) and isinstance(id := it["id"], str)
    }


async def _told(house: House, job: Recording) -> dict[int, Medium]:
    """Media that are in its reply, since they could not be stored, by their places there."""
    folder = Folder()
    async with house.recordings.follow(job, replace(job.request, stream=False)) as follower:
        async for chunk in follower.chunks():
            for event in chunk.events:
                folder.add(event)
    media = folder.result().media
    return {index: medium for index, medium in media.items() if isinstance(medium, Medium)}


def _jobs_of(house: House, principal: str | None) -> list[Recording]:
    listed = house.recordings.listed.values()
    return [it for it in listed if it.door == NAME and it.request.principal == principal]


def _ended(http: web.Request) -> Recording:
    found = find(http)
    if not found.ended:
        message = f"this job is {status_of(found)}: its result comes later"
        raise RhetorError(message, Code.CONFLICT, retry_after_s=SOON_S)
    return found


def _after(http: web.Request) -> Place:
    if id := http.headers.get("Last-Event-ID"):
        return parse_place(id, GENERATE.name, "Last-Event-ID")
    return parse_place(http.query.get("after", ""), GENERATE.name, "after")


def _json(said: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    id = {"x-request-id": new_id("req"), **(headers or {})}
    return web.Response(status=status, body=fields.dump(said), content_type=JSON_TYPE, headers=id)
