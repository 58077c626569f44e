"""The paths of Jelmore's callers."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.http.jelmore import calls as jelmore
from rhetor.http.jelmore import providers as backends
from rhetor.http.jelmore.limits import Limits
from rhetor.http.served import Handler, Served
from rhetor.wire.jelmore import JELMORE

ANSWERS: Mapping[Handler, tuple[int, ...]] = {jelmore.create: (200, 201), jelmore.stream: (200, 204)}
"""Those of other statuses than 200."""


def jelmore_table() -> list[Served]:
    """The paths of Jelmore's callers, and how often they may come; None: as often as they like."""
    limits = Limits()
    api = "/api/v1"
    root, one = f"{api}/sessions", f"{api}/sessions/{{id}}"
    provider = f"{api}/providers/{{name}}"
    calls: list[tuple[str, str, Handler, str | None, tuple[str, ...], bool]] = [
        ("POST", root, jelmore.create, "create", (), True),
        ("GET", root, jelmore.sessions, "list", jelmore.LISTING, False),
        ("GET", f"{api}/legacy/sessions", jelmore.legacy_sessions, "list", jelmore.LISTING, False),
        ("GET", one, jelmore.session, "get", (), False),
        ("DELETE", one, jelmore.terminate, None, jelmore.ENDING, False),
        ("POST", f"{one}/messages", jelmore.send, "input", (), True),
        ("POST", f"{one}/input", jelmore.give_input, "input", (), True),
        ("GET", f"{one}/output", jelmore.output, "output", jelmore.READING, False),
        ("GET", f"{one}/stream", jelmore.stream, "stream", jelmore.STREAMING, False),
        ("GET", f"{one}/ws", jelmore.socket, "stream", jelmore.STREAMING, False),
        ("POST", f"{one}/suspend", jelmore.suspend, None, (), False),
        ("POST", f"{one}/resume", jelmore.resume, None, (), True),
        ("GET", provider, backends.provider_info, None, (), False),
        ("POST", f"{provider}/health", backends.provider_health, None, (), False),
        ("GET", f"{api}/status", backends.system_status, None, (), False),
        ("POST", f"{api}/maintenance/cleanup", backends.cleanup, None, backends.CLEANING, False),
    ]  # fmt: skip
    return [
        Served(
            "jelmore",
            method,
            path,
            handler if kind is None else limits.on(kind, handler),
            JELMORE,
            query=query,
            takes_body=takes_body,
            answers=ANSWERS.get(handler, (200,)),
            upgrades=handler in (jelmore.stream, jelmore.socket),
            plain=handler is not jelmore.socket,
        )
        for method, path, handler, kind, query, takes_body in calls
    ]
