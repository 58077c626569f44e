"""What Jelmore's callers send. What it takes and we have no use for is named in the reply, not refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.ids import new_id
from rhetor.core.value import value
from rhetor.http.sessions.bodies import (
    ID_CHARS,
    MOST_CAPABILITIES,
    MOST_TOKENS,
    MOST_TURN_S,
    MOST_TURNS,
    NAME_CHARS,
    TEXT_CHARS,
    environment,
    metadata,
    number,
    text,
    whole,
    words,
)
from rhetor.sessions.asking import NewSession, Requirements
from rhetor.sessions.backend import Permissions, Said, Verdict
from rhetor.sessions.chat.backend import NAME as CHAT
from rhetor.store.base import SessionRow
from rhetor.wire import fields
from rhetor.wire.jelmore import UNPROCESSABLE, backend_of

ANY = ("", "auto", "default")
"""Names of no provider, and of no model: ours is the choice."""
LATER_FIELDS = frozenset({"user_id", "metadata", "timeout_minutes"})
"""Those of its branch v1, which answers 201 where the others answer 200."""
KNOWN = frozenset(
    {"query", "provider", "model", "config", "requirements", "current_directory", *LATER_FIELDS}
)
SETTINGS = frozenset(
    {
        "max_turns", "timeout_seconds", "temperature", "max_tokens", "system_prompt", "working_directory",
        "environment", "permissions",
    }
)  # fmt: skip
DEMANDS = frozenset({"capabilities", "load_balancing", "cost_optimization"})
ALLOWING = frozenset({"y", "yes", "allow", "approve", "approved", "ok", "okay", "1", "true"})
DENYING = frozenset({"n", "no", "deny", "denied", "reject", "rejected", "0", "false"})
ALWAYS = "always"
TITLE_CHARS = 80


@value
class Creation:
    new: NewSession
    dropped: tuple[str, ...]
    later: bool
    """As a caller of the branch v1 asks."""


@contextmanager
def unprocessable() -> Iterator[None]:
    """A body that is not as it should be has a status of its own here.

    Raises:
        BadRequest: with status 422.
    """
    try:
        yield
    except BadRequest as error:
        if error.code is not Code.INVALID_REQUEST:
            raise
        raise BadRequest(error.message, error.code, status=UNPROCESSABLE, param=error.param) from error


def read_creation(said: Json, owner: str, key: str | None, default: str) -> Creation:
    """
    Args:
        default: the backend of those who name none, and demand nothing.
    """
    config = fields.optional_mapping(said, "config") or {}
    demands = fields.optional_mapping(said, "requirements") or {}
    provider = words(said, "provider", ID_CHARS) or ""
    model = words(said, "model", NAME_CHARS) or words(demands, "model", NAME_CHARS, "requirements") or ""
    query, model = text(said, "query"), "" if model in ANY else model
    wanted = _requirements(model, config, demands)
    demanding = bool(model or wanted.capabilities or wanted.cost_optimization)
    requirements = wanted if provider in ANY and demanding else None
    used = DEMANDS if provider in ANY else frozenset[str]()
    new = NewSession(
        owner=owner,
        backend=None if requirements is not None else default if provider in ANY else backend_of(provider),
        model=model,
        message=Said(query, new_id("msg")),
        title=" ".join(query.split())[:TITLE_CHARS],
        system=words(config, "system_prompt", TEXT_CHARS, "config"),
        directory=words(config, "working_directory", NAME_CHARS, "config")
        or words(said, "current_directory", NAME_CHARS),
        max_turns=whole(config, "max_turns", 1, MOST_TURNS, "config"),
        timeout_s=number(config, "timeout_seconds", 0.001, MOST_TURN_S, "config"),
        temperature=number(config, "temperature", 0, 2, "config"),
        max_tokens=whole(config, "max_tokens", 1, MOST_TOKENS, "config"),
        permissions=fields.one_of(config, "permissions", tuple(Permissions), "config"),
        environment=environment(config) or {},
        metadata=_metadata(said),
        requirements=requirements,
        key=key,
    )
    later = any(said.get(name) is not None for name in LATER_FIELDS)
    return Creation(new, _dropped(said, config, used), later)


def of_vendor(new: NewSession, vendors: Collection[str]) -> NewSession:
    """The same, where a vendor of models was named as the provider: a chat with its model."""
    vendor = new.backend
    if vendor is None or vendor not in vendors:
        return new
    model = new.model if new.model.startswith(f"{vendor}/") else f"{vendor}/{new.model}"
    return replace(new, backend=CHAT, model=model)


def read_message(said: Json) -> str:
    return text(said, "message")


def read_input(said: Json) -> str:
    """In the spelling of any of its versions."""
    key = next((key for key in ("input_text", "input", "content") if said.get(key) is not None), "input_text")
    found = words(said, key, TEXT_CHARS)
    if found is None:
        raise fields.missing(key, "some text")
    return found


def open_request(row: SessionRow) -> str | None:
    """Of what the agent asks, that which it asked first."""
    waiting = row.document.get("waiting_for")
    first = waiting[0] if isinstance(waiting, list) and waiting else None
    request_id = first.get("request_id") if isinstance(first, Mapping) else None
    return request_id if isinstance(request_id, str) else None


def verdict_of(answer: str) -> Verdict:
    """What an answer in words means. Whatever is no clear yes is a no, with what was said as its reason."""
    word = answer.strip().lower().rstrip(".!")
    if word == ALWAYS:
        return Verdict("allow", always=True)
    if word in ALLOWING:
        return Verdict("allow")
    return Verdict("deny", None if word in DENYING or not word else answer)


def _requirements(model: str, config: Json, demands: Json) -> Requirements:
    def of(key: str) -> tuple[Json, str]:
        return (demands, "requirements") if key in demands else (config, "config")

    capabilities = fields.texts(of("capabilities")[0], "capabilities", of("capabilities")[1])
    if len(capabilities) > MOST_CAPABILITIES:
        raise BadRequest(f"capabilities: at most {MOST_CAPABILITIES}", param="config.capabilities")
    balanced, cheap, most = of("load_balancing"), of("cost_optimization"), of("max_tokens")
    return Requirements(
        model=model,
        capabilities=capabilities,
        load_balancing=fields.flag(balanced[0], "load_balancing", balanced[1], default=True),
        cost_optimization=fields.flag(cheap[0], "cost_optimization", cheap[1]),
        max_tokens=whole(most[0], "max_tokens", 1, MOST_TOKENS, most[1]),
    )


def _metadata(said: Json) -> dict[str, JsonValue]:
    noted = dict(metadata(said))
    if (user_id := words(said, "user_id", ID_CHARS)) is not None:
        noted["user_id"] = user_id
    return noted


def _dropped(said: Json, config: Json, used: frozenset[str]) -> tuple[str, ...]:
    idle = [name[:ID_CHARS] for name in said if name not in KNOWN]
    if said.get("timeout_minutes") is not None:
        idle.append("timeout_minutes")
    idle += [f"config.{name[:ID_CHARS]}" for name in config if name not in SETTINGS | used]
    return tuple(idle[:MOST_CAPABILITIES])
