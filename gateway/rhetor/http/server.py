"""What is served, on one page; and what surrounds every handler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus

import orjson
from aiohttp import EMPTY_PAYLOAD, web
from aiohttp.http import HttpProcessingError

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.http import (
    anthropic,
    contexts,
    conversations,
    generations,
    models,
    ollama,
    openai,
    ops,
    pull,
    responses,
    rhetor,
    tekton,
)
from rhetor.http.admission import admit, allowed_origin
from rhetor.http.chat.table import chat_table
from rhetor.http.house import HOUSE, House
from rhetor.http.jelmore.table import jelmore_table
from rhetor.http.languages import language_of_path
from rhetor.http.media.conduit import conduit_table
from rhetor.http.media.openai import openai_table
from rhetor.http.media.rerank import rerank_table
from rhetor.http.media.table import media_table
from rhetor.http.openapi import discovery, openapi
from rhetor.http.providers import plugin_table
from rhetor.http.reply import header_safe, read_body, refusal
from rhetor.http.served import Handler, Served
from rhetor.http.services import service_table
from rhetor.http.sessions.table import session_table
from rhetor.http.sifted import FILTERS
from rhetor.http.socket import websocket
from rhetor.http.stream import CallerLeft
from rhetor.http.whole import SERVER
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import Wire
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.openai import OPENAI
from rhetor.wire.openai.responses import RESPONSES
from rhetor.wire.rhetor.asking import claims
from rhetor.wire.tekton import TEKTON

log = logging.getLogger(__name__)

TEKTON_PREFIXES = ("", "/api/llm")
"""Browser callers keep a prefix that Python callers drop; both must arrive."""

PREFLIGHT_S = 600
HEAD_END = b"\r\n\r\n"
ELSEWHERE = "/{tail:(?s:.*)}"  # also what has a line end in it

Language = Callable[[web.Request], Wire]


def table() -> list[Served]:
    """Every path, its handler, and the language of its errors."""
    served = [
        Served("ops", "GET", "/", ops.page, TEKTON, public=True),
        Served("ops", "GET", "/console/{name}", ops.page_asset, TEKTON, public=True),
        Served("ops", "GET", "/static/js/{name}", ops.script, TEKTON, public=True),
        Served("ops", "GET", "/ready", ops.ready, TEKTON, public=True),
        Served("ops", "GET", "/metrics", ops.metrics, TEKTON, query=("format",)),
        Served("ops", "GET", "/api/v1/trips", ops.trips, TEKTON, query=("limit",)),
        Served("ops", "GET", "/api/v1/health/targets", ops.targets, TEKTON),
        Served("ops", "POST", "/api/v1/reload", ops.reload, TEKTON, takes_body=False),
        *service_table(),
        *conduit_table(),
        *jelmore_table(),
        *chat_table(),
        *response_table(),
        Served("anthropic", "POST", "/v1/messages", anthropic.messages, ANTHROPIC, passes=True),
        Served(
            "anthropic", "POST", "/v1/messages/count_tokens", anthropic.count_tokens, ANTHROPIC, passes=True
        ),
        *shared_with_ollama("", "ollama"),
        *ollama_table(),
    ]
    for prefix in TEKTON_PREFIXES:
        served += [
            *looked_up_table(prefix),
            Served("tekton", "GET", f"{prefix}/api/v1/health", ops.health, TEKTON),
            Served("tekton", "POST", f"{prefix}/api/v1/chat", tekton.chat, TEKTON),
            Served("tekton", "POST", f"{prefix}/api/v1/chat/stream", tekton.chat_stream, TEKTON),
            Served("ops", "POST", f"{prefix}/api/v1/ws-ticket", ops.ticket, TEKTON, takes_body=False),
            Served(
                "openai",
                "POST",
                f"{prefix}/v1/chat/completions",
                openai.chat_completions,
                OPENAI,
                passes=True,
            ),
            Served("openai", "POST", f"{prefix}/v1/embeddings", openai.embeddings, OPENAI),
            *generation_table(prefix),
            *session_table(prefix),
            *media_table(prefix),
            *openai_table(prefix),
            *rerank_table(prefix),
            *context_table(prefix),
            *context_table(f"{prefix}/api/v1"),
            Served("tekton", "GET", f"{prefix}/ws", websocket, TEKTON, upgrades=True),
            *older_table(prefix),
            *(shared_with_ollama(prefix, "rhetor") if prefix else ()),
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


def looked_up_table(prefix: str) -> list[Served]:
    """What callers look up before they ask for anything, below this prefix."""
    explained = f"{prefix}/api/v1/routes/explain"
    return [
        Served("ops", "GET", f"{prefix}/health", ops.health, TEKTON, public=True),
        Served("ops", "GET", explained, ops.explain, TEKTON, query=ops.EXPLAINED_BY),
        *plugin_table(prefix),
        *model_table(prefix),
    ]


def model_table(prefix: str) -> list[Served]:
    """What is on offer below this prefix; agents ask it as well."""
    query, every = (*models.PAGING, *sorted(FILTERS)), f"{prefix}/v1/models"
    return [
        Served("models", "GET", every, models.models, OPENAI, query=query, passes=True),
        Served("models", "GET", f"{every}/{{model:.+}}", models.model, OPENAI, passes=True),
    ]


def ollama_table() -> list[Served]:
    """What only Ollama's callers ask."""
    return [
        Served("ollama", "POST", "/api/embed", ollama.embed, OLLAMA),
        Served("ollama", "POST", "/api/embeddings", ollama.embeddings, OLLAMA),
        Served("ollama", "GET", "/api/tags", ollama.tags, OLLAMA),
        Served("ollama", "POST", "/api/show", ollama.show, OLLAMA),
        Served("ollama", "GET", "/api/ps", ollama.ps, OLLAMA),
        Served("ollama", "GET", "/api/version", ollama.version, OLLAMA),
        Served("ollama", "POST", pull.PATH, pull.pull, OLLAMA),
        *(Served("ollama", method, path, ollama.not_kept, OLLAMA) for method, path in ollama.NOT_KEPT),
    ]


def generation_table(prefix: str) -> list[Served]:
    """The paths of recorded generations: who began one below this prefix comes back below it."""
    one = f"{prefix}/v1/generations/{{id}}"
    return [
        Served("generations", "GET", one, generations.generation, TEKTON),
        Served("generations", "DELETE", one, generations.cancel, TEKTON),
        Served("generations", "GET", f"{one}/events", generations.events, TEKTON, query=generations.QUERY),
    ]


def older_table(prefix: str) -> list[Served]:
    """The paths of older callers below this prefix."""
    api, v1 = f"{prefix}/api", f"{prefix}/api/v1"
    return [
        Served("rhetor", "GET", f"{prefix}/providers", rhetor.providers, TEKTON),
        Served("rhetor", "POST", f"{prefix}/provider", rhetor.set_provider, TEKTON),
        Served("rhetor", "POST", f"{prefix}/message", rhetor.message, TEKTON),
        Served("rhetor", "POST", f"{prefix}/stream", rhetor.stream, TEKTON),
        Served("rhetor", "POST", f"{prefix}/chat", rhetor.chat, TEKTON),
        Served("rhetor", "POST", f"{v1}/generate", rhetor.generate_whole, TEKTON),
        Served("rhetor", "POST", f"{v1}/generate_stream", rhetor.generate_stream, TEKTON),
        Served("rhetor", "GET", f"{v1}/models", rhetor.models, TEKTON),
        Served("tekton", "GET", f"{v1}/providers", tekton.providers, TEKTON, public=True, asks=True),
        Served("rhetor", "GET", f"{prefix}/ws/generate", websocket, TEKTON, upgrades=True),
        Served("rhetor", "GET", f"{api}/health", ops.health, TEKTON),
        Served("rhetor", "GET", f"{api}/providers", rhetor.providers, TEKTON),
        Served("rhetor", "GET", f"{api}/providers/{{provider}}/models", rhetor.provider_models, TEKTON),
        Served("rhetor", "POST", f"{api}/provider", rhetor.choose_provider, TEKTON),
    ]


def shared_with_ollama(prefix: str, door: str) -> list[Served]:
    """The paths that Ollama's callers use, and older ones of ours."""
    chat = told_apart(claims, rhetor.page_chat, ollama.chat)
    generate = told_apart(claims, rhetor.page_generate, ollama.generate)
    return [
        Served(door, "POST", f"{prefix}/api/chat", chat, OLLAMA),
        Served(door, "POST", f"{prefix}/api/generate", generate, OLLAMA),
    ]


def told_apart(claims: Callable[[bytes], bool], claimed: Handler, other: Handler) -> Handler:
    """A handler for a path that two doors serve: the body tells which of them is meant."""

    @wraps(other)
    async def handle(http: web.Request) -> web.StreamResponse:
        handler = claimed if claims(await read_body(http)) else other
        return await handler(http)

    return handle


def response_table() -> list[Served]:
    """The paths of responses, and of the conversations that they go on with."""
    one, conversation = "/v1/responses/{id}", "/v1/conversations/{id}"
    entries = f"{conversation}/items"
    calls: list[tuple[str, str, Handler, tuple[str, ...], bool]] = [
        ("POST", "/v1/responses", responses.create, (), True),
        ("GET", one, responses.retrieve, responses.RETRIEVING, False),
        ("DELETE", one, responses.delete, (), False),
        ("GET", f"{one}/input_items", responses.input_items, responses.LISTING, False),
        ("POST", f"{one}/cancel", responses.cancel, (), False),
        ("POST", "/v1/conversations", conversations.create, (), True),
        ("GET", conversation, conversations.retrieve, (), False),
        ("POST", conversation, conversations.update, (), True),
        ("DELETE", conversation, conversations.delete, (), False),
        ("GET", entries, conversations.items, conversations.LISTING, False),
        ("POST", entries, conversations.add, (), True),
        ("GET", f"{entries}/{{item}}", conversations.item, (), False),
        ("DELETE", f"{entries}/{{item}}", conversations.forget, (), False),
    ]
    return [
        Served(
            "responses",
            method,
            path,
            handler,
            RESPONSES,
            query=query,
            takes_body=takes_body,
            passes=handler is responses.create,
        )
        for method, path, handler, query, takes_body in calls
    ]


def context_table(prefix: str) -> list[Served]:
    """The paths of contexts below this prefix."""
    one = f"{prefix}/contexts/{{id}}"
    return [
        Served("contexts", "GET", f"{prefix}/contexts", contexts.contexts, TEKTON, query=contexts.LISTING),
        Served("contexts", "GET", one, contexts.context, TEKTON, query=contexts.READING),
        Served("contexts", "DELETE", one, contexts.forget, TEKTON),
        Served("contexts", "POST", f"{one}/messages", contexts.write, TEKTON),
        Served("contexts", "POST", f"{one}/search", contexts.search, TEKTON, query=contexts.SEARCHING),
        Served(
            "contexts", "POST", f"{one}/summarize", contexts.summarize, TEKTON, query=contexts.SUMMARIZING
        ),
    ]


def application(house: House) -> web.Application:
    """The application that serves the table."""
    app = web.Application(client_max_size=house.max_body_bytes)
    app[HOUSE] = house
    app.on_response_prepare.append(_complete_head)
    for entry in table():
        handler = guarded(
            entry.handler, _language_of(entry), entry.public, house, entry.upgrades, entry.passes
        )
        app.router.add_route(entry.method, entry.path, handler)
        if entry.method == "GET" and (entry.plain or not entry.upgrades):
            app.router.add_route("HEAD", entry.path, handler)
    app.router.add_route("OPTIONS", ELSEWHERE, guarded(_preflight, language_of_path, True, house))
    app.router.add_route("*", ELSEWHERE, guarded(_unserved, language_of_path, False, house))
    return app


class Connection(web.RequestHandler):
    """A caller's connection: aiohttp's, with patience for heads, and our words for what is no HTTP.

    A head has its time from its first byte on, the first one from the connection's beginning; one that
    begins while another request is answered may have it twice.
    """

    __slots__ = ("_begun", "_body", "_head_timeout_s", "_head_timer", "_heads")

    def __init__(self, server: web.Server, house: House) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=house.idle_timeout_s,
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's own runner switches it off
        )
        self._head_timeout_s = house.header_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None
        self._heads = 0
        self._body = EMPTY_PAYLOAD
        """Of the last request."""
        self._begun = False
        """There are bytes of a head that is not complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        between = self._body.is_eof()
        super().data_received(data)
        if self._request_count != self._heads:  # heads that are complete
            self._heads = self._request_count
            self._forget_head()
            self._body = self._messages[-1][1] if self._messages else EMPTY_PAYLOAD
            self._begun = self._body is EMPTY_PAYLOAD and not _ends_head(data)
        elif between and data:
            self._begun = True
        if self._begun and self._head_timer is None:
            self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What answers where no handler can: nothing says in which language, so it is a plain sentence."""
        if isinstance(exc, HttpProcessingError):
            log.debug("not HTTP", extra={"error": type(exc).__name__})
            text = (
                f"{status} Bad Request: not HTTP/1.1, or a header of more than {self.max_field_size} bytes\n"
            )
        else:
            log.error("request failed beside its handler", exc_info=exc)
            text = f"{status} {HTTPStatus(status).phrase}\n"
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another reply is written already")
        response = web.Response(status=status, text=text, headers={"server": SERVER})
        response.force_close()
        return response

    @property
    def _waits_for_head(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._head_timeout_s, self._give_up)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self._waits_for_head:
            self.force_close()
        elif self._begun:  # another request is being answered; the head gets its time after that
            self._await_head()


def _ends_head(data: bytes) -> bool:
    """Whether nothing follows the head whose end is in these bytes."""
    return data.endswith(HEAD_END) or HEAD_END.endswith(data)


def guarded(
    handler: Handler,
    language: Language,
    public: bool,
    house: House,
    tickets: bool = False,
    passes: bool = False,
) -> Handler:
    """A handler with its surroundings: admission before it, errors in its language after it."""

    async def handle(http: web.Request) -> web.StreamResponse:
        try:
            admit(http, house, public, tickets, passes)
            response = await handler(http)
        except RhetorError as error:
            response = refusal(language(http), error, new_id("req"))
        except CallerLeft:
            response = web.Response(status=499)  # nobody reads it
        except Exception:
            log.exception("request failed", extra={"path": http.path, "method": http.method})
            failure = RhetorError("the gateway failed; its log says why")
            response = refusal(language(http), failure, new_id("req"))
        _leave_body(http, response)
        return response

    return handle


def _language_of(entry: Served) -> Language:
    """The language of an entry's errors; the list of models has two."""
    if entry.door == "models":
        return lambda http: ANTHROPIC if models.speaks_anthropic(http) else OPENAI
    return lambda http: entry.wire


def _leave_body(http: web.Request, response: web.StreamResponse) -> None:
    """After a body that broke off nothing can be read; aiohttp would try, and log it as a failure of ours."""
    if http.content.exception() is not None:
        http.content.feed_eof()
        response.force_close()


async def _complete_head(http: web.Request, response: web.StreamResponse) -> None:
    """Say who answers, and tell a browser that the page may read this reply, also when it is a refusal.

    It must not wait for anything: `EventStream` writes heads where nothing can.
    """
    response.headers["server"] = SERVER
    if "Origin" in http.headers and (origin := allowed_origin(http, http.app[HOUSE].gatekeeping)) is not None:
        response.headers["access-control-allow-origin"] = origin
        response.headers["access-control-expose-headers"] = "*"
        response.headers["vary"] = "Origin"


async def _unserved(http: web.Request) -> web.StreamResponse:
    """What answers where nothing is served: the method is wrong, or the path unknown."""
    allowed: set[str] = set()
    elsewhere = http.match_info.route.resource
    for resource in http.app.router.resources():
        if resource is not elsewhere:
            allowed |= (await resource.resolve(http))[1]
    if not allowed:
        raise BadRequest(f"nothing is served at {http.path}; see /openapi.json", Code.NOT_FOUND)
    wanted = " or ".join(sorted(allowed))
    error = BadRequest(f"{http.path} takes {wanted}, not {http.method}", Code.METHOD_NOT_ALLOWED)
    response = refusal(language_of_path(http), error, new_id("req"))
    response.headers["allow"] = ", ".join(sorted(allowed))
    return response


async def _preflight(http: web.Request) -> web.Response:
    """What a browser asks, without a token, before it lets an allowed page call."""
    if allowed_origin(http, http.app[HOUSE].gatekeeping) is None:
        raise BadRequest("pages of this Origin may not call; see server.allowed_origins", Code.FORBIDDEN)
    asked = http.headers.get("Access-Control-Request-Headers", "")
    headers = {
        "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
        "access-control-allow-headers": header_safe(asked) or "authorization, content-type",
        "access-control-max-age": str(PREFLIGHT_S),
    }
    return web.Response(status=204, headers=headers)
