"""HTTP/1.1 as a server needs it, without I/O: bytes → requests, and the pieces of a response.

Deliberately small and strict. It exists because a server that has to break
the rules on purpose cannot be built on one that keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD_BYTES = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
NOT_A_CHUNK = b"this is not a chunk size\r\n"


class BadHttp(Exception):
    """The peer does not speak HTTP/1.1, or something this server does not understand."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    target: str
    headers: Mapping[str, str]
    """Lower-case names; repeated ones joined by a comma."""
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def keep_alive(self) -> bool:
        return "close" not in self.headers.get("connection", "").lower()


class RequestParser:
    """Requests out of a connection's bytes, however these are split. Pipelined requests come in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._chunks = bytearray()

    def feed(self, data: bytes) -> list[HttpRequest]:
        """The requests that these bytes complete.

        Raises:
            BadHttp: the bytes are no request; nothing more can be read from this connection.
        """
        self._buffer += data
        requests = []
        while (request := self._next()) is not None:
            requests.append(request)
        return requests

    def _next(self) -> HttpRequest | None:
        if self._head is None:
            self._head = self._read_head()
        if self._head is None:
            return None
        body = self._read_chunked() if self._head.length is None else self._read_counted(self._head.length)
        if body is None:
            return None
        head, self._head = self._head, None
        return HttpRequest(head.method, head.target, head.headers, body)

    def _read_head(self) -> _Head | None:
        end = self._buffer.find(END_OF_HEAD)
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadHttp(f"the head is longer than {MAX_HEAD_BYTES} bytes")
            return None
        return _parse_head(bytes(self._take(end + len(END_OF_HEAD))))

    def _read_counted(self, length: int) -> bytes | None:
        return bytes(self._take(length)) if len(self._buffer) >= length else None

    def _read_chunked(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n")) >= 0:
            size = _number(bytes(self._buffer[:end]).partition(b";")[0], base=16)
            if len(self._buffer) < end + size + 4:
                return None
            chunk = self._take(end + size + 4)[end + 2 :]
            if not chunk.endswith(b"\r\n"):
                raise BadHttp("a chunk is longer than it says, or trailers were sent")
            self._chunks += chunk[:-2]
            if size == 0:
                body = bytes(self._chunks)
                self._chunks.clear()
                return body
        return None

    def _take(self, count: int) -> bytearray:
        taken = self._buffer[:count]
        del self._buffer[:count]
        return taken


@dataclass(frozen=True, slots=True)
class _Head:
    method: str
    target: str
    headers: Mapping[str, str]
    length: int | None
    """Bytes of the body; None when it is chunked."""


def _parse_head(head: bytes) -> _Head:
    request_line, *lines = head.decode("latin-1").strip().split("\r\n")
    match request_line.split(" "):
        case [method, target, version] if version in ("HTTP/1.1", "HTTP/1.0"):
            headers = _parse_headers(lines)
        case _:
            raise BadHttp(f"not an HTTP/1.1 request line: {request_line!r}")
    if version == "HTTP/1.0":
        headers.setdefault("connection", "close")
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    length = None if chunked else _number(headers.get("content-length", "0").encode(), base=10)
    return _Head(method, target, headers, length)


def _parse_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise BadHttp(f"not a header: {line!r}")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _number(digits: bytes, base: int) -> int:
    try:
        number = int(digits.strip(), base)
    except ValueError:
        number = -1
    if number < 0:
        raise BadHttp(f"not a length: {digits!r}")
    return number


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """A response's status line and headers."""
    lines = [f"HTTP/1.1 {status} {_reason(status)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; nothing for no data, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unusual"  # 529, for one, is in nobody's table
