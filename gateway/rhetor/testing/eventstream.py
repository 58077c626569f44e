"""Messages of event streams, as AWS sends them: https://smithy.io/2.0/aws/amazon-eventstream.html
(read 2026-11-21)."""

from __future__ import annotations

import struct
from binascii import crc32
from typing import Literal

STREAM_TYPE = "application/vnd.amazon.eventstream"
TEXT = 7  # the type of headers that are texts


def message(kind: Literal["event", "exception"], name: str, payload: bytes) -> bytes:
    """One message: lengths and their checksum, headers, the payload, and the checksum of it all."""
    said = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(
        struct.pack("!B", len(it)) + it.encode() + struct.pack("!BH", TEXT, len(value)) + value.encode()
        for it, value in said.items()
    )
    prelude = struct.pack("!II", len(headers) + len(payload) + 16, len(headers))
    body = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return body + struct.pack("!I", crc32(body))
