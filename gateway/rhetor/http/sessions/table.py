"""The paths of sessions."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.http.served import Handler, Served
from rhetor.http.sessions import calls as sessions
from rhetor.http.sessions import export
from rhetor.wire.tekton import TEKTON

ANSWERS: Mapping[Handler, tuple[int, ...]] = {
    sessions.create: (201,),
    sessions.send: (200, 202),
    sessions.interrupt: (202,),
    sessions.events: (200, 204),
}
"""Those of other statuses than 200."""


def session_table(prefix: str) -> list[Served]:
    """The paths of sessions below this prefix. Those that are no ids come first."""
    root, one = f"{prefix}/v1/sessions", f"{prefix}/v1/sessions/{{id}}"
    calls: list[tuple[str, str, Handler, tuple[str, ...], bool]] = [
        ("GET", f"{root}/backends", sessions.backends, (), False),
        ("POST", f"{root}/choose", sessions.choose, (), True),
        ("POST", f"{root}/cleanup", sessions.cleanup, sessions.CLEANING, False),
        ("POST", root, sessions.create, (), True),
        ("GET", root, sessions.sessions, sessions.LISTING, False),
        ("GET", one, sessions.session, (), False),
        ("DELETE", one, sessions.terminate, sessions.ENDING, False),
        ("POST", f"{one}/messages", sessions.send, (), True),
        ("POST", f"{one}/approvals/{{request_id}}", sessions.approve, (), True),
        ("POST", f"{one}/interrupt", sessions.interrupt, (), False),
        ("POST", f"{one}/suspend", sessions.suspend, (), False),
        ("POST", f"{one}/resume", sessions.resume, (), True),
        ("GET", f"{one}/events", sessions.events, sessions.READING, False),
        ("GET", f"{one}/export", export.export, export.EXPORTING, False),
        ("GET", f"{one}/stats", export.stats, (), False),
        ("POST", f"{one}/summarize", export.summarize, (), False),
        ("DELETE", f"{one}/context", export.clear_context, (), False),
    ]
    return [
        Served(
            "sessions",
            method,
            path,
            handler,
            TEKTON,
            query=query,
            takes_body=takes_body,
            answers=ANSWERS.get(handler, (200,)),
            upgrades=handler is sessions.events,
            plain=True,
        )
        for method, path, handler, query, takes_body in calls
    ]
