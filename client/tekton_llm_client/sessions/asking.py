"""What is asked of the gateway about sessions: paths and bodies, without any I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from tekton_llm_client.caller import explicit
from tekton_llm_client.exceptions import InvalidRequestError
from tekton_llm_client.sessions.config import AS_SENT, SessionConfig

SESSIONS_PATH = "/v1/sessions"
BACKENDS_PATH = f"{SESSIONS_PATH}/backends"
CHOOSE_PATH = f"{SESSIONS_PATH}/choose"
AUTO = "auto"
"""As a model: whichever the gateway chooses."""


def session_path(session_id: str, action: str = "", **query: Any) -> str:
    path = f"{SESSIONS_PATH}/{quoted(session_id)}"
    return _with_query(f"{path}/{action}" if action else path, query)


def approval_path(session_id: str, request_id: str) -> str:
    return session_path(session_id, f"approvals/{quoted(request_id)}")


def list_path(state: str | Iterable[str] | None, backend: str | None, limit: int, offset: int) -> str:
    states = state if state is None or isinstance(state, str) else ",".join(state)
    return _with_query(SESSIONS_PATH, {"state": states, "backend": backend, "limit": limit, "offset": offset})


def cleanup_path(max_age_s: float) -> str:
    return _with_query(f"{SESSIONS_PATH}/cleanup", {"max_age_s": max_age_s})


def events_path(session_id: str, after: int, limit: int | None = None, follow: bool | None = None) -> str:
    wanted = None if follow is None else str(follow).lower()
    return session_path(session_id, "events", after=after, limit=limit, follow=wanted)


def quoted(part: str) -> str:
    """As a part of a path, or of a query."""
    return quote(part, safe="")


def _with_query(path: str, query: Mapping[str, Any]) -> str:
    said = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(said)}" if said else path


def body(fields: Mapping[str, Any]) -> bytes:
    """These as JSON, without what was not said.

    Raises:
        InvalidRequestError: something in it cannot be said in JSON.
    """
    try:
        return orjson.dumps({name: value for name, value in fields.items() if value is not None})
    except TypeError as error:
        raise InvalidRequestError(f"this cannot be sent as JSON: {error}") from error


def settings_of(config: object) -> dict[str, Any]:
    """The fields of a new session that a configuration names, in the gateway's words.

    Raises:
        InvalidRequestError: it is none, or has fields that sessions do not have.
    """
    if config is None:
        return {}
    if isinstance(config, SessionConfig) or (is_dataclass(config) and not isinstance(config, type)):
        said = asdict(config)
    else:
        try:
            said = dict(explicit(config))
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"config: expected an object with fields, got {config!r}") from error
    said = {AS_SENT.get(name, name): value for name, value in said.items() if value is not None}
    if demands := {name: said.pop(name) for name in DEMANDS if name in said}:
        said["requirements"] = {**demands, **said.get("requirements", {})}
    if unknown := said.keys() - FIELDS:
        raise InvalidRequestError(f"config: sessions have no {', '.join(sorted(map(str, unknown)))}")
    return {name: value for name, value in said.items() if value not in ({}, "")}


FIELDS = frozenset(
    {
        "backend",
        "model",
        "title",
        "system",
        "directory",
        "max_turns",
        "timeout_s",
        "temperature",
        "max_tokens",
        "permissions",
        "environment",
        "metadata",
        "requirements",
    }
)
"""What a new session can be given beside its first message."""
DEMANDS = ("capabilities", "load_balancing", "cost_optimization")
"""What Jelmore's callers write beside the settings, and is a requirement."""


def new_session(
    query: str | None, message_id: str, config: object, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """What begins a session; what is said by name wins over the configuration."""
    said = settings_of(config) | {name: value for name, value in fields.items() if value is not None}
    if said.get("model") == AUTO and "backend" not in said:
        said["requirements"] = {"model": AUTO, **(said.get("requirements") or {})}
        del said["model"]
    if query:
        said["message"] = {"text": query, "message_id": message_id}
    return said
