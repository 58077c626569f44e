"""Plugins over HTTP: seen, added and removed while the gateway runs; and how all providers are doing."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable

import orjson
from aiohttp import web

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.http.checkup import check_all
from rhetor.http.house import HOUSE
from rhetor.http.plugged import Plugins
from rhetor.http.reply import read_body
from rhetor.http.served import Served
from rhetor.plugins.desk import Refused, Wish, may_come_from_afar
from rhetor.wire import fields
from rhetor.wire.tekton import TEKTON

CHECKING = ("provider",)
MOST_NAMED = 100
FORWARDED = frozenset(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)
"""Headers that proxies add: behind one of them everybody's address is the proxy's, which may well be this
machine's. One that adds none cannot be told from a program of this machine.

https://www.rfc-editor.org/rfc/rfc7239#section-1 has the older names as well as the new one,
https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3 has `Via` (read 2026-11-21).
"""


def plugin_table(prefix: str) -> list[Served]:
    """The paths of plugins and of providers' health below this prefix."""
    every = f"{prefix}/v1/plugins"
    one = f"{every}/{{id}}"
    return [
        Served("plugins", "GET", every, plugins, TEKTON),
        Served("plugins", "POST", every, add, TEKTON, answers=(200, 201)),
        Served("plugins", "GET", one, plugin, TEKTON),
        Served("plugins", "POST", f"{one}/update", update, TEKTON),
        Served("plugins", "POST", f"{one}/check", check, TEKTON),
        Served("plugins", "DELETE", one, remove, TEKTON),
        Served("plugins", "GET", f"{prefix}/v1/providers/health", health, TEKTON, query=CHECKING),
    ]


async def plugins(http: web.Request) -> web.Response:
    """Every plugin: its status and why, where it is from, what it brings, which variables it asks for."""
    return _json(_plugins(http).all())


async def plugin(http: web.Request) -> web.Response:
    """One plugin, as in the list of all, and of its programs how they are and what they are kept from."""
    return _json(await _plugins(http).about(http.match_info["id"]))


async def add(http: web.Request) -> web.Response:
    """Add the plugin of a `source`, which can be asked at once; with `dry_run` only say what it is.

    `grant` names variables of others that it may have. Nothing of it is executed before it is asked, except
    that what its programs require is installed.
    """
    body = await _body(http, {"source", "grant", "dry_run"})
    _ensure_may_change(http)
    said = body.get("source")
    if not isinstance(said, str):
        raise BadRequest("source must be text, such as github:owner/repo@ref", param="source")
    said = may_come_from_afar(said).said
    granted = _names(body)
    if _flag(body, "dry_run"):
        return await _told(http, _plugins(http).look(said, granted))
    return await _told(http, _plugins(http).add(said, granted), status=201)


async def update(http: web.Request) -> web.Response:
    """Fetch a plugin again, from where it came, or at another `ref`.

    A tag that is not what it was is refused unless `accept_moved` is true.
    """
    body = await _body(http, {"ref", "grant", "accept_moved", "dry_run"})
    _ensure_may_change(http)
    ref = body.get("ref")
    if ref is not None and not isinstance(ref, str):
        raise BadRequest("ref must be text", param="ref")
    wish = Wish(
        ref=ref,
        granted=_names(body),
        accept_moved=_flag(body, "accept_moved"),
        dry_run=_flag(body, "dry_run"),
    )
    return await _told(http, _plugins(http).update(http.match_info["id"], wish))


async def remove(http: web.Request) -> web.Response:
    """Remove a plugin. Who uses it ends first; what is named in the configuration cannot be removed."""
    _ensure_may_change(http)
    return await _told(http, _plugins(http).remove(http.match_info["id"]))


async def check(http: web.Request) -> web.Response:
    """Try a plugin: every provider of it is asked what it claims to answer, as callers ask; the report.

    `capability` names those that are tried, `thorough` asks vendors twice for what is dear. It takes as long
    as the answers take, and they count like anybody's.
    """
    body = await _body(http, {"capability", "thorough"})
    _ensure_may_change(http)
    named = _names(body, "capability", "capabilities")
    if unknown := [name for name in named if name not in set(Capability)]:
        raise BadRequest(f"no capability {unknown[0]!r}", param="capability")
    only = frozenset(map(Capability, named))
    return _json(await _plugins(http).check(http.match_info["id"], only, _flag(body, "thorough")))


async def health(http: web.Request) -> web.Response:
    """Ask every provider that is on for its models, now, and say how each is doing: `HealthReport[]`."""
    wanted = [id for text in http.query.getall("provider", []) for id in text.split(",") if id]
    house = http.app[HOUSE]
    if unknown := [id for id in wanted if id not in house.catalog.providers]:
        raise BadRequest(f"no provider {unknown[0]!r}", Code.NOT_FOUND, param="provider")
    reports: list[JsonValue] = list(await check_all(house, wanted))
    return _json({"object": "list", "data": reports})


def _plugins(http: web.Request) -> Plugins:
    return http.app[HOUSE].plugins


def _ensure_may_change(http: web.Request) -> None:
    """
    Raises:
        BadRequest: forbidden. A plugin may run programs here as this user: that is not for everybody who
            reaches the port.
    """
    house = http.app[HOUSE]
    allowed = house.plugins.may_change
    if allowed is False:
        raise BadRequest("plugins are not changed over HTTP here (plugins.allow_add)", Code.FORBIDDEN)
    if house.gatekeeping.tokens:
        return
    if allowed is None:
        message = (
            "nobody is asked for a token here, so plugins are changed with `rhetor providers` on this "
            "machine; set server.tokens, or plugins.allow_add: true"
        )
        raise BadRequest(message, Code.FORBIDDEN)
    if not _is_this_machine(http.remote) or not FORWARDED.isdisjoint(map(str.lower, http.headers)):
        message = "without tokens plugins are changed from this machine only, and not through a proxy"
        raise BadRequest(message, Code.FORBIDDEN)


def _is_this_machine(address: str | None) -> bool:
    try:
        return ipaddress.ip_address((address or "").partition("%")[0]).is_loopback
    except ValueError:
        return False


async def _body(http: web.Request, known: set[str]) -> Json:
    data = await read_body(http)
    body: Json = fields.parse_object(data) if data else {}
    if unknown := [name for name in body if name not in known]:
        raise BadRequest(f"no such field here; there are {', '.join(sorted(known))}", param=unknown[0])
    return body


def _flag(body: Json, name: str) -> bool:
    said = body.get(name, False)
    if not isinstance(said, bool):
        raise BadRequest(f"{name} must be true or false", param=name)
    return said


def _names(body: Json, name: str = "grant", of: str = "variables") -> tuple[str, ...]:
    said = body.get(name, [])
    if not isinstance(said, list) or len(said) > MOST_NAMED or not all(isinstance(it, str) for it in said):
        raise BadRequest(f"{name} must be a list of names of {of}", param=name)
    return tuple(map(str, said))


async def _told(http: web.Request, doing: Awaitable[Json], status: int = 200) -> web.Response:
    """What came of it. A refusal tells all that is known of what was refused, beside the error."""
    try:
        return _json(await doing, status)
    except Refused as refused:
        error: Json = orjson.loads(TEKTON.render_error(refused, ""))
        body = {**error, "plugin": {**refused.report, "status": refused.status_word}}
        return _json(body, TEKTON.error_status(refused))


def _json(value: Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")
