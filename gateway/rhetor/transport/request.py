"""What goes out: the head of a call, checked and made once for as long as calls look alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError

DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
BODY_EXPECTED = frozenset({"POST", "PUT", "PATCH"})  # without a body they say that it is empty
OWN_HEADERS = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""About the connection and the framing, which are ours to decide."""
MOST_HEADS = 64  # a provider has a handful of addresses; one that has more makes some heads again

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""https://www.rfc-editor.org/rfc/rfc9110#name-tokens (read 2026-11-20)."""
FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""https://www.rfc-editor.org/rfc/rfc9110#name-field-values (read 2026-11-20)."""
TARGET = re.compile(r"[\x21-\x7e]+")


class Origin(NamedTuple):
    """Whom a connection leads to."""

    tls: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Head:
    """Request line and headers, all but the length of the body."""

    origin: Origin
    start: bytes = field(repr=False)  # it has the key in it
    headers: Mapping[str, str] = field(repr=False)
    """What it was made of, to know when it is to be made again."""
    is_head: bool
    """The method is HEAD, whose replies have no body whatever they say."""
    body_expected: bool

    def before(self, body: bytes | None) -> bytes:
        """The head as it goes out before this body."""
        if body is None and not self.body_expected:
            return self.start + b"\r\n"
        return b"%bcontent-length: %d\r\n\r\n" % (self.start, len(body or b""))


class Heads:
    """The heads of a provider's calls."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Head] = {}

    def __len__(self) -> int:
        return len(self._made)

    def of(self, call: Call) -> Head:
        """The call's head, an earlier one when nothing in it has changed.

        Raises:
            UpstreamError: connect_failed, the call cannot be sent.
        """
        key = (call.method, call.url)
        head = self._made.get(key)
        if head is None or head.headers != call.headers:
            head = make_head(call)
            if len(self._made) >= MOST_HEADS:
                self._made.clear()
            self._made[key] = head
        return head


def make_head(call: Call) -> Head:
    """The head of one call.

    Raises:
        UpstreamError: connect_failed, the call cannot be sent. The message shows no value: it may be a key.
    """
    if not TOKEN.fullmatch(call.method):
        raise _cannot_send("its method is none")
    origin, authority, target = _address(call.url)
    names = {_checked(name, value) for name, value in call.headers.items()}
    lines = [f"{call.method} {target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"host: {authority}")
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    start = "\r\n".join([*lines, ""]).encode("latin-1")
    return Head(origin, start, dict(call.headers), call.method == "HEAD", call.method in BODY_EXPECTED)


def _address(url: str) -> tuple[Origin, str, str]:
    """Where to connect, what to call it, and what to ask for there."""
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except ValueError as error:  # a UnicodeError is one
        raise _cannot_send("its address is none") from error
    if not host or parts.scheme not in DEFAULT_PORTS:
        raise _cannot_send("its address is not like http://host/path or https://host/path")
    if parts.username is not None:
        raise _cannot_send("its address has a user in it; put the credentials into a header")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # The whole address is looked at, because urlsplit leaves out line breaks without a word.
    if not TARGET.fullmatch(target) or any(character <= " " for character in url):
        raise _cannot_send("its address has characters in it that must be percent-encoded")
    default = DEFAULT_PORTS[parts.scheme]
    origin = Origin(parts.scheme == "https", host, default if port is None else port)
    return origin, _authority(host, port, default), target


def _authority(host: str, port: int | None, default: int) -> str:
    named = f"[{host}]" if ":" in host else host
    return named if port in (None, default) else f"{named}:{port}"


def _checked(name: str, value: str) -> str:
    """The header's name in lower case."""
    if not TOKEN.fullmatch(name):
        raise _cannot_send("the name of a header has characters in it that no name may have")
    if not FIELD_VALUE.fullmatch(value):
        raise _cannot_send(
            f"its header {name!r} has a line break or another character that no header may have"
        )
    if (lower := name.lower()) in OWN_HEADERS:
        raise _cannot_send(f"its header {name!r} is not for a call to set")
    return lower


def _cannot_send(why: str) -> UpstreamError:
    return UpstreamError(f"the call cannot be sent: {why}", Code.CONNECT_FAILED)
