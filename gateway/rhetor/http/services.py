"""The local servers of this gateway: how they are doing, what they say, and the switches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import orjson
from aiohttp import web

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.admission import CLOSING, admit_again
from rhetor.http.house import HOUSE, House
from rhetor.http.served import Served
from rhetor.http.stream import CallerLeft, EventStream
from rhetor.pipeline.patience import Patience
from rhetor.services.entry import Status
from rhetor.services.journal import Journal, Line
from rhetor.services.requirements import Requirement
from rhetor.wire.base import STREAM_TYPE
from rhetor.wire.tekton import TEKTON

LOGS = ("follow", "after", "lines")
LINES, MOST_LINES = 200, 10_000
LOOK_S = 5.0  # how often the reader of a silent log is asked for its token again
SLOW_S = 60.0  # for a reader to take what a socket holds
PIECE_LINES = 100  # in one event
BEGINNING = b"retry: 1000\n\n"
KEEPALIVE = b": keep-alive\n"
HEAD: Mapping[str, str] = {
    "content-type": STREAM_TYPE,
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
TRUE = frozenset({"1", "true", "yes"})


def service_table() -> list[Served]:
    """The paths of services."""
    one = "/v1/services/{name}"
    return [
        Served("services", "GET", "/v1/services", services, TEKTON),
        Served("services", "POST", "/v1/services/cleanup", cleanup, TEKTON, takes_body=False),
        Served("services", "GET", one, service, TEKTON),
        Served("services", "GET", f"{one}/logs", logs, TEKTON, query=LOGS),
        Served("services", "POST", f"{one}/start", start, TEKTON, takes_body=False),
        Served("services", "POST", f"{one}/stop", stop, TEKTON, takes_body=False),
        Served("services", "POST", f"{one}/restart", restart, TEKTON, takes_body=False),
    ]


async def services(http: web.Request) -> web.Response:
    """Every service: its state, where it listens, what it needs of this machine, and why it failed last."""
    statuses = await http.app[HOUSE].services.statuses()
    return _json({"object": "list", "data": [described(it) for it in statuses]})


async def service(http: web.Request) -> web.Response:
    """One service, as in the list of all."""
    return _json(described(await http.app[HOUSE].services.status(_name(http))))


async def start(http: web.Request) -> web.Response:
    """Start it, however often it has failed, and answer when it is ready; it starts also if nobody waits."""
    return await _done(http, http.app[HOUSE].services.start)


async def stop(http: web.Request) -> web.Response:
    """Stop it, also while calls use it. The next call that needs it starts it again."""
    return await _done(http, http.app[HOUSE].services.stop)


async def restart(http: web.Request) -> web.Response:
    """Stop it, and start it as `start` does."""
    return await _done(http, http.app[HOUSE].services.restart)


async def cleanup(http: web.Request) -> web.Response:
    """End what earlier gateways left running, and remove the containers of services that do not run."""
    cleaned = await http.app[HOUSE].services.cleanup()
    return _json(
        {
            "object": "cleanup",
            "processes": cleaned.processes,
            "composed": list(cleaned.composed),
            "errors": list(cleaned.errors),
        }
    )


async def logs(http: web.Request) -> web.StreamResponse:
    """What it has written lately, without secrets: the last `lines`, or those `after` a place; with `follow`
    as events, and then whatever comes.
    """
    journal = http.app[HOUSE].services.logs(_name(http))
    after = _whole(http, "after", 0, 2**53)
    lines = journal.after(after) if after else journal.latest(_whole(http, "lines", LINES, MOST_LINES))
    if http.query.get("follow", "").lower() in TRUE:
        return await _follow(http, journal, lines)
    return _json({"object": "list", "data": [line_shown(line) for line in lines], "last": journal.last})


def described(status: Status) -> dict[str, JsonValue]:
    return {
        "object": "service",
        "name": status.name,
        "kind": status.kind,
        "state": status.state.value,
        "since": status.since.isoformat(),
        "url": status.url,
        "port": status.port,
        "pid": status.pid,
        "own": status.own,
        "providers": list(status.providers),
        "needed_by": status.needed_by,
        "restarts": status.restarts,
        "error": status.error,
        "always": status.always,
        "idle_stop_s": status.idle_stop_s,
        "requirements": [_requirement(it) for it in status.requirements],
    }


def line_shown(line: Line) -> dict[str, JsonValue]:
    return {"seq": line.seq, "at": line.at.isoformat(), "text": line.text, "ours": line.ours}


def _requirement(it: Requirement) -> dict[str, JsonValue]:
    return {"name": it.name, "wanted": it.wanted, "found": it.found, "met": it.met}


async def _done(http: web.Request, do: Callable[[str], Awaitable[Status]]) -> web.Response:
    return _json(described(await do(_name(http))))


async def _follow(http: web.Request, journal: Journal, lines: Sequence[Line]) -> web.StreamResponse:
    """Some lines, and then whatever comes, until the caller leaves or may not read any more."""
    house = http.app[HOUSE]
    out = EventStream(http, lambda: HEAD, KEEPALIVE, house.keepalive_s)
    rules = house.gatekeeping
    seq = lines[-1].seq if lines else journal.last
    try:
        out.send(BEGINNING)
        while not house.closing:
            for n in range(0, len(lines), PIECE_LINES):
                if out.send(b"".join(map(_frame, lines[n : n + PIECE_LINES]))):
                    await _caught_up(out)
            if house.gatekeeping is not rules:
                admit_again(http, house)
                rules = house.gatekeeping
            lines = await _more(journal, seq)
            seq = lines[-1].seq if lines else seq
        return await _say_why(out, RhetorError(CLOSING, Code.SHUTTING_DOWN))
    except RhetorError as error:
        return await _say_why(out, error)
    except asyncio.CancelledError:
        _leave(out, house)
        raise
    finally:
        out.close()


async def _more(journal: Journal, seq: int) -> Sequence[Line]:
    """The lines after this place, if there are any within a while."""
    if not (lines := journal.after(seq)):
        with suppress(TimeoutError), Patience(asyncio.get_running_loop(), LOOK_S):
            await journal.more()
        lines = journal.after(seq)
    return lines


def _leave(out: EventStream, house: House) -> None:
    """The house closes, or the caller has left."""
    if house.closing and out.takes_more:
        with suppress(CallerLeft):
            out.send(b": %b\n\n" % CLOSING.encode())


async def _caught_up(out: EventStream) -> None:
    try:
        with Patience(asyncio.get_running_loop(), SLOW_S):
            await out.catch_up()
    except TimeoutError:
        out.abort()
        raise CallerLeft from None


async def _say_why(out: EventStream, error: RhetorError) -> web.StreamResponse:
    out.send(b": %b\n\n" % " ".join(error.message.split()).encode())
    return await out.end()


def _frame(line: Line) -> bytes:
    return b"id: %d\nevent: line\ndata: %b\n\n" % (line.seq, orjson.dumps(line_shown(line)))


def _name(http: web.Request) -> str:
    return http.match_info["name"]


def _whole(http: web.Request, name: str, usual: int, most: int) -> int:
    given = http.query.get(name)
    if given is None:
        return usual
    if not (given.isascii() and given.isdigit() and len(given) <= 16 and int(given) <= most):
        raise BadRequest(f"{name}: expected a whole number up to {most}", param=name)
    return int(given)


def _json(value: Mapping[str, JsonValue]) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
