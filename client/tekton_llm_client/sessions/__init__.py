"""Sessions: conversations with coding agents and chats, which the gateway keeps.

`SessionsClient` is the way to them. The names that Jelmore's callers import from `jelmore.providers` and
`jelmore.services` are here too, and speak of the same sessions. Each name brings its module when it is first
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tekton_llm_client.sessions.client import SessionsClient
    from tekton_llm_client.sessions.config import SessionConfig
    from tekton_llm_client.sessions.errors import (
        ModelNotSupportedError,
        ProviderError,
        ProviderUnavailableError,
        SessionError,
    )
    from tekton_llm_client.sessions.factory import (
        ProviderFactory,
        create_session_with_auto_selection,
        get_provider_factory,
        get_session_service,
        load_provider_plugin,
        register_provider,
    )
    from tekton_llm_client.sessions.models import (
        Answer,
        ApprovalRequest,
        Backend,
        Selection,
        Sent,
        Session,
        SessionEvent,
        SessionStatus,
        SessionUsage,
        StreamEventType,
        Verdict,
    )
    from tekton_llm_client.sessions.providers import BaseProvider, BaseSession
    from tekton_llm_client.sessions.rest import JelmoreService, SessionManager
    from tekton_llm_client.sessions.service import SessionService
    from tekton_llm_client.sessions.stream import EventStream
    from tekton_llm_client.sessions.turn import Turn
    from tekton_llm_client.sessions.words import ModelInfo, ProviderCapabilities, StreamResponse

__all__ = [
    "Answer",
    "ApprovalRequest",
    "Backend",
    "BaseProvider",
    "BaseSession",
    "EventStream",
    "JelmoreService",
    "ModelInfo",
    "ModelNotSupportedError",
    "ProviderCapabilities",
    "ProviderError",
    "ProviderFactory",
    "ProviderUnavailableError",
    "Selection",
    "Sent",
    "Session",
    "SessionConfig",
    "SessionError",
    "SessionEvent",
    "SessionManager",
    "SessionService",
    "SessionStatus",
    "SessionUsage",
    "SessionsClient",
    "StreamEventType",
    "StreamResponse",
    "Turn",
    "Verdict",
    "create_session_with_auto_selection",
    "get_provider_factory",
    "get_session_service",
    "load_provider_plugin",
    "register_provider",
]

_ROOMS = {
    "client": ("SessionsClient",),
    "config": ("SessionConfig",),
    "errors": tuple(name for name in __all__ if name.endswith("Error")),
    "factory": ("ProviderFactory", *(name for name in __all__ if name[0].islower())),
    "models": (
        "Answer",
        "ApprovalRequest",
        "Backend",
        "Selection",
        "Sent",
        "Session",
        "SessionEvent",
        "SessionStatus",
        "SessionUsage",
        "StreamEventType",
        "Verdict",
    ),
    "providers": ("BaseProvider", "BaseSession"),
    "rest": ("JelmoreService", "SessionManager"),
    "service": ("SessionService",),
    "stream": ("EventStream",),
    "turn": ("Turn",),
    "words": ("ModelInfo", "ProviderCapabilities", "StreamResponse"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> object:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{room}"), name)
    globals()[name] = found  # next time it is simply there
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
