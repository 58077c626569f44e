"""Sessions, their events and their backends as Jelmore's callers read them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.http.offered import find, offered
from rhetor.routing.catalog import Catalog, Offer
from rhetor.sessions.backend import Ability
from rhetor.sessions.selection import Prospect
from rhetor.sessions.states import IN_TURN, State
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.wire.jelmore import EVENT_TYPES, OTHER_EVENTS, provider_of

ANY_MODEL = "auto"
MOST_MODELS = 1_000
PER_TOKEN = 1e12  # micro-dollars for a million tokens, in dollars for one


def status(row: SessionRow) -> dict[str, JsonValue]:
    """A session. The older spellings of the same stand beside the newer ones."""
    document = row.document
    metadata = document.get("metadata")
    noted: Json = metadata if isinstance(metadata, Mapping) else {}
    return {
        **legacy(row),
        "session_id": row.id,
        "model": document.get("model") or ANY_MODEL,
        "provider": provider_of(row.backend),
        "updated_at": row.updated_at.isoformat(),
        "metadata": dict(noted),
        "user_id": noted.get("user_id"),
        "waiting_for": document.get("waiting_for") or [],
        "usage": document.get("usage"),
    }


def legacy(row: SessionRow) -> dict[str, JsonValue]:
    """A session as the first version told of it."""
    return {
        "id": row.id,
        "status": row.state,
        "current_directory": directory_of(row),
        "created_at": row.created_at.isoformat(),
        "last_activity": row.updated_at.isoformat(),
        "output_buffer_size": row.last_seq,
    }


def directory_of(row: SessionRow) -> str:
    found = row.document.get("current_directory") or row.document.get("directory")
    return found if isinstance(found, str) else ""


def event(id: str, logged: LoggedEvent) -> dict[str, JsonValue]:
    """An event; what has no word there is told as one of the system, with its own type beside."""
    known = logged.type in EVENT_TYPES
    return {
        "event_type": logged.type if known else OTHER_EVENTS,
        "content": logged.content,
        "metadata": dict(logged.data) if known else {"type": logged.type, **logged.data},
        "timestamp": logged.at.isoformat(),
        "session_id": id,
        "seq": logged.seq,
    }


def frame(id: str, logged: LoggedEvent) -> bytes:
    """An event as a frame, without a name: readers of the first versions look at `data` alone."""
    return b"id: %d\ndata: %b\n\n" % (logged.seq, orjson.dumps(event(id, logged)))


def provider(prospect: Prospect, catalog: Catalog, counted: Json) -> dict[str, JsonValue]:
    """A backend, with all that is known of it."""
    backend = prospect.backend
    models = models_of(prospect, catalog)
    return {
        "name": provider_of(backend.name),
        "health": health(prospect, models, counted),
        "metrics": counted,
        "capabilities": capabilities(prospect),
        "available_models": [*models],
    }


def capabilities(prospect: Prospect) -> dict[str, JsonValue]:
    able = prospect.backend.abilities
    return {
        "streaming": Ability.STREAMING in able,
        "continuation": Ability.CONTINUATION in able,
        "tools": Ability.TOOLS in able,
        "file_operations": Ability.FILE_OPERATIONS in able,
        "multimodal": Ability.MULTIMODAL in able,
        "code_execution": Ability.CODE_EXECUTION in able,
        "max_sessions": prospect.backend.max_sessions,
        "session_persistence": True,
    }


def health(prospect: Prospect, models: list[dict[str, JsonValue]], counted: Json) -> dict[str, JsonValue]:
    condition = prospect.condition
    told: dict[str, JsonValue] = {
        "status": "healthy" if condition.healthy else "unhealthy",
        "provider": provider_of(prospect.backend.name),
        "sessions": counted["total_sessions"],
        "available_models": [model["name"] for model in models],
    }
    beside = {"version": condition.version, "binary": condition.binary, "error": condition.error}
    return told | {name: known for name, known in beside.items() if known is not None}


def metrics(backend: str, by_state: Mapping[str, int]) -> dict[str, JsonValue]:
    """Counts of a backend's sessions, by what they do."""
    active = sum(by_state.get(state, 0) for state in IN_TURN - {State.WAITING_INPUT})
    waiting, idle = by_state.get(State.WAITING_INPUT, 0), by_state.get(State.IDLE, 0)
    return {
        "provider": provider_of(backend),
        "total_sessions": active + waiting + idle + by_state.get(State.SUSPENDED, 0),
        "active_sessions": active,
        "idle_sessions": idle,
        "waiting_sessions": waiting,
        "suspended_sessions": by_state.get(State.SUSPENDED, 0),
    }


def models_of(prospect: Prospect, catalog: Catalog) -> list[dict[str, JsonValue]]:
    """The models that a backend is offered with: those it names, else all that converse."""
    backend = prospect.backend
    if backend.models:
        return [
            _model(name, found.offer if (found := find(catalog, name)) else None) for name in backend.models
        ]
    listed = (each for each in offered(catalog) if each.offer is None or _converses(each.offer))
    return [_model(each.id, each.offer) for each, _ in zip(listed, range(MOST_MODELS), strict=False)]


def _converses(offer: Offer) -> bool:
    return Capability.CHAT in offer.capabilities


def _model(name: str, offer: Offer | None) -> dict[str, JsonValue]:
    if offer is None:
        return {"name": name, "version": name, "capabilities": [], "context_length": None, "max_tokens": None}
    told: dict[str, JsonValue] = {
        "name": name,
        "version": offer.model,
        "capabilities": ["text", *sorted(offer.features or ())],
        "context_length": offer.context_tokens,
        "max_tokens": offer.max_output_tokens,
        "supports_streaming": True,
        "supports_tools": offer.features is None or "tools" in offer.features,
        "cost_per_token": None,
    }
    if offer.price is not None:
        told["cost_per_token"] = offer.price.output_micros / PER_TOKEN
        told["input_cost_per_token"] = offer.price.input_micros / PER_TOKEN
    return told
