"""What is served, on one page; and what surrounds every handler."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from secrets import token_hex

import orjson
from aiohttp import web

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http import anthropic, models, openai, ops, tekton
from rhetor.http.admission import admit, allowed_origin
from rhetor.http.house import HOUSE, House
from rhetor.http.openapi import discovery, openapi
from rhetor.http.reply import CallerLeft, refusal
from rhetor.http.served import Handler, Served
from rhetor.http.socket import websocket
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import Wire
from rhetor.wire.openai import OPENAI
from rhetor.wire.tekton import TEKTON

log = logging.getLogger(__name__)

TEKTON_PREFIXES = ("", "/api/llm")
"""Browser callers keep a prefix that Python callers drop; both must arrive."""

PREFLIGHT_S = 600


def table() -> list[Served]:
    """Every path, its handler, and the language of its errors."""
    served = [
        Served("ops", "GET", "/", ops.page, TEKTON, public=True),
        Served("ops", "GET", "/console/{name}", ops.page_asset, TEKTON, public=True),
        Served("ops", "GET", "/static/js/{name}", ops.script, TEKTON, public=True),
        Served("ops", "GET", "/health", ops.health, TEKTON, public=True),
        Served("ops", "GET", "/ready", ops.ready, TEKTON, public=True),
        Served("ops", "GET", "/metrics", ops.metrics, TEKTON),
        Served("ops", "GET", "/api/v1/trips", ops.trips, TEKTON),
        Served("ops", "GET", "/api/v1/routes/explain", ops.explain, TEKTON),
        Served("ops", "POST", "/api/v1/reload", ops.reload, TEKTON),
        Served("openai", "POST", "/v1/chat/completions", openai.chat_completions, OPENAI),
        Served("openai", "POST", "/v1/embeddings", openai.embeddings, OPENAI),
        Served("models", "GET", "/v1/models", models.models, OPENAI),
        Served("models", "GET", "/v1/models/{model:.+}", models.model, OPENAI),
        Served("anthropic", "POST", "/v1/messages", anthropic.messages, ANTHROPIC),
        Served("anthropic", "POST", "/v1/messages/count_tokens", anthropic.count_tokens, ANTHROPIC),
    ]
    for prefix in TEKTON_PREFIXES:
        served += [
            Served("tekton", "GET", f"{prefix}/api/v1/health", ops.health, TEKTON),
            Served("tekton", "GET", f"{prefix}/api/v1/providers", tekton.providers, TEKTON),
            Served("tekton", "POST", f"{prefix}/api/v1/chat", tekton.chat, TEKTON),
            Served("tekton", "POST", f"{prefix}/api/v1/chat/stream", tekton.chat_stream, TEKTON),
            Served("tekton", "GET", f"{prefix}/ws", websocket, TEKTON),
        ]

    async def describe(http: web.Request) -> web.Response:
        """This document."""
        return web.Response(body=orjson.dumps(openapi(served)), content_type="application/json")

    async def discover(http: web.Request) -> web.Response:
        """What this component is, and what can be called."""
        return web.Response(body=orjson.dumps(discovery(served)), content_type="application/json")

    served.append(Served("ops", "GET", "/openapi.json", describe, TEKTON, public=True))
    served.append(Served("ops", "GET", "/api/v1/discovery", discover, TEKTON, public=True))
    return served


def application(house: House) -> web.Application:
    """The application that serves the table."""
    app = web.Application(client_max_size=house.max_body_bytes)
    app[HOUSE] = house
    served = table()
    for entry in served:
        app.router.add_route(entry.method, entry.path, guarded(entry))
        if entry.method == "GET" and entry.path != "/ws":
            app.router.add_route("HEAD", entry.path, guarded(entry))
    app.router.add_route("*", "/{tail:.*}", guarded(Served("none", "*", "/", _unserved(served), OPENAI)))
    return app


def guarded(entry: Served) -> Handler:
    """A handler with its surroundings: admission before it, errors in its language after it."""

    async def handle(http: web.Request) -> web.StreamResponse:
        wire = entry.wire
        if models.speaks_anthropic(http) and wire is OPENAI:
            wire = ANTHROPIC
        house = http.app[HOUSE]
        try:
            admit(http, house.gatekeeping, entry.public)
            response = await entry.handler(http)
        except RhetorError as error:
            response = refusal(wire, error, f"req_{token_hex(12)}")
        except CallerLeft:
            response = web.Response(status=499)  # nobody reads it
        except Exception:
            log.exception("request failed", extra={"path": http.path, "method": http.method})
            response = refusal(
                wire, RhetorError("the gateway failed; its log says why"), f"req_{token_hex(12)}"
            )
        if not response.prepared and (origin := allowed_origin(http, house.gatekeeping)) is not None:
            response.headers["access-control-allow-origin"] = origin
            response.headers["access-control-expose-headers"] = "*"
            response.headers["vary"] = "Origin"
        return response

    return handle


def _unserved(served: Iterable[Served]) -> Handler:
    """What answers where nothing is served: a preflight, a wrong method, or an unknown path."""
    methods: dict[str, set[str]] = {}
    for entry in served:
        methods.setdefault(entry.path, set()).add(entry.method)

    async def unserved(http: web.Request) -> web.StreamResponse:
        """Nothing is served here."""
        if http.method == "OPTIONS":
            return _preflight(http)
        allowed = methods.get(http.path)
        if allowed is not None:
            wanted = " or ".join(sorted(allowed))
            error = BadRequest(f"{http.path} takes {wanted}, not {http.method}", Code.METHOD_NOT_ALLOWED)
        else:
            error = BadRequest(f"nothing is served at {http.path}; see /openapi.json", Code.NOT_FOUND)
        response = refusal(_language_of(http.path), error, f"req_{token_hex(12)}")
        if allowed is not None:
            response.headers["allow"] = ", ".join(sorted(allowed))
        return response

    return unserved


def _language_of(path: str) -> Wire:
    if path.startswith("/v1/messages"):
        return ANTHROPIC
    return OPENAI if path.startswith("/v1/") else TEKTON


def _preflight(http: web.Request) -> web.Response:
    """What a browser asks before it lets an allowed page call."""
    if allowed_origin(http, http.app[HOUSE].gatekeeping) is None:
        raise BadRequest("pages of this Origin may not call; see server.allowed_origins", Code.FORBIDDEN)
    asked = http.headers.get("Access-Control-Request-Headers", "")
    headers = {
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": asked or "authorization, content-type",
        "access-control-max-age": str(PREFLIGHT_S),
    }
    return web.Response(status=204, headers=headers)
