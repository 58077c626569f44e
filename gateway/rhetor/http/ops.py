"""What operators and newcomers ask: health, readiness, metrics, what is served, and a page."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

import orjson
from aiohttp import web

from rhetor import __version__
from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.record import TripRecord
from rhetor.core.request import Chat, Request, Wanted
from rhetor.http.house import HOUSE, TOKEN, House
from rhetor.http.tickets import GOOD_FOR_S, PROTOCOL
from rhetor.http.tickets import PREFIX as TICKET_PREFIX
from rhetor.routing.decision import explained
from rhetor.telemetry.metrics import CONTENT_TYPE
from rhetor.wire.wanted import KEY as REQUIREMENTS
from rhetor.wire.wanted import read_wanted

COMPONENT = "rhetor"
LATEST_TRIPS = 50
SCRIPTS = (
    "tekton-llm-client.js",
    "tekton-llm-client.mjs",
    "tekton-llm-sessions.js",
    "tekton-llm-sessions.mjs",
    "tekton-llm-media.js",
    "tekton-llm-media.mjs",
    "rhetor-chat.js",
)
LISTS = ("capabilities", "tags", "strengths", "use_cases")
WORDS = ("prefer", "region", "price", "load_balancing", "speed", "cost")
EXPLAINED_BY = ("model", "capability", "component", "task", "max_cost", *LISTS, *WORDS)
PAGE_PARTS = {
    "base.css": "text/css",
    "console.css": "text/css",
    "console.js": "text/javascript",
    "page.js": "text/javascript",
    "prose.js": "text/javascript",
    "services.css": "text/css",
    "services.html": "text/html",
    "services.js": "text/javascript",
    "session.js": "text/javascript",
    "sessions.css": "text/css",
    "sessions.html": "text/html",
    "sessions.js": "text/javascript",
    "snippets.js": "text/javascript",
    "transcript.js": "text/javascript",
}


async def health(http: web.Request) -> web.Response:
    """Whether the process lives, and which providers can be asked."""
    house = http.app[HOUSE]
    providers = house.catalog.providers.values()
    usable = [p for p in providers if p.available and not p.last_resort]
    return _json(
        {
            "status": "healthy" if usable else "degraded",
            "component": COMPONENT,
            "service": COMPONENT,
            "version": __version__,
            "timestamp": house.clock.utc().isoformat(),
            "uptime": round(house.clock.monotonic_s() - house.began_s, 3),
            "port": house.port,
            "registered_with_hermes": False,
            "dependencies": [],
            "metrics": {"trips_in_flight": house.pipeline.in_flight},
            "details": {"providers": {p.id: p.available for p in providers}},
        }
    )


async def ready(http: web.Request) -> web.Response:
    """Whether new requests are welcome: 503 while shutting down."""
    house = http.app[HOUSE]
    body: dict[str, JsonValue] = {
        "ready": not house.closing,
        "component": COMPONENT,
        "version": __version__,
        "timestamp": house.clock.utc().isoformat(),
    }
    return _json(body, status=503 if house.closing else 200)


async def metrics(http: web.Request) -> web.Response:
    """Prometheus metrics; JSON for callers whose `Accept` names it, and with `?format=json`."""
    house = http.app[HOUSE]
    _refresh(house)
    if "application/json" in http.headers.get("Accept", "") or http.query.get("format") == "json":
        return web.Response(body=orjson.dumps(house.metrics.as_json()), content_type="application/json")
    return web.Response(body=house.metrics.text(), headers={"content-type": CONTENT_TYPE})


async def trips(http: web.Request) -> web.Response:
    """The newest generations as the books keep them: who asked whom, how it went, what it cost."""
    house = http.app[HOUSE]
    try:
        limit = max(1, min(int(http.query.get("limit", LATEST_TRIPS)), 1000))
    except ValueError:
        raise BadRequest("limit must be a number from 1 to 1000", param="limit") from None
    return _json({"trips": [_trip(record) for record in await house.books.latest(limit)]})


async def explain(http: web.Request) -> web.Response:
    """Which targets a chat with `?model=…` would try, in order, and why the others are left out."""
    query = http.query
    try:
        capability = Capability(query.get("capability", Capability.CHAT))
    except ValueError:
        known = ", ".join(Capability)
        raise BadRequest(f"no such capability; there are {known}", param="capability") from None
    request = Request(
        id="explain",
        capability=capability,
        model=query.get("model", ""),
        input=Chat(messages=()),
        component=query.get("component"),
        task=query.get("task"),
        wanted=_demands(query),
    )
    return _json(explained(http.app[HOUSE].pipeline.explain(request)))


def _demands(query: Mapping[str, str]) -> Wanted | None:
    """What the parameters demand: lists with commas between, the rest as in a body."""
    said: dict[str, JsonValue] = {name: query[name] for name in WORDS if name in query}
    for name in LISTS:
        if name in query:
            said[name] = [word.strip() for word in query[name].split(",")]
    if "max_cost" in query:
        try:
            said["max_cost"] = float(query["max_cost"])
        except ValueError:
            raise BadRequest("max_cost must be a number of dollars", param="max_cost") from None
    return read_wanted({REQUIREMENTS: said}) if said else None


async def targets(http: web.Request) -> web.Response:
    """How every target that was asked is doing: breaker, requests under way, speed, windows, refused keys."""
    house = http.app[HOUSE]
    rows: list[JsonValue] = [*house.pipeline.health.snapshot(house.clock.monotonic_s())]
    return _json({"targets": rows})


async def ticket(http: web.Request) -> web.Response:
    """A ticket for one WebSocket connection, soon, for pages: their scripts cannot send a token there."""
    given = http.app[HOUSE].tickets.give(http.get(TOKEN))
    response = _json(
        {"ticket": given, "protocols": [PROTOCOL, TICKET_PREFIX + given], "expires_in_s": GOOD_FOR_S}
    )
    response.headers["cache-control"] = "no-store"
    return response


async def reload(http: web.Request) -> web.Response:
    """Read the configuration again: all of it, or none when something is wrong with it."""
    try:
        await http.app[HOUSE].reload()
    except Exception as error:
        problems = getattr(error, "problems", None)
        if problems is None:
            raise
        raise BadRequest("; ".join(map(str, problems)), Code.INVALID_REQUEST) from None
    return _json({"reloaded": True})


async def page(http: web.Request) -> web.Response:
    """A page for people: providers, models, a prompt to try, and how to point an SDK here."""
    return _file("console/index.html", "text/html")


async def page_asset(http: web.Request) -> web.Response:
    """What the pages are made of, and the page of sessions itself."""
    name = http.match_info["name"]
    if name not in PAGE_PARTS:
        raise BadRequest("no such file", Code.NOT_FOUND)
    return _file(f"console/{name}", PAGE_PARTS[name])


async def script(http: web.Request) -> web.Response:
    """The JavaScript clients for pages, as scripts and as ES modules, and `<rhetor-chat>`."""
    name = http.match_info["name"]
    if name not in SCRIPTS:
        raise BadRequest("no such file", Code.NOT_FOUND)
    response = _file(f"console/{name}", "text/javascript")
    response.enable_compression()  # they keep their comments, for those who read what their page loads
    return response


def _file(name: str, kind: str) -> web.Response:
    text = resources.files("rhetor.http").joinpath(name).read_text("utf-8")
    headers = {
        "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    }
    return web.Response(text=text, content_type=kind, headers=headers)


def _refresh(house: House) -> None:
    """Gauges that are counted when somebody looks."""
    metrics, catalog = house.metrics, house.catalog
    metrics.set("rhetor_trips_in_flight", value=house.pipeline.in_flight)
    metrics.set("rhetor_websockets_open", value=len(house.websockets))
    running = sum(it.request.job and not it.ended for it in house.recordings.listed.values())
    metrics.set("rhetor_jobs_running", value=running)
    metrics.set("rhetor_assets_bytes", value=house.assets.stored_bytes)
    metrics.set("rhetor_build_info", __version__, value=1)
    metrics.forget("rhetor_models")
    metrics.forget("rhetor_provider_up")
    metrics.forget("rhetor_breaker_open")
    metrics.forget("rhetor_service_up")
    for name, up in house.services.is_up().items():
        metrics.set("rhetor_service_up", name, value=up)
    open_breakers = house.pipeline.health.open_breakers()
    for facts in catalog.providers.values():
        metrics.set("rhetor_provider_up", facts.id, value=1 if facts.available else 0)
        metrics.set("rhetor_breaker_open", facts.id, value=open_breakers[facts.id])
    for offer in catalog.offers.values():
        metrics.add("rhetor_models", offer.provider)


def _trip(record: TripRecord) -> JsonValue:
    return {
        "id": record.id,
        "at": record.at.isoformat(),
        "door": record.door,
        "capability": record.capability,
        "model": record.requested_model,
        "served_by": record.served_by,
        "outcome": record.outcome,
        "stream": record.stream,
        "fallback": record.fallback,
        "attempts": [attempt.as_json() for attempt in record.attempts],
        "input_tokens": record.usage.input_tokens,
        "output_tokens": record.usage.output_tokens,
        "usage_source": record.usage.source,
        "cost_micros": record.cost_micros,
        "first_event_ms": record.first_event_ms,
        "total_ms": record.total_ms,
        "component": record.component,
        "principal": record.principal,
        "session": record.session,
    }


def _json(value: Mapping[str, JsonValue], status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")
