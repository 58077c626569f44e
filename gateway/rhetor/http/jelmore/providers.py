"""With whom Jelmore's callers can hold sessions, how they are, and how many sessions there are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.jelmore.shape import health, metrics, models_of, provider
from rhetor.http.sessions.bodies import query_whole
from rhetor.sessions.manager import Sessions
from rhetor.sessions.selection import Prospect
from rhetor.sessions.states import IN_TURN, State
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.jelmore import backend_of, provider_of

CLEANING = ("max_age_seconds",)
OLD_S = 3600
MOST_AGE_S = 100 * 365 * 86_400
PREFERRED = ("claude_code", "opencode", "codex", "chat")
"""Whom callers get who name no provider and demand nothing: an agent, where one is on."""
COUNTED = (*IN_TURN, State.IDLE, State.SUSPENDED)


async def provider_info(http: web.Request) -> web.Response:
    """A provider: its health, its sessions, what it can do, its models (Jelmore)."""
    house, prospect = http.app[HOUSE], await _prospect(http)
    counted = await _counted(http)
    return _json(provider(prospect, house.catalog, _metrics_of(prospect.backend.name, counted)))


async def provider_health(http: web.Request) -> web.Response:
    """Whether a provider can be used (Jelmore)."""
    prospect = await _prospect(http)
    counted = _metrics_of(prospect.backend.name, await _counted(http))
    return _json(health(prospect, models_of(prospect, http.app[HOUSE].catalog), counted))


async def system_status(http: web.Request) -> web.Response:
    """All providers, and how many sessions the caller has with them (Jelmore)."""
    house = http.app[HOUSE]
    prospects = await house.sessions.prospects()
    counted = await _counted(http)
    by_name = {provider_of(each.backend.name): each for each in prospects}
    counts = {name: _metrics_of(each.backend.name, counted) for name, each in by_name.items()}
    in_all = {state: sum(by_backend.values()) for state, by_backend in counted.items()}
    return _json(
        {
            "status": "shutting_down" if house.closing else "running",
            "providers": {
                "total": len(prospects),
                "active": sum(each.condition.healthy for each in prospects),
                "default": provider_of(default_backend(house.sessions)),
                "health": {
                    name: health(each, models_of(each, house.catalog), counts[name])
                    for name, each in by_name.items()
                },
                "metrics": counts,
            },
            "sessions": {
                "total": sum(in_all.values()),
                "active": sum(in_all[state] for state in IN_TURN),
            },
            "timestamp": house.clock.utc().isoformat(),
        }
    )


async def cleanup(http: web.Request) -> web.Response:
    """Forget the caller's sessions that nobody touched for `?max_age_seconds=` (Jelmore)."""
    sessions = http.app[HOUSE].sessions
    max_age_s = query_whole(http, "max_age_seconds", OLD_S, most=MOST_AGE_S)
    gone = await sessions.cleanup(http.get(PRINCIPAL) or "", max_age_s)
    by_provider: dict[str, JsonValue] = {provider_of(name): 0 for name in sessions.backends}
    by_provider |= {provider_of(name): count for name, count in gone.items()}
    total = sum(gone.values())
    return _json({"total_cleaned": total, "by_provider": by_provider, "max_age_seconds": max_age_s})


def default_backend(sessions: Sessions) -> str:
    return next((name for name in PREFERRED if name in sessions.backends), next(iter(sessions.backends)))


def backend_named(sessions: Sessions, name: str) -> str:
    """
    Raises:
        BadRequest: not_found, there is no such provider, or it is off.
    """
    backend = backend_of(name)
    if backend not in sessions.backends:
        known = ", ".join(map(provider_of, sessions.backends))
        message = f"Provider {name[:100]!r} not found; there are {known}"
        raise BadRequest(message, Code.NOT_FOUND, param="provider")
    return backend


async def _prospect(http: web.Request) -> Prospect:
    sessions = http.app[HOUSE].sessions
    backend = backend_named(sessions, http.match_info["name"])
    return next(each for each in await sessions.prospects() if each.backend.name == backend)


async def _counted(http: web.Request) -> Mapping[str, Mapping[str, int]]:
    """How many sessions the caller has, by state and backend."""
    sessions, owner = http.app[HOUSE].sessions, http.get(PRINCIPAL) or ""
    counts = await asyncio.gather(*(sessions.count(owner, {state.value}) for state in COUNTED))
    return {state.value: by_backend for state, by_backend in zip(COUNTED, counts, strict=True)}


def _metrics_of(backend: str, counted: Mapping[str, Mapping[str, int]]) -> dict[str, JsonValue]:
    return metrics(backend, {state: by_backend.get(backend, 0) for state, by_backend in counted.items()})


def _json(said: Json) -> web.Response:
    return web.Response(body=fields.dump(said), content_type=JSON_TYPE)
