"""What the gateway says of sessions → objects, without any I/O."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from tekton_llm_client.asking import first_problem
from tekton_llm_client.exceptions import AdapterError, TektonLLMError
from tekton_llm_client.refusals import GATEWAY, failure
from tekton_llm_client.sessions.models import Sent, Session, SessionEvent, SessionList

T = TypeVar("T")


def parsed(body: bytes) -> dict[str, Any]:
    """
    Raises:
        AdapterError: this is no JSON object.
    """
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise AdapterError(GATEWAY, f"the gateway's reply is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise AdapterError(GATEWAY, f"the gateway's reply is not an object: {body[:200]!r}")
    return said


def read(kind: type[T], said: object) -> T:
    """One of `models` out of what was said; what was said as null counts as not said.

    Raises:
        AdapterError: it is none.
    """
    if isinstance(said, Mapping):
        said = {name: value for name, value in said.items() if value is not None}
    try:
        found: T = _reader(kind).validate_python(said)  # type: ignore[arg-type]  # classes are hashable
    except ValidationError as error:
        raise AdapterError(
            GATEWAY, f"the gateway's reply is no {kind.__name__}: {first_problem(error)}"
        ) from error
    return found


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_many(kind: type[T], said: Mapping[str, Any]) -> list[T]:
    """Those of a list, in its order."""
    rows = said.get("data")
    return [read(kind, row) for row in (rows if isinstance(rows, list) else ())]


def read_list(said: Mapping[str, Any]) -> SessionList:
    sessions = read_many(Session, said)
    total = said.get("total")
    return SessionList(
        sessions, total if isinstance(total, int) else len(sessions), bool(said.get("has_more"))
    )


def read_sent(said: Mapping[str, Any]) -> Sent:
    """
    Raises:
        AdapterError: it is none.
    """
    return read(Sent, {**said, "session": read(Session, said.get("session"))})


class Frame(NamedTuple):
    """One server-sent event."""

    id: str
    event: str
    data: bytes


class FrameSplitter:
    """Cuts bytes that come in any pieces into frames; those without data are left out."""

    def __init__(self) -> None:
        self._rest = b""
        self._said: dict[bytes, list[bytes]] = {}

    def feed(self, data: bytes) -> list[Frame]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [frame for line in lines if (frame := self._line(line.rstrip(b"\r"))) is not None]

    def _line(self, line: bytes) -> Frame | None:
        if line:
            name, _, value = line.partition(b":")
            self._said.setdefault(name, []).append(value.removeprefix(b" "))
            return None
        said, self._said = self._said, {}
        if b"data" not in said:
            return None
        id, event = (said.get(name, [b""])[-1].decode(errors="replace") for name in (b"id", b"event"))
        return Frame(id, event, b"\n".join(said[b"data"]))


class EventReader:
    """The bytes of an event stream, in any pieces → events, each once and in order."""

    def __init__(self, after: int) -> None:
        self.last_seq = after
        """Of the last event that was read; before the first one, what they follow."""
        self.refusal: TektonLLMError | None = None
        """Why nothing more can be read of this connection."""
        self._frames = FrameSplitter()

    def feed(self, data: bytes) -> list[SessionEvent]:
        """The events that these bytes complete, up to a refusal."""
        read = (self._read(frame.data) for frame in self._frames.feed(data))
        return [event for event in read if event is not None]

    def come_back(self) -> None:
        """What follows comes over another connection."""
        self._frames, self.refusal = FrameSplitter(), None

    def _read(self, data: bytes) -> SessionEvent | None:
        if self.refusal is not None:
            return None
        try:
            said = parsed(data)
            event = read(SessionEvent, said) if "seq" in said else None
        except AdapterError as error:
            self.refusal = error
            return None
        if event is None:
            self.refusal = _refusal(said)
        elif event.seq == self.last_seq + 1:
            self.last_seq = event.seq
            return event
        elif event.seq > self.last_seq:
            missing = f"event {self.last_seq + 1} is missing: {event.seq} came in its place"
            self.refusal = AdapterError(GATEWAY, missing, retry=True)
        return None


def _refusal(said: Mapping[str, Any]) -> TektonLLMError | None:
    """An error in the place of an event; None for what is neither."""
    if (error := said.get("error")) is None:
        return None
    about = error if isinstance(error, Mapping) else {**said, "message": error}
    code = about.get("code")
    return failure(str(about.get("message")), code if isinstance(code, str) else None)
