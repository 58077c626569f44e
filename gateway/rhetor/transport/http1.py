"""HTTP/1.1 as a client reads it, without I/O: bytes → heads and bodies of responses, one after the other.

https://www.rfc-editor.org/rfc/rfc9112 (read 2026-11-20)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from httptools import HttpParserError, HttpResponseParser

from rhetor.transport.inflate import ENCODINGS

MAX_HEAD_BYTES = 64 * 1024  # some vendors send long content-security-policy headers
MAX_FIELDS = 256  # each costs more memory than its bytes
SWITCHING_PROTOCOLS = 101
FIRST_FINAL = 200  # below are interim responses
READABLE = ENCODINGS | {"identity"}
KEEP_ALIVE_TIMEOUT = re.compile(r"timeout\s*=\s*(\d{1,9})", re.IGNORECASE | re.ASCII)


class Fields(Mapping[str, str]):
    """Headers by name, in any case. One that came several times is joined by commas.

    Args:
        raw: by lower-case name.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: Mapping[str, str]) -> None:
        self.raw = raw

    def __getitem__(self, name: str) -> str:
        return self.raw[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return f"Fields({dict(self)})"


NO_FIELDS = Fields({})


class Framing:
    """The responses of one connection.

    `expect` before each one, then `feed` what arrives, and look at the state after each:

    - `status` and `fields` are there once the head is; interim responses are passed over.
    - `ended`: the body is complete.
    - `broken`: why this is not a response; nothing after that can be read.
    """

    def __init__(self) -> None:
        self._body: list[bytes] = []
        self.on_body = self._body.append  # the parser takes its callbacks from here
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # Small servers do both. The first is allowed: https://www.rfc-editor.org/rfc/rfc9112#section-2.2-3
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.expect()

    def expect(self, is_head: bool = False) -> None:
        """The next response may come.

        Args:
            is_head: it answers a HEAD, so it has no body, whatever it says.
        """
        self._is_head = is_head
        self._pairs: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._until_close = False
        self.status = 0
        self.fields = NO_FIELDS
        self.ended = False
        self.broken: str | None = None
        self.reusable = False
        """Another response may follow on this connection; known when this one has ended."""

    @property
    def timeout_s(self) -> float | None:
        """How long the server keeps the connection when nothing happens on it, where it says so."""
        said = self.fields.raw.get("keep-alive")
        seconds = None if said is None else KEEP_ALIVE_TIMEOUT.search(said)
        return None if seconds is None else float(seconds[1])

    def feed(self, data: bytes) -> bytes:
        """The part of the body that is in the data."""
        assert self._parser is not None
        if not self.status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._on_error(error)
        else:
            if not self.status and self._head_bytes > MAX_HEAD_BYTES:
                self.broken = "its headers are too long"
        body = self._body
        if len(body) < 2:
            return body.pop() if body else b""
        joined = b"".join(body)
        body.clear()
        return joined

    def feed_eof(self) -> None:
        """The server sends no more; some bodies end that way."""
        if self._until_close:
            self.ended = True

    def close(self) -> None:
        """Nothing more will come. The parser and we hold each other, which only the collector would end."""
        self._parser = None

    # What the parser tells.

    def on_message_begin(self) -> None:
        if self.ended:
            raise _Broken("it goes on after its end")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._pairs.append((name, value))  # after the body they are trailers, which nobody asked for
        if len(self._pairs) > MAX_FIELDS:
            raise _Broken(f"it has more than {MAX_FIELDS} headers")

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if self._head_bytes > MAX_HEAD_BYTES:
            self._measure()
        if status == SWITCHING_PROTOCOLS:
            raise _Broken("it switched to another protocol, which nobody asked for")
        if status < FIRST_FINAL:
            self._pairs = []
            return
        raw = _joined(self._pairs)
        encoding = raw.get("content-encoding")
        if encoding and encoding.lower() not in READABLE:
            raise _Broken(f"it is compressed as {_shown(encoding)}, which nobody asked for")
        transfer = raw.get("transfer-encoding")
        if transfer is not None and transfer.lower() != "chunked":
            raise _Broken(f"its transfer encoding is {_shown(transfer)}")
        self._until_close = transfer is None and "content-length" not in raw
        self.fields = Fields(raw)
        self.status = status
        if self._is_head:
            self.ended = True
            raise _Broken("the parser does not know the method, and would wait for a body")

    def on_message_complete(self) -> None:
        if self.status and not self.ended:
            assert self._parser is not None
            self.ended = True
            self.reusable = self._parser.should_keep_alive()

    def _measure(self) -> None:
        """What was read with the head may be body: now it is known how long the head was."""
        size = sum(len(name) + len(value) for name, value in self._pairs)
        if size > MAX_HEAD_BYTES:
            raise _Broken("its headers are too long")

    def _on_error(self, error: HttpParserError) -> None:
        self.reusable = False
        if not self.ended:
            why = error.__context__
            self.broken = str(why) if isinstance(why, _Broken) else "it is not valid HTTP"


class _Broken(Exception):
    """Raised in a callback, so that the parser stops; says why."""


def _joined(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = raw_name.lower().decode("latin-1")
        value = raw_value.rstrip(b" \t").decode("latin-1")  # the parser leaves blanks at the end
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _shown(value: str) -> str:
    return repr(value[:40])
