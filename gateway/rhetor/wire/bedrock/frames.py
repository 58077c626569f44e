"""Event streams (`application/vnd.amazon.eventstream`): bytes in any pieces → messages, by `botocore`.

https://smithy.io/2.0/aws/amazon-eventstream.html (read 2026-11-21). The library is an extra, so it is
imported by whoever reads such a stream.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.lenient import parse

STREAM_TYPE = "application/vnd.amazon.eventstream"

PRELUDE_BYTES = 12  # of a message: its length, that of its headers, and the checksum of both
LEAST_BYTES = PRELUDE_BYTES + 4  # a message without headers and payload has a checksum nevertheless


class Message(NamedTuple):
    kind: str
    """`event`, `exception` or `error`."""
    name: str
    """Of the event, or of what went wrong."""
    said: Json | None
    """Its JSON object; None when it has none."""
    text: str = ""
    """What an `error` says instead."""


class StreamSplitter:
    """Cuts a byte stream into messages; any split of the same bytes gives the same messages."""

    def __init__(self) -> None:
        try:
            from botocore.eventstream import EventStreamBuffer
        except ModuleNotFoundError as error:
            message = "streams of AWS cannot be read without botocore: pip install 'rhetor[bedrock]'"
            raise UpstreamError(message, Code.UNSUPPORTED) from error
        self._buffer: Any = EventStreamBuffer()
        self._held = bytearray()
        self._wanted = PRELUDE_BYTES
        self._begun = False

    @property
    def begun(self) -> bool:
        """Whether a whole message has come."""
        return self._begun

    def feed(self, data: bytes) -> list[Message]:
        """The messages completed by these bytes.

        Raises:
            UpstreamError: protocol_error, this is no such stream, or something was changed on the way.
        """
        from botocore.eventstream import ChecksumMismatch, ParserError

        self._held += data
        messages: list[Message] = []
        try:
            while len(self._held) >= self._wanted:
                messages += self._hand_over()
        except (ParserError, ChecksumMismatch, KeyError, ValueError, struct.error) as error:
            message = f"the provider sent no event stream: {error}"
            raise UpstreamError(message, Code.PROTOCOL) from error
        self._begun = self._begun or bool(messages)
        return messages

    def _hand_over(self) -> list[Message]:
        """The library copies what it has with each piece: so it gets a prelude, to check it, and the rest."""
        piece = bytes(self._held[: self._wanted])
        del self._held[: self._wanted]
        self._buffer.add_data(piece)
        messages = [_read(it) for it in self._buffer]
        if messages:
            self._wanted = PRELUDE_BYTES
        elif (length := int.from_bytes(piece[:4])) < LEAST_BYTES:
            raise ValueError(f"a message of {length} bytes")
        else:
            self._wanted = length - PRELUDE_BYTES
        return messages


def _read(message: Any) -> Message:
    headers = message.headers
    kind = str(headers.get(":message-type", "event"))
    name = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code") or ""
    return Message(kind, str(name), parse(message.payload), str(headers.get(":error-message", "")))
