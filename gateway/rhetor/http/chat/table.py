"""What is served to the chat platform's callers."""

from __future__ import annotations

from rhetor.http.chat import auth, messages, sessions
from rhetor.http.chat.limits import Limits, private, public
from rhetor.http.chat.refusals import PLATFORM
from rhetor.http.chat.socket import websocket
from rhetor.http.served import Handler, Served

NAME = "chat"
SIGNING_IN = ("/api/v1/auth/register", "/api/v1/auth/login")
"""Nobody has a token there yet."""
MAKING = ("/api/v1/auth/register", "/api/v1/chat/session")


def chat_table() -> list[Served]:
    """Its paths. They are public to the house, as they ask by themselves who calls."""
    limits = Limits()
    one = "/api/v1/chat/sessions/{id}"
    calls: list[tuple[str, str, Handler, tuple[str, ...], bool]] = [
        ("POST", "/api/v1/auth/register", public(auth.registering(limits)), (), True),
        ("POST", "/api/v1/auth/login", public(auth.signing_in(limits)), (), True),
        ("POST", "/api/v1/auth/logout", private(auth.logout), (), False),
        ("GET", "/api/v1/auth/profile", private(auth.profile), (), False),
        ("PUT", "/api/v1/auth/preferences", private(auth.preferences), (), True),
        ("POST", "/api/v1/chat/session", private(sessions.create, limits), (), True),
        ("POST", "/api/v1/chat/message", private(messages.stream, limits), (), True),
        ("POST", "/api/v1/chat/message/simple", private(messages.simple, limits), (), True),
        ("GET", "/api/v1/chat/sessions", private(sessions.sessions), sessions.LISTING, False),
        ("GET", f"{one}/messages", private(sessions.history), sessions.READING, False),
        ("DELETE", f"{one}/context", private(sessions.forget), (), False),
        ("POST", f"{one}/summarize", private(sessions.sum_up, limits), (), False),
        ("GET", f"{one}/export", private(sessions.take_away), sessions.EXPORTING, False),
        ("GET", f"{one}/stats", private(sessions.stats), (), False),
        ("GET", "/api/v1/chat/stream/{id}", private(messages.follow), ("after",), False),
    ]
    served = [
        Served(
            NAME,
            method,
            path,
            handler,
            PLATFORM,
            public=True,
            asks=path not in SIGNING_IN,
            query=query,
            takes_body=takes_body,
            answers=(201,) if path in MAKING else (200,),
        )
        for method, path, handler, query, takes_body in calls
    ]
    return [
        *served,
        Served(
            NAME,
            "GET",
            "/ws/chat",
            public(websocket(limits)),
            PLATFORM,
            public=True,
            asks=True,
            upgrades=True,
        ),
    ]
