"""What a session begins with: its id, its model, and what is stored of what its caller wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.ids import new_id
from rhetor.core.value import value
from rhetor.routing.catalog import DEFAULT_NAMES
from rhetor.sessions.asking import NewSession
from rhetor.sessions.backend import Access, Backend, History, Permissions, Setup
from rhetor.sessions.draft import digest
from rhetor.store.base import SessionRow


@value(kw_only=True)
class Defaults:
    permissions: Permissions = Permissions.ASK
    max_turns: int | None = None
    """Also the most that a session may have."""


def id_of(new: NewSession) -> str:
    """Who comes again with the same key gets the same id."""
    if new.key is None:
        return new_id("ses")
    digest = hashlib.sha256(f"{len(new.owner)}:{new.owner}{new.key}".encode("utf-8", "surrogatepass"))
    return f"ses_{digest.hexdigest()[:24]}"


def model_of(new: NewSession, backend: Backend) -> str:
    """As the router knows it; empty: whatever answers who names nobody.

    Raises:
        BadRequest: model_not_found, the backend is not offered with it.
    """
    model = "" if new.model in DEFAULT_NAMES else new.model
    model = model or backend.default_model or next(iter(backend.models), "")
    if backend.models and model not in backend.models:
        known = ", ".join(backend.models)
        message = f"model: {backend.name} is not offered with {model!r}, but with {known}"
        raise BadRequest(message, Code.MODEL_NOT_FOUND, param="model")
    return model


def document_of(
    new: NewSession,
    backend: str,
    model: str,
    directory: str,
    defaults: Mapping[str, Defaults],
    selection: Json | None,
) -> dict[str, JsonValue]:
    """What is stored beside the row. The environment is not: it may hold secrets."""
    default = defaults.get(backend, Defaults())
    wanted, most = new.max_turns, default.max_turns
    return {
        "title": new.title,
        "model": model,
        "system": new.system,
        "directory": directory,
        "current_directory": directory,
        "permissions": (new.permissions or default.permissions).value,
        "max_turns": min(wanted, most) if wanted and most else wanted or most,
        "timeout_s": new.timeout_s,
        "temperature": new.temperature,
        "max_tokens": new.max_tokens,
        "native_id": None,
        "waiting_for": [],
        "usage": {"calls": 0, "input_tokens": 0, "output_tokens": 0, "cost_micros": 0},
        "selection": None if selection is None else dict(selection),
        "metadata": dict(new.metadata),
        "wanted": _wanted(new),
    }


def _wanted(new: NewSession) -> str:
    """Tells what two callers with the same key want apart, and tells nothing of it."""
    return digest(repr(replace(new, message=new.message and replace(new.message, message_id=""))))


def setup_of(
    row: SessionRow,
    directory: Path,
    home: Path,
    history: History,
    access: Access,
    environment: Mapping[str, str],
) -> Setup:
    """What a stored session's conversation is opened with."""
    document = row.document
    max_turns, max_tokens = document.get("max_turns"), document.get("max_tokens")
    temperature = document.get("temperature")
    return Setup(
        session_id=row.id,
        owner=row.owner,
        model=text_of(row, "model") or "",
        directory=directory,
        home=home,
        native_id=text_of(row, "native_id"),
        history=history,
        access=access,
        system=text_of(row, "system"),
        max_turns=max_turns if isinstance(max_turns, int) else None,
        temperature=temperature if isinstance(temperature, int | float) else None,
        max_tokens=max_tokens if isinstance(max_tokens, int) else None,
        permissions=Permissions(text_of(row, "permissions") or Permissions.ASK),
        environment=environment,
    )


def text_of(row: SessionRow, name: str) -> str | None:
    """What a session's document says under this name, if that is a text."""
    value = row.document.get(name)
    return value if isinstance(value, str) else None


def another_session() -> BadRequest:
    """What is wrong with a key that was used for something else."""
    message = "Idempotency-Key: it was used for a session with another body"
    return BadRequest(message, Code.CONFLICT, param="Idempotency-Key")
