"""What OpenCode's objects mean: tools, files, questions and errors in our words.

Seen running, version 1.18.33, 2026-11-21. What is missing or of another shape is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os.path import join, normpath

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.event import Event, EventType

NAME = "opencode"
QUESTION_CHARS = 200  # a line for people; the whole input is beside it

ABORTED = "MessageAbortedError"

_CODES: Mapping[str, Code] = {
    "ProviderAuthError": Code.UPSTREAM_AUTH,
    "ContextOverflowError": Code.CONTEXT_LENGTH,
    "ContentFilterError": Code.CONTENT_POLICY,
    "MessageOutputLengthError": Code.TRUNCATED,
}
_CODES_BY_STATUS: Mapping[int, Code] = {
    400: Code.INVALID_REQUEST,
    401: Code.UPSTREAM_AUTH,
    402: Code.UPSTREAM_BILLING,
    403: Code.UPSTREAM_AUTH,
    404: Code.MODEL_NOT_FOUND,
    413: Code.TOO_LARGE,
    429: Code.RATE_LIMITED,
    503: Code.UNAVAILABLE,
    529: Code.OVERLOADED,
}


def object_of(value: object) -> Json:
    """Itself, or nothing."""
    return value if isinstance(value, Mapping) else {}


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def id_of(message: Json) -> str:
    """Of a message as lists have it, and as events tell of it."""
    return text_of(object_of(message.get("info")).get("id"))


def failure(error: Json) -> RhetorError:
    """What a model call of its failed of."""
    name, data = text_of(error.get("name")), object_of(error.get("data"))
    status = data.get("statusCode")
    by_status = _CODES_BY_STATUS.get(status) if isinstance(status, int) else None
    code = _CODES.get(name) or by_status or Code.UPSTREAM_ERROR
    return RhetorError(text_of(data.get("message")) or name or "opencode failed", code, origin=NAME)


def is_abort(error: Json) -> bool:
    return error.get("name") == ABORTED


def use(part: Json) -> Event:
    """A tool is used; its input is complete."""
    given = dict(object_of(_state(part).get("input")))
    data: dict[str, JsonValue] = {"id": text_of(part.get("id")), "name": tool_of(part), "input": given}
    return Event(EventType.TOOL_USE, orjson.dumps(given).decode(), data)


def result(part: Json) -> Event:
    state = _state(part)
    is_error = state.get("status") == "error"
    content = text_of(state.get("error" if is_error else "output"))
    data: dict[str, JsonValue] = {
        "id": text_of(part.get("id")),
        "name": tool_of(part),
        "is_error": is_error,
    }
    return Event(EventType.TOOL_RESULT, content, data)


def tool_of(part: Json) -> str:
    return text_of(part.get("tool")) or "unknown"


def input_of(part: Json) -> Json:
    return object_of(_state(part).get("input"))


def ran_in(part: Json, root: str) -> str:
    """Where a command ran that named a folder, which counts for that command alone; else nothing."""
    state = _state(part)
    folder = text_of(object_of(state.get("input")).get("workdir"))
    return normpath(join(root, folder)) if folder and state.get("status") == "completed" else ""


def changes(part: Json) -> Iterator[Event]:
    """The files that a tool has changed."""
    if _state(part).get("status") != "completed":
        return
    for path, kind in _CHANGES.get(tool_of(part), _none)(_state(part)):
        data: dict[str, JsonValue] = {"path": path, "kind": kind, "tool_id": text_of(part.get("id"))}
        if path:
            yield Event(EventType.FILE_CHANGE, path, data)


def question(permission: str, patterns: Sequence[str], about: Json) -> str:
    """What is asked, for people, in one line."""
    what = next((text_of(about.get(name)) for name in ("command", "filepath", "url") if about.get(name)), "")
    what = " ".join((what or ", ".join(patterns)).split())
    if len(what) > QUESTION_CHARS:
        what = what[:QUESTION_CHARS] + "…"
    verb = _VERBS.get(permission)
    if permission == "external_directory":
        return f"May it go to {', '.join(patterns)}: {what}?"
    return f"May it {verb} {what}?" if verb else f"May it use {permission}: {what}?"


_VERBS: Mapping[str, str] = {"bash": "run", "edit": "change", "read": "read", "webfetch": "fetch"}


def _state(part: Json) -> Json:
    return object_of(part.get("state"))


Changes = Iterator[tuple[str, str]]


def _written(state: Json) -> Changes:
    about = object_of(state.get("metadata"))
    yield text_of(about.get("filepath")), "edit" if about.get("exists") else "create"


def _edited(state: Json) -> Changes:
    given = object_of(state.get("input"))
    file = text_of(object_of(object_of(state.get("metadata")).get("filediff")).get("file"))
    yield file or text_of(given.get("filePath")), "edit" if given.get("oldString") else "create"


def _patched(state: Json) -> Changes:
    files = object_of(state.get("metadata")).get("files")
    for file in map(object_of, files if isinstance(files, list) else ()):
        path, moved = text_of(file.get("filePath")), text_of(file.get("movePath"))
        kind = {"add": "create", "delete": "delete", "move": "delete"}.get(text_of(file.get("type")), "edit")
        yield path, kind
        if moved:
            yield moved, "create"


def _none(state: Json) -> Changes:
    yield from ()


_CHANGES = {
    "write": _written,
    "edit": _edited,
    "multiedit": _edited,
    "apply_patch": _patched,
    "patch": _patched,
}
