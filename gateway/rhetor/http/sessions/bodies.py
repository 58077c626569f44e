"""What callers of sessions send, read strictly: what nobody knows is an error, and numbers have bounds.

An agent that does not get the setting that its caller misspelt does something else with the caller's files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

from aiohttp import web

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.ids import new_id
from rhetor.core.value import value
from rhetor.http.recorded import KEY_HEADER, KEY_LIMIT
from rhetor.routing.catalog import Catalog
from rhetor.sessions.asking import NewSession, Requirements
from rhetor.sessions.backend import Permissions, Said, Verdict
from rhetor.sessions.states import State
from rhetor.wire import fields

NAME_CHARS = 1_000  # of a model, a folder, a reason
TITLE_CHARS = 200
ID_CHARS = 200
TEXT_CHARS = 1_000_000  # of a message, or a system prompt
METADATA_BYTES = 16 << 10
MOST_CAPABILITIES = 32
MOST_VARIABLES = 64
VARIABLE_CHARS = 32_768
MOST_TURNS = 10_000
MOST_TOKENS = 100_000_000
MOST_TURN_S = 7 * 86_400.0
MOST_NUMBER = (1 << 53) - 1  # what every JSON reader can count to
LISTED = 100
MOST_LISTED = 1_000

CREATING = (
    "backend", "model", "message", "title", "system", "directory", "max_turns", "timeout_s", "temperature",
    "max_tokens", "permissions", "environment", "metadata", "requirements",
)  # fmt: skip
SPOKEN = ("message", "text", "content")
SENDING = (*SPOKEN, "message_id", "resume", "environment", "stream", "wait")
ANSWERING = ("decision", "message", "input", "always")
RESUMING = ("state", "environment")
CHOOSING = ("model", "capabilities", "load_balancing", "cost_optimization", "max_tokens")

DECISIONS = ("allow", "deny")
FLAGS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
_ID = re.compile(r"ses_[0-9a-f]{24}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_DIGITS = re.compile(r"[0-9]{1,16}")
_NUMBER = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?")


@value
class Sending:
    """A message, and how its caller wants to hear what comes of it."""

    said: Said
    resume: bool = False
    environment: Mapping[str, str] | None = None
    stream: bool | None = None
    wait: bool = False


@value
class Resuming:
    state: Json | None = None
    environment: Mapping[str, str] | None = None


def read_new(said: Json, owner: str, key: str | None) -> NewSession:
    """A session that is to be begun."""
    only(said, CREATING)
    return NewSession(
        owner=owner,
        backend=words(said, "backend", ID_CHARS),
        model=words(said, "model", NAME_CHARS) or "",
        message=_first_message(said.get("message")),
        title=words(said, "title", TITLE_CHARS),
        system=words(said, "system", TEXT_CHARS),
        directory=words(said, "directory", NAME_CHARS),
        max_turns=whole(said, "max_turns", 1, MOST_TURNS),
        timeout_s=number(said, "timeout_s", 0.001, MOST_TURN_S),
        temperature=number(said, "temperature", 0, 2),
        max_tokens=whole(said, "max_tokens", 1, MOST_TOKENS),
        permissions=fields.one_of(said, "permissions", tuple(Permissions)),
        environment=environment(said) or {},
        metadata=metadata(said),
        requirements=_requirements_in(said),
        key=key,
    )


def read_sending(said: Json) -> Sending:
    """A message to a session that there is."""
    only(said, SENDING)
    given = [key for key in SPOKEN if said.get(key) is not None]
    if not given:
        raise fields.missing("message", "some text")
    if len(given) > 1:
        raise BadRequest(f"{given[0]} and {given[1]} are the same: send one of them", param=given[1])
    stream, wait = fields.optional_flag(said, "stream"), fields.flag(said, "wait")
    if stream and wait:
        raise BadRequest("stream and wait: ask for one of them", param="wait")
    return Sending(
        said=Said(text(said, given[0]), message_id(said)),
        resume=fields.flag(said, "resume"),
        environment=environment(said),
        stream=stream,
        wait=wait,
    )


def read_verdict(said: Json) -> Verdict:
    """The answer to an approval request."""
    only(said, ANSWERING)
    decision = fields.one_of(said, "decision", DECISIONS)
    if decision is None:
        raise fields.missing("decision", "allow or deny")
    input, always = fields.optional_mapping(said, "input"), fields.flag(said, "always")
    if decision == "allow":
        return Verdict("allow", words(said, "message", TEXT_CHARS), input, always)
    if always or input is not None:
        raise BadRequest("always and input: for allow only", param="always" if always else "input")
    return Verdict("deny", words(said, "message", TEXT_CHARS))


def read_resuming(said: Json) -> Resuming:
    only(said, RESUMING)
    return Resuming(fields.optional_mapping(said, "state"), environment(said))


def read_requirements(said: Json, path: str = "") -> Requirements:
    """What a caller demands who leaves the choice to us."""
    only(said, CHOOSING, path)
    capabilities = fields.texts(said, "capabilities", path)
    where = fields.join(path, "capabilities")
    if len(capabilities) > MOST_CAPABILITIES:
        raise BadRequest(f"{where}: at most {MOST_CAPABILITIES}, got {len(capabilities)}", param=where)
    for word in capabilities:
        _check(word, where, ID_CHARS)
    return Requirements(
        model=words(said, "model", NAME_CHARS, path) or "",
        capabilities=capabilities,
        load_balancing=fields.flag(said, "load_balancing", path, default=True),
        cost_optimization=fields.flag(said, "cost_optimization", path),
        max_tokens=whole(said, "max_tokens", 1, MOST_TOKENS, path),
    )


def only(said: Json, known: Collection[str], path: str = "") -> None:
    """
    Raises:
        BadRequest: names what nobody here knows.
    """
    strange = [fields.join(path, key)[:ID_CHARS] for key in said if key not in known]
    if strange:
        named = ", ".join(strange[:5])
        raise BadRequest(f"unknown: {named}; there are {', '.join(known)}", param=strange[0])


def text(said: Json, key: str, path: str = "") -> str:
    """What is said: not nothing."""
    found = words(said, key, TEXT_CHARS, path)
    if found is None or not found.strip():
        raise fields.missing(fields.join(path, key), "some text")
    return found


def words(said: Json, key: str, most_chars: int, path: str = "") -> str | None:
    found = fields.optional_text(said, key, path)
    if found is not None:
        _check(found, fields.join(path, key), most_chars)
    return found


def whole(said: Json, key: str, least: int, most: int, path: str = "") -> int | None:
    found = fields.optional_integer(said, key, path)
    _within(found, fields.join(path, key), least, most)
    return found


def number(said: Json, key: str, least: float, most: float, path: str = "") -> float | None:
    found = fields.optional_number(said, key, path)
    _within(found, fields.join(path, key), least, most)
    return found


def message_id(said: Json, path: str = "") -> str:
    """The caller's own, by which a message that comes twice is one; else a new one."""
    given = words(said, "message_id", ID_CHARS, path)
    return given or new_id("msg")


def environment(said: Json) -> dict[str, str] | None:
    """Variables for an agent. Whether they are allowed is not asked here."""
    given = fields.optional_mapping(said, "environment")
    if given is None:
        return None
    if len(given) > MOST_VARIABLES:
        raise BadRequest(f"environment: at most {MOST_VARIABLES} variables", param="environment")
    for name in given:
        if not _VARIABLE.fullmatch(name):
            raise BadRequest(f"environment: {name[:ID_CHARS]!r} names no variable", param="environment")
    return {name: words(given, name, VARIABLE_CHARS, "environment") or "" for name in given}


def metadata(said: Json) -> Json:
    """The caller's own notes of a session."""
    given = fields.optional_mapping(said, "metadata") or {}
    if len(fields.dump(given)) > METADATA_BYTES:
        raise BadRequest(f"metadata: at most {METADATA_BYTES >> 10} KiB as JSON", param="metadata")
    if _has_nul(given):
        raise _nul("metadata")
    return given


def key_of(http: web.Request) -> str | None:
    """By which creating a session twice creates one."""
    key = http.headers.get(KEY_HEADER) or None
    if key is not None and (len(key) > KEY_LIMIT or not key.isprintable()):
        raise BadRequest(f"{KEY_HEADER}: at most {KEY_LIMIT} printable characters", param=KEY_HEADER)
    return key


def id_of(http: web.Request) -> str:
    """The session that the path names.

    Raises:
        BadRequest: not_found, no session was ever called so.
    """
    id = http.match_info["id"]
    if not _ID.fullmatch(id):
        raise BadRequest(f"there is no session {id[:100]!r}", Code.NOT_FOUND)
    return id


def query_whole(http: web.Request, key: str, default: int, least: int = 0, most: int = MOST_NUMBER) -> int:
    given = http.query.get(key)
    if given is None:
        return default
    if not _DIGITS.fullmatch(given) or not least <= int(given) <= most:
        raise BadRequest(f"{key}: expected a whole number from {least} to {most}", param=key)
    return int(given)


def query_number(http: web.Request, key: str, default: float, most: float) -> float:
    given = http.query.get(key)
    if given is None:
        return default
    if not _NUMBER.fullmatch(given) or float(given) > most:
        raise BadRequest(f"{key}: expected a number from 0 to {most:g}", param=key)
    return float(given)


def query_flag(http: web.Request, key: str) -> bool | None:
    given = http.query.get(key)
    if given is None:
        return None
    if given.lower() not in FLAGS:
        raise BadRequest(f"{key}: expected true or false", param=key)
    return FLAGS[given.lower()]


def query_words(http: web.Request, key: str, most_chars: int = NAME_CHARS) -> str | None:
    given = http.query.get(key)
    if given is not None:
        _check(given, key, most_chars)
    return given


def query_states(http: web.Request, key: str) -> frozenset[str] | None:
    """States, given one by one or with commas between; None: of any."""
    asked = {word.strip() for given in http.query.getall(key, []) for word in given.split(",")} - {""}
    for word in asked:
        if word not in tuple(State):
            raise BadRequest(f"{key}: expected some of {', '.join(State)}, got {word[:40]!r}", param=key)
    return frozenset(asked) or None


def ensure_offered(catalog: Catalog, new: NewSession) -> None:
    """See now that somebody has the model: in its first turn it would be too late to ask for another.

    Raises:
        BadRequest: model_not_found.
    """
    if new.model and new.requirements is None:
        catalog.resolve(new.model, Capability.CHAT)


def _first_message(given: JsonValue) -> Said | None:
    if given is None:
        return None
    if isinstance(given, str):
        return Said(text({"message": given}, "message"), new_id("msg"))
    said = fields.as_mapping(given, "message")
    only(said, ("text", "message_id"), "message")
    return Said(text(said, "text", "message"), message_id(said, "message"))


def _requirements_in(said: Json) -> Requirements | None:
    given = fields.optional_mapping(said, "requirements")
    return None if given is None else read_requirements(given, "requirements")


def _check(found: str, path: str, most_chars: int) -> None:
    if len(found) > most_chars:
        raise BadRequest(f"{path}: at most {most_chars} characters, got {len(found)}", param=path)
    if "\0" in found:
        raise _nul(path)


def _nul(path: str) -> BadRequest:
    """PostgreSQL stores no such character, and no command line takes it."""
    return BadRequest(f"{path}: a NUL character is no text", param=path)


def _has_nul(given: JsonValue) -> bool:
    match given:
        case str():
            return "\0" in given
        case list():
            return any(map(_has_nul, given))
        case Mapping():
            return any(_has_nul(key) or _has_nul(inner) for key, inner in given.items())
        case _:
            return False


def _within(found: float | None, path: str, least: float, most: float) -> None:
    if found is not None and not (math.isfinite(found) and least <= found <= most):
        raise BadRequest(f"{path}: expected {least:g} to {most:g}, got {found:g}", param=path)
